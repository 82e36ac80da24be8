"""``POST /v1/session/confirm`` and ``PUT /v1/user/password``: every secret is new afterwards."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    MODES,
    PASSWORD,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Connect,
    bearer,
    enter,
    held,
    refused,
    set_cookies,
    sign_in,
    sign_up,
)

from propylon import Propylon
from propylon.testing import FakeClock

NEW_PASSWORD = "staple orchard lantern"
TOKENS = "/v1/session/tokens"


def auth_time(access_token: str) -> int:
    """Return the ``auth_time`` claim of a token, unverified."""
    payload = access_token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    moment: int = claims["auth_time"]
    return moment


async def confirmed(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> httpx.Response:
    """Step up."""
    answer = await client.post("/v1/session/confirm", json={"password": PASSWORD}, headers=headers)
    assert answer.status_code == 204, answer.text
    return answer


async def changed(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> httpx.Response:
    """Change the password."""
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = await client.put("/v1/user/password", json=body, headers=headers)
    assert answer.status_code == 204, answer.text
    return answer


async def renewed_by(client: httpx.AsyncClient, mode: str, refresh_token: str) -> httpx.Response:
    """Present a refresh token as its mode does."""
    if mode == "bearer":
        return await client.post(TOKENS, json={"refresh_token": refresh_token})
    client.cookies.clear()
    return await client.post(TOKENS, headers={"cookie": f"{REFRESH_COOKIE}={refresh_token}"})


@pytest.mark.parametrize("change", [confirmed, changed])
async def test_the_cookie_has_a_new_secret(client: httpx.AsyncClient, change: Any) -> None:
    """S82: the session cookie rotates at every change of privilege, and the session keeps its public id."""
    session = (await enter(client))["session"]
    before = client.cookies[SESSION_COOKIE]
    await change(client)
    assert client.cookies[SESSION_COOKIE] != before
    assert (await client.get("/v1/session")).json()["session"]["id"] == session["id"]


async def test_the_refresh_cookie_of_a_hybrid_session_is_new_too(client: httpx.AsyncClient) -> None:
    """S82: hybrid: the answer renews the refresh cookie, and only that."""
    body = await enter(client, "hybrid")
    before = client.cookies[REFRESH_COOKIE]
    cookies = set_cookies(await confirmed(client, held(body)))
    assert set(cookies) == {REFRESH_COOKIE}
    assert cookies[REFRESH_COOKIE][0] != before


@pytest.mark.parametrize("mode", MODES)
async def test_the_next_access_token_knows_the_new_time_of_authentication(
    client: httpx.AsyncClient, clock: FakeClock, mode: str
) -> None:
    """``auth_time`` is now, in every mode, from the next token on."""
    body = await enter(client, mode)
    clock.advance(100)
    await confirmed(client, held(body))
    renewal = {"refresh_token": body["refresh_token"]} if mode == "bearer" else {}
    token = (await client.post(TOKENS, json=renewal)).json()["access_token"]
    assert auth_time(token) == clock.now()


async def test_an_older_cookie_within_the_grace_window_mints_no_newer_time_of_authentication(
    propylon: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """S82: a cookie planted before the step-up goes on for the window, and profits nothing from it."""
    client, planted = connect(propylon), connect(propylon)
    await enter(client)
    signed_in_at = clock.now()
    planted.cookies.set(SESSION_COOKIE, client.cookies[SESSION_COOKIE])
    clock.advance(100)
    await confirmed(client)
    token = (await planted.post(TOKENS)).json()["access_token"]
    assert auth_time(token) == signed_in_at
    refused(await planted.post("/v1/session/cookie", headers=bearer(token)), 401, "token_expired")


@pytest.mark.parametrize("seconds_before", [0, 100])
async def test_an_older_cookie_is_dead_after_the_grace_window(
    propylon: Propylon, connect: Connect, clock: FakeClock, seconds_before: int
) -> None:
    """S82: good to the last second of the window, dead in the next, also when it was just used."""
    client, planted = connect(propylon), connect(propylon)
    await enter(client)
    planted.cookies.set(SESSION_COOKIE, client.cookies[SESSION_COOKIE])
    clock.advance(seconds_before)
    await confirmed(client)
    clock.advance(30)
    assert (await planted.get("/v1/session")).status_code == 200
    clock.advance(1)
    refused(await planted.get("/v1/session"), 401, "session_revoked")
    assert (await client.get("/v1/session")).status_code == 200


async def test_an_access_token_from_before_the_step_up_buys_no_cookie_of_after(
    client: httpx.AsyncClient, clock: FakeClock
) -> None:
    """S82: the hand-over would otherwise turn an old, perhaps stolen, token into a freshly confirmed session."""
    body = await enter(client, "bearer")
    clock.advance(100)
    await confirmed(client, held(body))
    refused(await client.post("/v1/session/cookie", headers=held(body)), 401, "token_expired")
    renewed = (await client.post(TOKENS, json={"refresh_token": body["refresh_token"]})).json()
    assert (await client.post("/v1/session/cookie", headers=held(renewed))).status_code == 204


@pytest.mark.parametrize("mode", ["hybrid", "bearer"])
async def test_a_refresh_token_from_before_the_step_up_mints_no_newer_time_of_authentication(
    propylon: Propylon, connect: Connect, clock: FakeClock, mode: str
) -> None:
    """A thief with a copy of it stays what they were, now and after the window, and gets no token that has seen it."""
    client, thief = connect(propylon), connect(propylon, ip="203.0.113.9", user_agent="thief")
    body = await enter(client, mode)
    signed_in_at = clock.now()
    stolen = body.get("refresh_token") or client.cookies[REFRESH_COOKIE]
    clock.advance(100)
    await confirmed(client, held(body))
    for later_s in (0, 20, 20, 3_600):
        clock.advance(later_s)
        answer = await renewed_by(thief, mode, stolen)
        if answer.status_code != 200:
            refused(answer, 401, "session_revoked")
            continue
        assert auth_time(answer.json()["access_token"]) == signed_in_at
        assert "set-cookie" not in answer.headers
        stolen = answer.json().get("refresh_token", stolen)


@pytest.mark.parametrize("mode", ["hybrid", "bearer"])
async def test_a_refresh_token_from_before_a_new_password_is_refused_elsewhere_at_once(
    propylon: Propylon, connect: Connect, mode: str
) -> None:
    """Its owner, who may have chosen one for that, goes on."""
    client, thief = connect(propylon), connect(propylon, ip="203.0.113.9", user_agent="thief")
    body = await enter(client, mode)
    stolen = body.get("refresh_token") or client.cookies[REFRESH_COOKIE]
    await changed(client, held(body))
    refused(await renewed_by(thief, mode, stolen), 401, "session_revoked")
    owner = await renewed_by(client, mode, stolen if mode == "bearer" else client.cookies[REFRESH_COOKIE])
    assert owner.status_code == 200
    refused(await renewed_by(thief, mode, stolen), 401, "session_revoked")
    assert (await client.get("/v1/session", headers=held(owner.json()))).status_code == 200


async def test_a_cookie_from_before_a_new_password_is_refused_at_once(propylon: Propylon, connect: Connect) -> None:
    """No window: whoever holds a copy could make an access token of it, and end all devices by that."""
    client, thief = connect(propylon), connect(propylon)
    await enter(client)
    thief.cookies.set(SESSION_COOKIE, client.cookies[SESSION_COOKIE])
    await changed(client)
    refused(await thief.post(TOKENS), 401, "session_revoked")
    assert (await client.get("/v1/session")).status_code == 200


@pytest.mark.parametrize("mode", MODES)
async def test_a_wrong_password_confirms_nothing(client: httpx.AsyncClient, clock: FakeClock, mode: str) -> None:
    """A wrong password: 401 ``credentials_wrong``, no cookie, and the session goes on as it was."""
    body = await enter(client, mode)
    answer = await client.post("/v1/session/confirm", json={"password": "not the password"}, headers=held(body))
    refused(answer, 401, "credentials_wrong")
    assert "set-cookie" not in answer.headers
    assert (await client.get("/v1/session", headers=held(body))).status_code == 200


async def test_a_change_of_password_ends_every_other_session(propylon: Propylon, connect: Connect) -> None:
    """Every other session of the user is over in every mode; this one goes on; nobody else's is touched."""
    client = connect(propylon)
    await enter(client)
    others = [(connect(propylon), mode) for mode in MODES]
    bodies = [(other, await sign_in(other, mode)) for other, mode in others]
    stranger = connect(propylon)
    await sign_up(stranger, "jun@example.com")
    await sign_in(stranger, email="jun@example.com")
    await changed(client)
    for other, body in bodies:
        refused(await other.get("/v1/session", headers=held(body)), 401, "session_revoked")
    assert (await client.get("/v1/session")).status_code == 200
    assert (await stranger.get("/v1/session")).status_code == 200


async def test_after_a_change_of_password_only_the_new_one_signs_in(client: httpx.AsyncClient) -> None:
    """The old password is wrong from then on."""
    await enter(client)
    await changed(client)
    old = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    refused(old, 401, "credentials_wrong")
    assert await sign_in(client, password=NEW_PASSWORD)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("short", "too_short"),
        ("x" * 257, "too_long"),
        ("password123", "common"),
        (EMAIL, "same_as_account"),
        (PASSWORD, "same_as_old"),
        ("", "too_short"),
    ],
)
async def test_a_weak_new_password_is_refused_with_the_reason(client: httpx.AsyncClient, new: str, reason: str) -> None:
    """A182: 422 ``password_refused`` that names the field and the reason; the old password still works."""
    await enter(client)
    answer = await client.put("/v1/user/password", json={"current_password": PASSWORD, "new_password": new})
    (error,) = refused(answer, 422, "password_refused")["errors"]
    assert (error["field"], error["code"]) == ("new_password", reason)
    assert await sign_in(client)


async def test_a_wrong_current_password_changes_nothing(client: httpx.AsyncClient) -> None:
    """401 ``credentials_wrong``; the password stays, and so does every other session."""
    await enter(client)
    body = {"current_password": "not the password", "new_password": NEW_PASSWORD}
    refused(await client.put("/v1/user/password", json=body), 401, "credentials_wrong")
    assert await sign_in(client)


WRONG = {"en": "That is not your password.", "ko": "비밀번호가 올바르지 않습니다."}


@pytest.mark.parametrize("language", WRONG)
async def test_who_was_asked_for_the_password_alone_is_told_of_it_alone(
    client: httpx.AsyncClient, language: str
) -> None:
    """At a step-up and a change of password nobody gave an e-mail that could be wrong; at a sign-in it may be."""
    body, speaks = await enter(client), {"accept-language": language}
    change = {"current_password": "not the password", "new_password": NEW_PASSWORD}
    for answer in (
        await client.post("/v1/session/confirm", json={"password": "not the password"}, headers=held(body) | speaks),
        await client.put("/v1/user/password", json=change, headers=held(body) | speaks),
    ):
        told = refused(answer, 401, "credentials_wrong")
        assert told["detail"].startswith(WRONG[language])
        assert not re.search("e-mail|이메일", told["title"] + told["detail"], re.IGNORECASE)
    entering = {"email": EMAIL, "password": "not the password"}
    at_sign_in = refused(await client.post("/v1/sessions", json=entering, headers=speaks), 401, "credentials_wrong")
    assert re.search("e-mail|이메일", at_sign_in["detail"], re.IGNORECASE)


async def test_a_bearer_session_confirmed_in_its_web_view_is_not_taken_for_stolen(
    propylon: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """A step-up in the web view of an app, which has another user agent, leaves the app's own token good."""
    app, web_view = connect(propylon, user_agent="ShopApp/3.1"), connect(propylon)
    body = await enter(app, "bearer")
    await web_view.post("/v1/session/cookie", headers=held(body))
    await confirmed(web_view)
    clock.advance(3_600)
    assert (await app.post(TOKENS, json={"refresh_token": body["refresh_token"]})).status_code == 200
