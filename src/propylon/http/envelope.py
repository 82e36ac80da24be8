"""Around every answer of Propylon itself: the host, the size of headers, security headers, the last resort."""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propylon import language
from propylon.config import Config
from propylon.core.origin import is_loopback_host
from propylon.errors import ClientError, PropylonError
from propylon.http import problems
from propylon.http.context import MOVES_TO
from propylon.http.metrics import Metrics
from propylon.http.transport import MODE_HEADER, header

logger = logging.getLogger("propylon")

# Apache allows 8 KiB a line, node 16 KiB altogether; our own cookies and tokens need under 1 KiB.
MAX_HEADER_BYTES = 16 * 1024
# A load balancer and a scraper ask by address. ``/metrics`` looks at the host itself where it has no token.
ANY_HOST_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

# RFC 9110 7.2: a name or an address, and perhaps a port; never what else an address may be made of.
_PLAIN_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")

_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # "no-referrer" would turn the Origin of our own form posts into "null" (Fetch, 4.5).
    "referrer-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Envelope:
    """ASGI: refuses what no route should see, and completes what every answer must carry."""

    def __init__(self, app: ASGIApp, config: Config, metrics: Metrics) -> None:
        self._app, self._config, self._metrics = app, config, metrics
        self._root = urlsplit(config.public_url).path
        self._headers = dict(_SECURITY_HEADERS)
        if config.secure:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await _refuse_websocket(send)
            return
        if self._root and not scope.get("root_path"):
            # A proxy in front serves us below this path, and may have taken it off.
            scope = {**scope, "root_path": self._root}
        started = time.perf_counter()
        answered: dict[str, int] = {}

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered["status"] = message["status"]
                self._complete(message, scope.get(MOVES_TO))
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, send_completed)
        except Exception as error:
            if answered:
                raise
            await self._last_resort(scope, receive, send_completed, error)
        finally:
            route = _route_of(scope)
            status = str(answered.get("status", 0))
            self._metrics.requests.labels(route, status).observe(time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            raise ClientError("headers_too_large")
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path not in ANY_HOST_PATHS:
            check_host(scope, self._config)

    def _complete(self, message: Message, moves_to: str | None) -> None:
        headers = MutableHeaders(scope=message)
        if moves_to is not None:
            headers[MODE_HEADER] = moves_to
        for name, value in self._headers.items():
            if name not in headers:
                headers[name] = value
        headers.add_vary_header("Accept-Language, Cookie, Origin")

    async def _last_resort(self, scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
        if not isinstance(error, PropylonError):
            logger.error("unexpected error", exc_info=error)
            error = PropylonError("internal")
        answer = problems.response(error, language_of(scope), self._config.public_url)
        if error.code == "host_unknown":
            # It says what the caller has said, so every page may read it: its author used another address than ours.
            answer.headers["access-control-allow-origin"] = "*"
        await answer(scope, receive, send)


def check_host(scope: Scope, config: Config) -> None:
    """Raise ``host_unknown`` unless the request names us: a page elsewhere may have rebound its name to us.

    With a loopback public URL any loopback name and any port will do.
    """
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    host = values[0].lower() if len(values) == 1 else ""
    if config.loopback:
        known = is_loopback_host(_hostname(host))
    else:
        known = host.removesuffix(":443") == config.public_host.removesuffix(":443")
    if not known:
        raise ClientError("host_unknown", host=host[:100])


def language_of(scope: Scope) -> str:
    """Return the language of a caller of whom nothing but the header is looked at."""
    return language.negotiate(header(scope, b"accept-language"))


def _hostname(host: str) -> str:
    plain = _PLAIN_HOST.fullmatch(host)
    return plain[1] if plain is not None else ""


def _route_of(scope: Scope) -> str:
    # The route's pattern, never the path: what a caller sends must not make new time series.
    route: Any = scope.get("propylon.route")
    return route if isinstance(route, str) else "none"


async def _refuse_websocket(send: Send) -> None:
    await send({"type": "websocket.close", "code": 1008, "reason": "There are no websockets here."})
