"""CORS (Fetch 3.2): the configured origins may call with credentials; for everybody else there are no headers at all.

Starlette's middleware says ``Access-Control-Allow-Credentials`` to every origin, beside the ``*`` of the public
keys too, and answers preflights in plain text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propylon.core.site import other_name_of_this_machine
from propylon.http.transport import MAX_ORIGIN_CHARS, header
from propylon.problems import elsewhere_of

logger = logging.getLogger("propylon")

EXPOSED_HEADERS = ("ETag", "Retry-After", "WWW-Authenticate", "Propylon-Mode", "Content-Language", "Date")
ALLOWED_HEADERS = ("Authorization", "Content-Type", "If-Match")
ALLOWED_METHODS = ("GET", "POST", "PUT", "DELETE")
MAX_AGE_S = 600
# Anybody can make up origins: so many are named in the log within a minute, each once.
MAX_NAMED, NAMED_AGAIN_S = 10, 60.0


class Cors:
    """ASGI: lets pages of ``origins`` read the answers. ``Vary: Origin`` is on every answer anyway."""

    def __init__(
        self,
        app: ASGIApp,
        origins: tuple[str, ...],
        public_url: str,
        *,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._origins = app, frozenset(origins)
        self._refused = RefusedOrigins(origins, public_url, elapsed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        origin = header(scope, b"origin")
        if origin not in self._origins:
            await self._app(scope, receive, self._refused.noting(scope, send))
            return

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                _share(MutableHeaders(scope=message), origin)
            await send(message)

        preflight = scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method") is not None
        await (_preflight_answer() if preflight else self._app)(scope, receive, send_shared)


def _share(headers: MutableHeaders, origin: str) -> None:
    if "access-control-allow-origin" in headers:
        return  # public to everyone, and then credentials must not be mentioned
    headers["access-control-allow-origin"] = origin
    headers["access-control-allow-credentials"] = "true"
    headers["access-control-expose-headers"] = ", ".join(EXPOSED_HEADERS)
    # And how it went, in words of ``Server-Timing``, for a script that did not ask itself.
    headers["timing-allow-origin"] = origin


def _is_shared(message: Message) -> bool:
    return "access-control-allow-origin" in MutableHeaders(scope=message)


def _preflight_answer() -> Response:
    """Say what is allowed; the browser compares that with what the page wants."""
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": ", ".join(ALLOWED_METHODS),
            "access-control-allow-headers": ", ".join(ALLOWED_HEADERS),
            "access-control-max-age": str(MAX_AGE_S),
        },
    )


class RefusedOrigins:
    """Names in the log whose pages were not shown an answer: their browser says so to them alone, and not why."""

    def __init__(self, origins: tuple[str, ...], public_url: str, elapsed: Callable[[], float]) -> None:
        self._origins, self._public_url, self._elapsed = origins, public_url, elapsed
        self._named: dict[str, float] = {}

    def noting(self, scope: Scope, send: Send) -> Send:
        """Return ``send``, noting an answer that the page of another origin cannot read."""
        elsewhere = elsewhere_of(scope)
        if elsewhere is None:
            return send

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start" and not _is_shared(message):
                self._note(elsewhere.origin[:MAX_ORIGIN_CHARS])
            await send(message)

        return send_noted

    def _note(self, origin: str) -> None:
        now = self._elapsed()
        self._named = {name: at for name, at in self._named.items() if now - at < NAMED_AGAIN_S}
        if origin in self._named or len(self._named) >= MAX_NAMED:
            return
        self._named[origin] = now
        # Not as it came: what stands in a header must not look like a line of the log.
        if known := other_name_of_this_machine(origin, self._origins, self._public_url):
            why = f"use one name in all addresses, for {known} is this machine too, and to a browser another site"
        else:
            why = "it is not in PROPYLON_ORIGINS"
        logger.warning("a page of %s called and may not: %s", ascii(origin), why)
