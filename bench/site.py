"""The app under load: one route, which asks who is calling, or in another process does not."""

from __future__ import annotations

import os

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from propylon import Propylon

OPEN = "BENCH_OPEN"
NOBODY = "00000000-0000-4000-8000-000000000000"


def _answer(user_id: str) -> Response:
    return Response(msgspec.json.encode({"id": user_id}), media_type="application/json")


async def _open(request: Request) -> Response:  # noqa: ARG001 - the shape of an endpoint
    return _answer(NOBODY)


async def _me(request: Request) -> Response:
    principal = await request.scope["propylon"].principal()
    return _answer(principal.user_id)


def application() -> ASGIApp:
    """Return the app, guarded, with Propylon's own routes mounted beside its own.

    Its route stands first in either process: a router that passes another one on the way to it takes a
    microsecond, which would count as the price of signing in.
    """
    propylon = Propylon.from_env()
    routes = [Route("/me", _open if os.environ.get(OPEN) else _me), Mount("/", propylon)]
    return propylon.protect(Starlette(routes=routes))
