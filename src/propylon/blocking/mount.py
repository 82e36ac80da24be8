"""The whole HTTP contract of Propylon, and its pages, below a prefix of an app that is no ASGI app.

Every request and every answer of it is small and whole, so each takes one hop to the loop and one back. Streams are
the exception, and are refused: each would hold a thread of the server until it ends (docs/decisions/0015).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from starlette.types import Message

from propylon.blocking.environ import Environ, Scope, served_of
from propylon.errors import ClientError, PropylonError
from propylon.http.bodies import MAX_BODY_BYTES

if TYPE_CHECKING:
    from propylon import Propylon
    from propylon.blocking.bridge import Blocking

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Readable(Protocol):
    """Where a body is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, and none at the end."""


class Served(NamedTuple):
    """A whole answer; a header may be there more than once."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Mount:
    """A WSGI app, to be mounted where the public URL says. ``Blocking.mount`` makes it."""

    def __init__(self, blocking: Blocking, propylon: Propylon) -> None:
        self._blocking, self._propylon = blocking, propylon

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve (WSGI)."""
        served = self.serve(served_of(environ), environ["wsgi.input"])
        start_response(f"{served.status} {_phrase(served.status)}", served.headers)
        return [served.body]

    def serve(self, scope: Scope, body: Readable) -> Served:
        """Return the answer to a request, whatever happens."""
        try:
            whole = _read(scope, body)
            served = self._blocking.run(_exchanged(self._propylon, scope, whole))
        except PropylonError as error:
            answer = self._blocking.reply(error, scope)
            served = Served(answer.status, list(answer.headers.items()), answer.body)
        return served if scope["method"] != "HEAD" else served._replace(body=b"")


class _StreamRefused(OSError):
    """What an ASGI server says to an app whose caller has gone: it stops, and tidies up."""


class _Exchange:
    """One request and its answer, as ASGI passes them."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.status, self.headers, self.parts = 0, list[tuple[str, str]](), list[bytes]()
        self.is_stream = False

    async def receive(self) -> Message:
        """Hand out the body once; then nothing comes any more, and nobody leaves before the answer is whole."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
            self.is_stream = any(value.startswith("text/event-stream") for _, value in self.headers)
        if self.is_stream:
            raise _StreamRefused
        self.parts.append(message.get("body", b""))


async def _exchanged(app: Any, scope: Scope, body: bytes) -> Served:
    exchange = _Exchange(body)
    with suppress(_StreamRefused):  # or the app takes it for a caller who has left, and returns
        await app(scope, exchange.receive, exchange.send)
    if exchange.is_stream:
        raise ClientError("streams_not_served")
    return Served(exchange.status, exchange.headers, b"".join(exchange.parts))


def _read(scope: Scope, body: Readable) -> bytes:
    """Return the body, which no route takes longer than ``MAX_BODY_BYTES``.

    Raises:
        ClientError: it is longer, has no declared length, or ended before that.
    """
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
    if declared is None:
        if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
            raise ClientError("request_malformed")  # WSGI promises no end of it
        return b""
    length = int(declared[:12]) if declared.isdigit() else -1
    if not 0 <= length <= MAX_BODY_BYTES:
        code = "body_too_large" if length > 0 else "request_malformed"
        raise ClientError(code, max_bytes=MAX_BODY_BYTES)
    whole = b""
    while len(whole) < length:
        part = _next_part(body, length - len(whole))
        if not part:  # the caller has gone; whoever waits for the rest waits for ever
            raise ClientError("request_malformed")
        whole += part
    return whole


def _next_part(body: Readable, size: int) -> bytes:
    try:
        return body.read(size)
    except OSError:
        return b""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
