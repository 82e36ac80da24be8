"""Server-sent events as an answer: sent until the stream is over or whoever reads it has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

# Somebody who takes nothing for so long is cut off, and comes back.
SEND_WITHIN_S = 10.0

HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would gather events for minutes
}
HEARTBEAT = b":\n\n"


class Streamed(Protocol):
    """What is sent."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Return what to send; empty where there is nothing to say."""

    def cut_off(self) -> None:
        """End it: there is nobody any more."""

    def close(self) -> None:
        """Let go of it."""


class Woken:
    """A stream that sleeps until there is something to say, or until it is over."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._over = False

    def wake(self) -> None:
        """Tell it that there is something."""
        self._news.set()

    def cut_off(self) -> None:
        """End it, with nothing said: whoever reads it has gone or may no longer, or this process stops."""
        self._over = True
        self._news.set()

    async def _news_within(self, wait_s: float) -> bool:
        try:
            await asyncio.wait_for(self._news.wait(), wait_s)
        except TimeoutError:
            return False
        return True


class EventStream(Response):
    """One stream, sent until one of the two ends it."""

    media_type = "text/event-stream"

    def __init__(self, streamed: Streamed) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]  # it ends when one of the two ends it
        self._streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send (ASGI)."""
        gone = asyncio.create_task(_gone(receive))
        gone.add_done_callback(lambda _: self._streamed.cut_off())
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with aclosing(self._streamed.chunks()) as chunks:
                async for chunk in chunks:
                    if gone.done():
                        return
                    if chunk:
                        await asyncio.wait_for(send(_body(chunk, more=True)), SEND_WITHIN_S)
            if not gone.done():
                await send(_body(b"", more=False))
        except (OSError, TimeoutError):
            return  # it has left, or takes nothing
        finally:
            gone.cancel()
            self._streamed.close()


def no_stream() -> Response:
    """Return what HEAD is answered: the headers, and no stream."""
    return Response(headers=HEADERS, media_type=EventStream.media_type)


def event(name: str, data: str, id_: str = "") -> bytes:
    """Spell one event."""
    spelled_id = f"id: {id_}\n" if id_ else ""
    return f"event: {name}\n{spelled_id}data: {data}\n\n".encode()


def _body(chunk: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
