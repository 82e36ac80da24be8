"""The pages as people meet them: languages, light and dark, phone and desktop, keyboard, screen reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from tests.e2e.conftest import Serve
from tests.e2e.stories import EMAIL, PASSWORD, send_sign_in, sign_in, sign_up

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
# "color-contrast" and all other rules of WCAG 2.2 A and AA.
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


@pytest.mark.parametrize(("locale", "scheme", "size"), LOOKS)
def test_every_page_is_accessible_and_fits(
    serve: Serve, visitor: Arrive, look: Look, locale: str, scheme: str, size: dict[str, int]
) -> None:
    """No WCAG A or AA violation that axe-core can find, no sideways scrolling, the right language."""
    url = serve()
    page = visitor(locale=locale, color_scheme=scheme, viewport=size, bypass_csp=True)
    label = f"{locale}-{scheme}-{size['width']}"
    for path in ("", "login", "signup", "docs", "nowhere"):
        page.goto(f"{url}/{path}") if path != "nowhere" else page.goto(f"{url}/login?notice=signed_out")
        _check(page, locale)
        look(page, f"{path or 'start'}-{label}")
    sign_up(page, url)
    sign_in(page, url)
    _check(page, locale)
    look(page, f"account-{label}")
    page.goto(f"{url}/confirm?next=/account")
    _check(page, locale)
    look(page, f"confirm-{label}")
    page.goto(f"{url}/account")
    page.fill("input[name=current_password]", PASSWORD)
    page.fill("input[name=new_password]", "password")
    page.locator("form[action$='/account/password'] button[type=submit]").click()
    expect(page.locator("#password-errors, .summary").first).to_be_visible()
    _check(page, locale)
    look(page, f"refused-{label}")


def _check(page: Page, locale: str) -> None:
    assert page.locator("html").get_attribute("lang") == locale[:2]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found: list[dict[str, Any]] = Axe().run(page, options=RULES).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], page.url


def test_the_keyboard_alone_signs_in(serve: Serve, visitor: Arrive) -> None:
    """Tab reaches the fields in order, Enter sends the form."""
    url = serve()
    page = visitor()
    sign_up(page, url)
    page.goto(f"{url}/login")
    for _ in range(20):
        if page.evaluate("document.activeElement.name") == "email":
            break
        page.keyboard.press("Tab")
    page.keyboard.type(EMAIL)
    while page.evaluate("document.activeElement.name") != "password":
        page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")


@pytest.mark.parametrize("javascript", [True, False])
def test_the_language_switch_holds(serve: Serve, visitor: Arrive, *, javascript: bool) -> None:
    """Somebody with an English browser who chooses Korean stays with Korean, and comes back to the same page."""
    url = serve()
    page = visitor(java_script_enabled=javascript)
    page.goto(f"{url}/login")
    page.locator("form[action$='/language'] button[value=ko]").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    assert page.url == f"{url}/login"
    page.goto(f"{url}/signup")
    expect(page.locator("html")).to_have_attribute("lang", "ko")


def test_a_wrong_password_keeps_what_was_typed_but_the_password(serve: Serve, visitor: Arrive) -> None:
    """The address stays, the password does not, and the answer is one sentence."""
    url = serve()
    page = visitor()
    page.goto(f"{url}/login")
    send_sign_in(page, EMAIL, "not the password")
    expect(page.locator("input[name=email]")).to_have_value(EMAIL)
    expect(page.locator("input[name=password]")).to_have_value("")
    expect(page.locator("main")).to_contain_text("do not belong together")


def test_a_new_password_signs_the_other_devices_out(serve: Serve, visitor: Arrive) -> None:
    """The page changes the password; this device stays, the other goes, the old password is worth nothing."""
    url = serve()
    here, there = visitor(), visitor()
    sign_up(here, url)
    sign_in(here, url)
    sign_in(there, url)
    here.fill("input[name=current_password]", PASSWORD)
    here.fill("input[name=new_password]", "another quiet river")
    here.locator("form[action$='/account/password'] button[type=submit]").click()
    here.wait_for_url("**/account?notice=password_changed")
    there.goto(f"{url}/account")
    expect(there.locator("input[name=password]")).to_be_visible()
    send_sign_in(there, EMAIL, PASSWORD)
    expect(there.locator("main")).to_contain_text("do not belong together")


def test_a_hostile_next_leads_nowhere_else(serve: Serve, visitor: Arrive) -> None:
    """A link that looks like ours must not lead to another site after the sign-in (open redirect)."""
    url = serve()
    page = visitor()
    sign_up(page, url)
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        page.goto(f"{url}/login?next={target}")
        send_sign_in(page)
        page.wait_for_url(f"{url}/account")


def test_signing_out_shows_nothing_to_the_back_button(serve: Serve, visitor: Arrive) -> None:
    """After signing out, going back asks for a sign-in: nothing personal was kept."""
    url = serve()
    page = visitor()
    sign_up(page, url)
    sign_in(page, url)
    page.locator("form[action$='/logout'] button").first.click()
    page.wait_for_url("**/login?notice=signed_out")
    page.go_back()
    expect(page.locator("main")).not_to_contain_text(EMAIL)
