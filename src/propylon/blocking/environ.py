"""WSGI's view of a request, told as ASGI tells it: for questions about it, and for serving it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from propylon.core.csrf import SAFE_METHODS
from propylon.errors import CredentialRefused

if TYPE_CHECKING:  # who only verifies has no server installed
    from propylon.core.principal import Credential
    from propylon.http.transport import Transport

Environ = Mapping[str, Any]
Scope = dict[str, Any]
Headers = list[tuple[bytes, bytes]]

# What says who is calling, from where, and how they are answered. All else is left alone: it would cost time.
_ASKED = {
    "HTTP_AUTHORIZATION": b"authorization",
    "HTTP_COOKIE": b"cookie",
    "HTTP_HOST": b"host",
    "HTTP_ORIGIN": b"origin",
    "HTTP_SEC_FETCH_SITE": b"sec-fetch-site",
    "HTTP_SEC_FETCH_MODE": b"sec-fetch-mode",
    "HTTP_UPGRADE": b"upgrade",
    "HTTP_SEC_WEBSOCKET_KEY": b"sec-websocket-key",
    "HTTP_X_FORWARDED_FOR": b"x-forwarded-for",
    "HTTP_USER_AGENT": b"user-agent",
    "HTTP_ACCEPT": b"accept",
    "HTTP_ACCEPT_LANGUAGE": b"accept-language",
}
_BODY = {"CONTENT_TYPE": b"content-type", "CONTENT_LENGTH": b"content-length"}

# WSGI joins equal headers by a comma, which no token of ours can hold. Cookies are not taken apart like this: a comma
# may stand in the value of any of them, and a page elsewhere could have planted that.
_NEXT_TOKEN = re.compile(rb",[ \t]*(?=(?:bearer|dpop)\b)", re.IGNORECASE)


class Asked:
    """One request, as far as questions go. What nobody looks at is not made.

    Args:
        environ: of WSGI, or what a framework has made alike.
        path: the whole path as text, where ``environ`` does not hold it as WSGI would.
        scope: instead, what an ASGI server says.
    """

    __slots__ = ("_environ", "_path", "_scope")

    def __init__(self, environ: Environ, path: str | None = None, scope: Scope | None = None) -> None:
        self._environ, self._path, self._scope = environ, path, scope

    @property
    def scope(self) -> Scope:
        """Who is calling, from where, and how they are to be answered."""
        if self._scope is None:
            environ = self._environ
            headers = [(name, environ[key].encode("latin-1")) for key, name in _ASKED.items() if key in environ]
            self._scope = _scope(environ, headers, self._path, "")
        return self._scope

    @property
    def authorizations(self) -> list[bytes]:
        """The ``Authorization`` headers."""
        if self._scope is not None:
            return [value for name, value in self._scope["headers"] if name == b"authorization"]
        value = self._environ.get("HTTP_AUTHORIZATION")
        return [] if value is None else _NEXT_TOKEN.split(value.encode("latin-1"))

    def presented(self, transport: Transport) -> Credential:
        """Return the one credential; see ``Transport.presented``. Of most requests, two headers say it."""
        environ = self._environ
        if self._scope is not None or environ["REQUEST_METHOD"] not in SAFE_METHODS:
            return transport.presented(self.scope)
        authorization, cookies = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_COOKIE")
        if authorization is not None:
            if "," in authorization:  # perhaps several
                return transport.presented(self.scope)
            authorization = authorization.encode("latin-1")
        credential = transport.credential_of(authorization, cookies.encode("latin-1") if cookies is not None else None)
        if credential is None:
            raise CredentialRefused("credential_missing")
        # Some servers let an app take over the connection of a websocket, whose handshake is a GET.
        if credential.ambient and ("HTTP_UPGRADE" in environ or "HTTP_SEC_WEBSOCKET_KEY" in environ):
            transport.require_same_site(self.scope)
        return credential


def served_of(environ: Environ) -> Scope:
    """Return the whole request, without its body; see ``Asked`` for a part of it."""
    headers = [(key[5:].lower().replace("_", "-").encode("latin-1"), value) for key, value in _given(environ)]
    headers += [(name, environ[key].encode("latin-1")) for key, name in _BODY.items() if environ.get(key)]
    return _scope(environ, headers, None, _decoded(environ.get("SCRIPT_NAME", "")))


def _given(environ: Environ) -> Iterator[tuple[str, bytes]]:
    for key, value in environ.items():
        # Only these two without HTTP_ are the body's: with it, a client has sent a look-alike with underscores.
        if key.startswith("HTTP_") and key[5:] not in _BODY:
            yield key, value.encode("latin-1")


def _scope(environ: Environ, headers: Headers, path: str | None, root: str) -> Scope:
    if path is None:
        path = _decoded(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": path,
        "root_path": root,
        "query_string": _spelled(environ.get("QUERY_STRING", "")),
        "headers": _parted(headers),
        "client": (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0)),
        "server": (environ.get("SERVER_NAME", ""), int(environ.get("SERVER_PORT") or 0)),
    }


def _decoded(path: str) -> str:
    return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")


def _spelled(query: str) -> bytes:
    """Return the query as it was sent, but for bytes that no address may hold, which some servers let through."""
    if not query.isascii():
        query = quote(query, safe="%/:?@!$&'()*+,;=~", encoding="latin-1", errors="replace")
    return query.encode()


def _parted(headers: Headers) -> Headers:
    """Take apart what was more than one ``Authorization`` header, so that two credentials are seen to be two."""
    for number, (name, value) in enumerate(headers):
        if name == b"authorization" and b"," in value:
            return [*headers[:number], *((name, part) for part in _NEXT_TOKEN.split(value)), *headers[number + 1 :]]
    return headers
