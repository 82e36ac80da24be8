"""A real browser: the Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from propylon.agora.stage.processes import Absent

if TYPE_CHECKING:
    from playwright.sync_api import Browser as _Browser

    Browser: TypeAlias = _Browser
else:
    Browser = object

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Nothing but loopback is contacted.
_ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it until the block ends."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        raise Absent("chromium", "chromium")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra, and half a second
    except ImportError:
        raise Absent("playwright", "propylon[agora]") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
