"""The pages without a browser: what forms post back, where they lead, and that nothing hostile gets into them."""

from __future__ import annotations

import httpx
import pytest
from tests.http.driving import (
    CHROME,
    EMAIL,
    PASSWORD,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    enter,
    refused,
    set_cookies,
    sign_in,
    sign_up,
)
from tests.web.parsing import Element, Page

from propylon import Propylon

SHOP = "https://shop.example"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}${7*7}"
SECRET = "a-secret-that-was-typed"


@pytest.fixture
async def browser(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A browser that has not been here."""
    return connect(in_memory)


def values(page: Page) -> dict[str, str]:
    """Return what every named input holds, but those of the language switch at the foot of each page."""
    return {
        field.attributes["name"]: field.attributes.get("value", "")
        for field in page.all("input")
        if "name" in field.attributes and not is_of_the_switch(field)
    }


def is_of_the_switch(field: Element) -> bool:
    """Return whether an input belongs to the form that changes the language."""
    form = field.inside("form")
    return form is not None and form.attributes["action"] == "/language"


async def test_the_whole_way_through_the_pages(browser: httpx.AsyncClient) -> None:
    """Sign-up, sign-in, account, sign-out: each form leads to the next page by a 303."""
    made = await browser.post("/signup", data={"email": EMAIL, "password": PASSWORD, "name": "Mina"})
    assert (made.status_code, made.headers["location"]) == (303, "/login?notice=account_created")
    assert 'role="status"' in (await browser.get(made.headers["location"])).text
    entered = await browser.post("/login", data={"email": EMAIL, "password": PASSWORD, "next": ""})
    assert (entered.status_code, entered.headers["location"]) == (303, "/account")
    assert set(set_cookies(entered)) == {SESSION_COOKIE}
    account = await browser.get("/account")
    assert (account.status_code, EMAIL in account.text) == (200, True)
    left = await browser.post("/logout")
    assert (left.status_code, left.headers["location"]) == (303, "/login?notice=signed_out")
    assert left.headers["clear-site-data"] == '"cache"'
    assert (await browser.get("/account")).headers["location"] == "/login?next=/account"


async def test_the_pages_use_the_cookie_whatever_the_mode_of_the_api(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """They are a browser client of their own; a bearer header is not for them."""
    browser = connect(await make_propylon(store="memory", mode="bearer"))
    await sign_up(browser)
    await browser.post("/login", data={"email": EMAIL, "password": PASSWORD})
    assert (await browser.get("/account")).status_code == 200
    token = (await sign_in(connect(browser_app(browser)), "bearer"))["access_token"]
    browser.cookies.clear()
    answer = await browser.get("/account", headers=bearer(token))
    assert answer.headers["location"] == "/login?next=/account"
    assert EMAIL not in (await browser.get("/", headers=bearer(token))).text


def browser_app(client: httpx.AsyncClient) -> object:
    """Return the app behind a client."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    return transport.app


async def test_a_refused_sign_in_posts_back_all_but_the_password(browser: httpx.AsyncClient) -> None:
    """401 with the form as it was typed, a sentence at the top, and the password nowhere."""
    data = {"email": EMAIL, "password": SECRET, "remember": "yes", "next": "/orders?x=1&y=2"}
    answer = await browser.post("/login", data=data)
    page = Page(answer.text)
    assert answer.status_code == 401
    assert values(page) | {"remember": "yes"} == {
        "email": EMAIL,
        "password": "",
        "remember": "yes",
        "next": "/orders?x=1&y=2",
    }
    assert "checked" in page.having("name", "remember")[0].attributes
    assert SECRET not in answer.text
    assert page.by_id("sign-in-errors").text


async def test_a_refused_sign_up_posts_back_all_but_the_password(browser: httpx.AsyncClient) -> None:
    """422 with the reason beside the field; 409 where the address is taken."""
    short = await browser.post("/signup", data={"email": EMAIL, "password": "short1", "name": "Mina"})
    assert short.status_code == 422
    assert values(Page(short.text)) == {"email": EMAIL, "name": "Mina", "password": ""}
    assert "short1" not in short.text
    await sign_up(browser)
    taken = await browser.post("/signup", data={"email": EMAIL, "password": SECRET, "name": "Mina"})
    assert taken.status_code == 409
    assert SECRET not in taken.text


async def test_a_refused_change_of_password_posts_back_nothing(browser: httpx.AsyncClient) -> None:
    """Neither the old nor the new one; 401 for a wrong one, 422 for a poor one."""
    await enter(browser)
    wrong = await browser.post("/account/password", data={"current_password": SECRET, "new_password": SECRET + "2"})
    poor = await browser.post("/account/password", data={"current_password": PASSWORD, "new_password": "short1"})
    assert (wrong.status_code, poor.status_code) == (401, 422)
    for answer in (wrong, poor):
        assert SECRET not in answer.text
        assert PASSWORD not in answer.text
        assert "short1" not in answer.text


async def test_a_refused_profile_posts_back_what_was_typed(browser: httpx.AsyncClient) -> None:
    """422 with the name as typed; the account keeps the old one."""
    await enter(browser)
    answer = await browser.post("/account/profile", data={"name": "x" * 101})
    assert answer.status_code == 422
    assert values(Page(answer.text))["name"] == "x" * 101
    assert (await browser.get("/v1/session")).json()["user"]["name"] == "Mina"


OURS = (
    "/orders",
    "/orders?x=1#y",
    "/a/../b",
    "/%2f%2fevil.example",
    "/;@evil.example",
    f"{SHOP}/cart",
    "http://localhost:8000/x",
)
ELSEWHERE = (
    "https://evil.example",
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "http://shop.example/",
    "https://shop.example.evil.example/",
    "https://shop.example@evil.example/",
    "https://evil.example@shop.example/",
    "https://shop.example:8443/",
    "https://shop.example\\.evil.example",
    "https://shop.example%2eevil.example",
    "https://evil.example#https://shop.example",
    "https://[",
    "https://[::1",
    "javascript:alert(1)",
    "data:text/html,x",
    "JaVaScRiPt:alert(1)",
    "vbscript:x",
    "orders",
    "./orders",
    "?x",
    "#x",
    "/orders\x00",
    "/\u202eorders",
    "/\uff0fevil.example",
    "\u2044/evil.example",
    "/x\r\nSet-Cookie: evil=1",
    "/" + "a" * 2_001,
)


@pytest.fixture
async def at_the_door(make_propylon: MakePropylon, connect: Connect) -> httpx.AsyncClient:
    """A browser of somebody with an account, at a service with one configured origin."""
    client = connect(await make_propylon(store="memory", origins=SHOP))
    await sign_up(client)
    return client


@pytest.mark.parametrize("target", OURS)
async def test_a_sign_in_leads_on_to_our_own_addresses(at_the_door: httpx.AsyncClient, target: str) -> None:
    """A path of this host, its own origin, or a configured one."""
    form = await at_the_door.get("/login", params={"next": target})
    assert values(Page(form.text))["next"] == target
    answer = await at_the_door.post("/login", data={"email": EMAIL, "password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, target)


async def test_a_sign_in_leads_nowhere_else(at_the_door: httpx.AsyncClient) -> None:
    """No open redirector: each trick ends at the account page, and is not even carried through the form."""
    for target in ELSEWHERE:
        form = await at_the_door.get("/login", params={"next": target})
        assert "evil" not in form.text
        assert "alert" not in form.text
        answer = await at_the_door.post("/login", data={"email": EMAIL, "password": PASSWORD, "next": target})
        assert (answer.status_code, answer.headers["location"]) == (303, "/account"), target
        switch = await at_the_door.post("/language", data={"language": "ko", "next": target})
        assert (switch.status_code, switch.headers["location"]) == (303, "/"), target
        assert "evil" not in str(switch.headers)


@pytest.mark.parametrize("path", ["/", "/login", "/signup", "/docs", "/account"])
async def test_a_notice_is_one_of_ours_or_none(browser: httpx.AsyncClient, path: str) -> None:
    """A parameter chooses among sentences; it brings none along."""
    await enter(browser)
    for notice in (HOSTILE, "account_created ", "ACCOUNT_CREATED", "page.notice.signed_out", "__class__", "../x", ""):
        page = await browser.get(path, params={"notice": notice})
        assert page.status_code == 200
        assert "notice" not in {element.attributes.get("class") for element in Page(page.text).elements}
        assert "<script>alert" not in page.text
    known = await browser.get(path, params={"notice": "profile_saved"})
    assert "notice" in {element.attributes.get("class") for element in Page(known.text).elements}


async def test_hostile_text_stays_text_on_every_page(in_memory: Propylon, connect: Connect) -> None:
    """Name, user agent, typed address, query and cookie: escaped wherever they come up again."""
    mina = connect(in_memory, user_agent=HOSTILE)
    name = HOSTILE[:100]
    await mina.post("/v1/users", json={"email": EMAIL, "password": PASSWORD, "name": name})
    await sign_in(mina)
    await sign_in(connect(in_memory, user_agent=f"Mozilla/5.0 ({HOSTILE}) {HOSTILE}/140.0"))
    answers = [await mina.get("/account"), await mina.get("/", params={HOSTILE: HOSTILE})]
    answers += [await mina.post("/login", data={"email": HOSTILE, "password": "x", "next": HOSTILE})]
    answers += [await mina.post("/signup", data={"email": HOSTILE, "password": "x", "name": HOSTILE})]
    answers += [await mina.post("/account/profile", data={"name": HOSTILE + "\x00"})]
    answers += [await mina.post("/account/sessions/end", data={"session": HOSTILE})]
    for answer in answers:
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text
        Page(answer.text)  # well-formed: nothing broke out of its attribute
    assert values(Page(answers[0].text))["name"] == name
    assert values(Page(answers[2].text))["email"] == HOSTILE


async def test_devices_are_ended_by_form(in_memory: Propylon, connect: Connect) -> None:
    """One other, all others, oneself; another user's id is a page that says there is no such thing."""
    mina, phone, jun = connect(in_memory), connect(in_memory, user_agent=CHROME), connect(in_memory)
    await enter(mina)
    phone_id = (await sign_in(phone))["session"]["id"]
    await sign_up(jun, "jun@example.com")
    jun_id = (await sign_in(jun, email="jun@example.com"))["session"]["id"]
    foreign = await mina.post("/account/sessions/end", data={"session": jun_id})
    assert foreign.status_code == 404
    assert (await jun.get("/v1/session")).status_code == 200
    one = await mina.post("/account/sessions/end", data={"session": phone_id})
    assert one.headers["location"] == "/account?notice=session_ended"
    refused(await phone.get("/v1/session"), 401, "session_revoked")
    await sign_in(phone)
    others = await mina.post("/account/sessions/end-others")
    assert others.headers["location"] == "/account?notice=others_ended"
    refused(await phone.get("/v1/session"), 401, "session_revoked")
    own = (await mina.get("/v1/session")).json()["session"]["id"]
    assert (await mina.post("/account/sessions/end", data={"session": own})).headers["location"].startswith("/login")
    assert (await mina.get("/account")).status_code == 303


async def test_a_dead_cookie_is_told_at_the_account_and_is_a_visitor_elsewhere(
    in_memory: Propylon, connect: Connect
) -> None:
    """Why it is over, above the form that begins anew; the open pages simply show what visitors see."""
    mina, phone = connect(in_memory), connect(in_memory)
    await enter(mina)
    await sign_in(phone)
    await mina.delete("/v1/sessions", params={"keep": "current"})
    account = await phone.get("/account")
    assert account.status_code == 401
    assert values(Page(account.text))["next"] == "/account"
    assert Page(account.text).by_id("sign-in-errors").text
    for path in ("/", "/login", "/signup", "/docs"):
        page = await phone.get(path)
        assert (page.status_code, 'action="/logout"' in page.text) == (200, False)


@pytest.mark.parametrize(
    "path", ["/account/profile", "/account/password", "/account/sessions/end", "/account/sessions/end-others"]
)
async def test_a_form_of_the_account_needs_a_session(browser: httpx.AsyncClient, path: str) -> None:
    """401 as a page with a way to sign in; its language switch leads to an address that can be read."""
    answer = await browser.post(path, data={"name": "x"})
    assert answer.status_code == 401
    page = Page(answer.text)
    assert "/login" in {link.attributes["href"] for link in page.all("a") if "href" in link.attributes}
    (where,) = [field.attributes["value"] for field in page.having("name", "next")]
    assert (await browser.get(where)).status_code == 200


async def test_signing_out_twice_is_signed_out(browser: httpx.AsyncClient) -> None:
    """Somebody who is out already is simply shown the door."""
    await enter(browser)
    for _ in range(2):
        assert (await browser.post("/logout")).headers["location"] == "/login?notice=signed_out"
    assert (await browser.get("/logout")).status_code == 405


async def test_two_tossed_cookies_are_told_on_a_page(browser: httpx.AsyncClient) -> None:
    """S86: 400 at the account and at its forms; the sign-in page stays open as the way out."""
    tossed = {"cookie": f"{SESSION_COOKIE}=a; {SESSION_COOKIE}=b"}
    assert (await browser.get("/account", headers=tossed)).status_code == 400
    assert (await browser.post("/account/profile", data={"name": "x"}, headers=tossed)).status_code == 400
    assert (await browser.get("/login", headers=tossed)).status_code == 200
