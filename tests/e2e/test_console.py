"""The console in a real browser: a change of mode that an administrator watches, pauses and turns round."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from tests.e2e.stories import EMAIL, PASSWORD, send_sign_in
from tests.e2e.test_pages import DESKTOP, PHONE, RULES
from tests.http.serving import Served, ServedSettings

Arrive = Callable[..., Page]
Look = Callable[[Page, str], None]

# The page asks again every five seconds, of a machine that may be slow.
IN_TIME_MS = 60_000
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one administrator."""
    directory = tmp_path_factory.mktemp("console")
    (directory / "propylon.toml").write_text('[roles]\nadmin = ["propylon:mode"]\n')
    server = Served(ServedSettings(directory, {}))
    server.run("user", "add", EMAIL, "--role", "admin", typed=PASSWORD + "\n")
    server.start()
    yield server
    server.send(signal.SIGTERM)
    assert server.stopped() == 0


@pytest.fixture(autouse=True)
def steady(served: Served) -> Iterator[None]:
    """Every story begins and ends with cookies for everybody."""
    yield
    served.run("mode", "set", "cookie")


@contextmanager
def shopper(served: Served) -> Iterator[httpx.Client]:
    """Somebody's browser, signed in by cookie."""
    with httpx.Client(base_url=served.url, headers={"user-agent": FIREFOX}) as client:
        answer = client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "cookie"})
        assert answer.status_code == 201
        yield client


def enter(page: Page, served: Served) -> None:
    """Open the console as a visitor, sign in, and be there."""
    page.goto(f"{served.url}/console")
    send_sign_in(page)
    page.wait_for_url("**/console")


def choose(page: Page, mode: str, whose: str = "all") -> None:
    """Send the form."""
    page.check(f"#mode-{mode}")
    page.check(f"#for-{whose}")
    page.locator("main form:has(#mode-cookie) button[type=submit]").click()
    page.wait_for_url("**/console?notice=*")


def counted(page: Page, word: str) -> int:
    """Return a figure of the browsers."""
    shown = page.locator(".course").first.locator("dl > div").filter(has_text=word).locator("dd").text_content()
    return int((shown or "").replace(",", ""))


def look_until(page: Page, seen: Callable[[], bool]) -> None:
    """Come back to the tab again and again, for which the page does not wait for its next round."""
    for _ in range(IN_TIME_MS // 200):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(200)
        if seen():
            return
    raise AssertionError(page.locator("main").inner_text())


def test_the_progress_goes_on_by_itself(served: Served, visitor: Arrive) -> None:
    """Somebody moves, and it is seen without anybody loading the page; a decision from elsewhere loads it."""
    with shopper(served) as other:
        page = visitor()
        enter(page, served)
        choose(page, "bearer", "browsers")
        expect(page.locator("#live-state")).to_have_text("Sessions are moving.")
        page.evaluate("window.notLoadedAgain = true")
        before = counted(page, "Moved")
        assert other.post("/v1/session/tokens").status_code == 200
        look_until(page, lambda: counted(page, "Moved") == before + 1)
        assert page.evaluate("window.notLoadedAgain")
        served.run("mode", "pause")
        look_until(page, page.get_by_role("button", name="Go on").is_visible)
        expect(page.locator("#live-state")).to_have_text("Paused: nobody is asked to move.")


def test_who_is_signed_out_meanwhile_is_told_that_nothing_is_refreshed(served: Served, visitor: Arrive) -> None:
    """Figures that stand still look like progress that stands still."""
    page = visitor()
    enter(page, served)
    choose(page, "hybrid")
    expect(page.locator("#live-lost")).to_be_hidden()
    page.context.clear_cookies()
    expect(page.locator("#live-lost")).to_be_visible(timeout=IN_TIME_MS)


def test_a_page_that_nobody_minds_keeps_nobody_signed_in(served: Served, visitor: Arrive) -> None:
    """Each look is activity of the session: after ten minutes without a sign of somebody there is none."""
    page = visitor()
    page.clock.install()
    enter(page, served)
    choose(page, "bearer", "browsers")
    with page.expect_request("**/console"):
        page.clock.fast_forward("00:06")
    page.clock.fast_forward("10:01")
    looks: list[str] = []
    page.on("request", lambda request: looks.append(request.url))
    for _ in range(3):
        page.clock.fast_forward("00:06")
    page.keyboard.press("Shift")
    with page.expect_request("**/console"):
        page.clock.fast_forward("00:06")
    assert len(looks) == 1


@pytest.mark.parametrize("javascript", [True, False])
def test_there_paused_and_back(served: Served, visitor: Arrive, *, javascript: bool) -> None:
    """With a script and without one."""
    page = visitor(java_script_enabled=javascript)
    enter(page, served)
    choose(page, "bearer")
    for button, said in (
        ("Pause", "Paused: nobody is asked to move."),
        ("Go on", "Sessions are moving."),
        ("Turn round, back to: Cookie", None),
    ):
        page.get_by_role("button", name=button, exact=True).click()
        page.wait_for_url("**/console?notice=mode_*")
        if said is not None:
            expect(page.locator("#live-state")).to_have_text(said)
    expect(page.locator(".course .badge").first).to_have_text("Cookie")


def test_the_keyboard_alone_changes_the_mode(served: Served, visitor: Arrive) -> None:
    """Tab reaches the choices and the button, arrows choose, Enter sends."""
    page = visitor()
    enter(page, served)
    for _ in range(40):
        if page.evaluate("document.activeElement.name") == "mode":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.value") == "bearer"
    page.keyboard.press("Enter")
    page.wait_for_url("**/console?notice=mode_changed")
    expect(page.locator(".course .badge").first).to_have_text("Tokens")


@pytest.mark.parametrize(
    ("locale", "scheme", "size"),
    [
        pytest.param("en-US", "light", DESKTOP, id="en-light-desktop"),
        pytest.param("ko-KR", "dark", PHONE, id="ko-dark-phone"),
    ],
)
def test_the_console_is_accessible_and_fits(
    served: Served, visitor: Arrive, look: Look, locale: str, scheme: str, size: dict[str, int]
) -> None:
    """At rest, in motion and refused: no violation that axe-core can find, no sideways scrolling."""
    label = f"console-{locale}-{scheme}-{size['width']}"
    with shopper(served), shopper(served) as other:
        page = visitor(locale=locale, color_scheme=scheme, viewport=size, bypass_csp=True)
        enter(page, served)
        _check(page, locale)
        look(page, f"{label}-steady")
        choose(page, "bearer", "browsers")
        other.post("/v1/session/tokens")
        page.goto(f"{served.url}/console")
        expect(page.locator("progress").first).to_be_visible()
        _check(page, locale)
        look(page, f"{label}-moving")
        page.locator("#mode-cookie").evaluate("radio => { radio.value = 'x'; radio.checked = true }")
        page.locator("main form:has(#mode-cookie) button[type=submit]").click()
        expect(page.locator("#change-errors")).to_be_visible()
        _check(page, locale)
        look(page, f"{label}-refused")
        page.goto(f"{served.url}/account")
        expect(page.locator("main a[href='/console']")).to_be_visible()
        _check(page, locale)


def _check(page: Page, locale: str) -> None:
    assert page.locator("html").get_attribute("lang") == locale[:2]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found: list[dict[str, Any]] = Axe().run(page, options=RULES).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], page.url
