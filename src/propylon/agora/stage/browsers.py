"""A real browser: the Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from propylon.agora.stage.processes import Absent

if TYPE_CHECKING:
    from playwright.sync_api import Browser as _Browser
    from playwright.sync_api import BrowserContext as _Profile

    Browser: TypeAlias = _Browser
    Profile: TypeAlias = _Profile
else:
    Browser = Profile = object

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Nothing but loopback is contacted.
_ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")


# Cookies go along to what another site embeds, as they do in most browsers of people.
_LENIENT = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it until the block ends."""
    with _playwright() as (playwright, path):
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def lenient_profile(folder: Path) -> Iterator[Profile]:
    """Run it with one profile, which withholds no cookie by itself: what is to stop an attack has to stop it there."""
    with _playwright() as (playwright, path):
        (folder / "Default").mkdir()
        (folder / "Default/Preferences").write_text(json.dumps(_LENIENT))
        arguments = list(_ARGUMENTS)
        profile = playwright.chromium.launch_persistent_context(str(folder), executable_path=path, args=arguments)
        try:
            yield profile
        finally:
            profile.close()


@contextmanager
def _playwright() -> Iterator[tuple[Any, str]]:
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        raise Absent("chromium", "chromium")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra, and half a second
    except ImportError:
        raise Absent("playwright", "propylon[agora]") from None
    with sync_playwright() as playwright:
        yield playwright, path
