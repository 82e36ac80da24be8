"""``GET /v1/session/events``: what becomes of the caller's session, as server-sent events."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from propylon.errors import PropylonError
from propylon.http import problems
from propylon.http.context import require_principal, tongue
from propylon.http.event_stream import EventStream, no_stream
from propylon.http.services import Services


class SessionEventsApi:
    """For the browser client, and whoever else wants to be told."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def follow(self, request: Request) -> Response:
        """Stream what becomes of the caller's session; any credential will do."""
        services = self._services
        principal = await require_principal(services, request)
        if request.method == "HEAD":
            return no_stream()
        language = tongue(services, request)

        def spell(error: PropylonError) -> bytes:
            return msgspec.json.encode(problems.problem(error, language, services.config.public_url))

        return EventStream(services.session_streams.open(principal, spell))
