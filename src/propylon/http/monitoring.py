"""``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from propylon.core.origin import is_loopback_host
from propylon.errors import NotFound
from propylon.http.context import json_response
from propylon.http.metrics import CONTENT_TYPE, Observation
from propylon.http.schemas import Health
from propylon.http.services import Services
from propylon.http.transport import header

# A flood of readiness checks must not become a flood of writes.
READY_FOR_S = 1.0
# What proxies add. One on this machine may well pass the request on with a local host name.
FORWARDING_HEADERS = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)


class Monitoring:
    """For load balancers and Prometheus."""

    def __init__(self, services: Services, look: Callable[[], Observation]) -> None:
        self._services, self._look = services, look
        self._ready_until = 0.0

    async def alive(self, request: Request) -> Response:  # noqa: ARG002 - the shape of every endpoint
        """Say that this process answers."""
        return json_response(Health("ok"))

    async def ready(self, request: Request) -> Response:  # noqa: ARG002 - the shape of every endpoint
        """Say that the store can be written to and a key can sign, or answer 503."""
        now = self._services.clock.monotonic()
        if now >= self._ready_until:
            await self._services.upkeep.ping()
            await self._services.keys.ready()
            self._ready_until = now + READY_FOR_S
        return json_response(Health("ok"))

    async def metrics(self, request: Request) -> Response:
        """Return the metrics, to callers on this machine or to who has the token."""
        if not self._may_scrape(request):
            raise NotFound
        self._services.metrics.observe(self._look())
        return Response(self._services.metrics.exposition(), headers={"content-type": CONTENT_TYPE})

    def _may_scrape(self, request: Request) -> bool:
        token = self._services.config.metrics_token
        if token:
            given = header(request.scope, b"authorization") or ""
            return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
        # Behind a proxy on this machine every caller's connection is a local one.
        if any(name in FORWARDING_HEADERS for name, _ in request.scope["headers"]):
            return False
        host = (header(request.scope, b"host") or "").rsplit(":", 1)[0]
        caller = self._services.transport.caller(request.scope)
        return is_loopback_host(caller.ip) and is_loopback_host(host)
