"""Step-up for people: a route that needs the password again leads to ``/confirm``, and ``/confirm`` leads back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.http.driving import (
    EMAIL,
    PASSWORD,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    cookie_value,
    enter,
    set_cookies,
    sign_in,
    sign_up,
)
from tests.web.parsing import Page

from propylon import Demand, Propylon, PropylonError
from propylon.testing import FakeClock

NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin", "accept": "text/html"}
BACK = "/pay?order=7"


def shop(propylon: Propylon, pages: str | None) -> Starlette:
    """Return an app with a route that needs a fresh sign-in, one that needs time, and one that needs a role."""

    def guarded(demand: Demand) -> Any:
        async def route(request: Request) -> Response:
            return JSONResponse({"user": (await request.scope["propylon"].require(demand)).user_id})

        return route

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, PropylonError)
        told = propylon.reply(error, request.scope, pages=pages)
        return Response(told.body, told.status, told.headers)

    demands = {"/pay": Demand.of(fresh_s=200), "/soon": Demand.of(left_s=60), "/admin": Demand.of(roles="admin")}
    routes = [Route(path, guarded(demand), methods=["GET", "POST"]) for path, demand in demands.items()]
    app = Starlette(routes=routes, exception_handlers={PropylonError: refuse})
    app.add_middleware(propylon.protect)
    return app


@pytest.fixture
async def home(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A browser that is signed in at Propylon."""
    client = connect(in_memory)
    await enter(client)
    return client


@pytest.fixture
def at_shop(in_memory: Propylon, connect: Connect, home: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same browser at the shop that Propylon guards."""
    client = connect(shop(in_memory, "/auth"))
    client.cookies = home.cookies
    return client


async def test_a_sign_in_of_just_now_is_fresh_and_an_old_one_is_not(
    at_shop: httpx.AsyncClient, clock: FakeClock
) -> None:
    """To the second; the refusal says how recent it has to be (RFC 9470)."""
    clock.advance(200)
    assert (await at_shop.post("/pay")).status_code == 200
    clock.advance(1)
    answer = await at_shop.post("/pay")
    assert (answer.status_code, answer.json()["code"]) == (401, "reauthentication_required")
    assert answer.json()["max_age"] == 200
    challenge = 'Bearer error="insufficient_user_authentication", max_age="200"'
    assert (answer.headers["www-authenticate"], answer.headers["cache-control"]) == (challenge, "no-store")


async def test_confirming_makes_the_next_request_pass(
    home: httpx.AsyncClient, at_shop: httpx.AsyncClient, clock: FakeClock
) -> None:
    """With the new cookie; the one from before stays as old as it was."""
    old = {"cookie": f"{SESSION_COOKIE}={home.cookies[SESSION_COOKIE]}"}
    clock.advance(201)
    answer = await home.post("/confirm", data={"password": PASSWORD, "next": BACK})
    assert (answer.status_code, answer.headers["location"]) == (303, BACK)
    new = {"cookie": f"{SESSION_COOKIE}={cookie_value(answer)}"}
    at_shop.cookies.clear()
    assert (await at_shop.post("/pay", headers=new)).status_code == 200
    assert (await at_shop.post("/pay", headers=old)).json()["code"] == "reauthentication_required"


async def test_a_token_is_fresh_again_only_when_it_is_a_new_one(
    in_memory: Propylon, connect: Connect, at_shop: httpx.AsyncClient, clock: FakeClock
) -> None:
    """A thief who holds the token from before gains nothing by its owner's confirming."""
    app = connect(in_memory)
    body = await sign_in(app, "bearer")
    at_shop.cookies.clear()
    clock.advance(201)
    assert (await at_shop.post("/pay", headers=bearer(body["access_token"]))).status_code == 401
    await app.post("/v1/session/confirm", json={"password": PASSWORD}, headers=bearer(body["access_token"]))
    assert (await at_shop.post("/pay", headers=bearer(body["access_token"]))).status_code == 401
    renewed = (await app.post("/v1/session/tokens", json={"refresh_token": body["refresh_token"]})).json()
    assert (await at_shop.post("/pay", headers=bearer(renewed["access_token"]))).status_code == 200


async def test_a_token_that_ends_too_soon_is_to_be_renewed_first(
    in_memory: Propylon, connect: Connect, at_shop: httpx.AsyncClient, clock: FakeClock
) -> None:
    """What begins now must not end in the middle; a cookie is renewed by every request and passes."""
    body = await sign_in(connect(in_memory), "bearer")
    clock.advance(body["expires_in"] - 59)
    assert (await at_shop.post("/soon")).status_code == 200
    at_shop.cookies.clear()
    answer = await at_shop.post("/soon", headers=bearer(body["access_token"]))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expiring")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("path", "page"), [(BACK, "/auth/confirm?next=/pay%3Forder%3D7"), ("/soon", "/auth/login?next=/soon")]
)
async def test_a_person_who_opens_a_page_is_led_to_what_it_needs(
    at_shop: httpx.AsyncClient, clock: FakeClock, path: str, page: str
) -> None:
    """To the confirmation when signed in, to the sign-in otherwise; the answer is kept by no cache."""
    clock.advance(201)
    if page.startswith("/auth/login"):
        at_shop.cookies.clear()
    answer = await at_shop.get(path, headers=NAVIGATION)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert answer.headers["cache-control"] == "no-store"


async def test_what_is_no_page_gets_its_refusal(at_shop: httpx.AsyncClient, clock: FakeClock) -> None:
    """A script, a form that was sent, and somebody who lacks the role are not led anywhere."""
    clock.advance(201)
    assert (await at_shop.get("/pay", headers={**NAVIGATION, "sec-fetch-mode": "cors"})).status_code == 401
    assert (await at_shop.post("/pay", headers=NAVIGATION)).status_code == 401
    assert (await at_shop.get("/admin", headers=NAVIGATION)).status_code == 403


async def test_without_pages_nobody_is_led_anywhere(in_memory: Propylon, connect: Connect) -> None:
    """An app that names no pages, an API, refuses everybody alike."""
    answer = await connect(shop(in_memory, None)).get("/pay", headers=NAVIGATION)
    assert (answer.status_code, answer.json()["code"]) == (401, "credential_missing")


async def test_pages_on_another_origin_lead_back_to_the_whole_address(in_memory: Propylon, connect: Connect) -> None:
    """The path alone would lead to the wrong host."""
    answer = await connect(shop(in_memory, "https://id.example")).get("/pay", headers=NAVIGATION)
    assert answer.headers["location"].startswith("https://id.example/login?next=http%3A//")


async def test_the_page_asks_for_the_password_of_who_is_signed_in(home: httpx.AsyncClient) -> None:
    """It says whose, leads on where it was asked to, and only there."""
    page = Page((await home.get("/confirm", params={"next": BACK})).text)
    assert EMAIL in page.by_id("confirm-password").inside("form").text  # type: ignore[union-attr]
    assert page.having("name", "next")[0].attributes["value"] == BACK


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_the_page_leads_nowhere_else(home: httpx.AsyncClient, target: str) -> None:
    """It is no open redirector: what is not ours is forgotten."""
    page = Page((await home.get("/confirm", params={"next": target})).text)
    assert page.having("name", "next")[0].attributes["value"] == ""
    answer = await home.post("/confirm", data={"password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/account"


async def test_a_wrong_password_changes_nothing(
    home: httpx.AsyncClient, at_shop: httpx.AsyncClient, clock: FakeClock
) -> None:
    """401 with the form again; no new cookie, no time of authentication, the password nowhere."""
    clock.advance(201)
    answer = await home.post("/confirm", data={"password": "not it at all", "next": BACK})
    assert (answer.status_code, set_cookies(answer)) == (401, {})
    assert "not it at all" not in answer.text
    assert "That is not your password." in answer.text
    assert Page(answer.text).having("name", "next")[0].attributes["value"] == BACK
    assert (await at_shop.post("/pay")).status_code == 401


async def test_guesses_are_counted(home: httpx.AsyncClient) -> None:
    """Whoever sits at an unlocked screen cannot try a list of passwords."""
    statuses = [(await home.post("/confirm", data={"password": f"guess {number}"})).status_code for number in range(12)]
    assert statuses[-1] == 429
    assert 303 not in statuses


async def test_another_site_cannot_confirm(home: httpx.AsyncClient) -> None:
    """Its form is refused for whose it is, before any password is looked at."""
    headers = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    answer = await home.post("/confirm", data={"password": PASSWORD}, headers=headers)
    assert (answer.status_code, set_cookies(answer)) == (403, {})


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_visitor_signs_in_instead(in_memory: Propylon, connect: Connect, method: str) -> None:
    """A sign-in confirms as much, and the way back is kept."""
    visitor = connect(in_memory)
    target = {"params": {"next": BACK}} if method == "GET" else {"data": {"next": BACK, "password": "x"}}
    answer = await visitor.request(method, "/confirm", **target)  # type: ignore[arg-type]
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/pay%3Forder%3D7")


async def test_who_was_signed_out_meanwhile_is_told_so(home: httpx.AsyncClient) -> None:
    """The form that begins a new session stands below the reason, with the way back in it."""
    cookie = home.cookies[SESSION_COOKIE]
    await home.delete("/v1/session")
    answer = await home.get("/confirm", params={"next": BACK}, headers={"cookie": f"{SESSION_COOKIE}={cookie}"})
    page = Page(answer.text)
    assert answer.status_code == 401
    assert page.by_id("sign-in-errors").text
    assert page.having("name", "next")[0].attributes["value"] == BACK


async def test_a_mounted_page_leads_back_to_the_app_around_it(make_propylon: MakePropylon, connect: Connect) -> None:
    """Paths count from the root of the host: the app that Propylon is mounted in."""
    from starlette.routing import Mount  # noqa: PLC0415 - only here

    propylon = await make_propylon(store="memory")
    browser = connect(Starlette(routes=[Mount("/auth", propylon)]))
    await sign_up(connect(propylon))
    await browser.post("/auth/login", data={"email": EMAIL, "password": PASSWORD})
    answer = await browser.post("/auth/confirm", data={"password": PASSWORD, "next": BACK})
    assert (answer.status_code, answer.headers["location"]) == (303, BACK)
