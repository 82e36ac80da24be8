"""ASGI middleware for apps that are guarded in their own process."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import NamedTuple, Protocol

from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propylon.core.navigation import mounted_at, whole_path
from propylon.errors import PropylonError
from propylon.flows.gate import Gate
from propylon.http.guard import Asking, AskingAgain
from propylon.http.transport import Transport
from propylon.problems import Answer


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

    async def __aenter__(self) -> object:
        """Open, where nobody did."""

    async def __aexit__(self, *_: object) -> None:
        """Close, where nobody else holds it open."""

    def said(self, error: PropylonError) -> str:
        """Return what the log of the server says where opening failed."""

    def reply(self, error: PropylonError, scope: Scope, *, pages: str | None = None) -> Answer:
        """Return the whole answer to a request that is refused."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the pages."""


class Protect:
    """Puts the question "who is calling?" into ``scope["propylon"]``. A route that never asks pays nothing.

    What the app refuses is answered here, unless its framework has answered before.

    Args:
        app: what to protect.
        guard: who knows.
        pages: where people are led who open a page without being signed in: a path in the app, or an address
            elsewhere; without it nobody is.
    """

    def __init__(self, app: ASGIApp, guard: Guard, pages: str | None = None) -> None:
        self._app, self._guard, self._pages = app, guard, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._pass_on(scope, receive, send)
            return
        guarding = self._guard.guarding or await self._guard.ready()
        asking = scope["propylon"] = Asking(guarding.gate, guarding.transport, dict(scope))
        last: Message | None = None

        # No coroutine of its own: where nobody is to move, a message costs one call more.
        def tell(message: Message) -> Awaitable[None]:
            nonlocal last
            last = message
            who = asking.known
            if who is not None and who.moves_to is not None and message["type"] == "http.response.start":
                asking.tell(message, who.moves_to)
            return send(message)

        try:
            await self._app(scope, receive, tell)
        except PropylonError as error:
            if last is not None:
                raise
            await self._refuse(error, scope, receive, tell)

    async def _refuse(self, error: PropylonError, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the app; but nobody is kept from Propylon's own pages, or they could never come in."""
        root = scope.get("root_path", "")
        path = whole_path(scope["path"], root)
        place = mounted_at(self._pages, path, root) if self._pages is not None else None
        if place is None:
            await _answer(self._guard.reply(error, scope, pages=self._pages), send)
        else:
            await self._guard({**scope, "path": path, "root_path": place}, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._converse(scope, receive, send)
        else:
            await self._live(scope, receive, send)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a websocket on, which is closed where the app refuses, also in the middle of it."""
        guarding = self._guard.guarding or await self._guard.ready()
        scope["propylon"] = AskingAgain(guarding.gate, guarding.transport, dict(scope))
        last = ""

        async def send_noted(message: Message) -> None:
            nonlocal last
            last = message["type"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except PropylonError as error:
            if last not in ("", "websocket.accept", "websocket.send"):
                raise
            await send({"type": "websocket.close", "code": WS_1008_POLICY_VIOLATION, "reason": error.code})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open before the app starts and close after it has stopped, before the server hears of it and ends all."""
        async with AsyncExitStack() as opened:
            try:
                await opened.enter_async_context(self._guard)
            except PropylonError as error:
                await receive()
                await send({"type": "lifespan.startup.failed", "message": self._guard.said(error)})
                return

            async def send_closed(message: Message) -> None:
                if message["type"].startswith("lifespan.shutdown."):
                    await opened.aclose()
                await send(message)

            await self._app(scope, receive, send_closed)


async def _answer(answer: Answer, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
