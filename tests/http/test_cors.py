"""Which pages elsewhere may read the answers: those of configured origins, to the letter, and nobody else's."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from starlette.responses import PlainTextResponse
from tests.http.driving import (
    EMAIL,
    PASSWORD,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bare,
    bearer,
    enter,
    refused,
    sign_in,
    sign_up,
)

from propylon import Propylon
from propylon.errors import CredentialRefused
from propylon.http.cors import MAX_NAMED, Cors

SHOP = "https://shop.example"
TOOLS = "http://localhost:5173"
LOCAL = "http://localhost:5175"
DATA = "/v1/session/data"
PREFLIGHT = {"access-control-request-method": "PUT", "access-control-request-headers": "content-type,if-match"}

STRANGERS = (
    "https://evil.example",
    "https://shop.example.evil.example",
    "https://shop.example.",
    "https://shop.example:443",
    "https://shop.example/",
    "https://shop.exampleXevil",
    "https://evilshop.example",
    "https://id.shop.example",
    "http://shop.example",
    "HTTPS://SHOP.EXAMPLE",
    "https://Shop.example",
    "https://shop.example, https://evil.example",
    "https://shop.example https://evil.example",
    "https://user@shop.example",
    "http://localhost:5174",
    "null",
    "*",
    "",
    "\x80\xff",
)


@pytest.fixture
async def service(make_propylon: MakePropylon) -> Propylon:
    """A service with two configured origins."""
    return await make_propylon(store="memory", origins=f"{SHOP}, {TOOLS}")


@pytest.fixture
async def page(service: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A browser that is signed in."""
    client = connect(service)
    await enter(client)
    return client


def asked_by(origin: str, site: str) -> dict[str, str]:
    """Return what a browser says of a fetch by the script of a page."""
    return {"origin": origin, "sec-fetch-site": site, "sec-fetch-mode": "cors"}


def shared(answer: httpx.Response) -> dict[str, str]:
    """Return the CORS headers of an answer."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", STRANGERS)
async def test_a_stranger_is_told_nothing(page: httpx.AsyncClient, origin: str) -> None:
    """C118: no origin is echoed, none gets as much as the mention of credentials: exact match or nothing."""
    given = httpx.Headers([(b"origin", origin.encode("latin-1"))])
    simple = await page.get("/v1/session", headers=given)
    given.update(PREFLIGHT)
    preflight = await page.options(DATA, headers=given)
    assert (simple.status_code, shared(simple)) == (200, {})
    refused(preflight, 405, "method_not_allowed")
    assert shared(preflight) == {}


@pytest.mark.parametrize("origin", [SHOP, TOOLS])
async def test_a_configured_origin_reads_answers_with_credentials(page: httpx.AsyncClient, origin: str) -> None:
    """Its own name comes back, never a wildcard, with the headers that a client of the contract needs."""
    answer = await page.get("/v1/session", headers={"origin": origin})
    assert answer.status_code == 200
    assert shared(answer) == {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "ETag, Retry-After, WWW-Authenticate, Propylon-Mode, Content-Language, Date",
    }


async def test_a_configured_origin_reads_refusals_too(service: Propylon, connect: Connect) -> None:
    """A page must be able to say why: the problem document is shared like any other answer."""
    client = connect(service)
    for method, path, status in (("GET", "/v1/session", 401), ("GET", "/nowhere", 404), ("PUT", "/v1/session", 405)):
        answer = await client.request(method, path, headers={"origin": SHOP})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == SHOP


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_preflight_allows_the_methods_and_headers_of_the_contract(page: httpx.AsyncClient, method: str) -> None:
    """204 without a body: the methods, ``If-Match``, ``Authorization`` and the JSON content type, and no more."""
    headers = {"origin": SHOP, **PREFLIGHT, "access-control-request-method": method}
    answer = await page.options(DATA, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert shared(answer) == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST, PUT, DELETE",
        "access-control-allow-headers": "Authorization, Content-Type, If-Match",
        "access-control-max-age": "600",
        "access-control-expose-headers": "ETag, Retry-After, WWW-Authenticate, Propylon-Mode, Content-Language, Date",
    }


@pytest.mark.parametrize("wish", ["idempotency-key", "x-forwarded-for", "cookie"])
async def test_a_preflight_is_not_talked_into_other_headers(page: httpx.AsyncClient, wish: str) -> None:
    """What is asked for is not echoed; the browser compares and stops the request."""
    headers = {"origin": SHOP, **PREFLIGHT, "access-control-request-headers": wish}
    allowed = (await page.options(DATA, headers=headers)).headers["access-control-allow-headers"]
    assert wish not in allowed.lower()
    assert "*" not in allowed


async def test_a_preflight_does_nothing(page: httpx.AsyncClient) -> None:
    """It carries the method that is asked for, and performs none."""
    headers = {"origin": SHOP, "access-control-request-method": "DELETE"}
    await page.options("/v1/session", headers=headers)
    assert (await page.get("/v1/session")).status_code == 200


async def test_every_answer_varies_by_origin(page: httpx.AsyncClient) -> None:
    """C118: a cache must not hand the answer for one origin to another."""
    for headers in ({}, {"origin": SHOP}, {"origin": "https://evil.example"}):
        for answer in (
            await page.get("/v1/session", headers=headers),
            await page.options(DATA, headers={**headers, **PREFLIGHT}),
            await page.get("/.well-known/jwks.json", headers=headers),
        ):
            assert "Origin" in answer.headers["vary"].replace(" ", "").split(",")


@pytest.mark.parametrize("origin", [None, SHOP, "https://evil.example", "null"])
async def test_the_public_keys_are_for_everyone_and_never_with_credentials(
    page: httpx.AsyncClient, origin: str | None
) -> None:
    """C118: the one wildcard there is stands alone."""
    answer = await page.get("/.well-known/jwks.json", headers={"origin": origin} if origin else {})
    assert shared(answer) == {"access-control-allow-origin": "*"}


async def test_without_configured_origins_nobody_is_told_anything(in_memory: Propylon, connect: Connect) -> None:
    """The default."""
    client = connect(in_memory)
    for origin in ("http://localhost:8000", SHOP):
        assert shared(await client.get("/v1/session", headers={"origin": origin})) == {}


async def test_a_configured_origin_may_sign_in_by_cookie_and_act_with_it(service: Propylon, connect: Connect) -> None:
    """The whole way that a page of it goes: sign-in, a write with ``If-Match``, sign-out."""
    client = connect(service)
    await sign_up(client)
    client.headers.update(asked_by(SHOP, "same-site"))
    signed_in = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "cookie"})
    assert signed_in.status_code == 201
    assert SESSION_COOKIE in client.cookies
    tag = (await client.get(DATA)).headers["etag"]
    written = await client.put(DATA, json={"cart": 1}, headers={"if-match": tag})
    assert (written.status_code, written.headers["access-control-allow-origin"]) == (204, SHOP)
    assert (await client.delete("/v1/session")).status_code == 204


async def sign_in_from(client: httpx.AsyncClient, headers: dict[str, str], mode: str) -> httpx.Response:
    """Sign in from the page of another origin."""
    return await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": mode}, headers=headers)


@pytest.mark.parametrize("mode", ["cookie", "hybrid"])
async def test_no_session_is_opened_whose_cookie_the_browser_would_drop(
    service: Propylon, connect: Connect, mode: str
) -> None:
    """From another site it is refused at once, by name, and not at the next request as if nobody had signed in."""
    client = connect(service)
    await sign_up(client)
    answer = await sign_in_from(client, asked_by(SHOP, "cross-site"), mode)
    refused(answer, 403, "cookie_cross_site")
    assert "set-cookie" not in answer.headers
    assert {SHOP, "http://localhost:8000"} <= set(re.findall(r"https?://[\w.:]+", answer.json()["detail"]))
    assert "bearer" in answer.json()["hint"]
    assert answer.headers["server-timing"] == 'propylon;desc="cookie_cross_site"'
    tokens = await sign_in(client, "bearer")
    listed = await client.get("/v1/sessions", headers=bearer(tokens["access_token"]))
    assert len(listed.json()["sessions"]) == 1


async def test_a_strange_site_is_refused_before_it_is_told_about_cookies(service: Propylon, connect: Connect) -> None:
    """The advice is for pages that may call."""
    answer = await sign_in_from(connect(service), asked_by("https://evil.example", "cross-site"), "cookie")
    refused(answer, 403, "cross_site_refused")
    assert "hint" not in answer.json()


async def test_tokens_are_not_handed_over_for_a_cookie_that_the_browser_would_drop(
    service: Propylon, connect: Connect
) -> None:
    """``POST /v1/session/cookie`` from another site: as at the sign-in."""
    client = connect(service)
    tokens = await enter(client, "bearer")
    headers = {**bearer(tokens["access_token"]), **asked_by(SHOP, "cross-site")}
    refused(await client.post("/v1/session/cookie", headers=headers), 403, "cookie_cross_site")
    headers["sec-fetch-site"] = "same-site"
    assert (await client.post("/v1/session/cookie", headers=headers)).status_code == 204


@pytest.mark.parametrize(
    ("mode", "headers"),
    [
        ("bearer", asked_by(SHOP, "cross-site")),
        ("cookie", asked_by(SHOP, "same-site")),
        ("hybrid", asked_by(SHOP, "same-site")),
        ("cookie", {"origin": SHOP}),
        ("cookie", asked_by("http://localhost:8000", "same-origin")),
        ("cookie", {}),
    ],
    ids=str,
)
async def test_every_sign_in_that_can_last_is_let_in(
    service: Propylon, connect: Connect, mode: str, headers: dict[str, str]
) -> None:
    """Tokens from anywhere, cookies within a site; who says nothing of sites is no browser of the last years."""
    client = connect(service)
    await sign_up(client)
    assert (await sign_in_from(client, headers, mode)).status_code == 201


@pytest.mark.parametrize(("site", "word"), [("same-site", "include"), ("cross-site", "bearer")])
async def test_a_page_elsewhere_is_told_how_a_credential_would_come_along(
    service: Propylon, connect: Connect, site: str, word: str
) -> None:
    """In the body for who looks there, and by code for the script that names it in the console."""
    answer = await connect(service).get("/v1/session", headers=asked_by(SHOP, site))
    refused(answer, 401, "credential_missing")
    assert word in answer.json()["hint"]
    assert answer.headers["server-timing"] == 'propylon;desc="credential_missing"'
    assert answer.headers["timing-allow-origin"] == SHOP


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": SHOP},
        {"origin": SHOP, "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        asked_by("http://localhost:8000", "same-origin"),
    ],
    ids=str,
)
async def test_nobody_else_is_told_about_origins(service: Propylon, connect: Connect, headers: dict[str, str]) -> None:
    """Our own pages and other programs have another mistake, if any."""
    answer = await connect(service).get("/v1/session", headers=headers)
    refused(answer, 401, "credential_missing")
    assert "hint" not in answer.json()
    assert "server-timing" not in answer.headers


async def test_a_stranger_does_not_learn_how_a_request_went(service: Propylon, connect: Connect) -> None:
    """``Timing-Allow-Origin`` would tell a sibling site whether its visitor is signed in here."""
    answer = await connect(service).get("/v1/session", headers=asked_by("https://evil.example", "same-site"))
    assert "timing-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", [SHOP, "https://evil.example"])
async def test_the_routes_of_an_app_say_the_same_to_configured_origins_alone(service: Propylon, origin: str) -> None:
    """``Propylon.reply`` answers for every adapter."""
    headers = {name.encode(): value.encode() for name, value in asked_by(origin, "same-site").items()}
    told = service.reply(CredentialRefused(), {"method": "GET", "path": "/me", "headers": list(headers.items())})
    assert "include" in json.loads(told.body)["hint"]
    assert told.headers.get("timing-allow-origin") == (SHOP if origin == SHOP else None)


async def test_who_used_another_address_than_the_public_one_can_read_that(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """Also a page of any origin, so that its console can say so; it reads what it has sent."""
    service = await make_propylon(store="memory", public_url="https://id.example.com", origins=SHOP)
    answer = await connect(service).get("/v1/session", headers={"host": "10.0.0.7", "origin": TOOLS})
    refused(answer, 400, "host_unknown")
    assert shared(answer) == {"access-control-allow-origin": "*"}


class Refusals:
    """A layer of CORS on its own, its clock and what it has logged."""

    def __init__(self, logged: pytest.LogCaptureFixture) -> None:
        self.now_s = 0.0
        self._logged = logged
        self._cors = Cors(PlainTextResponse("x"), (SHOP, LOCAL), "https://id.example", elapsed=lambda: self.now_s)

    async def named(self, origin: str, site: str = "cross-site", mode: str = "cors") -> int:
        """Let a page ask; return how many lines that made."""
        self._logged.clear()
        headers = asked_by(origin, site) | {"sec-fetch-mode": mode}
        await bare(self._cors, "GET", "/", [(name.encode(), value.encode()) for name, value in headers.items()])
        assert all(ascii(origin) in line for line in self._logged.messages)
        return len(self._logged.messages)


@pytest.fixture
def refusals(caplog: pytest.LogCaptureFixture) -> Refusals:
    """Nobody has asked yet."""
    return Refusals(caplog)


async def test_the_log_names_an_origin_that_was_refused_once_a_minute(refusals: Refusals) -> None:
    """Its browser tells nobody but the page's author; the operator learns it here."""
    assert [await refusals.named(TOOLS) for _ in range(3)] == [1, 0, 0]
    refusals.now_s = 59.9
    assert (await refusals.named(TOOLS), await refusals.named("null")) == (0, 1)
    refusals.now_s = 60.0
    assert (await refusals.named(TOOLS), await refusals.named("null")) == (1, 0)


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("http://127.0.0.1:5175", f"use one name in all addresses, for {LOCAL} is this machine too"),
        ("http://[::1]:5175", f"use one name in all addresses, for {LOCAL} is this machine too"),
        ("http://127.0.0.1:5176", "not in PROPYLON_ORIGINS"),
        ("https://127.0.0.1:5175", "not in PROPYLON_ORIGINS"),
        ("http://[::1", "not in PROPYLON_ORIGINS"),
        ("http://127.0.0.1:x", "not in PROPYLON_ORIGINS"),
    ],
)
async def test_another_name_of_an_origin_that_is_allowed_is_said_to_be_that(
    refusals: Refusals, caplog: pytest.LogCaptureFixture, origin: str, why: str
) -> None:
    """One more origin would help no cookie: the page is to be opened at the name that is configured."""
    assert await refusals.named(origin) == 1
    assert why in caplog.messages[0]


async def test_origins_that_somebody_makes_up_do_not_fill_the_log(refusals: Refusals) -> None:
    """Anybody may send any; a line holds what came, spelled out and cut."""
    assert sum([await refusals.named(f"https://{n}.example") for n in range(100)]) == MAX_NAMED
    refusals.now_s = 60.0
    assert await refusals.named("https://\x1b[31m.example") == 1


@pytest.mark.parametrize(
    "asked", [(SHOP, "cross-site", "cors"), (TOOLS, "same-origin", "cors"), (TOOLS, "cross-site", "no-cors")]
)
async def test_who_was_not_refused_is_not_named(refusals: Refusals, asked: tuple[str, str, str]) -> None:
    """A configured origin, our own page, and what no script wants to read."""
    assert await refusals.named(*asked) == 0
