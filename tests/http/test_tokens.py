"""``POST /v1/session/tokens``: renewal by exactly one of body, refresh cookie and session cookie."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.http.driving import (
    CHROME,
    REFRESH_COOKIE,
    Connect,
    bearer,
    enter,
    refused,
    set_cookies,
    sign_in,
)

from propylon import Propylon
from propylon.testing import FakeClock

TOKENS = "/v1/session/tokens"
GRACE_S = 30


async def renewed(client: httpx.AsyncClient, token: str) -> str:
    """Rotate a refresh token by the body and return its successor."""
    answer = await client.post(TOKENS, json={"refresh_token": token})
    assert answer.status_code == 200, answer.text
    successor: str = answer.json()["refresh_token"]
    return successor


async def test_by_body_the_successor_comes_back_in_the_body(client: httpx.AsyncClient) -> None:
    """Bearer: a new access token and a new refresh token, and no cookie."""
    before = await enter(client, "bearer")
    answer = await client.post(TOKENS, json={"refresh_token": before["refresh_token"]})
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert body["refresh_token"] != before["refresh_token"]
    assert body["access_token"] != before["access_token"]
    assert "set-cookie" not in answer.headers
    assert (await client.get("/v1/session", headers=bearer(body["access_token"]))).status_code == 200


async def test_by_refresh_cookie_the_successor_comes_back_as_a_cookie(client: httpx.AsyncClient) -> None:
    """Hybrid: no refresh token where a script could read it; the new cookie lies on the same path alone."""
    await enter(client, "hybrid")
    before = client.cookies[REFRESH_COOKIE]
    answer = await client.post(TOKENS)
    value, attributes = set_cookies(answer)[REFRESH_COOKIE]
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    assert value != before
    assert attributes == {"Path=/v1/session/tokens", "HttpOnly", "SameSite=Strict"}


async def test_the_refresh_cookie_travels_on_its_own_path_alone(client: httpx.AsyncClient) -> None:
    """A hybrid page without its access token is nobody on every other path."""
    await enter(client, "hybrid")
    refused(await client.get("/v1/session"), 401, "credential_missing")


async def test_a_cookie_session_gets_an_access_token_alone(client: httpx.AsyncClient) -> None:
    """A script in the page must not walk away with a long-lived token: no refresh token, no new cookie."""
    session = (await enter(client))["session"]
    answer = await client.post(TOKENS)
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    assert "set-cookie" not in answer.headers
    who = await client.get("/v1/session", headers=bearer(answer.json()["access_token"]))
    assert who.json()["session"]["id"] == session["id"]


async def test_an_access_token_alone_cannot_mint_the_next(client: httpx.AsyncClient) -> None:
    """A stolen access token dies with its five minutes."""
    token = (await enter(client, "bearer"))["access_token"]
    refused(await client.post(TOKENS, headers=bearer(token)), 401, "credential_missing")


async def test_a_bearer_header_is_not_rescued_by_a_refresh_cookie(client: httpx.AsyncClient) -> None:
    """One credential a request: the header wins, and the cookie, which may be somebody else's, is not looked at."""
    body = await enter(client, "hybrid")
    refused(await client.post(TOKENS, headers=bearer(body["access_token"])), 401, "credential_missing")
    assert (await client.post(TOKENS)).status_code == 200


async def test_a_refresh_token_in_the_body_counts_before_any_cookie(propylon: Propylon, connect: Connect) -> None:
    """An explicit credential wins over what the browser adds by itself."""
    client, app = connect(propylon), connect(propylon)
    await enter(client, "hybrid")
    theirs = await sign_in(app, "bearer")
    answer = await client.post(TOKENS, json={"refresh_token": theirs["refresh_token"]})
    who = await app.get("/v1/session", headers=bearer(answer.json()["access_token"]))
    assert who.json()["session"]["id"] == theirs["session"]["id"]


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "A" * 22 + ".0." + "A" * 43, "A" * 5_000, "\x00", "é", "' OR 1=1--", "{sid}.0.{secret}"],
)
async def test_what_we_did_not_issue_is_malformed(in_memory: Propylon, connect: Connect, token: str) -> None:
    """S90: shapes that are nearly ours, and anything else, are one refusal."""
    answer = await connect(in_memory).post(TOKENS, json={"refresh_token": token})
    refused(answer, 401, "credential_malformed")


async def test_no_other_bit_pattern_of_a_token_works(in_memory: Propylon, connect: Connect) -> None:
    """S90: a change in any single character is refused, and the token itself is still good afterwards."""
    client = connect(in_memory)
    token = (await enter(client, "bearer"))["refresh_token"]
    other = {"A": "B"}
    for position in range(0, len(token), 3):
        altered = token[:position] + other.get(token[position], "A") + token[position + 1 :]
        answer = await client.post(TOKENS, json={"refresh_token": altered})
        assert answer.status_code in (401, 429), altered
    assert await renewed(client, token)


async def test_a_cookie_value_is_no_refresh_token(client: httpx.AsyncClient) -> None:
    """S90: the secrets of one session are separated by purpose."""
    await enter(client)
    cookie = client.cookies["propylon"]
    client.cookies.clear()
    refused(await client.post(TOKENS, json={"refresh_token": cookie}), 401, "credential_malformed")


async def test_two_hundred_refreshes_at_once_get_the_same_successor(client: httpx.AsyncClient) -> None:
    """S97: two hundred tabs with one token: one rotation, one successor, nobody is signed out."""
    token = (await enter(client, "bearer"))["refresh_token"]
    successors = await asyncio.gather(*(renewed(client, token) for _ in range(200)))
    assert len(set(successors)) == 1
    assert await renewed(client, successors[0]) not in (token, successors[0])


async def test_a_duplicate_within_the_grace_window_gets_the_same_successor(
    client: httpx.AsyncClient, clock: FakeClock
) -> None:
    """S97: a lost answer is asked for again, up to the last second of the window."""
    token = (await enter(client, "bearer"))["refresh_token"]
    successor = await renewed(client, token)
    clock.advance(GRACE_S)
    assert await renewed(client, token) == successor


async def test_a_reused_token_ends_exactly_its_own_session(
    propylon: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """S98: older than the one just rotated is theft: this session ends in every form, no other does."""
    victim, elsewhere = connect(propylon), connect(propylon)
    first = (await enter(victim, "bearer"))["refresh_token"]
    other = await sign_in(elsewhere, "bearer")
    second = await renewed(victim, first)
    answer = await victim.post(TOKENS, json={"refresh_token": second})
    newest = answer.json()
    refused(await victim.post(TOKENS, json={"refresh_token": first}), 401, "token_reused")
    refused(await victim.post(TOKENS, json={"refresh_token": newest["refresh_token"]}), 401, "session_revoked")
    refused(await victim.get("/v1/session", headers=bearer(newest["access_token"])), 401, "session_revoked")
    refused(await victim.post(TOKENS, json={"refresh_token": first}), 401, "token_reused")
    assert (await elsewhere.get("/v1/session", headers=bearer(other["access_token"]))).status_code == 200


async def test_late_at_home_is_forgiven(propylon: Propylon, connect: Connect, clock: FakeClock) -> None:
    """An answer lost in a tunnel: the same successor, an hour later, from the same network and browser."""
    client = connect(propylon, ip="192.0.2.1")
    token = (await enter(client, "bearer"))["refresh_token"]
    successor = await renewed(client, token)
    clock.advance(3_600)
    assert await renewed(connect(propylon, ip="192.0.2.200"), token) == successor


@pytest.mark.parametrize(
    ("ip", "user_agent"), [("198.51.100.1", None), ("192.0.2.1", CHROME)], ids=["other-network", "other-browser"]
)
async def test_late_from_elsewhere_is_theft(
    propylon: Propylon, connect: Connect, clock: FakeClock, ip: str, user_agent: str | None
) -> None:
    """The first second after the window, from another network or browser: the session ends."""
    client = connect(propylon, ip="192.0.2.1")
    token = (await enter(client, "bearer"))["refresh_token"]
    successor = await renewed(client, token)
    clock.advance(GRACE_S + 1)
    thief = connect(propylon, ip=ip, **({"user_agent": user_agent} if user_agent else {}))
    refused(await thief.post(TOKENS, json={"refresh_token": token}), 401, "token_reused")
    refused(await client.post(TOKENS, json={"refresh_token": successor}), 401, "session_revoked")


async def test_late_twice_in_a_row_is_theft(client: httpx.AsyncClient, clock: FakeClock) -> None:
    """A thief next door, taking turns with the victim, is caught at the second word."""
    first = (await enter(client, "bearer"))["refresh_token"]
    second = await renewed(client, first)
    clock.advance(GRACE_S + 1)
    assert await renewed(client, first) == second  # late once
    assert await renewed(client, second)
    clock.advance(GRACE_S + 1)
    refused(await client.post(TOKENS, json={"refresh_token": second}), 401, "token_reused")


async def test_late_again_after_a_punctual_renewal_is_forgiven(client: httpx.AsyncClient, clock: FakeClock) -> None:
    """Losing an answer every now and then is no theft, as long as it is not twice in a row."""
    tokens = [(await enter(client, "bearer"))["refresh_token"]]
    for late in (True, False, True, False, True):
        tokens.append(await renewed(client, tokens[-1]))
        if late:
            clock.advance(GRACE_S + 1)
            assert await renewed(client, tokens[-2]) == tokens[-1]
    assert await renewed(client, tokens[-1])


async def test_two_refresh_cookies_are_ambiguous(client: httpx.AsyncClient) -> None:
    """S86: whoever tossed the second cookie must not choose."""
    await enter(client, "hybrid")
    value = client.cookies[REFRESH_COOKIE]
    doubled = {"cookie": f"{REFRESH_COOKIE}={value}; {REFRESH_COOKIE}=x"}
    client.cookies.clear()
    refused(await client.post(TOKENS, headers=doubled), 400, "credential_ambiguous")


async def test_nothing_at_all_is_a_missing_credential(in_memory: Propylon, connect: Connect) -> None:
    """No body, an empty object, no cookie: 401 that says so."""
    client = connect(in_memory)
    refused(await client.post(TOKENS), 401, "credential_missing")
    refused(await client.post(TOKENS, json={}), 401, "credential_missing")
