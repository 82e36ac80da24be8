"""FastAPI."""

from __future__ import annotations

from fastapi import FastAPI

from bench.apps import NOBODY
from propylon import Propylon
from propylon.adapters.fastapi import Auth, SignedIn


async def _open() -> dict[str, str]:
    return {"id": NOBODY}


async def _me(who: SignedIn) -> dict[str, str]:
    return {"id": who.user_id}


def plain() -> FastAPI:
    """Return the app that asks nobody."""
    app = FastAPI(openapi_url=None)
    app.get("/me")(_open)
    return app


def guarded() -> FastAPI:
    """Return the app that asks who is calling."""
    app = FastAPI(openapi_url=None)
    app.get("/me")(_me)
    Auth(Propylon.from_env()).guard(app)
    return app
