"""The mode changes while a real browser is signed in: its tabs move by themselves, and its pages notice nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.e2e.test_browser_client import MODES, Person, Window
from tests.http.serving import Served, ServedSettings

ASK = "() => auth.fetch('/v1/sessions').then((answer) => answer.status)"
# How the session travels, by the list that its owner sees.
MODE = """() => auth.fetch('/v1/sessions').then((answer) => answer.json())
    .then(({ sessions }) => sessions.find((one) => one.current).mode)"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server whose mode nobody else depends on; what is given up is over at once."""
    server = Served(ServedSettings(tmp_path, {"refresh_grace_s": "1"}))
    server.start()
    yield server
    server.send(signal.SIGTERM)
    assert server.stopped() == 0


def until_moved(tab: Page, mode: str) -> None:
    """Use the service until the session travels so, and the tab with it."""
    for _ in range(200):
        assert tab.evaluate(ASK) == 200
        if tab.evaluate(MODE) == mode:
            return
        tab.wait_for_timeout(50)
    raise AssertionError(tab.evaluate("heard"))


def test_tabs_move_along_and_nobody_is_signed_out(chromium: Browser, served: Served) -> None:
    """To each mode; after the grace window tabs, pages and a tab that is loaded again go on."""
    context = chromium.new_context(locale="en-US")
    window, person = Window(context, served.url), Person(served.url)
    tabs = [window.tab(), window.tab()]
    tabs[0].evaluate("(account) => auth.signIn(account)", person.account)
    cookie, bearer, hybrid = MODES
    for mode in (hybrid, bearer, cookie):
        served.run("mode", "set", mode)
        until_moved(tabs[0], mode)
        tabs[0].wait_for_timeout(2_100)  # the window, in whole seconds
        for tab in tabs:
            assert tab.evaluate(ASK) == 200
            assert not {name for name, _ in tab.evaluate("heard")} & {"signed-out", "evicted"}
        if mode == bearer:  # its tokens are in memory; the browser has a cookie for the pages
            tabs[1].reload()
            tabs[1].wait_for_selector("html[data-ready]")
            assert tabs[1].evaluate(ASK) == 200
            page = context.new_page()
            page.goto(f"{served.url}/account")
            assert page.url.endswith("/account")
    context.close()
