"""ASGI middleware for apps that are guarded in their own process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from propylon import language
from propylon.core.principal import Principal
from propylon.errors import PropylonError
from propylon.flows.gate import Gate
from propylon.http import problems
from propylon.http.guard import Asking
from propylon.http.transport import Transport, header, presents_token


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


class Protect:
    """Puts the question "who is calling?" into ``scope["propylon"]``. A route that never asks pays nothing."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "lifespan":
            gate, transport = self._guard.guarding or await self._guard.ready()
            scope["propylon"] = Asking(gate, transport, scope)
        await self._app(scope, receive, send)


async def current_user(request: HTTPConnection) -> Principal:
    """Return who is calling, for ``Depends`` in FastAPI and for endpoints of Starlette, websockets too.

    Raises:
        CredentialRefused: nobody is signed in, or the credential is refused.
        Forbidden: a cookie came with an unsafe request from another site.
    """
    asking: Asking = request.scope["propylon"]
    return await asking.principal()


def problem_handler(public_url: str) -> Callable[[Any, Exception], Awaitable[Any]]:
    """Return an exception handler that answers Propylon's errors as problem+json in the caller's language.

    A websocket is closed instead: before it was accepted, that is a 403.
    """

    async def handle(request: Request | WebSocket, error: Exception) -> Response | None:
        if not isinstance(error, PropylonError):
            raise error
        if isinstance(request, WebSocket):
            await request.close(WS_1008_POLICY_VIOLATION, error.code)
            return None
        return problems.response(
            error,
            language.negotiate(header(request.scope, b"accept-language")),
            public_url,
            bearer_presented=presents_token(request.scope),
        )

    return handle
