"""Which pages elsewhere may read the answers: those of configured origins, to the letter, and nobody else's."""

from __future__ import annotations

import httpx
import pytest
from tests.http.driving import EMAIL, PASSWORD, SESSION_COOKIE, Connect, MakePropylon, enter, refused, sign_up

from propylon import Propylon

SHOP = "https://shop.example"
TOOLS = "http://localhost:5173"
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
    client.headers.update({"origin": SHOP, "sec-fetch-site": "cross-site"})
    signed_in = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "cookie"})
    assert signed_in.status_code == 201
    assert SESSION_COOKIE in client.cookies
    tag = (await client.get(DATA)).headers["etag"]
    written = await client.put(DATA, json={"cart": 1}, headers={"if-match": tag})
    assert (written.status_code, written.headers["access-control-allow-origin"]) == (204, SHOP)
    assert (await client.delete("/v1/session")).status_code == 204
