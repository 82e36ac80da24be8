"""Requests to the issuer and to nobody else: its keys, and its feed. Standard library, bounded in time and size.

Redirects are not followed (a token or a secret must not end up where an answer points to) and proxies of the
environment are not used (``HTTP_PROXY`` is a header that a caller of CGI can set).
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Protocol, Self
from urllib.parse import urlsplit

from propylon.core.jose.jwk import MAX_JWKS_BYTES
from propylon.verifier.events import FeedBroken

JWKS_PATH, FEED_PATH = "/.well-known/jwks.json", "/v1/feed"
EVENTS = "text/event-stream"
FETCH_WITHIN_S = 5.0
MAX_CHUNK_BYTES = 65_536

# What a request to the issuer may fail with: the network, TLS, an answer that is no HTTP.
FAILURES = (OSError, http.client.HTTPException, FeedBroken)


class AnswerRefused(FeedBroken):
    """The issuer answered, and not with what was asked for."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what}: status {status}")
        self.status = status


class FeedStream(Protocol):
    """An open feed, read by one thread."""

    def __enter__(self) -> Self:
        """Use it."""

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Close it."""

    def read(self) -> bytes:
        """Return what has come, waiting for at most the bound of silence; raises one of ``FAILURES``."""

    def end(self) -> None:
        """Make a read that waits in another thread return."""


class Source(Protocol):
    """Where a verifier hears of keys and endings: its issuer over HTTP, or an issuer of a test."""

    def jwks(self) -> bytes:
        """Return the key set as it was published; raises one of ``FAILURES``."""

    def feed(self, last_event_id: str, max_silence_s: float) -> FeedStream:
        """Open the feed where it was left; raises one of ``FAILURES``."""


class _Connection(NamedTuple):
    """A connection and its socket, which the library forgets when the answer lasts as long as it."""

    http: http.client.HTTPConnection
    socket: socket.socket


class Stream:
    """The open feed."""

    def __init__(self, connection: _Connection, response: http.client.HTTPResponse) -> None:
        self._connection, self._response = connection, response

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def read(self) -> bytes:
        """Return what has come, waiting for at most the bound of silence; raises one of ``FAILURES``."""
        received = self._response.read1(MAX_CHUNK_BYTES)
        if not received:
            raise FeedBroken("the stream has ended")
        return received

    def end(self) -> None:
        """Make a read that waits in another thread return; closing would wait for it."""
        with suppress(OSError):
            self._connection.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.http.close()


class Fetcher:
    """Speaks to one issuer."""

    def __init__(self, issuer: str, secret: str, tls: ssl.SSLContext | None) -> None:
        parts = urlsplit(issuer)
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._secret = secret

    def jwks(self) -> bytes:
        """Return the key set as it was published; raises one of ``FAILURES``."""
        connection = self._connect(FETCH_WITHIN_S)
        try:
            # What a cache on the way kept may lack the key that was published this moment.
            headers = {"Accept": "application/jwk-set+json, application/json", "Cache-Control": "no-cache"}
            response = self._get(connection, JWKS_PATH, headers)
            return _whole(response, MAX_JWKS_BYTES, time.monotonic() + FETCH_WITHIN_S)
        finally:
            connection.http.close()

    def feed(self, last_event_id: str, max_silence_s: float) -> Stream:
        """Open the feed where it was left; raises one of ``FAILURES``."""
        headers = {"Accept": EVENTS, "Cache-Control": "no-cache", "Authorization": f"Bearer {self._secret}"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        connection = self._connect(max_silence_s)
        try:
            response = self._get(connection, FEED_PATH, headers)
            _require_events(response)
        except BaseException:
            connection.http.close()
            raise
        return Stream(connection, response)

    def _connect(self, timeout_s: float) -> _Connection:
        made: http.client.HTTPConnection
        if self._tls is None:
            made = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        else:
            made = http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)
        made.connect()
        return _Connection(made, made.sock)

    def _get(self, connection: _Connection, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        connection.http.request("GET", self._path + path, headers={**headers, "Accept-Encoding": "identity"})
        response = connection.http.getresponse()
        if response.status != 200:
            raise AnswerRefused(path, response.status)
        return response


def _require_events(response: http.client.HTTPResponse) -> None:
    if response.headers.get_content_type() != EVENTS:
        raise FeedBroken("the feed is no stream of events")


def _whole(response: http.client.HTTPResponse, max_bytes: int, deadline: float) -> bytes:
    """Read a body; one that drips is cut off at the deadline, whatever the time-out of a single read."""
    parts: list[bytes] = []
    size = 0
    while received := response.read1(MAX_CHUNK_BYTES):
        size += len(received)
        if size > max_bytes or time.monotonic() > deadline:
            raise FeedBroken("an answer too large or too slow")
        parts.append(received)
    return b"".join(parts)
