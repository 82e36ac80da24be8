"""FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from bench.apps import NOBODY
from propylon import Propylon
from propylon.adapters.fastapi import Auth, SignedIn, user


async def _nobody() -> str:
    return NOBODY


async def _open(request: Request) -> dict[str, str]:  # noqa: ARG001 - as it would be, guarded
    return {"id": NOBODY}


async def _by_dependency(who: SignedIn) -> dict[str, str]:
    return {"id": who.user_id}


async def _in_the_route(request: Request) -> dict[str, str]:
    return {"id": (await user(request)).user_id}


async def _by_any_dependency(nobody: Annotated[str, Depends(_nobody)]) -> dict[str, str]:
    return {"id": nobody}


def plain() -> FastAPI:
    """Return the app that asks nobody."""
    return _app(_open)


def any_dependency() -> FastAPI:
    """Return the app that asks nobody, through a dependency."""
    return _app(_by_any_dependency)


def guarded() -> FastAPI:
    """Return the app that asks who is calling, by a dependency."""
    return _guarded(_by_dependency)


def guarded_in_the_route() -> FastAPI:
    """Return the app that asks who is calling, in the route."""
    return _guarded(_in_the_route)


def _app(endpoint: Callable[..., Any]) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.get("/me")(endpoint)
    return app


def _guarded(endpoint: Callable[..., Any]) -> FastAPI:
    app = _app(endpoint)
    Auth(Propylon.from_env()).guard(app)
    return app
