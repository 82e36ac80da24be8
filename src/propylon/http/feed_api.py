"""``GET /v1/feed``: the revocation feed as server-sent events, for verifiers that show their secret."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from propylon.core.bearer import bearer_token
from propylon.errors import CredentialRefused
from propylon.http.event_stream import EventStream, no_stream
from propylon.http.services import Services
from propylon.http.transport import all_headers, header


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
            return no_stream()
        return EventStream(self._services.feed.open(verifier, header(request.scope, b"last-event-id")))


def _secret(scope: Scope) -> str:
    headers = all_headers(scope, b"authorization")
    if len(headers) > 1:
        raise CredentialRefused("credential_ambiguous")
    token = bearer_token(headers[0]) if headers else None
    if token is None:
        raise CredentialRefused("credential_missing")
    return token
