"""The app under load: one route that asks who is calling, or in another process does not."""

from __future__ import annotations

import asyncio
import os

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from propylon import Propylon
from propylon.adapters.starlette import Auth
from propylon.agora import naive
from propylon.agora.stage.sites import OPEN_TO_ALL

NOBODY = "00000000-0000-4000-8000-000000000000"


def _answer(user_id: str) -> Response:
    return Response(msgspec.json.encode({"id": user_id}), media_type="application/json")


async def _open(request: Request) -> Response:  # noqa: ARG001 - the shape of an endpoint
    return _answer(NOBODY)


async def _me(request: Request) -> Response:
    principal = await request.scope["propylon"].principal()
    return _answer(principal.user_id)


async def _me_in_full(request: Request) -> Response:
    """Look the user up as well, as an app does that needs the name or the address."""
    principal = await request.scope["propylon"].principal()
    return _answer((await principal.user()).id)


async def _me_asked(request: Request) -> Response:
    """Read the session and the user from the store, as every request would that remembered nothing."""
    principal = await request.scope["propylon"].principal()
    await principal.data()
    return _answer((await principal.user()).id)


async def _add(request: Request) -> Response:
    """Add one to a number that the session keeps, losing nothing."""
    principal = await request.scope["propylon"].principal()
    data = await principal.update_data(lambda held: {**held, "n": held.get("n", 0) + 1})
    return Response(msgspec.json.encode(data.value), media_type="application/json")


async def _add_naively(request: Request) -> Response:
    """Add one as one writes it first: read, add, and write whatever is there by now."""
    principal = await request.scope["propylon"].principal()
    seen = (await principal.data()).value
    await asyncio.sleep(0)  # as any app that does something in between
    data = await principal.update_data(lambda _: {**seen, "n": seen.get("n", 0) + 1})
    return Response(msgspec.json.encode(data.value), media_type="application/json")


def application() -> ASGIApp:
    """Return the app, guarded, with Propylon's own routes beside its own.

    Its route stands first in either process: a router that passes another one on the way to it takes a
    microsecond, which would count as the price of signing in.
    """
    propylon = Propylon.from_env()
    routes = [
        Route("/me", _open if os.environ.get(OPEN_TO_ALL) else _me),
        Route("/lazy", _open),  # guarded like all of the app, and asks nobody
        Route("/me/full", _me_in_full),
        Route("/me/asked", _me_asked),
        Route("/add", _add, methods=["POST"]),
        Route("/add/naive", _add_naively, methods=["POST"]),
        Route("/naive", naive.sign_in, methods=["POST"]),
        Route("/naive", naive.count),
        Mount("/", propylon),
    ]
    app = Starlette(routes=routes)
    Auth(propylon).guard(app, mount=False)  # it is among the routes, at the root
    return app
