"""ASGI middleware for apps that are guarded in their own process."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from propylon.errors import PropylonError
from propylon.flows.gate import Gate
from propylon.http.guard import Asking
from propylon.http.transport import Transport


class Guarding(NamedTuple):
    """What it takes to answer who is calling."""

    gate: Gate
    transport: Transport

    def asking(self, scope: Scope) -> Asking:
        """Return the question for one request, whose scope may then hold it."""
        # A copy: what holds itself waits for the garbage collector.
        return Asking(self.gate, self.transport, dict(scope))


class Guard(Protocol):
    """Something that can guard, once it is open."""

    guarding: Guarding | None

    async def ready(self) -> Guarding:
        """Return the guard, opening first where nobody did."""

    async def open(self) -> object:
        """Open."""

    async def close(self) -> None:
        """Close."""

    def said(self, error: PropylonError) -> str:
        """Return what the log of the server says where opening failed."""


class Protect:
    """Puts the question "who is calling?" into ``scope["propylon"]``. A route that never asks pays nothing."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        guarding = self._guard.guarding or await self._guard.ready()
        asking = scope["propylon"] = Asking(guarding.gate, guarding.transport, dict(scope))
        await self._app(scope, receive, asking.telling(send))

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open before the app starts and close after it has stopped; whoever had opened before also closes."""
        if self._guard.guarding is not None:
            await self._app(scope, receive, send)
            return
        try:
            await self._guard.open()
        except PropylonError as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": self._guard.said(error)})
            return
        try:
            await self._app(scope, receive, send)
        finally:
            await self._guard.close()
