"""``/v1/session/data``: what an app in another process keeps with a session."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from propylon.errors import ClientError, Conflict
from propylon.flows.session_data import MAX_DATA_BYTES
from propylon.http import bodies
from propylon.http.context import json_response, no_content, require_principal
from propylon.http.services import Services

_ETAG = re.compile(r'"(0|[1-9][0-9]{0,17})"')


class DataApi:
    """Session data with ``ETag`` and ``If-Match`` (RFC 9110 13.1.1)."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def read(self, request: Request) -> Response:
        """Return the data and its version."""
        principal = await require_principal(self._services, request)
        data = await self._services.home.read_data(principal.session_id)
        return json_response(data.value, headers={"etag": f'"{data.version}"'})

    async def replace(self, request: Request) -> Response:
        """Write the data if nobody else was first."""
        principal = await require_principal(self._services, request)
        condition = ", ".join(request.headers.getlist("if-match"))  # a list may come in several lines
        if not condition:
            raise ClientError("if_match_missing")
        value = await bodies.json(request, dict[str, Any], max_bytes=MAX_DATA_BYTES)
        expected = await self._expected(principal.session_id, condition)
        written = await self._services.home.replace_data(principal.session_id, value, expected)
        return no_content({"etag": f'"{written.version}"'})

    async def _expected(self, session_id: str, condition: str) -> int | None:
        """Return the version that must still be there; None for ``*``, which any version satisfies.

        Of a list the one that is current counts. A weak tag never matches (RFC 9110 8.8.3.2).
        """
        if condition.strip() == "*":
            return None
        listed = [_ETAG.fullmatch(tag.strip()) for tag in condition.split(",")]
        versions = [int(tag[1]) for tag in listed if tag is not None]
        if len(versions) == 1:
            return versions[0]
        current = (await self._services.home.read_data(session_id)).version
        if current not in versions:
            raise Conflict("data_changed")
        return current
