"""What every answer carries, and what is answered where there is no answer: 404, 405, HEAD, languages, headers."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from tests.http.driving import Connect, MakePropylon, enter, refused, sign_in, sign_up

from propylon import Propylon
from propylon.errors import StoreUnavailable
from propylon.http.operations import OPERATIONS
from propylon.http.problems import STATUS, problem
from propylon.language import LANGUAGES

PAGES = ("/", "/login", "/signup", "/account", "/docs")
BARE_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@pytest.fixture
async def visitor(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """Somebody who is not signed in."""
    return connect(in_memory)


def methods_of(path: str) -> set[str]:
    """Return the methods that the contract has for a path, and HEAD with GET."""
    found = {operation.method for operation in OPERATIONS if operation.path == path}
    return found | {"HEAD"} if "GET" in found else found


@pytest.mark.parametrize("path", sorted({operation.path for operation in OPERATIONS}))
async def test_a_method_that_an_address_does_not_take_is_told_with_those_it_takes(
    visitor: httpx.AsyncClient, path: str
) -> None:
    """405 with an exact ``Allow`` on every path, also for methods that nobody has heard of."""
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "X"} - methods_of(path):
        answer = await visitor.request(method, path.format(id="x"))
        refused(answer, 405, "method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) == methods_of(path)


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/v1", "/v1/", "/v2/session", "/v1/session/", "/v1/sessions/", "/v1/sessions/x/y", "//v1/session",
     "/login/", "/account/", "/V1/session", "/LOGIN", "/v1/session%2f", "/v1/./session/x", "/%00", "/%ff", "/.env",
     "/favicon.ico", "/robots.txt"],
)  # fmt: skip
async def test_what_is_not_there_is_a_problem_and_never_a_redirect(visitor: httpx.AsyncClient, path: str) -> None:
    """404: a slash too many is no hint to send the password again to an address made of ``Host``."""
    for method in ("GET", "POST", "DELETE"):
        answer = await visitor.request(method, path)
        refused(answer, 404, "not_found")
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    "path", [*PAGES, "/v1/session", "/v1/sessions", "/v1/session/data", "/openapi.json", "/healthz"]
)
async def test_head_is_get_without_its_body(in_memory: Propylon, connect: Connect, path: str) -> None:
    """RFC 9110 9.3.2: the same status and headers, but for what is new in each answer."""
    client = connect(in_memory)
    await enter(client)
    head, get = await client.head(path), await client.get(path)
    assert head.status_code == get.status_code == 200
    for name in set(get.headers) - {"content-security-policy", "content-length"}:
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("where", ["200", "401", "404", "405", "400", "431", "html", "303"])
async def test_every_answer_is_sealed(in_memory: Propylon, connect: Connect, where: str) -> None:
    """C119, C123: no sniffing, no framing, no caching, no plain policy missing: from routes and from before them."""
    client = connect(in_memory)
    if where in ("200", "html"):
        await enter(client)
    requests: dict[str, dict[str, Any]] = {
        "200": {"url": "/v1/session"},
        "401": {"url": "/v1/session"},
        "404": {"url": "/nowhere"},
        "405": {"url": "/v1/users"},
        "400": {"url": "/v1/session", "headers": {"host": "evil.example"}},
        "431": {"url": "/v1/session", "headers": {"x-big": "x" * 20_000}},
        "html": {"url": "/account"},
        "303": {"url": "/account"},
    }
    answer = await client.get(**requests[where])
    assert answer.status_code == (200 if where == "html" else int(where))
    expected = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "cache-control": "no-store",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    if where != "html":
        assert answer.headers["content-security-policy"] == BARE_POLICY
    varies = {name.strip() for name in answer.headers["vary"].split(",")}
    assert varies == {"Accept-Language", "Cookie", "Origin"}
    assert "strict-transport-security" not in answer.headers  # plain http, on this machine
    assert not {"server", "x-powered-by", "date"} & set(answer.headers)


@pytest.mark.parametrize("path", [*PAGES, "/v1/session", "/nowhere", "/static/propylon.css", "/healthz"])
async def test_an_https_service_stays_on_https(make_propylon: MakePropylon, connect: Connect, path: str) -> None:
    """HSTS for a year on every answer."""
    propylon = await make_propylon(store="memory", public_url="https://id.example")
    answer = await connect(propylon, "https://id.example").get(path)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


NONCE = re.compile(r"style-src 'nonce-([0-9a-f]{32})'; script-src 'nonce-([0-9a-f]{32})'")


async def test_the_policy_of_a_page_lets_in_its_own_script_and_style_alone(
    in_memory: Propylon, connect: Connect
) -> None:
    """A fresh nonce in each answer, on each of its tags, nothing inline, no other source."""
    client = connect(in_memory)
    await enter(client)
    seen: set[str] = set()
    for path in (*PAGES, *PAGES):
        answer = await client.get(path)
        policy = answer.headers["content-security-policy"]
        found = NONCE.search(policy)
        assert found is not None
        nonce = found[1]
        assert found[2] == nonce
        assert nonce not in seen
        seen.add(nonce)
        assert policy == (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self' data:; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        for tag in re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", answer.text):
            assert f'nonce="{nonce}"' in tag
        assert not re.search(r"<style|\son\w+=|style=|javascript:", answer.text)


async def test_a_page_of_a_refusal_has_a_nonce_too(visitor: httpx.AsyncClient) -> None:
    """Error pages are pages."""
    answer = await visitor.post("/account/profile", data={"name": "x"})
    assert answer.status_code == 401
    assert NONCE.search(answer.headers["content-security-policy"])
    assert answer.headers["x-frame-options"] == "DENY"


async def test_a_page_may_lead_on_to_configured_origins(make_propylon: MakePropylon, connect: Connect) -> None:
    """Chromium applies ``form-action`` to the redirect after the form."""
    client = connect(await make_propylon(store="memory", origins="https://shop.example"))
    policy = (await client.get("/login")).headers["content-security-policy"]
    assert "form-action 'self' https://shop.example;" in policy


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en", "en"),
        ("fr, ko;q=0.5", "ko"),
        ("fr", "en"),
        ("", "en"),
        ("ko;q=0", "en"),
        ("\x80\xff", "en"),
        ("ko" * 1_000, "en"),
        (",;=q" * 500, "en"),
        ("../../etc/passwd", "en"),
    ],
)
async def test_refusals_speak_the_callers_language(visitor: httpx.AsyncClient, accept: str, language: str) -> None:
    """Problem documents and pages, from routes and from before them, with ``Content-Language``."""
    given = [(b"accept-language", accept.encode("latin-1"))]
    for path, extra in (("/v1/session", []), ("/nowhere", []), ("/v1/session", [(b"host", b"evil.example")])):
        answer = await visitor.get(path, headers=[*given, *extra])
        assert answer.headers["content-language"] == language
        assert bool(re.search("[가-힣]", answer.json()["title"])) == (language == "ko")
        assert bool(re.search("[가-힣]", answer.json()["detail"])) == (language == "ko")
    page = await visitor.get("/login", headers=given)
    assert page.headers["content-language"] == language
    assert f'<html lang="{language}"' in page.text


async def test_the_chosen_language_outweighs_the_browsers(visitor: httpx.AsyncClient) -> None:
    """For pages and problems alike; a doubled or invented choice counts for nothing."""
    await visitor.post("/language", data={"language": "ko", "next": "/login"})
    assert (await visitor.get("/v1/session", headers={"accept-language": "en"})).headers["content-language"] == "ko"
    for cookie in ("propylon-language=ko; propylon-language=ko", "propylon-language=xx", "propylon-language="):
        answer = await visitor.get("/login", headers={"accept-language": "en", "cookie": cookie})
        assert answer.headers["content-language"] == "en"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", STATUS)
def test_every_code_has_its_sentences(code: str, language: str) -> None:
    """No code can come up without a title and a detail, and none is left with an unfilled place."""
    from propylon.errors import PropylonError  # noqa: PLC0415 - only here

    facts = {
        "host": "h",
        "max_bytes": 1,
        "within_s": 20,
        "expected": "e",
        "limit": 1,
        "retry_after_s": 1,
        "ended_at": 0,
    }
    facts |= {"left_s": 60, "max_age_s": 300, "scope": "orders", "origin": "o", "url": "u"}
    body = problem(PropylonError(code, **facts), language, "http://localhost:8000")
    assert (body.status, body.code) == (STATUS[code], code)
    assert body.title
    assert body.detail
    assert "{" not in body.title + body.detail


@pytest.mark.parametrize("path", ["/v1/session", "/v1/sessions", "/v1/session/data", "/v1/verify"])
async def test_what_nobody_expected_is_a_plain_500_for_the_caller(
    propylon: Propylon, connect: Connect, monkeypatch: pytest.MonkeyPatch, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """P193: ``internal``, without a word of the cause; the cause is in the log."""

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail of the cause")

    client = connect(propylon)
    await enter(client)
    monkeypatch.setattr(propylon.runtime.store, "find_session", broken)
    monkeypatch.setattr(propylon.runtime.store, "read_data", broken)
    monkeypatch.setattr(propylon.runtime.store, "live_sessions", broken)
    answer = await client.get(path)
    refused(answer, 500, "internal")
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    assert "secret detail" in caplog.text


async def test_a_page_says_so_too_when_the_store_is_away(
    in_memory: Propylon, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 as a page with ``Retry-After``, never a blank one."""
    client = connect(in_memory)
    await enter(client)

    async def gone(*_: Any, **__: Any) -> None:
        raise StoreUnavailable

    for name in ("find_session", "find_user", "live_sessions", "find_user_by_email"):
        monkeypatch.setattr(in_memory.runtime.store, name, gone)
    for answer in (await client.get("/account"), await client.post("/login", data={"email": "a@b.example"})):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_nothing_personal_may_be_cached(in_memory: Propylon, connect: Connect) -> None:
    """C123: ``no-store`` on each answer that knows who is asking; only keys and files are public."""
    client = connect(in_memory)
    await sign_up(client)
    await sign_in(client)
    for path in (*PAGES, "/v1/session", "/v1/sessions", "/v1/session/data", "/v1/verify", "/openapi.json"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"
