"""``GET`` and ``DELETE /v1/session``, and the hand-over of a session from one form to the other."""

from __future__ import annotations

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    MODES,
    PASSWORD,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    cookie_value,
    enter,
    held,
    refused,
    set_cookies,
    sign_in,
    sign_up,
)

from propylon import Propylon

TOKENS = "/v1/session/tokens"


@pytest.mark.parametrize("mode", MODES)
async def test_who_is_calling_is_told_in_every_mode(client: httpx.AsyncClient, mode: str) -> None:
    """200 with the account and the session as in the list; no secret anywhere in it."""
    body = await enter(client, mode)
    answer = await client.get("/v1/session", headers=held(body))
    assert answer.status_code == 200
    assert answer.json() == {"user": body["user"], "session": body["session"]}
    assert set(body["user"]) == {"id", "email", "name", "roles", "permissions"}


async def test_permissions_follow_from_roles(make_propylon: MakePropylon, connect: Connect) -> None:
    """Roles are the account's; permissions are what the settings grant them."""
    propylon = await make_propylon(store="memory", roles="editor=posts.write posts.read")
    from propylon.flows.account import NewAccount  # noqa: PLC0415 - only here

    await propylon.runtime.accounts.add(
        NewAccount(email="ed@example.com", password="correct horse battery", roles=("editor",))
    )
    client = connect(propylon)
    user = (await sign_in(client, email="ed@example.com"))["user"]
    assert (user["roles"], user["permissions"]) == (["editor"], ["posts.read", "posts.write"])


@pytest.mark.parametrize("mode", MODES)
async def test_what_signed_out_is_dead_in_every_form(client: httpx.AsyncClient, mode: str) -> None:
    """S95: 204, both cookies cleared, the cache dropped; a replay of any credential is ``session_revoked``."""
    body = await enter(client, mode)
    jar = dict(client.cookies)
    answer = await client.delete("/v1/session", headers=held(body))
    assert answer.status_code == 204
    assert answer.headers["clear-site-data"] == '"cache"'
    assert answer.headers["cache-control"] == "no-store"
    cleared = set_cookies(answer)
    assert cleared == {
        SESSION_COOKIE: ("", {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=0"}),
        REFRESH_COOKIE: ("", {"Path=/v1/session/tokens", "HttpOnly", "SameSite=Strict", "Max-Age=0"}),
    }
    client.cookies.clear()
    replay = {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
    for method, path in (("GET", "/v1/session"), ("GET", "/v1/verify"), ("DELETE", "/v1/session")):
        if mode != "hybrid" or held(body):
            refused(await client.request(method, path, headers={**replay, **held(body)}), 401, "session_revoked")
    renewal = {"refresh_token": body["refresh_token"]} if mode == "bearer" else {}
    refused(await client.post(TOKENS, json=renewal, headers=replay), 401, "session_revoked")


async def test_a_refusal_never_clears_a_cookie(client: httpx.AsyncClient) -> None:
    """A late answer would otherwise remove the cookie of a newer sign-in."""
    await enter(client)
    stale = client.cookies[SESSION_COOKIE]
    await client.delete("/v1/session")
    client.cookies.clear()
    answer = await client.get("/v1/session", headers={"cookie": f"{SESSION_COOKIE}={stale}"})
    assert "set-cookie" not in answer.headers


async def test_a_bearer_session_is_handed_to_the_browser(propylon: Propylon, connect: Connect) -> None:
    """The web view of an app: 204 and a session cookie for the very same session."""
    app, web_view = connect(propylon), connect(propylon)
    body = await enter(app, "bearer")
    answer = await web_view.post("/v1/session/cookie", headers=held(body))
    assert (answer.status_code, answer.content) == (204, b"")
    assert set_cookies(answer)[SESSION_COOKIE][1] == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert (await web_view.get("/v1/session")).json()["session"]["id"] == body["session"]["id"]


@pytest.mark.parametrize("ender", ["app", "web view"])
async def test_a_session_in_two_forms_ends_in_both(propylon: Propylon, connect: Connect, ender: str) -> None:
    """Ending it anywhere ends all of it: cookie, access token, refresh token."""
    app, web_view = connect(propylon), connect(propylon)
    body = await enter(app, "bearer")
    cookie = cookie_value(await web_view.post("/v1/session/cookie", headers=held(body)))
    if ender == "app":
        await app.delete("/v1/session", headers=held(body))
    else:
        await web_view.delete("/v1/session")
    again = {"cookie": f"{SESSION_COOKIE}={cookie}"}
    refused(await connect(propylon).get("/v1/session", headers=again), 401, "session_revoked")
    refused(await app.get("/v1/session", headers=held(body)), 401, "session_revoked")
    refused(await app.post(TOKENS, json={"refresh_token": body["refresh_token"]}), 401, "session_revoked")


async def test_tokens_made_from_a_cookie_end_with_it(client: httpx.AsyncClient) -> None:
    """The other way: a page obtains a token for an API, and signing out of the page ends the token."""
    await enter(client)
    token = (await client.post(TOKENS)).json()["access_token"]
    await client.delete("/v1/session")
    refused(await client.get("/v1/session", headers=bearer(token)), 401, "session_revoked")


async def test_a_cookie_cannot_be_handed_over(client: httpx.AsyncClient) -> None:
    """The hand-over takes a bearer credential alone: a cookie gains nothing by it."""
    await enter(client)
    refused(await client.post("/v1/session/cookie"), 403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_a_hand_over_from_an_origin_not_configured_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """C114: planting a session of the attacker in somebody's browser: 403, no cookie."""
    body = await enter(client, "bearer")
    answer = await client.post("/v1/session/cookie", headers={**held(body), **headers})
    refused(answer, 403, "cross_site_refused")
    assert "set-cookie" not in answer.headers


async def test_a_hand_over_from_a_configured_origin_is_taken(make_propylon: MakePropylon, connect: Connect) -> None:
    """A configured origin may hand over."""
    client = connect(await make_propylon(store="memory", origins="https://shop.example"))
    body = await enter(client, "bearer")
    headers = {**held(body), "origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    assert (await client.post("/v1/session/cookie", headers=headers)).status_code == 204


async def test_a_sign_in_ends_the_session_that_it_replaces(propylon: Propylon, connect: Connect) -> None:
    """S81: the browser loses the old cookie, so its session ends; nobody could end it later."""
    client = connect(propylon)
    await enter(client)
    before = client.cookies[SESSION_COOKIE]
    await sign_in(client)
    refused(
        await connect(propylon).get("/v1/session", headers={"cookie": f"{SESSION_COOKIE}={before}"}),
        401,
        "session_revoked",
    )
    assert len((await client.get("/v1/sessions")).json()["sessions"]) == 1


A_PAGE = {"sec-fetch-site": "same-origin", "origin": "http://localhost:8000"}


@pytest.mark.parametrize("before", ["cookie", "hybrid"])
@pytest.mark.parametrize("after", MODES)
async def test_a_page_that_signs_somebody_else_in_keeps_no_cookie_of_whoever_was_there(
    propylon: Propylon, connect: Connect, before: str, after: str
) -> None:
    """On a shared computer: after a reload, or at the next renewal, the page would be theirs."""
    browser, jun = connect(propylon), "jun@example.com"
    await enter(browser, before)
    await sign_up(connect(propylon), jun)
    body = {"email": jun, "password": PASSWORD, "mode": after}
    answer = await browser.post("/v1/sessions", json=body, headers=A_PAGE)
    assert answer.status_code == 201, answer.text
    kept = {name for name, (value, _) in set_cookies(answer).items() if value}
    assert kept == {"cookie": {SESSION_COOKIE}, "hybrid": {REFRESH_COOKIE}, "bearer": set()}[after]
    assert {cookie.name for cookie in browser.cookies.jar} == kept
    for path in ("/v1/session", TOKENS):
        ask = browser.get if path == "/v1/session" else browser.post
        seen = (await ask(path)).json()
        assert EMAIL not in str(seen)
        assert seen.get("user", {}).get("email", jun) == jun


async def test_a_page_that_signs_in_by_tokens_ends_the_session_whose_cookie_it_gives_up(
    propylon: Propylon, connect: Connect
) -> None:
    """Nobody could end it later."""
    browser, copy = connect(propylon), connect(propylon)
    await enter(browser)
    copy.cookies.set(SESSION_COOKIE, browser.cookies[SESSION_COOKIE])
    await browser.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "bearer"}, headers=A_PAGE)
    refused(await copy.get("/v1/session"), 401, "session_revoked")


async def test_a_page_elsewhere_signs_nobody_out_by_signing_in(propylon: Propylon, connect: Connect) -> None:
    """By tokens any site may; the cookie that a browser sends along is not its to give up."""
    browser = connect(propylon)
    await enter(browser)
    body = {"email": EMAIL, "password": PASSWORD, "mode": "bearer"}
    answer = await browser.post("/v1/sessions", json=body, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 201
    assert "set-cookie" not in answer.headers
    assert (await browser.get("/v1/session")).status_code == 200


async def test_a_program_may_hold_a_cookie_and_tokens(propylon: Propylon, connect: Connect) -> None:
    """It is no page, in which a reload would take one for the other."""
    program = connect(propylon)
    await enter(program)
    answer = await program.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "bearer"})
    assert "set-cookie" not in answer.headers
    assert (await program.get("/v1/session")).status_code == 200


async def test_cookies_of_two_people_are_ambiguous(propylon: Propylon, connect: Connect) -> None:
    """One was planted by another host of the site, or left behind; a dead one is nobody's."""
    ann, jun = connect(propylon), connect(propylon)
    await enter(ann, "hybrid")
    await sign_up(jun, "jun@example.com")
    await sign_in(jun, email="jun@example.com")
    both = {"cookie": f"{REFRESH_COOKIE}={ann.cookies[REFRESH_COOKIE]}; {SESSION_COOKIE}={jun.cookies[SESSION_COOKIE]}"}
    browser = connect(propylon)
    refused(await browser.post(TOKENS, headers=both), 400, "credential_ambiguous")
    await jun.delete("/v1/session")
    assert (await browser.post(TOKENS, headers=both)).status_code == 200


async def test_a_dead_refresh_cookie_beside_somebody_elses_cookie_is_told_as_dead(
    propylon: Propylon, connect: Connect
) -> None:
    """Nobody is taken for another, and a page asks who is there."""
    ann, jun = connect(propylon), connect(propylon)
    body = await enter(ann, "hybrid")
    left = ann.cookies[REFRESH_COOKIE]
    await ann.delete("/v1/session", headers=held(body))
    await sign_up(jun, "jun@example.com")
    await sign_in(jun, email="jun@example.com")
    both = {"cookie": f"{REFRESH_COOKIE}={left}; {SESSION_COOKIE}={jun.cookies[SESSION_COOKIE]}"}
    refused(await connect(propylon).post(TOKENS, headers=both), 401, "session_revoked")


async def test_a_sign_in_as_somebody_else_ends_the_session_that_it_replaces(
    propylon: Propylon, connect: Connect
) -> None:
    """S81: the same when the next person at this browser is another one."""
    client = connect(propylon)
    await enter(client)
    before = client.cookies[SESSION_COOKIE]
    await sign_up(client, "jun@example.com")
    await sign_in(client, email="jun@example.com")
    answer = await connect(propylon).get("/v1/session", headers={"cookie": f"{SESSION_COOKIE}={before}"})
    refused(answer, 401, "session_revoked")


async def test_a_failed_sign_in_leaves_the_session_as_it_was(client: httpx.AsyncClient) -> None:
    """A mistyped password does not sign anybody out."""
    await enter(client)
    await client.post("/v1/sessions", json={"email": "mina@example.com", "password": "not the password"})
    assert (await client.get("/v1/session")).status_code == 200
