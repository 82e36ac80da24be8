"""The app under load: one route that never asks who is calling, the same route that does."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from propylon import Propylon

NOBODY = "00000000-0000-4000-8000-000000000000"


def _answer(user_id: str) -> Response:
    return Response(msgspec.json.encode({"id": user_id}), media_type="application/json")


async def _open(request: Request) -> Response:  # noqa: ARG001 - the shape of an endpoint
    return _answer(NOBODY)


async def _me(request: Request) -> Response:
    principal = await request.scope["propylon"].principal()
    return _answer(principal.user_id)


def application() -> ASGIApp:
    """Return the app, guarded, with Propylon's own routes mounted beside its own."""
    propylon = Propylon.from_env()
    routes = [Route("/open", _open), Route("/me", _me), Mount("/", propylon)]
    return propylon.protect(Starlette(routes=routes, lifespan=propylon.lifespan))
