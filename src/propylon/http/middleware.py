"""ASGI middleware for apps that are guarded in their own process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from propylon.core.demand import Demand
from propylon.core.principal import Principal
from propylon.errors import PropylonError
from propylon.flows.gate import Gate
from propylon.http.guard import Asking
from propylon.http.transport import Transport
from propylon.problems import Answer


class Guarding(NamedTuple):
    """What it takes to answer who is calling."""

    gate: Gate
    transport: Transport

    def asking(self, scope: Scope) -> Asking:
        """Return the question for one request."""
        return Asking(self.gate, self.transport, scope)


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
        gate, transport = self._guard.guarding or await self._guard.ready()
        scope["propylon"] = Asking(gate, transport, scope)
        await self._app(scope, receive, send)

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


async def current_user(request: HTTPConnection) -> Principal:
    """Return who is calling, for ``Depends`` in FastAPI and for endpoints of Starlette, websockets too.

    Raises:
        CredentialRefused: nobody is signed in, or the credential is refused.
        Forbidden: a cookie came with an unsafe request from another site.
    """
    asking: Asking = request.scope["propylon"]
    return await asking.principal()


def required_user(demand: Demand) -> Callable[[HTTPConnection], Awaitable[Principal]]:
    """Return ``current_user`` for callers who meet a demand; it refuses all others as ``Demand.check`` says."""

    async def user(request: HTTPConnection) -> Principal:
        asking: Asking = request.scope["propylon"]
        return await asking.require(demand)

    return user


def problem_handler(
    reply: Callable[..., Answer], pages: str | None = None
) -> Callable[[Any, Exception], Awaitable[Any]]:
    """Return an exception handler that answers Propylon's errors as problem+json in the caller's language.

    A websocket is closed instead: before it was accepted, that is a 403.

    Args:
        reply: that says how, as ``Propylon.reply`` does.
        pages: where its pages are. A person who opens a page without being signed in is led there and back.
    """

    async def handle(request: Request | WebSocket, error: Exception) -> Response | None:
        if not isinstance(error, PropylonError):
            raise error
        if isinstance(request, WebSocket):
            await request.close(WS_1008_POLICY_VIOLATION, error.code)
            return None
        told = reply(error, request.scope, pages=pages)
        return Response(told.body, told.status, told.headers)

    return handle
