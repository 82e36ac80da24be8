"""The shop's page in a browser: the same shop in each mode, and what a visitor sees when a session ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from examples import handover
from examples.shop import demo
from playwright.sync_api import Browser, Page, Response, expect
from tests.e2e.shopping import (
    FRESH_S,
    MODES,
    TOKENS,
    Place,
    add,
    beside,
    lose,
    sign_in,
    told,
    travelled,
    wait_for,
)
from tests.e2e.stories import send_sign_in
from tests.shop.launching import Launched

from propylon.client import PropylonAuth
from propylon.errors import CredentialRefused

Arrive = Callable[..., Page]
Look = Callable[[Page, str], None]

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
LOOKS = [
    pytest.param("en-US", "light", DESKTOP, id="en-light-desktop"),
    pytest.param("ko-KR", "dark", DESKTOP, id="ko-dark-desktop"),
    pytest.param("ko-KR", "light", PHONE, id="ko-light-phone"),
    pytest.param("en-US", "dark", PHONE, id="en-dark-phone"),
]
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


Open = Callable[..., Place]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Launched]]:
    """Start the launcher, once for all tests that want the same settings."""
    launched: dict[tuple[tuple[str, str], ...], Launched] = {}

    def start(**settings: str) -> Launched:
        key = tuple(settings.items())
        if key not in launched:
            environ = {f"PROPYLON_{name.upper()}": value for name, value in settings.items()}
            environ["SHOP_FRESH_S"] = str(FRESH_S)
            launched[key] = Launched(tmp_path_factory.mktemp("shop"), environ=environ)
        return launched[key]

    yield start
    for one in launched.values():
        one.end()


@pytest.fixture
def open_shop(running: Callable[..., Launched]) -> Open:
    """Open the shop beside a Propylon of these settings, with a new account."""
    return lambda **settings: Place(running(**settings))


@pytest.mark.parametrize("mode", MODES)
def test_the_shop_is_the_same_in_every_mode(open_shop: Open, visitor: Arrive, mode: str) -> None:
    """Sign in, fill the cart, order, see the order, sign out; and it is over."""
    place, page = open_shop(), visitor()
    place.visit(page)
    expect(page.locator("[data-key=add-lamp]")).to_be_disabled()
    sign_in(page, mode)
    expect(page.locator("#who-email")).to_have_text(place.account["email"])
    expect(page.locator("#facts")).to_contain_text("session cookie" if mode == "cookie" else "bearer token")
    expect(page.locator("#life")).to_be_visible(visible=mode != "cookie")
    add(page, "lamp")
    add(page, "cup")
    page.click("[data-key=more-cup]")
    expect(page.locator("#cart-sum")).to_contain_text("132,000")
    page.click("#order")
    expect(page.locator("#ordered")).to_contain_text("is placed")
    expect(page.locator("#order-lines li")).to_have_count(1)
    expect(page.locator("#order-lines")).to_contain_text("Celadon cup \u00d7 2")
    expect(page.locator("#cart-lines li")).to_have_count(0)
    page.click("#sign-out")
    expect(page.locator("#gate")).to_be_visible()
    expect(page.locator("#gate-title")).to_be_focused()
    assert ("DELETE /v1/session", "204") in travelled(page)
    place.visit(page)
    expect(page.locator("#gate")).to_be_visible()
    expect(page.locator("#problem")).to_be_hidden()


@pytest.mark.parametrize(("mode", "stays"), [("cookie", True), ("hybrid", True), ("bearer", False)])
def test_a_reload_keeps_what_the_browser_keeps(open_shop: Open, visitor: Arrive, mode: str, *, stays: bool) -> None:
    """A cookie survives a reload, and so does what it renews; tokens in the page's memory do not."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, mode)
    add(page, "tea")
    expect(page.locator("#cart-lines li")).to_have_count(1)
    place.visit(page)
    expect(page.locator("#who")).to_be_visible(visible=stays)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#cart-lines li")).to_have_count(int(stays))


@pytest.mark.parametrize("mode", MODES)
def test_an_ended_session_is_told_when_it_ends(open_shop: Open, visitor: Arrive, mode: str) -> None:
    """Somebody ends it on the account page of another device: this page says so by itself, and shows the gate."""
    place, page, laptop = open_shop(), visitor(), visitor()
    place.visit(page)
    sign_in(page, mode)
    laptop.goto(f"{place.propylon}/login")
    send_sign_in(laptop, **place.account)
    laptop.locator("li.device:not(.device--current) form button").click()
    laptop.wait_for_url("**/account?notice=session_ended")
    assert told(page) == "session_revoked"
    expect(page.locator("#gate")).to_be_visible()
    expect(page.locator("#gate-note")).to_have_text("Please sign in again.")
    sign_in(page, mode)
    expect(page.locator("#problem")).to_be_hidden()


@pytest.mark.parametrize("mode", ["cookie", "hybrid"])
def test_a_session_that_ended_meanwhile_is_told_once_after_a_reload(
    open_shop: Open, visitor: Arrive, mode: str
) -> None:
    """The dead cookie is still there; who comes back learns why, and is not told again and again."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, mode)
    page.goto("about:blank")  # where nobody is told
    place.end_all_sessions()
    place.visit(page)
    assert told(page) == "session_revoked"
    place.visit(page)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#gate")).to_be_visible()


@pytest.mark.parametrize("mode", MODES)
def test_an_evicted_session_is_told_at_once_by_what(open_shop: Open, visitor: Arrive, mode: str) -> None:
    """With one session a user, the second device takes the place of the first, whose visitor reads when and by what."""
    place, first, second = open_shop(session_limit="1"), visitor(), visitor()
    place.visit(first)
    sign_in(first, mode)
    tab = beside(first, place)
    expect(tab.locator("#who")).to_be_visible()
    place.visit(second)
    sign_in(second, mode)
    for page in (first, tab):
        assert told(page) == "session_evicted"
        expect(page.locator(".problem__detail")).to_contain_text("UTC")
        expect(page.locator(".problem__detail")).to_contain_text("Chrome")


@pytest.mark.parametrize("mode", ["bearer", "hybrid"])
def test_an_expired_token_is_renewed_before_the_request(open_shop: Open, visitor: Arrive, mode: str) -> None:
    """An hour later the count-down has ended; the next click renews first, so that nothing is refused on the way."""
    place, page = open_shop(), visitor()
    page.clock.install()
    place.visit(page)
    sign_in(page, mode)
    before = len(travelled(page))
    page.clock.fast_forward("01:00:00")
    expect(page.locator("#countdown")).to_have_text("expired")
    add(page, "lamp")
    expect(page.locator("#cart-lines li")).to_have_count(1)
    sent = [(request, status) for request, status in travelled(page)[before:] if request.startswith("POST")]
    assert sent == [(f"POST {TOKENS}", "200"), ("POST /api/cart/lamp", "200")]


def test_a_lost_answer_is_no_sign_out(open_shop: Open, visitor: Arrive) -> None:
    """Propylon cannot be reached: the page says so, and does not claim that the session has ended."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, "cookie")
    page.route("**/v1/session", lambda route: route.abort())
    page.click("#sign-out")
    assert told(page) == "unreachable"
    expect(page.locator("#who")).to_be_visible()
    page.unroute("**/v1/session")
    page.click("#sign-out")
    expect(page.locator("#gate")).to_be_visible()


@pytest.mark.parametrize("arrives", [True, False])
def test_an_order_that_was_lost_is_sent_again_by_itself(open_shop: Open, visitor: Arrive, *, arrives: bool) -> None:
    """It arrived and its answer did not, or it never did: the page sends it again, with the same key."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, "bearer")
    add(page, "ink")
    keys: list[str | None] = []
    page.on("request", lambda one: keys.append(one.headers.get("idempotency-key")))
    lost = lose(page.context, arrives=arrives)
    page.click("#order")
    wait_for(lost, page)
    page.context.unroute("**/api/orders")
    expect(page.locator("#ordered")).to_contain_text("is placed")
    expect(page.locator("#order-lines li")).to_have_count(1)
    expect(page.locator("#problem")).to_be_hidden()
    assert place.orders() == [{"ink": 1}]
    sent = [key for key in keys if key]
    assert len(sent) > 1
    assert len(set(sent)) == 1


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("mode", ["bearer", "hybrid"])
def test_an_order_goes_on_after_a_reload(open_shop: Open, visitor: Arrive, mode: str, *, arrives: bool) -> None:
    """Nobody knows what became of it when the page is left. Whoever is back, or has signed in again, has it once."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, mode)
    add(page, "ink")
    lost = lose(page.context, arrives=arrives)
    page.click("#order")
    wait_for(lost, page)
    page.context.unroute("**/api/orders")
    place.visit(page)
    if mode == "bearer":  # forgotten with the page
        sign_in(page, mode)
    expect(page.locator("#ordered")).to_contain_text("is placed")
    assert place.orders() == [{"ink": 1}]


def test_an_order_that_met_the_end_of_its_session_waits_for_its_owner(open_shop: Open, visitor: Arrive) -> None:
    """Somebody else who signs in meanwhile does not order it; then its owner is back, and it goes on."""
    place, other, page = open_shop(), open_shop(), visitor()
    place.visit(page)
    sign_in(page, "hybrid")
    add(page, "fan")
    lost = lose(page.context, arrives=False)
    page.click("#order")
    wait_for(lost, page)
    place.end_all_sessions()
    assert told(page) == "session_revoked"
    expect(page.locator("#gate-note")).to_contain_text("Your order is waiting")
    page.context.unroute("**/api/orders")
    other.fill_in(page)
    sign_in(page, "hybrid")
    expect(page.locator("#who-email")).to_have_text(other.account["email"])
    page.click("#sign-out")
    expect(page.locator("#gate")).to_be_visible()
    assert (place.orders(), other.orders()) == ([], [])
    place.fill_in(page)
    sign_in(page, "hybrid")
    expect(page.locator("#ordered")).to_contain_text("is placed")
    assert (place.orders(), other.orders()) == ([{"fan": 1}], [])


@pytest.mark.parametrize("mode", MODES)
def test_two_tabs_show_one_cart_order_it_once_and_end_together(open_shop: Open, visitor: Arrive, mode: str) -> None:
    """What one puts in, both show; both press, there is one order; one signs out, both are."""
    place, first = open_shop(), visitor()
    place.visit(first)
    second = beside(first, place)
    sign_in(first, mode)
    expect(second.locator("#who-email")).to_have_text(place.account["email"])
    add(first, "soap")
    expect(second.locator("#cart-lines")).to_contain_text("soap")
    for page in (first, second):
        page.evaluate("document.querySelector('#order').click()")
    for page in (first, second):
        expect(page.locator("#ordered")).to_contain_text("is placed")
        expect(page.locator("#order-lines li")).to_have_count(1)
        expect(page.locator("#cart-lines li")).to_have_count(0)
    assert place.orders() == [{"soap": 1}]
    second.click("#sign-out")
    expect(first.locator("#gate")).to_be_visible()
    expect(first.locator("#gate-note")).to_have_text("You have signed out.")
    expect(first.locator("#problem")).to_be_hidden()


def test_a_big_order_asks_for_the_password_and_goes_on(open_shop: Open, visitor: Arrive) -> None:
    """Closed, it is not placed. A wrong password says so; the right one, and the order that has waited is placed."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, "hybrid")
    for count in range(1, 6):
        add(page, "lamp")
        expect(page.locator(".steps")).to_contain_text(str(count))
    expect(page.locator("#big")).to_be_visible()
    page.wait_for_timeout((FRESH_S + 1) * 1000)
    page.click("#order")
    expect(page.locator("#prove input[name=password]")).to_be_focused()
    page.keyboard.press("Escape")
    assert told(page) == "reauthentication_required"
    page.click("#order")
    page.fill("#prove input[name=password]", "not the password")
    page.keyboard.press("Enter")
    expect(page.locator("#prove-problem")).not_to_be_empty()
    assert place.orders() == []
    page.fill("#prove input[name=password]", place.account["password"])
    page.keyboard.press("Enter")
    expect(page.locator("#ordered")).to_contain_text("is placed")
    expect(page.locator("#prove")).to_be_hidden()
    assert place.orders() == [{"lamp": 5}]


def test_presses_in_a_row_all_count_and_the_focus_stays(open_shop: Open, visitor: Arrive) -> None:
    """Three times + is three more, by the keyboard too; where the line is gone, the focus is at the cart."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, "cookie")
    add(page, "bell")
    more = page.locator("[data-key=more-bell]")
    more.focus()
    for _ in range(3):
        page.keyboard.press("Enter")
    expect(page.locator(".steps")).to_contain_text("4")
    expect(page.locator("[data-key=more-bell]")).to_be_focused()
    expect(page.locator("#said")).to_contain_text("Wind bell, 4")
    page.locator("[data-key=fewer-bell]").focus()
    for _ in range(4):
        page.keyboard.press("Enter")
    expect(page.locator("#cart-lines li")).to_have_count(0)
    expect(page.locator("#cart-title")).to_be_focused()


def test_propylons_own_page_signs_in_and_leads_back(open_shop: Open, visitor: Arrive) -> None:
    """The link goes to the sign-in page and the shop is where one arrives, signed in by the cookie."""
    place, page = open_shop(), visitor()
    place.visit(page)
    page.click("#own-page")
    page.wait_for_url(f"{place.propylon}/login**")
    send_sign_in(page, **place.account)
    page.wait_for_url(f"{place.shop}/")
    expect(page.locator("#who")).to_be_visible()
    expect(page.locator("#who-mode")).to_have_text("Cookie")


@pytest.mark.parametrize("mode", ["bearer", "hybrid"])
def test_a_session_handed_over_opens_the_account_signed_in(open_shop: Open, visitor: Arrive, mode: str) -> None:
    """One session in two forms: the account page lists one device, and ending it there ends it here."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, mode)
    page.click("#hand-over")
    expect(page.locator("#facts")).to_contain_text("the same session")
    expect(page.locator("#account-link")).to_be_focused()
    with page.expect_popup() as opened:
        page.click("#account-link")
    account = opened.value
    expect(account.locator("li.device")).to_have_count(1)
    expect(account.locator("li.device--current")).to_have_count(1)
    account.locator("form[action$='/logout'] button").first.click()
    account.wait_for_url("**/login**")
    expect(page.locator("#gate")).to_be_visible()


def test_a_cookie_session_gets_a_token_for_an_api(open_shop: Open, visitor: Arrive) -> None:
    """The same session in another form; the page tries it out and says how it arrives."""
    place, page = open_shop(), visitor()
    place.visit(page)
    sign_in(page, "cookie")
    page.click("#hand-over")
    expect(page.locator("#said")).to_contain_text("bearer token")
    expect(page.locator("#facts")).to_contain_text("API token")
    expect(page.locator("#facts")).to_contain_text("session cookie")


@pytest.mark.parametrize("ends", ["app", "web view"])
def test_an_app_opens_its_web_view_signed_in(open_shop: Open, visitor: Arrive, ends: str) -> None:
    """What the app has put into the cart is there, and the end in one of them is the end in both."""
    place, page = open_shop(), visitor()
    email, password = place.account.values()
    auth = PropylonAuth(place.propylon, email=email, password=password, apis=[place.shop])
    with httpx.Client(base_url=place.shop, auth=auth) as app:
        app.post("/api/cart/tea", json={"quantity": 2}).raise_for_status()
        cookies = handover.web_view_cookies(place.propylon, auth)
        page.context.add_cookies([{"name": name, "value": cookies[name], "url": place.shop} for name in cookies])
        place.visit(page)
        expect(page.locator("#who-email")).to_have_text(place.account["email"])
        expect(page.locator("#cart-lines")).to_contain_text("Green tea")
        if ends == "app":
            auth.sign_out()
            expect(page.locator("#gate")).to_be_visible()
        else:
            page.click("#sign-out")
            expect(page.locator("#gate")).to_be_visible()
            with pytest.raises(CredentialRefused):
                app.get("/api/cart")


@pytest.mark.parametrize("ends", ["cookie", "token"])
def test_a_page_gets_a_token_for_an_api(open_shop: Open, ends: str) -> None:
    """By its cookie, of the same session; ended by either, both are refused by the shop, which is another process."""
    place = open_shop()
    with httpx.Client() as by_cookie, httpx.Client() as by_token:
        answer = by_cookie.post(f"{place.propylon}/v1/sessions", json={**place.account, "mode": "cookie"})
        session = answer.raise_for_status().json()["session"]
        by_token.headers["authorization"] = f"Bearer {handover.api_token(place.propylon, by_cookie.cookies)}"
        known = [client.get(f"{place.shop}/api/me").json() for client in (by_cookie, by_token)]
        assert [me["credential"] for me in known] == ["cookie", "access_token"]
        assert [me["session_id"] for me in known] == [session["id"]] * 2
        cookies = httpx.Cookies(by_cookie.cookies)
        (by_cookie if ends == "cookie" else by_token).delete(f"{place.propylon}/v1/session").raise_for_status()
        by_cookie.cookies = cookies  # a thief would not let go of it
        refused = [client.get(f"{place.shop}/api/me") for client in (by_cookie, by_token)]
        assert [answer.status_code for answer in refused] == [401, 401]
        assert [answer.json()["code"] for answer in refused] == ["session_revoked"] * 2


def test_a_newcomer_has_nothing_to_type(open_shop: Open, visitor: Arrive) -> None:
    """The demo account stands in the form: one press, and they are in."""
    place, page = open_shop(), visitor()
    page.goto(place.shop)
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#demo-hint")).to_be_visible()
    page.click("#sign-in button[type=submit]")
    expect(page.locator("#who-email")).to_have_text(demo.SIGN_IN["email"])


def test_a_wrong_password_is_told_and_changes_nothing(open_shop: Open, visitor: Arrive) -> None:
    """The refusal stands on the page in words; nobody is signed in."""
    place, page = open_shop(), visitor()
    place.visit(page)
    page.fill("#sign-in input[name=password]", "not the password")
    page.click("#sign-in button[type=submit]")
    assert told(page) == "credentials_wrong"
    expect(page.locator("#gate")).to_be_visible()
    page.click("#problem-close")
    expect(page.locator("#problem")).to_be_hidden()


def test_another_name_of_this_machine_leads_to_the_right_one(open_shop: Open, visitor: Arrive) -> None:
    """Cookies belong to the name: 127.0.0.1 would never see those of localhost."""
    place, page = open_shop(), visitor()
    page.goto(place.shop.replace("localhost", "127.0.0.1"))
    page.wait_for_url(f"{place.shop}/")


def test_the_language_is_switched_at_once_and_stays(open_shop: Open, visitor: Arrive) -> None:
    """Everything that is read, refusals too, is in the language that was chosen."""
    place, page = open_shop(), visitor()
    place.visit(page)
    page.click("[data-language=ko]")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.locator("#gate-title")).to_have_text("로그인")
    page.fill("#sign-in input[name=password]", "not the password")
    page.click("#sign-in button[type=submit]")
    assert told(page) == "credentials_wrong"
    assert not page.locator(".problem__detail").inner_text().isascii()
    place.visit(page)
    expect(page.locator("html")).to_have_attribute("lang", "ko")


BLOCKED = """for (const name of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError") } })"""
FULL = 'Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError") }'


@pytest.mark.parametrize("storage", [BLOCKED, FULL], ids=["blocked", "full"])
def test_the_shop_works_where_the_browser_stores_nothing(open_shop: Open, visitor: Arrive, storage: str) -> None:
    """It is there, sells, and remembers the language while it is open."""
    place, page = open_shop(), visitor()
    page.add_init_script(storage)
    place.visit(page)
    page.click("[data-language=ko]")
    expect(page.locator("#gate-title")).to_have_text("로그인")
    sign_in(page, "cookie")
    add(page, "fan")
    page.click("#order")
    expect(page.locator("#ordered")).to_contain_text("주문을 받았습니다")
    place.visit(page)
    expect(page.locator("#order-lines li")).to_have_count(1)
    page.click("#sign-out")
    expect(page.locator("#gate")).to_be_visible()


def test_a_mistake_of_the_page_is_shown_and_reported(open_shop: Open, chromium: Browser) -> None:
    """Whatever it is: nobody stands before a page that does nothing."""
    place, context = open_shop(), chromium.new_context(locale="en-US")
    page, reported = context.new_page(), list[str]()
    page.on("pageerror", lambda error: reported.append(str(error)))
    place.visit(page)
    sign_in(page, "cookie")
    add(page, "fan")
    expect(page.locator("#cart-lines li")).to_have_count(1)
    page.evaluate("() => { crypto.randomUUID = () => { throw new Error('a mistake') } }")
    page.click("#order")
    assert told(page) == "page_mistaken"
    assert reported == ["a mistake"]
    context.close()


def test_both_languages_have_every_text(open_shop: Open, visitor: Arrive) -> None:
    """Whoever adds a sentence adds it twice."""
    place, page = open_shop(), visitor()
    place.visit(page)
    keys = page.evaluate('import("/texts.js").then(({ TEXTS }) => Object.values(TEXTS).map(Object.keys))')
    assert keys[0] == keys[1]
    said = page.evaluate("[...document.querySelectorAll('[data-say]')].map((element) => element.dataset.say)")
    assert set(said) <= set(keys[0])


@pytest.mark.parametrize(("locale", "scheme", "size"), LOOKS)
def test_the_page_is_accessible_fits_and_is_complete(
    open_shop: Open, visitor: Arrive, look: Look, locale: str, scheme: str, size: dict[str, int]
) -> None:
    """Signed out, signed in and refused: no WCAG violation, no sideways scrolling, no file that is missing."""
    place = open_shop()
    page = visitor(locale=locale, color_scheme=scheme, viewport=size, bypass_csp=True)
    missing: list[str] = []
    page.on("response", lambda answer: missing.append(answer.url) if _is_missing(answer) else None)
    label = f"{locale}-{scheme}-{size['width']}"
    place.visit(page)
    _check(page, locale)
    look(page, f"shop-out-{label}")
    sign_in(page, "bearer")
    for product in ("lamp", "cup", "notebook"):
        add(page, product)
    expect(page.locator("#cart-lines li")).to_have_count(3)
    page.click("#order")
    expect(page.locator("#order-lines li")).to_have_count(1)
    add(page, "fan")
    expect(page.locator("#cart-lines li")).to_have_count(1)
    _check(page, locale)
    look(page, f"shop-in-{label}")
    page.evaluate("document.querySelector('#prove').showModal()")
    _check(page, locale)
    look(page, f"shop-prove-{label}")
    page.keyboard.press("Escape")
    place.end_all_sessions()
    assert told(page) == "session_revoked"
    _check(page, locale)
    look(page, f"shop-ended-{label}")
    assert missing == []


def _is_missing(answer: Response) -> bool:
    return answer.status >= 400 and answer.status != 401


def _check(page: Page, locale: str) -> None:
    assert page.locator("html").get_attribute("lang") == locale[:2]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found: list[dict[str, Any]] = Axe().run(page, options=RULES).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
