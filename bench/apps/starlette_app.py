"""Starlette."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.apps import NOBODY
from propylon import Propylon
from propylon.adapters.starlette import Auth, user


async def _open(_: Request) -> Response:
    return JSONResponse({"id": NOBODY})


async def _me(request: Request) -> Response:
    who = await user(request)
    return JSONResponse({"id": who.user_id})


def plain() -> Starlette:
    """Return the app that asks nobody."""
    return Starlette(routes=[Route("/me", _open)])


def guarded() -> Starlette:
    """Return the app that asks who is calling."""
    app = Starlette(routes=[Route("/me", _me)])
    Auth(Propylon.from_env()).guard(app)
    return app
