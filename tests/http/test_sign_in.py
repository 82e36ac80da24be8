"""``POST /v1/sessions``: what each mode hands out, and whom it turns away."""

from __future__ import annotations

import json

import httpx
import pytest
from tests.http.driving import (
    CHROME,
    EMAIL,
    JSON,
    MODES,
    PASSWORD,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    refused,
    set_cookies,
    sign_in,
    sign_up,
)

from propylon import Propylon
from propylon.testing import FakeClock

TOKENS = {"access_token", "token_type", "expires_in"}


async def test_a_cookie_sign_in_sets_one_cookie_and_returns_no_token(client: httpx.AsyncClient) -> None:
    """Cookie mode: 201, the session, an HttpOnly Lax cookie for all paths, and nothing a script could take."""
    await sign_up(client)
    answer = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "cookie"})
    cookies = set_cookies(answer)
    assert answer.status_code == 201
    assert set(answer.json()) == {"user", "session"}
    assert set(cookies) == {SESSION_COOKIE}
    value, attributes = cookies[SESSION_COOKIE]
    assert attributes == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert 43 <= len(value) <= 100


async def test_a_bearer_sign_in_sets_no_cookie_and_returns_both_tokens(client: httpx.AsyncClient) -> None:
    """Bearer mode: both tokens in the body, five minutes of access, and no cookie at all."""
    await sign_up(client)
    answer = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "bearer"})
    assert set(answer.json()) == {"user", "session", "refresh_token"} | TOKENS
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 300)
    assert "set-cookie" not in answer.headers


async def test_a_hybrid_sign_in_puts_the_refresh_token_into_its_own_cookie(client: httpx.AsyncClient) -> None:
    """Hybrid mode: the access token in the body, the refresh token in a Strict cookie of one path alone."""
    await sign_up(client)
    answer = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "hybrid"})
    cookies = set_cookies(answer)
    assert set(answer.json()) == {"user", "session"} | TOKENS
    assert set(cookies) == {REFRESH_COOKIE}
    assert cookies[REFRESH_COOKIE][1] == {"Path=/v1/session/tokens", "HttpOnly", "SameSite=Strict"}


@pytest.mark.parametrize(
    ("mode", "name", "attributes"),
    [
        ("cookie", "__Host-propylon", {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}),
        (
            "hybrid",
            "__Secure-propylon-refresh",
            {"Path=/v1/session/tokens", "HttpOnly", "SameSite=Strict", "Secure"},
        ),
    ],
)
async def test_cookies_of_an_https_service_are_prefixed_and_secure(
    make_propylon: MakePropylon, connect: Connect, mode: str, name: str, attributes: set[str]
) -> None:
    """S85, S93: prefixed names, so that no sibling domain and no plain http can plant one."""
    propylon = await make_propylon(public_url="https://id.example", sign_up="open")
    client = connect(propylon, "https://id.example")
    await sign_up(client)
    answer = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": mode})
    assert {name: attributes} == {found: given for found, (_, given) in set_cookies(answer).items()}


@pytest.mark.parametrize(("mode", "name"), [("cookie", SESSION_COOKIE), ("hybrid", REFRESH_COOKIE)])
async def test_a_remembered_sign_in_outlives_the_browser(client: httpx.AsyncClient, mode: str, name: str) -> None:
    """``remember``: the cookie lives exactly as long as the session can; without it, until the browser closes."""
    await sign_up(client)
    wish = {"email": EMAIL, "password": PASSWORD, "mode": mode}
    remembered = await client.post("/v1/sessions", json={**wish, "remember": True})
    forgotten = await client.post("/v1/sessions", json={**wish, "remember": False})
    assert f"Max-Age={30 * 86_400}" in set_cookies(remembered)[name][1]
    assert not any(attribute.startswith("Max-Age") for attribute in set_cookies(forgotten)[name][1])


@pytest.mark.parametrize("mode", MODES)
async def test_the_session_in_the_answer_is_described_as_in_the_list(
    propylon: Propylon, connect: Connect, clock: FakeClock, mode: str
) -> None:
    """Public id, mode, RFC 3339 times in UTC, device, address and method: never a secret."""
    client = connect(propylon, ip="192.0.2.7", user_agent=CHROME)
    await sign_up(client)
    session = (await sign_in(client, mode))["session"]
    assert session == {
        "id": session["id"],
        "current": True,
        "mode": mode,
        "created_at": "2027-01-15T08:00:00Z",
        "last_seen_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-02-14T08:00:00Z",
        "device": {"browser": "Chrome", "os": "Windows", "kind": "desktop"},
        "ip": "192.0.2.7",
        "sign_in_method": "password",
    }
    assert len(session["id"]) == 22


@pytest.mark.parametrize("mode", MODES)
async def test_a_sign_in_without_a_mode_takes_the_servers(
    make_propylon: MakePropylon, connect: Connect, mode: str
) -> None:
    """``mode`` unset = the server's."""
    client = connect(await make_propylon(store="memory", mode=mode))
    await sign_up(client)
    answer = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    assert answer.json()["session"]["mode"] == mode


async def test_a_wrong_password_and_an_unknown_address_are_told_apart_by_nothing(client: httpx.AsyncClient) -> None:
    """A162: the same bytes, status and headers, whoever is asked for and however odd the password is."""
    await sign_up(client)
    answers = [
        await client.post("/v1/sessions", json={"email": email, "password": password})
        for email, password in (
            (EMAIL, "not the password"),
            ("nobody@example.com", PASSWORD),
            ("no address at all", PASSWORD),
            (EMAIL, "x" * 2_000),
            (EMAIL, ""),
        )
    ]
    refused(answers[0], 401, "credentials_wrong")
    assert {(answer.status_code, answer.content, tuple(answer.headers.raw)) for answer in answers} == {
        (401, answers[0].content, tuple(answers[0].headers.raw))
    }


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"password": PASSWORD}, "email", "required"),
        ({"email": EMAIL}, "password", "required"),
        ({"email": {"$gt": ""}, "password": PASSWORD}, "email", "wrong_type"),
        ({"email": [EMAIL], "password": PASSWORD}, "email", "wrong_type"),
        ({"email": EMAIL, "password": True}, "password", "wrong_type"),
        ({"email": EMAIL, "password": None}, "password", "wrong_type"),
        ({"email": EMAIL, "password": PASSWORD, "mode": "jwt"}, "mode", "mode_unknown"),
        ({"email": EMAIL, "password": PASSWORD, "mode": 1}, "mode", "wrong_type"),
        ({"email": EMAIL, "password": PASSWORD, "remember": "yes"}, "remember", "wrong_type"),
        ({"email": EMAIL, "password": PASSWORD, "is_admin": True}, "is_admin", "unknown_field"),
        ([], "", "not_an_object"),
        ("x", "", "not_an_object"),
        (None, "", "not_an_object"),
    ],
)
async def test_a_field_at_fault_is_named(
    in_memory: Propylon, connect: Connect, body: object, field: str, reason: str
) -> None:
    """A171: types are not juggled, unknown fields not bound: 422 that names the field."""
    answer = await connect(in_memory).post("/v1/sessions", content=json.dumps(body), headers=JSON)
    (error,) = refused(answer, 422, "fields_refused")["errors"]
    assert (error["field"], error["code"]) == (field, reason)
    assert error["detail"]


async def test_a_disabled_user_is_told_so_only_with_the_right_password(
    client: httpx.AsyncClient, propylon: Propylon
) -> None:
    """A162: who does not know the password does not learn that the account is disabled."""
    await sign_up(client)
    await propylon.runtime.administration.disable(EMAIL)
    wrong = await client.post("/v1/sessions", json={"email": EMAIL, "password": "not the password"})
    right = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    refused(wrong, 401, "credentials_wrong")
    refused(right, 401, "user_disabled")


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"email":"a","password":"b"}{}', b'{"email":"a","email"', b"\xff\xfe", b"NaN"]
)
async def test_what_is_no_json_is_malformed(in_memory: Propylon, connect: Connect, content: bytes) -> None:
    """J49, P191: broken, doubled, deep or non-UTF-8 JSON is a 400, never a crash."""
    refused(await connect(in_memory).post("/v1/sessions", content=content, headers=JSON), 400, "json_malformed")
