"""Requests to the issuer and to nobody else: sign in, renew, confirm, sign out (docs/http.md).

They go through a client of their own and not through that of the request which needs a token. That one may follow
redirects, and a redirect of 307 takes the body, here a password or a refresh token, wherever it points; it has other
headers, cookies and hooks, may wait for ever, and belongs to one event loop.
"""

from __future__ import annotations

import ssl
import time
from functools import cached_property
from typing import ClassVar, TypeVar

import httpx
import msgspec

from propylon.client.tokens import Seconds, Token, Tokens
from propylon.core.discreet import Discreet
from propylon.errors import (
    ClientError,
    Conflict,
    CredentialRefused,
    Forbidden,
    PropylonError,
    TooMany,
    Unavailable,
)
from propylon.ports import Clock

PROBLEM = "application/problem+json"
MAX_ANSWER_BYTES = 65_536
MAX_RETRY_AFTER_S = 3_600
# A refresh token that is shown again gets the same successor: an answer that was lost is simply asked for again.
RENEW_ATTEMPTS = 2

_SESSION, _SESSIONS = "/v1/session", "/v1/sessions"
_TOKENS, _CONFIRM = "/v1/session/tokens", "/v1/session/confirm"


class Password(Discreet):
    """A password that appears in no repr."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value


class Told(msgspec.Struct, frozen=True):
    """What a program reads of a problem document."""

    code: str
    limit: int | None = None
    max_age_s: int | None = msgspec.field(name="max_age", default=None)


class _User(msgspec.Struct, frozen=True):
    id: str
    email: str


class _Renewed(Discreet, msgspec.Struct, frozen=True):
    access_token: Token
    expires_in: Seconds
    refresh_token: Token


class _SignedIn(Discreet, msgspec.Struct, frozen=True):
    access_token: Token
    expires_in: Seconds
    refresh_token: Token
    user: _User


class _SignIn(Discreet, msgspec.Struct, frozen=True):
    email: str
    password: str
    remember: bool
    mode: str = "bearer"


class _Renew(Discreet, msgspec.Struct, frozen=True):
    refresh_token: str


class _Confirm(Discreet, msgspec.Struct, frozen=True):
    password: str


class _Answer(Discreet, msgspec.Struct, frozen=True):
    shown: ClassVar[tuple[str, ...]] = ("status", "content_type")

    status: int
    content_type: str
    retry_after: str
    body: bytes


_Body = _SignIn | _Renew | _Confirm
_T = TypeVar("_T")


class Exchange:
    """Speaks to one issuer. Holds no connection between two requests, which are minutes apart.

    Proxies of the environment are used for https alone: over http they would read the password, and ``HTTP_PROXY``
    is a header that a caller of CGI can set.
    """

    def __init__(
        self,
        issuer: str,
        clock: Clock,
        *,
        transport: httpx.BaseTransport | None,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        user_agent: str,
    ) -> None:
        self._issuer, self._clock = issuer, clock
        self._transport, self._given_tls, self._timeout_s = transport, tls, timeout_s
        self._headers = {"user-agent": user_agent, "accept-encoding": "identity", "accept": "application/json"}

    def sign_in(self, email: str, password: Password, *, remember: bool) -> Tokens:
        """Open a session."""
        now = self._clock.now()
        answer = self._ask("POST", _SESSIONS, _SignIn(email, password.value, remember))
        issued = _decoded(_expected(answer, 201), _SignedIn)
        return Tokens(
            issuer=self._issuer,
            user_id=issued.user.id,
            email=issued.user.email,
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
            expires_in_s=issued.expires_in,
            obtained_at=now,
        )

    def renew(self, tokens: Tokens) -> Tokens:
        """Rotate the refresh token."""
        now = self._clock.now()
        answer = self._ask("POST", _TOKENS, _Renew(tokens.refresh_token), attempts=RENEW_ATTEMPTS)
        issued = _decoded(_expected(answer, 200), _Renewed)
        return msgspec.structs.replace(
            tokens,
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
            expires_in_s=issued.expires_in,
            obtained_at=now,
        )

    def confirm(self, tokens: Tokens, password: Password) -> None:
        """Prove again who is there; what is held is to be renewed then."""
        _expected(self._ask("POST", _CONFIRM, _Confirm(password.value), tokens), 204)

    def end(self, tokens: Tokens) -> None:
        """End the session."""
        _expected(self._ask("DELETE", _SESSION, None, tokens), 204)

    def _ask(
        self, method: str, path: str, body: _Body | None, tokens: Tokens | None = None, *, attempts: int = 1
    ) -> _Answer:
        failure = ""
        for _ in range(attempts):
            try:
                return self._answer(method, path, body, tokens)
            except (httpx.HTTPError, _Unreadable) as error:
                failure = f"{type(error).__name__}: {error}"
                if isinstance(error, httpx.TimeoutException):
                    break  # it was waited for long enough
        # Out here, chained to nothing: the frames of the failure hold the body, and reports show frames.
        raise Unavailable(reason=failure)

    def _answer(self, method: str, path: str, body: _Body | None, tokens: Tokens | None) -> _Answer:
        headers = {"authorization": f"Bearer {tokens.access_token}"} if tokens is not None else {}
        content = None
        if body is not None:
            headers["content-type"], content = "application/json", msgspec.json.encode(body)
        client = self._client()
        try:
            with client.stream(method, f"{self._issuer}{path}", content=content, headers=headers) as response:
                return _Answer(
                    status=response.status_code,
                    content_type=response.headers.get("content-type", ""),
                    retry_after=response.headers.get("retry-after", ""),
                    body=_whole(response, 2 * self._timeout_s),
                )
        finally:
            if self._transport is None:  # one that was given is not ours to close
                client.close()

    def _client(self) -> httpx.Client:
        return httpx.Client(
            transport=self._transport,
            verify=self._tls if self._transport is None else True,  # a transport has its own
            timeout=self._timeout_s,
            headers=self._headers,
            follow_redirects=False,
            trust_env=self._issuer.startswith("https:"),
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or httpx.create_ssl_context()


class _Unreadable(Exception):
    """An answer that is too large, drips, or was packed though nobody asked for it."""


def told_by(content_type: str, body: bytes) -> Told | None:
    """Return what a problem document says, None where it is none of ours."""
    if content_type.partition(";")[0].strip().lower() != PROBLEM:
        return None
    try:
        told = msgspec.json.decode(body, type=Told)
    except (ValueError, RecursionError):
        return None
    return told if 0 < len(told.code) <= 64 and told.code.isidentifier() and told.code.isascii() else None


def _whole(response: httpx.Response, within_s: float) -> bytes:
    """Read a body; one that drips is cut off, whatever the time-out of a single read."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _Unreadable("a packed answer")  # a few bytes may become gigabytes
    deadline_s, received = time.monotonic() + within_s, b""
    for part in response.iter_bytes():
        received += part
        if len(received) > MAX_ANSWER_BYTES or time.monotonic() > deadline_s:
            raise _Unreadable("an answer too large or too slow")
    return received


def _expected(answer: _Answer, status: int) -> _Answer:
    if answer.status != status:
        raise _refusal(answer)
    return answer


def _decoded(answer: _Answer, what: type[_T]) -> _T:
    try:
        return msgspec.json.decode(answer.body, type=what)
    except (ValueError, RecursionError):
        pass
    # A sign-in page of a hotel, a proxy's greeting: nothing that our issuer has said.
    raise Unavailable(reason=f"status {answer.status}, and not the answer of a Propylon")


def _refusal(answer: _Answer) -> PropylonError:
    """Return what an answer means. Only a problem document is believed when it says that a session is over."""
    told = told_by(answer.content_type, answer.body)
    if answer.status == 429:
        return TooMany(_retry_after_s(answer))
    if told is None or answer.status >= 500:
        code = told.code if told is not None and answer.status == 503 else None
        return Unavailable(code, retry_after_s=_retry_after_s(answer), reason=f"status {answer.status}")
    if answer.status == 401:
        return CredentialRefused(told.code)
    if answer.status == 409:
        return Conflict(told.code, limit=told.limit)
    return (Forbidden if answer.status == 403 else ClientError)(told.code)


def _retry_after_s(answer: _Answer) -> int:
    """Return for how long the server does not want to be asked. A date counts as nothing: clocks differ."""
    said = answer.retry_after
    return min(int(said), MAX_RETRY_AFTER_S) if said.isascii() and said.isdigit() and len(said) < 9 else 1
