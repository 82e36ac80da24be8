"""CORS (Fetch 3.2): the configured origins may call with credentials; for everybody else there are no headers at all.

Starlette's middleware says ``Access-Control-Allow-Credentials`` to every origin, beside the ``*`` of the public
keys too, and answers preflights in plain text.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propylon.http.transport import header

EXPOSED_HEADERS = ("ETag", "Retry-After", "WWW-Authenticate", "Propylon-Mode", "Content-Language", "Date")
ALLOWED_HEADERS = ("Authorization", "Content-Type", "If-Match")
ALLOWED_METHODS = ("GET", "POST", "PUT", "DELETE")
MAX_AGE_S = 600


class Cors:
    """ASGI: lets pages of ``origins`` read the answers. ``Vary: Origin`` is on every answer anyway."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        origin = header(scope, b"origin")
        if origin not in self._origins:
            await self._app(scope, receive, send)
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
