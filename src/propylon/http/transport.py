"""Requests to credentials, and issued credentials to cookies: both directions, in one file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from propylon.config import Config
from propylon.core.bearer import bearer_token, is_ours
from propylon.core.csrf import SAFE_METHODS, UNTOLD_METHOD, same_site_intended
from propylon.core.network import client_address
from propylon.core.principal import Credential
from propylon.core.session import Session
from propylon.errors import CredentialRefused, Forbidden
from propylon.flows.caller import Caller
from propylon.flows.issue import Issued
from propylon.problems import elsewhere_of

Headers = Iterable[tuple[bytes, bytes]]
Scope = Any

REFRESH_PATH = "/v1/session/tokens"
MODE_HEADER = "propylon-mode"
# By whether the public URL is https, as ``Config.session_cookie``: the prefix makes browsers refuse one that was
# planted.
_REFRESH_NAMES = {True: b"__Secure-propylon-refresh", False: b"propylon-refresh"}
_LANGUAGE_COOKIE = b"propylon-language"
MAX_USER_AGENT_CHARS = 512
MAX_ORIGIN_CHARS = 100


class Transport:
    """What travels in headers, for one public URL."""

    def __init__(self, config: Config) -> None:
        self._secure = config.secure
        self._public_url = config.public_url
        self._session_name = config.session_cookie.encode()
        self._refresh_name = _REFRESH_NAMES[config.secure]
        self._trusted = config.trusted_proxies
        self._own_origins = frozenset({config.public_origin})
        self._configured_origins = frozenset(config.origins)
        self._loopback = config.loopback
        self._scheme = "https" if config.secure else "http"
        self._strict = config.csrf_strict

    def credential(self, scope: Scope) -> Credential | None:
        """Return the one credential of a request, or None where there is none.

        A bearer header wins and then cookies are not looked at, also when the header is refused: trying the
        next thing that may work is how one user is taken for another. Other schemes (a proxy's ``Basic``) are
        not ours.

        Raises:
            CredentialRefused: ``credential_ambiguous`` for two headers or two session cookies (whoever tossed
                the second one must not choose); ``credential_malformed`` for a bearer header without a token.
        """
        authorizations = all_headers(scope, b"authorization")
        if len(authorizations) > 1:
            raise CredentialRefused("credential_ambiguous")
        return self.credential_of(authorizations[0] if authorizations else None, _cookie_line(scope))

    def credential_of(self, authorization: bytes | None, cookies: bytes | None) -> Credential | None:
        """Do as ``credential`` does, of these two headers."""
        if authorization is not None and (token := bearer_token(authorization)) is not None:
            return Credential("access_token", token, ambient=False)
        if cookies is None or (value := _only(cookies, self._session_name)) is None:
            return None
        return Credential("cookie", value, ambient=True)

    def presented(self, scope: Scope) -> Credential:
        """Return the one credential of a request that asks who is calling.

        Raises:
            CredentialRefused: there is none (``credential_missing``), or as ``credential`` says.
            Forbidden: ``cross_site_refused``: a cookie came with an unsafe request from another site.
        """
        headers = scope["headers"]
        named = dict(headers)
        if len(named) == len(headers):  # nearly always: none of them came in several lines
            credential = self.credential_of(named.get(b"authorization"), named.get(b"cookie"))
        else:
            credential = self.credential(scope)
        if credential is None:
            raise CredentialRefused("credential_missing")
        if credential.ambient and (
            scope.get("method") not in SAFE_METHODS or b"upgrade" in named or b"sec-websocket-key" in named
        ):
            self.require_same_site(scope)
        return credential

    def session_cookie(self, scope: Scope) -> Credential | None:
        """Return the session cookie, whatever else there is."""
        value = _only(_cookie_line(scope), self._session_name)
        return Credential("cookie", value, ambient=True) if value is not None else None

    def refresh_cookie(self, scope: Scope) -> Credential | None:
        """Return the refresh cookie, or None."""
        value = _only(_cookie_line(scope), self._refresh_name)
        return Credential("refresh_token", value, ambient=True) if value is not None else None

    def foreign_cookie(self, scope: Scope, name: str) -> str | None:
        """Return the cookie of another system, or None; two of them are ambiguous, as ours are."""
        return _only(_cookie_line(scope), name.encode())

    def language_cookie(self, scope: Scope) -> str | None:
        """Return the language that the person chose, as it came; None where it is absent or doubled."""
        try:
            return _only(_cookie_line(scope), _LANGUAGE_COOKIE)
        except CredentialRefused:
            return None

    def caller(self, scope: Scope) -> Caller:
        """Return where a request comes from. Forwarded addresses count only from configured proxies."""
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = [value.decode("latin-1") for value in all_headers(scope, b"x-forwarded-for")]
        user_agent = header(scope, b"user-agent")
        ip = client_address(peer, forwarded, self._trusted) if forwarded else peer
        return Caller(ip, user_agent[:MAX_USER_AGENT_CHARS] if user_agent is not None else None)

    def require_same_site(self, scope: Scope, *, method: str | None = None) -> None:
        """Raise ``cross_site_refused`` unless our own pages, or configured origins, sent this request.

        Args:
            scope: of the request.
            method: of the original request, behind forward-auth; that of this one where it is None.
        """
        if not self.is_same_site(scope, method=method):
            raise Forbidden("cross_site_refused")

    def require_kept_cookies(self, scope: Scope) -> None:
        """Raise ``cookie_cross_site`` where a browser would drop the cookie of the answer: on pages of another site.

        Without this a sign-in looks fine, and whatever follows is refused as if nobody had signed in.
        """
        elsewhere = elsewhere_of(scope)
        if elsewhere is not None and not elsewhere.same_site:
            raise Forbidden("cookie_cross_site", origin=elsewhere.origin[:MAX_ORIGIN_CHARS], url=self._public_url)

    def keeps_cookies(self, scope: Scope) -> bool:
        """Return whether who sent this keeps cookies of the answer; see ``require_kept_cookies``."""
        elsewhere = elsewhere_of(scope)
        return elsewhere is None or elsewhere.same_site

    def is_same_site(self, scope: Scope, *, method: str | None = None) -> bool:
        """Return whether our own pages, or configured origins, sent this request; see ``require_same_site``."""
        if method is None:
            method = scope.get("method", UNTOLD_METHOD)
        return same_site_intended(
            UNTOLD_METHOD if is_handshake(scope) else method,
            sec_fetch_site=header(scope, b"sec-fetch-site"),
            origin=header(scope, b"origin"),
            own_origins=self._own_origins_of(scope),
            configured_origins=self._configured_origins,
            strict=self._strict,
        )

    def is_page(self, scope: Scope) -> bool:
        """Return whether a browser sent this for a page: one of these is in every ``POST`` of any browser."""
        return header(scope, b"sec-fetch-site") is not None or header(scope, b"origin") is not None

    def is_page_of_ours(self, scope: Scope) -> bool:
        """Return whether a page that may act for its person sent this: our own, or one of a configured origin."""
        return self.is_page(scope) and self.is_same_site(scope)

    def mode_headers(self, scope: Scope, mode: str) -> list[tuple[bytes, bytes]]:
        """Return what tells a client, in an answer of a guarded app, that it is asked to move to ``mode``."""
        told = (MODE_HEADER.encode(), mode.encode())
        if header(scope, b"origin") not in self._configured_origins:
            return [told]
        # What the app's own CORS lets pages read may be said in several lines; this one does not replace it.
        return [told, (b"access-control-expose-headers", MODE_HEADER.encode())]

    def cookies_of(self, issued: Issued, root: str, now: int) -> list[tuple[bytes, bytes]]:
        """Return the ``Set-Cookie`` headers that hand ``issued`` to a browser."""
        headers = []
        session = issued.session
        if issued.cookie is not None:
            headers.append(self.set_session_cookie(issued.cookie, session, now))
        if issued.refresh_token is not None and session.mode == "hybrid":
            headers.append(self.set_refresh_cookie(issued.refresh_token, session, root, now))
        return headers

    def set_session_cookie(self, value: str, session: Session, now: int) -> tuple[bytes, bytes]:
        """Return the header that sets the session cookie."""
        life = f"; Max-Age={max(0, session.expires_at - now)}" if session.remember else ""
        return self._set(self._session_name, value, f"Path=/; HttpOnly; SameSite=Lax{life}")

    def set_refresh_cookie(self, value: str, session: Session, root: str, now: int) -> tuple[bytes, bytes]:
        """Return the header that sets the refresh cookie, on its own path alone."""
        life = f"; Max-Age={max(0, session.expires_at - now)}" if session.remember else ""
        path = f"Path={root}{REFRESH_PATH}"
        return self._set(self._refresh_name, value, f"{path}; HttpOnly; SameSite=Strict{life}")

    def clear_session_cookie(self) -> tuple[bytes, bytes]:
        """Return the header that removes the session cookie."""
        return self._set(self._session_name, "", "Path=/; HttpOnly; SameSite=Lax; Max-Age=0")

    def clear_refresh_cookie(self, root: str) -> tuple[bytes, bytes]:
        """Return the header that removes the refresh cookie: its session travels another way now."""
        return self._set(self._refresh_name, "", f"Path={root}{REFRESH_PATH}; HttpOnly; SameSite=Strict; Max-Age=0")

    def clear_cookies(self, root: str) -> list[tuple[bytes, bytes]]:
        """Return the headers that remove both cookies. Sent at sign-out only, or by a sign-in the one it does not set.

        Never with a refusal: an answer that was late would remove the cookie of a newer sign-in.
        """
        return [self.clear_session_cookie(), self.clear_refresh_cookie(root)]

    def set_language_cookie(self, language: str) -> tuple[bytes, bytes]:
        """Return the header that remembers the chosen language for a year."""
        return self._set(_LANGUAGE_COOKIE, language, "Path=/; SameSite=Lax; Max-Age=31536000")

    def _set(self, name: bytes, value: str, attributes: str) -> tuple[bytes, bytes]:
        secure = "; Secure" if self._secure else ""
        return b"set-cookie", name + f"={value}; {attributes}{secure}".encode("latin-1")

    def _own_origins_of(self, scope: Scope) -> frozenset[str]:
        if not self._loopback:
            return self._own_origins
        # On this machine a node answers on any loopback name and port; the Host was checked to be one.
        return self._own_origins | {f"{self._scheme}://{header(scope, b'host') or ''}"}


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first value of a header, or None."""
    return next((value.decode("latin-1") for found, value in scope["headers"] if found == name), None)


def is_handshake(scope: Scope) -> bool:
    """Return whether a request asks to become a websocket.

    A proxy that asks about a request may have dropped ``Upgrade``, which is for one hop. The other headers it passes
    on, and no page can forge them.
    """
    return any(
        name.startswith(b"sec-websocket-") or (name == b"upgrade" and b"websocket" in value.lower())
        for name, value in scope["headers"]
    )


def presents_token(scope: Scope) -> bool:
    """Return whether the request carries an ``Authorization`` header of ours, good or bad."""
    return any(is_ours(value) for value in all_headers(scope, b"authorization"))


def all_headers(scope: Scope, name: bytes) -> list[bytes]:
    """Return every value of a header, in order."""
    return [value for found, value in scope["headers"] if found == name]


def _cookie_line(scope: Scope) -> bytes | None:
    """Return all cookies in one line: HTTP/2 may send several (RFC 9113 section 8.2.3)."""
    lines = all_headers(scope, b"cookie")
    return b"; ".join(lines) if lines else None


def _only(line: bytes | None, name: bytes) -> str | None:
    """Return the value of a cookie; raise ``credential_ambiguous`` where there are two of that name."""
    if line is None:
        return None
    assigned = name + b"="
    before, found, after = line.partition(assigned)
    if not found:
        return None
    if assigned in after or (before and not before.endswith(b"; ")):
        return _only_of_all(line, name)  # perhaps a part of another name or value
    return after.partition(b";")[0].rstrip(b" \t").decode("latin-1")


def _only_of_all(line: bytes, name: bytes) -> str | None:
    """Do as ``_only`` does, looking at each cookie by itself."""
    found: bytes | None = None
    for pair in line.split(b";"):
        # Names match exactly: browsers compare prefixes case-blind, so a look-alike in other case is not ours.
        given, equals, value = pair.strip(b" \t").partition(b"=")
        if equals and given == name:
            if found is not None:
                raise CredentialRefused("credential_ambiguous")
            found = value
    return found.decode("latin-1") if found is not None else None
