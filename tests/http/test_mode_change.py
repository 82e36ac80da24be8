"""A service changes its mode while people are signed in: who is told, who moves, what is given up, and who stays."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from tests.http.driving import (
    EMAIL,
    FORM,
    MODES,
    PASSWORD,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    enter,
    held,
    refused,
    set_cookies,
    sign_in,
    sign_up,
)

from propylon import Propylon
from propylon.adapters.fastapi import Auth, SignedIn
from propylon.core.mode import Clients
from propylon.errors import Conflict, StoreUnavailable
from propylon.testing import FakeClock

TOKENS, COOKIE, WHO = "/v1/session/tokens", "/v1/session/cookie", "/v1/session"
TOLD = "propylon-mode"
GRACE_S = 30
PAGE = {"sec-fetch-site": "same-origin", "origin": "http://localhost:8000"}
SHOP = "https://shop.example"
WAYS = tuple(permutations(MODES, 2))


async def turn(propylon: Propylon, mode: Any, clients: Clients | None = None) -> None:
    """Change the mode, as ``propylon mode set`` does from a process of its own."""
    await propylon.runtime.mode_change.turn(mode, get_args(Clients) if clients is None else (clients,))


def as_cookie(value: str, name: str = SESSION_COOKIE) -> dict[str, str]:
    """Return the header that presents a cookie, whatever the client keeps."""
    return {"cookie": f"{name}={value}"}


async def moved(client: httpx.AsyncClient, before: dict[str, Any], to: str, **headers: str) -> httpx.Response:
    """Do what a client does when it is told to move, with what it holds; return the answer."""
    if to == "cookie":
        answer = await client.post(COOKIE, headers={**bearer(before["access_token"]), **headers})
    else:
        token = before.get("refresh_token")
        answer = await client.post(TOKENS, json={"refresh_token": token} if token else None, headers=headers)
    assert answer.status_code in (200, 204), answer.text
    assert TOLD not in answer.headers
    return answer


@pytest.fixture
async def entered(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client whose account exists."""
    await sign_up(client)
    return client


@pytest.mark.parametrize(("mode", "to"), WAYS)
async def test_every_answer_to_a_credential_of_the_mode_before_names_the_new_one(
    propylon: Propylon, entered: httpx.AsyncClient, mode: str, to: str
) -> None:
    """Whatever is asked, refusals of the question too; and the credential is honoured."""
    await turn(propylon, mode)
    presents = held(await sign_in(entered, mode))
    assert TOLD not in (await entered.get(WHO, headers=presents)).headers
    await turn(propylon, to)
    for path in (WHO, "/v1/sessions", "/v1/session/data", "/v1/verify"):
        answer = await entered.get(path, headers=presents)
        assert answer.status_code in (200, 204)
        assert answer.headers[TOLD] == to
    missing = await entered.delete("/v1/sessions/unknown", headers=presents)
    assert (missing.status_code, missing.headers[TOLD]) == (404, to)


@pytest.mark.parametrize(("mode", "to"), WAYS)
async def test_a_session_moves_from_each_mode_to_each_other(
    propylon: Propylon, entered: httpx.AsyncClient, mode: str, to: str
) -> None:
    """The same session, by what the new mode hands out and nothing else; it is told no more."""
    await turn(propylon, mode)
    before = await sign_in(entered, mode)
    await turn(propylon, to)
    answer = await moved(entered, before, to, **PAGE)
    cookies = set_cookies(answer)
    if to == "cookie":
        presents = as_cookie(cookies[SESSION_COOKIE][0])
    else:
        body = answer.json()
        assert ("refresh_token" in body) is (to == "bearer")
        assert bool(cookies.get(REFRESH_COOKIE, ("",))[0]) is (to == "hybrid")
        presents = bearer(body["access_token"])
    entered.cookies.clear()
    who = await entered.get(WHO, headers=presents)
    assert who.json()["session"]["id"] == before["session"]["id"]
    assert who.json()["session"]["mode"] == to
    assert TOLD not in who.headers


async def test_what_it_moved_to_is_renewed_as_ever(propylon: Propylon, entered: httpx.AsyncClient) -> None:
    """Cookie, tokens, refresh cookie, and back to the cookie: each is the means of the next step."""
    body = await sign_in(entered)
    await turn(propylon, "bearer")
    body = (await moved(entered, body, "bearer")).json()
    body = (await entered.post(TOKENS, json={"refresh_token": body["refresh_token"]})).json()
    await turn(propylon, "hybrid")
    await moved(entered, body, "hybrid", **PAGE)
    body = (await entered.post(TOKENS)).json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    await turn(propylon, "cookie")
    answer = await moved(entered, body, "cookie")
    assert "Max-Age=0" in set_cookies(answer)[REFRESH_COOKIE][1]
    assert (await entered.get(WHO)).json()["session"]["mode"] == "cookie"


async def test_the_old_cookie_is_honoured_for_the_grace_window_and_then_no_more(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock
) -> None:
    """A request in flight is served; a copy from before is worth nothing, and ends nothing."""
    before = await sign_in(entered)
    old = as_cookie(entered.cookies[SESSION_COOKIE])
    await turn(propylon, "bearer")
    body = (await moved(entered, before, "bearer")).json()
    entered.cookies.clear()
    clock.advance(GRACE_S)
    assert (await entered.get(WHO, headers=old)).status_code == 200
    clock.advance(1)
    refused(await entered.get(WHO, headers=old), 401, "session_revoked")
    refused(await entered.post(TOKENS, headers=old), 401, "session_revoked")
    assert (await entered.get(WHO, headers=bearer(body["access_token"]))).status_code == 200


@pytest.mark.parametrize("mode", ["bearer", "hybrid"])
async def test_old_tokens_are_honoured_for_the_grace_window_and_then_no_more(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock, mode: str
) -> None:
    """Neither renews nor opens anything afterwards; that is no theft, and the session goes on by its cookie."""
    await turn(propylon, mode)
    before = await sign_in(entered, mode)
    refresh = before.get("refresh_token") or entered.cookies[REFRESH_COOKIE]
    await turn(propylon, "cookie")
    await moved(entered, before, "cookie")
    cookie = as_cookie(entered.cookies[SESSION_COOKIE])
    entered.cookies.clear()
    clock.advance(GRACE_S)
    assert (await entered.get(WHO, headers=held(before))).status_code == 200
    assert (await entered.post(TOKENS, json={"refresh_token": refresh})).status_code == 200
    clock.advance(1)
    refused(await entered.get(WHO, headers=held(before)), 401, "token_expired")
    refused(await entered.post(COOKIE, headers=held(before)), 401, "token_expired")
    refused(await entered.post(TOKENS, json={"refresh_token": refresh}), 401, "session_revoked")
    assert (await entered.get(WHO, headers=cookie)).status_code == 200


async def test_a_token_of_the_cookie_session_outlives_the_window(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock
) -> None:
    """What was issued after the move is of the new mode, and remembered as ever."""
    await turn(propylon, "bearer")
    before = await sign_in(entered, "bearer")
    await turn(propylon, "cookie")
    await moved(entered, before, "cookie")
    clock.advance(1)
    token = (await entered.post(TOKENS)).json()["access_token"]
    entered.cookies.clear()
    clock.advance(GRACE_S + 1)
    assert (await entered.get(WHO, headers=bearer(token))).status_code == 200


async def test_fifty_moves_at_once_all_give_something_that_works(
    propylon: Propylon, entered: httpx.AsyncClient
) -> None:
    """Tabs that hear of it in the same moment: one set of tokens, and nobody is taken for a thief."""
    await sign_in(entered)
    old = as_cookie(entered.cookies[SESSION_COOKIE])
    entered.cookies.clear()
    await turn(propylon, "bearer")
    answers = await asyncio.gather(*(entered.post(TOKENS, headers=old) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    for answer in answers[::10]:
        assert (await entered.get(WHO, headers=bearer(answer.json()["access_token"]))).status_code == 200


async def test_a_browser_keeps_a_cookie_for_the_pages(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock
) -> None:
    """They are not told to move, and go on after a script of the same browser has moved the session."""
    before = await sign_in(entered)
    await turn(propylon, "bearer")
    page = await entered.get("/account")
    assert page.status_code == 200
    assert TOLD not in page.headers
    body = (await moved(entered, before, "bearer", **PAGE)).json()
    clock.advance(GRACE_S + 1)
    page = await entered.get("/account")
    assert (page.status_code, TOLD in page.headers) == (200, False)
    await turn(propylon, "cookie")
    await moved(entered, body, "cookie")
    clock.advance(GRACE_S + 1)
    assert (await entered.get("/account")).status_code == 200


async def test_a_hybrid_page_that_keeps_its_tokens_in_memory_survives_a_reload(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock
) -> None:
    """Its renewal has moved it to bearer, and its refresh cookie is gone: a cookie for the pages is there instead."""
    await turn(propylon, "hybrid")
    before = await sign_in(entered, "hybrid")
    await turn(propylon, "bearer")
    answer = await entered.post(TOKENS, headers=PAGE)
    assert "refresh_token" in answer.json()
    clock.advance(GRACE_S + 1)
    assert (await entered.get(WHO)).json()["session"]["id"] == before["session"]["id"]
    assert set((await entered.post(TOKENS)).json()) == {"access_token", "token_type", "expires_in"}


@pytest.mark.parametrize("mode", ["cookie", "hybrid"])
async def test_a_program_that_moves_gets_no_cookie_for_pages(
    propylon: Propylon, entered: httpx.AsyncClient, mode: str
) -> None:
    """It has none to show, and what it is not given nobody copies."""
    await turn(propylon, mode)
    before = await sign_in(entered, mode)
    await turn(propylon, "bearer")
    assert SESSION_COOKIE not in set_cookies(await moved(entered, before, "bearer"))


async def test_the_cookie_for_the_pages_is_no_way_to_the_refresh_token(
    propylon: Propylon, entered: httpx.AsyncClient
) -> None:
    """A script that comes later gets an access token alone, as from every cookie."""
    before = await sign_in(entered)
    await turn(propylon, "bearer")
    await moved(entered, before, "bearer", **PAGE)
    answer = await entered.post(TOKENS)
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    assert TOLD not in answer.headers


async def test_signing_out_by_either_ends_both(propylon: Propylon, entered: httpx.AsyncClient) -> None:
    """The cookie for the pages and the tokens are one session."""
    before = await sign_in(entered)
    await turn(propylon, "bearer")
    body = (await moved(entered, before, "bearer", **PAGE)).json()
    answer = await entered.post("/logout", headers=FORM | PAGE)
    assert answer.status_code == 303
    refused(await entered.get(WHO, headers=bearer(body["access_token"])), 401, "session_revoked")


async def test_who_cannot_move_stays(propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock) -> None:
    """A page without script is told at every request, served for as long as its session lives, and signs out by it."""
    await sign_in(entered)
    await turn(propylon, "bearer")
    for _ in range(5):
        clock.advance(GRACE_S + 1)
        assert (await entered.get(WHO)).headers[TOLD] == "bearer"
        assert (await entered.get("/account")).status_code == 200
    assert (await entered.delete(WHO)).status_code == 204


async def test_a_program_without_cookies_goes_on_by_its_body(propylon: Propylon, entered: httpx.AsyncClient) -> None:
    """Bearer to hybrid: no page sent it, so it gets the refresh cookie, and keeps what it knows how to use."""
    await turn(propylon, "bearer")
    body = await sign_in(entered, "bearer")
    await turn(propylon, "hybrid")
    for _ in range(3):
        answer = await entered.post(TOKENS, json={"refresh_token": body["refresh_token"]})
        entered.cookies.clear()
        body = answer.json()
        assert (await entered.get(WHO, headers=held(body))).status_code == 200


async def test_a_script_that_asks_for_an_access_token_alone_is_not_lost(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock
) -> None:
    """A page that has not heard of modes calls an API: it has moved the session, and goes on by its cookie."""
    await sign_in(entered)
    await turn(propylon, "bearer")
    for _ in range(3):
        token = (await entered.post(TOKENS, headers=PAGE)).json()["access_token"]
        clock.advance(GRACE_S + 1)
        assert (await entered.get(WHO)).status_code == 200
        assert (await entered.get(WHO, headers=bearer(token))).status_code == 200


async def test_a_page_elsewhere_plants_no_refresh_cookie(propylon: Propylon, entered: httpx.AsyncClient) -> None:
    """Login CSRF: a token in the body is renewed from anywhere, as ever, and sets no cookie there."""
    await turn(propylon, "bearer")
    body = await sign_in(entered, "bearer")
    await turn(propylon, "hybrid")
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await entered.post(TOKENS, json={"refresh_token": body["refresh_token"]}, headers=elsewhere)
    assert (answer.status_code, answer.headers[TOLD]) == (200, "hybrid")
    assert "refresh_token" in answer.json()
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", [TOKENS, COOKIE])
async def test_a_page_elsewhere_moves_nobody(propylon: Propylon, entered: httpx.AsyncClient, path: str) -> None:
    """What a browser adds by itself is refused, and the session is where it was."""
    await turn(propylon, "bearer" if path == COOKIE else "cookie")
    mode = "bearer" if path == COOKIE else "cookie"
    body = await sign_in(entered, mode)
    await turn(propylon, "cookie" if path == COOKIE else "bearer")
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    refused(await entered.post(path, headers=held(body) | elsewhere), 403, "cross_site_refused")
    assert (await entered.get(WHO, headers=held(body))).json()["session"]["mode"] == mode


async def test_a_cookie_from_before_a_confirmation_becomes_no_refresh_token(
    propylon: Propylon, entered: httpx.AsyncClient
) -> None:
    """Whoever planted it gets what it was good for, and not the session after the step-up."""
    await sign_in(entered)
    old = as_cookie(entered.cookies[SESSION_COOKIE])
    await entered.post("/v1/session/confirm", json={"password": PASSWORD})
    entered.cookies.clear()
    await turn(propylon, "bearer")
    assert "refresh_token" not in (await entered.post(TOKENS, headers=old)).json()


async def test_an_access_token_alone_moves_no_session_to_tokens(propylon: Propylon, entered: httpx.AsyncClient) -> None:
    """A stolen access token must not become a refresh token."""
    await sign_in(entered)
    token = (await entered.post(TOKENS)).json()["access_token"]
    entered.cookies.clear()
    await turn(propylon, "bearer")
    answer = await entered.post(TOKENS, headers=bearer(token))
    refused(answer, 401, "credential_missing")
    assert answer.headers[TOLD] == "bearer"


async def test_a_web_view_does_not_move_the_app(propylon: Propylon, entered: httpx.AsyncClient) -> None:
    """It holds a cookie that the app has handed over; it is not told, and gets an access token alone."""
    await turn(propylon, "bearer")
    body = await sign_in(entered, "bearer")
    await entered.post(COOKIE, headers=held(body))
    await turn(propylon, "hybrid")
    assert TOLD not in (await entered.get(WHO)).headers
    assert "refresh_token" not in (await entered.post(TOKENS)).json()
    assert (await entered.get(WHO)).json()["session"]["mode"] == "bearer"


async def test_a_mode_that_the_server_never_had_is_the_clients_own(
    propylon: Propylon, entered: httpx.AsyncClient
) -> None:
    """An app that signed in with tokens on a server of cookies is not told when that becomes one of hybrids."""
    body = await sign_in(entered, "bearer")
    assert TOLD not in (await entered.get(WHO, headers=held(body))).headers
    await turn(propylon, "hybrid")
    assert TOLD not in (await entered.get(WHO, headers=held(body))).headers
    answer = await entered.post(TOKENS, json={"refresh_token": body["refresh_token"]})
    assert "refresh_token" in answer.json()
    assert "set-cookie" not in answer.headers


async def test_nobody_moves_while_it_is_paused(propylon: Propylon, entered: httpx.AsyncClient) -> None:
    """Nobody is told, and a request to move is answered as one that is not; going on goes on."""
    await sign_in(entered)
    await turn(propylon, "bearer")
    await propylon.runtime.mode_change.pause(paused=True)
    assert TOLD not in (await entered.get(WHO)).headers
    answer = await entered.post(TOKENS)
    assert "refresh_token" not in answer.json()
    assert (await entered.get(WHO)).json()["session"]["mode"] == "cookie"
    await propylon.runtime.mode_change.pause(paused=False)
    assert (await entered.get(WHO)).headers[TOLD] == "bearer"


@pytest.mark.parametrize(("clients", "told"), [("browsers", [True, False]), ("apps", [False, True])])
async def test_browsers_and_apps_move_apart(
    propylon: Propylon, entered: httpx.AsyncClient, connect: Connect, clients: Clients, told: list[bool]
) -> None:
    """By the device that signed in; so do new sign-ins that name no mode."""
    app = connect(propylon, user_agent="ShopApp/3.1 okhttp/4.12.0")
    for client in (entered, app):
        await sign_in(client)
    await turn(propylon, "bearer", clients)
    assert [TOLD in (await client.get(WHO)).headers for client in (entered, app)] == told
    account = {"email": EMAIL, "password": PASSWORD}
    answers = [await client.post("/v1/sessions", json=account) for client in (entered, app)]
    assert [answer.json()["session"]["mode"] == "bearer" for answer in answers] == told


async def test_sessions_that_have_moved_move_back_the_same_way(
    propylon: Propylon, entered: httpx.AsyncClient, connect: Connect
) -> None:
    """Turned round half way: who had moved is told, who had not is at home again."""
    other = connect(propylon)
    before = [await sign_in(client) for client in (entered, other)]
    await turn(propylon, "bearer")
    body = (await moved(entered, before[0], "bearer")).json()
    await turn(propylon, "cookie")
    assert TOLD not in (await other.get(WHO)).headers
    assert (await entered.get(WHO, headers=held(body))).headers[TOLD] == "cookie"
    await moved(entered, body, "cookie")
    report = await propylon.runtime.mode_change.report()
    assert (report.mode, report.previous, report.moved, report.left) == ("cookie", "bearer", 2, 0)


async def test_a_refresh_cookie_that_was_overtaken_does_not_stand_in_the_way(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock
) -> None:
    """An answer from before the move set it once more; the session cookie beside it is the means of renewal."""
    await turn(propylon, "hybrid")
    before = await sign_in(entered, "hybrid")
    stale = entered.cookies[REFRESH_COOKIE]
    await turn(propylon, "cookie")
    cookie = set_cookies(await moved(entered, before, "cookie"))[SESSION_COOKIE][0]
    both = {"cookie": f"{SESSION_COOKIE}={cookie}; {REFRESH_COOKIE}={stale}"}
    entered.cookies.clear()
    within = await entered.post(TOKENS, headers=both)
    assert "Max-Age=0" in set_cookies(within)[REFRESH_COOKIE][1]
    clock.advance(GRACE_S + 1)
    assert (await entered.post(TOKENS, headers=both)).status_code == 200
    refused(await entered.post(TOKENS, headers=as_cookie(stale, REFRESH_COOKIE)), 401, "session_revoked")


async def test_another_sessions_cookie_does_not_stand_in_for_a_refresh_cookie(
    propylon: Propylon, entered: httpx.AsyncClient, connect: Connect, clock: FakeClock
) -> None:
    """One user is not taken for another where the first credential is refused."""
    await turn(propylon, "hybrid")
    before = await sign_in(entered, "hybrid")
    stale = entered.cookies[REFRESH_COOKIE]
    await turn(propylon, "cookie")
    await moved(entered, before, "cookie")
    other = connect(propylon)
    await sign_up(other, "other@example.com")
    await sign_in(other, email="other@example.com")
    both = {"cookie": f"{SESSION_COOKIE}={other.cookies[SESSION_COOKIE]}; {REFRESH_COOKIE}={stale}"}
    other.cookies.clear()
    clock.advance(GRACE_S + 1)
    refused(await other.post(TOKENS, headers=both), 400, "credential_ambiguous")


async def test_a_move_that_fails_changes_nothing_and_is_counted(
    propylon: Propylon, entered: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credential stays what it is, the client tries again, and the operator sees it, on every node's account."""
    await sign_in(entered)
    await turn(propylon, "bearer")

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as trouble:
        trouble.setattr(propylon.runtime.store, "move_session", away)
        refused(await entered.post(TOKENS), 503, "store_unavailable")
    assert (await entered.get(WHO)).headers[TOLD] == "bearer"
    assert (await propylon.runtime.mode_change.report()).errors == 0
    await propylon.runtime.tend()
    assert (await propylon.runtime.mode_change.report()).errors == 1
    assert "refresh_token" in (await entered.post(TOKENS)).json()
    metrics = (await entered.get("/metrics")).text
    assert 'propylon_mode_moves_total{outcome="failed"} 1.0' in metrics
    assert 'propylon_mode_moves_total{outcome="moved"} 1.0' in metrics
    await turn(propylon, "cookie")
    assert (await propylon.runtime.mode_change.report()).errors == 0


async def test_a_renewal_whose_move_fails_is_a_renewal(
    propylon: Propylon, entered: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token was rotated already: it is answered, and asked again."""
    await turn(propylon, "hybrid")
    await sign_in(entered, "hybrid")
    await turn(propylon, "bearer")

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(propylon.runtime.store, "move_session", away)
    answer = await entered.post(TOKENS)
    assert (answer.status_code, answer.headers[TOLD]) == (200, "bearer")
    assert set_cookies(answer)[REFRESH_COOKIE][0]


async def test_nobody_moves_whose_account_is_disabled_or_session_over(
    propylon: Propylon, entered: httpx.AsyncClient
) -> None:
    """A change of mode is no way in."""
    await sign_in(entered)
    await turn(propylon, "bearer")
    await propylon.runtime.administration.disable(EMAIL)
    refused(await entered.post(TOKENS), 401, "user_disabled")


async def test_the_change_ends_by_itself_once_all_have_moved(
    propylon: Propylon, entered: httpx.AsyncClient, clock: FakeClock
) -> None:
    """After the last token from before has expired nobody is looked up any more, or told what they chose themselves."""
    before = await sign_in(entered)
    await turn(propylon, "bearer")
    await propylon.runtime.tend()
    await moved(entered, before, "bearer")
    await propylon.runtime.tend()
    await sign_in(entered)
    await propylon.runtime.tend()
    assert (await entered.get(WHO)).headers[TOLD] == "bearer"
    await entered.delete(WHO)
    await propylon.runtime.tend()
    clock.advance(3600)
    await propylon.runtime.tend()
    assert not (await propylon.runtime.gate.plan()).in_motion
    await sign_in(entered)
    assert TOLD not in (await entered.get(WHO)).headers
    report = await propylon.runtime.mode_change.report()
    assert (report.mode, report.previous) == ("bearer", "cookie")


async def test_of_two_operators_at_once_one_is_told(propylon: Propylon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision is one compare-and-swap: neither is half of the other's."""
    read = propylon.runtime.store.read_setting

    async def before_somebody_else(name: str) -> str | None:
        monkeypatch.undo()
        kept = await read(name)
        await turn(propylon, "hybrid")
        return kept

    monkeypatch.setattr(propylon.runtime.store, "read_setting", before_somebody_else)
    with pytest.raises(Conflict, match="mode_changed_meanwhile"):
        await turn(propylon, "bearer")
    assert (await propylon.runtime.mode_change.report()).mode == "hybrid"


def shop(propylon: Propylon, **cors: Any) -> FastAPI:
    """Return a guarded app, as somebody would write it."""
    app = FastAPI()
    if cors:
        app.add_middleware(CORSMiddleware, **cors)
    Auth(propylon).guard(app, mount=False)

    @app.get("/open")
    async def anyone() -> str:
        return "everybody"

    @app.get("/me")
    async def me(who: SignedIn) -> str:
        return who.session_id

    return app


@pytest.mark.parametrize("mode", MODES)
async def test_a_guarded_app_tells_at_the_next_request(
    propylon: Propylon, entered: httpx.AsyncClient, connect: Connect, mode: str
) -> None:
    """Also where the credential is served from memory; a route that does not ask says nothing."""
    await turn(propylon, mode)
    to = "cookie" if mode != "cookie" else "bearer"
    body = await sign_in(entered, mode)
    presents = held(body) or as_cookie(entered.cookies[SESSION_COOKIE])
    client = connect(shop(propylon))
    for _ in range(2):
        assert TOLD not in (await client.get("/me", headers=presents)).headers
    await turn(propylon, to)
    for _ in range(2):
        assert (await client.get("/me", headers=presents)).headers[TOLD] == to
    assert TOLD not in (await client.get("/open", headers=presents)).headers
    if to == "cookie":
        await moved(entered, body, to)
        assert TOLD not in (await client.get("/me", headers=presents)).headers


async def test_pages_of_configured_origins_may_read_what_a_guarded_app_tells(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """Beside what the app's own CORS lets them read; other origins are told, and their pages cannot read it."""
    propylon = await make_propylon(origins=SHOP)
    cors = {"allow_origins": [SHOP, "https://other.example"], "allow_credentials": True, "expose_headers": ["ETag"]}
    client = connect(propylon)
    await enter(client)
    await turn(propylon, "bearer")
    app = connect(shop(propylon, **cors))
    presents = as_cookie(client.cookies[SESSION_COOKIE])
    answer = await app.get("/me", headers={**presents, "origin": SHOP})
    exposed = ", ".join(answer.headers.get_list("access-control-expose-headers")).lower()
    assert {"propylon-mode", "etag"} <= set(exposed.split(", "))
    other = await app.get("/me", headers={**presents, "origin": "https://other.example"})
    assert "propylon-mode" not in other.headers["access-control-expose-headers"].lower()
    own = await client.get(WHO, headers={"origin": SHOP})
    assert own.headers[TOLD] == "bearer"
    assert "Propylon-Mode" in own.headers["access-control-expose-headers"]
