"""ASGI middleware: ``scope["propylon"]`` is the question "who is calling?", answered when a route asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from propylon.core.bearer import bearer_token
from propylon.core.demand import SIGNED_IN, Demand
from propylon.core.principal import Principal
from propylon.errors import CredentialRefused, PropylonError
from propylon.problems import Answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1
_UNANSWERED = ("", "websocket.accept", "websocket.send")
"""What was sent last where there is still a way to refuse: nothing, or something on a websocket that is open."""


class Verifies(Protocol):
    """What the middleware needs of a verifier."""

    async def verify_async(self, token: str) -> Principal:
        """Return who presents a token, or refuse."""

    def require(self, principal: Principal, demand: Demand) -> None:
        """Refuse a principal who does not meet a demand now."""

    def reply(self, error: PropylonError, scope: Scope, *, pages: str | None = None) -> Answer:
        """Return the whole answer to a request that is refused."""

    async def lifespan(self, run: Callable[[], Awaitable[None]]) -> None:
        """Follow the feed while ``run`` runs."""

    def start(self) -> None:
        """Begin to follow the feed, where nobody did."""


class Asking:
    """The question of one request. Until it is asked it costs nothing."""

    __slots__ = ("_principal", "_scope", "_verifier")

    def __init__(self, verifier: Verifies, scope: Scope) -> None:
        # A copy: the scope is to hold this question, and what holds itself waits for the garbage collector.
        self._verifier, self._scope = verifier, dict(scope)
        self._principal: Principal | None = None

    async def principal(self) -> Principal:
        """Return the principal.

        Raises:
            CredentialRefused: there is no token (``credential_missing``), or it is refused.
            Unavailable: nobody can say at the moment.
        """
        if self._principal is None:
            self._principal = await self._verifier.verify_async(token_of(_values(self._scope, b"authorization")))
        return self._principal

    async def require(self, demand: Demand) -> Principal:
        """Return the principal where it meets a demand; raises as ``principal`` and ``Demand.check`` do."""
        principal = await self.principal()
        if demand is not SIGNED_IN:
            self._verifier.require(principal, demand)
        return principal

    async def principal_or_none(self) -> Principal | None:
        """Return the principal, or None for a visitor who presents nothing; a bad token is refused."""
        try:
            return await self.principal()
        except CredentialRefused as refusal:
            if refusal.code == "credential_missing":
                return None
            raise


class AskingAgain(Asking):
    """The question of a websocket. It may stay open for days, so what was answered before is not the answer now."""

    __slots__ = ()

    async def principal(self) -> Principal:
        """Return the principal as of now; raises as ``Asking.principal`` does."""
        self._principal = None
        return await Asking.principal(self)


class Protect:
    """Wraps an app. What it refuses is answered here, unless the app's framework has answered before."""

    def __init__(self, app: App, verifier: Verifies, pages: str | None = None) -> None:
        self._app, self._verifier, self._pages = app, verifier, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "lifespan":
            await self._verifier.lifespan(lambda: self._app(scope, receive, send))
            return
        self._verifier.start()  # at once where it has started; servers without a lifespan begin here
        asking = AskingAgain if scope["type"] == "websocket" else Asking
        scope["propylon"] = asking(self._verifier, scope)
        last = ""

        async def send_noted(message: Message) -> None:
            nonlocal last
            last = message["type"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except PropylonError as error:
            if last not in _UNANSWERED:
                raise
            await self._refuse(error, scope, send)

    async def _refuse(self, error: PropylonError, scope: Scope, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})
            return
        answer = self._verifier.reply(error, scope, pages=self._pages)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for found, value in scope["headers"] if found == name]


def token_of(authorizations: list[bytes]) -> str:
    """Return the one token of these headers; raises ``CredentialRefused`` where there is none, or not exactly one."""
    if len(authorizations) > 1:
        raise CredentialRefused("credential_ambiguous")
    token = bearer_token(authorizations[0]) if authorizations else None
    if token is None:
        raise CredentialRefused("credential_missing")
    return token
