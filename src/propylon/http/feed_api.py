"""``GET /v1/feed``: the revocation feed as server-sent events, for verifiers that show their secret."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from propylon.core.bearer import bearer_token
from propylon.errors import CredentialRefused
from propylon.http.feed import Reader
from propylon.http.services import Services
from propylon.http.transport import all_headers, header

# Somebody who takes nothing for so long is cut off, and resumes.
SEND_WITHIN_S = 10.0

_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would gather events for minutes
}


class FeedApi:
    """For services elsewhere."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def follow(self, request: Request) -> Response:
        """Stream the feed, from where the reader was."""
        verifier = await self._services.verifiers.recognise(_secret(request.scope))
        if verifier is None:
            raise CredentialRefused("credential_malformed")
        if request.method == "HEAD":
            return Response(headers=_HEADERS, media_type=EventStream.media_type)
        return EventStream(self._services.feed.open(verifier, header(request.scope, b"last-event-id")))


class EventStream(Response):
    """A reader of the feed, sent until one of the two ends it."""

    media_type = "text/event-stream"

    def __init__(self, reader: Reader) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]  # it ends when one of the two ends it
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send (ASGI)."""
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with aclosing(self._reader.chunks()) as chunks:
                async for chunk in chunks:
                    if gone.done():
                        return
                    if chunk:
                        await asyncio.wait_for(send(_body(chunk, more=True)), SEND_WITHIN_S)
            await send(_body(b"", more=False))
        except (OSError, TimeoutError):
            return  # it has left, or takes nothing
        finally:
            gone.cancel()
            self._reader.close()


def _body(chunk: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _secret(scope: Scope) -> str:
    headers = all_headers(scope, b"authorization")
    if len(headers) > 1:
        raise CredentialRefused("credential_ambiguous")
    token = bearer_token(headers[0]) if headers else None
    if token is None:
        raise CredentialRefused("credential_missing")
    return token
