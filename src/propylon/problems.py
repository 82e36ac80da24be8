"""What a caller is told of an error: one table of codes, and ``application/problem+json`` (RFC 9457).

Nothing here knows how an answer is sent, so that the server and a verifier elsewhere say the same.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from propylon import language
from propylon.core.bearer import is_ours
from propylon.core.device import Device
from propylon.core.elsewhere import Elsewhere, page_elsewhere
from propylon.core.navigation import is_navigation, page_for, whole_path
from propylon.errors import PropylonError, RuleRefused, TooMany, Unavailable

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[str, int] = {
    "request_malformed": 400,
    "json_malformed": 400,
    "host_unknown": 400,
    "credential_ambiguous": 400,
    "credential_missing": 401,
    "credential_malformed": 401,
    "credentials_wrong": 401,
    "session_expired": 401,
    "session_revoked": 401,
    "session_evicted": 401,
    "token_expired": 401,
    "token_expiring": 401,
    "token_reused": 401,
    "user_disabled": 401,
    "reauthentication_required": 401,
    "forbidden": 403,
    "insufficient_scope": 403,
    "cross_site_refused": 403,
    "cookie_cross_site": 403,
    "sign_up_closed": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "email_taken": 409,
    "session_limit_reached": 409,
    "mode_changed_meanwhile": 409,
    "data_changed": 412,
    "body_too_large": 413,
    "content_type_wrong": 415,
    "fields_refused": 422,
    "password_refused": 422,
    "if_match_missing": 428,
    "too_many_attempts": 429,
    "too_many_streams": 429,
    "headers_too_large": 431,
    "internal": 500,
    "streams_not_served": 501,
    "unavailable": 503,
    "store_unavailable": 503,
    "overloaded": 503,
}
"""Every code that an answer can carry, and its status. A code that is not here is our own fault: 500."""

# What a page of another origin meets when cookies do not travel: its author is told how they would.
_HINTED = frozenset({"credential_missing", "cookie_cross_site"})


class Problem(msgspec.Struct, omit_defaults=True):
    """A problem body. ``code`` is stable; ``title`` and ``detail`` are for people, in their language.

    ``hint`` is for who wrote the page.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = []
    sessions: list[Any] = []
    limit: int | None = None
    ended_at: str | None = None
    ended_by: Device | None = None
    max_age_s: int | None = msgspec.field(default=None, name="max_age")  # as RFC 9470 calls it
    hint: str | None = None


class Answer(NamedTuple):
    """An HTTP answer, ready to send by whatever framework a service is written in."""

    status: int
    headers: dict[str, str]
    body: bytes


def status_of(error: PropylonError) -> int:
    """Return the HTTP status of an error."""
    return STATUS.get(error.code, 500)


def sentence(tongue: str, error: PropylonError) -> tuple[str, str]:
    """Return title and detail of an error for people."""
    code = error.code if error.code in STATUS else "internal"
    facts = {**error.facts, **_told_of_ending(tongue, error)}
    title, detail = _KEYS_OF_A_VARIANT.get(_variant(code, facts), ("title", "detail"))
    return language.say(tongue, f"problem.{code}.{title}"), language.say(tongue, f"problem.{code}.{detail}", **facts)


_KEYS_OF_A_VARIANT: Mapping[str, tuple[str, str]] = {
    "elsewhere": ("title", "detail_elsewhere"),
    "password": ("title_password", "detail_password"),
}


def _variant(code: str, facts: Mapping[str, Any]) -> str:
    """Return which text of a code fits, where it has more than one."""
    # A verifier elsewhere knows that a session was evicted, and neither when nor by what device.
    if code == "session_evicted" and not facts["at"]:
        return "elsewhere"
    # Who is signed in already was asked for the password alone.
    return "password" if code == "credentials_wrong" and facts.get("asked") == "password" else ""


def field_sentences(tongue: str, error: RuleRefused) -> list[tuple[str, str, str]]:
    """Return field, code and sentence for each field at fault."""
    return [(name, code, language.say(tongue, f"field.{code}", **facts)) for name, code, facts in error.errors]


def problem(
    error: PropylonError,
    tongue: str,
    base_url: str,
    sessions: Sequence[Any] = (),
    *,
    elsewhere: Elsewhere | None = None,
) -> Problem:
    """Return the body that tells a caller about ``error``; ``elsewhere`` is the page that asked."""
    title, detail = sentence(tongue, error)
    code = error.code if error.code in STATUS else "internal"
    body = Problem(f"{base_url}/docs#{code}", title, STATUS[code], code, detail)
    if isinstance(error, RuleRefused):
        body.errors = [
            {"field": name, "code": reason, "detail": said} for name, reason, said in field_sentences(tongue, error)
        ]
    body.sessions = list(sessions)
    body.limit = error.facts.get("limit")
    if (ended_at := error.facts.get("ended_at")) is not None:
        body.ended_at = rfc3339(ended_at)
        body.ended_by = error.facts.get("ended_by")
    body.max_age_s = error.facts.get("max_age_s")
    if elsewhere is not None and code in _HINTED:
        body.hint = language.say(tongue, f"problem.{code}.{'hint' if elsewhere.same_site else 'hint_cross_site'}")
    return body


def answer(
    error: PropylonError,
    base_url: str,
    *,
    accept_language: str | None = None,
    bearer_presented: bool = True,
    elsewhere: Elsewhere | None = None,
) -> Answer:
    """Return what to tell a caller of ``error``, in their language; ``elsewhere`` is the page that asked."""
    tongue = language.negotiate(accept_language)
    body = problem(error, tongue, base_url, elsewhere=elsewhere)
    headers = headers_of(error, body, tongue, bearer_presented=bearer_presented)
    return Answer(
        body.status,
        {"content-type": MEDIA_TYPE, "cache-control": "no-store", **headers},
        msgspec.json.encode(body),
    )


def reply(
    error: PropylonError,
    base_url: str,
    scope: Mapping[str, Any],
    *,
    pages: str | None = None,
    origins: Container[str] = (),
) -> Answer:
    """Return the whole answer to a request that is refused.

    Args:
        error: why.
        base_url: of Propylon; where the codes are explained.
        scope: what ASGI says of the request: ``method``, ``headers``, ``path`` and so on.
        pages: where Propylon's pages are. A person who opens a page without being signed in is led there and back.
        origins: whose pages may learn from their browser why they were refused (``propylon-origins.js``).
    """
    if pages is not None and status_of(error) == 401 and _opens_a_page(scope):
        # The answer depends on what the browser says of itself, so no cache may keep it.
        headers = {"location": page_for(error.code, pages, _target(scope, pages)), "cache-control": "no-store"}
        return Answer(303, headers, b"")
    presented = any(name == b"authorization" and is_ours(value) for name, value in scope["headers"])
    language_wanted = _header(scope, b"accept-language")
    elsewhere = elsewhere_of(scope)
    told = answer(error, base_url, accept_language=language_wanted, bearer_presented=presented, elsewhere=elsewhere)
    if elsewhere is not None and elsewhere.origin in origins:
        told.headers["timing-allow-origin"] = elsewhere.origin
    return told


def elsewhere_of(scope: Mapping[str, Any]) -> Elsewhere | None:
    """Return the page of another origin that sent a request, None where none did."""
    return page_elsewhere(
        sec_fetch_site=_header(scope, b"sec-fetch-site"),
        sec_fetch_mode=_header(scope, b"sec-fetch-mode"),
        origin=_header(scope, b"origin"),
    )


def _opens_a_page(scope: Mapping[str, Any]) -> bool:
    return is_navigation(
        scope["method"], sec_fetch_mode=_header(scope, b"sec-fetch-mode"), accept=_header(scope, b"accept")
    )


def _target(scope: Mapping[str, Any], pages: str) -> str:
    """Return what the person opened: its path where Propylon is on the same host, else the whole address."""
    query = scope.get("query_string", b"").decode("latin-1")
    path = whole_path(scope["path"], scope.get("root_path", ""))
    target = quote(path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")
    return f"{scope['scheme']}://{_header(scope, b'host') or ''}{target}" if urlsplit(pages).netloc else target


def _header(scope: Mapping[str, Any], name: bytes) -> str | None:
    return next((value.decode("latin-1") for found, value in scope["headers"] if found == name), None)


def retry_headers(error: PropylonError) -> dict[str, str]:
    """Return ``Retry-After`` where coming back later helps."""
    if isinstance(error, TooMany | Unavailable):
        return {"retry-after": str(max(1, error.retry_after_s))}
    return {}


def rfc3339(epoch_s: int) -> str:
    """Return a time as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def headers_of(error: PropylonError, body: Problem, tongue: str, *, bearer_presented: bool) -> dict[str, str]:
    """Return the headers that belong to a problem body."""
    challenge = _challenge(error, body, bearer_presented=bearer_presented)
    # A script in the page learns of this how a fetch went that it did not make, by code and nothing else.
    timing = {"server-timing": f'propylon;desc="{body.code}"'} if body.hint else {}
    return {"content-language": tongue, **retry_headers(error), **challenge, **timing}


def _challenge(error: PropylonError, body: Problem, *, bearer_presented: bool) -> dict[str, str]:
    if body.code == "reauthentication_required":
        # RFC 9470 section 3, also to who came with a cookie: it says how recent the sign-in has to be.
        said = f'Bearer error="insufficient_user_authentication", max_age="{body.max_age_s}"'
    elif body.code == "insufficient_scope":
        said = f'Bearer error="insufficient_scope", scope="{error.facts["scope"]}"'
    elif body.status != 401:
        return {}
    else:
        # RFC 6750 3.1: no error code when the request carried no token (a proxy's Basic is none).
        refused = bearer_presented and body.code not in ("credential_missing", "credentials_wrong")
        said = 'Bearer error="invalid_token"' if refused else "Bearer"
    return {"www-authenticate": said}


def _told_of_ending(tongue: str, error: PropylonError) -> dict[str, str]:
    if error.code != "session_evicted":
        return {}
    by = error.facts.get("ended_by") or Device(browser="", os="", kind="app")
    at = error.facts.get("ended_at")
    return {
        "at": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "",
        "browser": by.browser,
        "os": by.os,
        "kind": language.say(tongue, f"device.{by.kind}"),
    }
