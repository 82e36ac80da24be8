"""A real browser: the Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from propylon.agora.stage.processes import Absent, Broke

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext as _Profile

    Profile: TypeAlias = _Profile
else:
    Profile = object

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Nothing but loopback is contacted.
_ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
# Cookies go along to what another site embeds, as they do in most browsers of people.
_LENIENT = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}

VISIT_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a browser of their own.

    Attributes:
        profile: what the browser keeps for them.
    """

    profile: Profile
    _folder: Path

    @contextmanager
    def visit(self, within_s: float = VISIT_WITHIN_S) -> Iterator[Any]:
        """Open a page; raises ``Broke`` where the block has not ended in time, and the browser is gone then.

        Most calls of Playwright wait for a page as long as it takes, and only the end of the browser breaks one off.
        """
        hung = threading.Event()
        watchdog = threading.Timer(within_s, self._end, (hung,))
        watchdog.start()
        try:
            yield self.profile.new_page()
            for page in self.profile.pages[1:]:  # without any, the browser would end
                page.close()
        except Exception as error:
            if not hung.is_set():
                raise
            raise Broke(f"the browser did not answer within {within_s:.0f} s") from error
        finally:
            watchdog.cancel()

    def _end(self, hung: threading.Event) -> None:
        """Kill the browser, which Playwright has started and whose process it does not tell (Linux)."""
        hung.set()
        mine = f"--user-data-dir={self._folder}".encode()
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if mine in command.read_bytes().split(b"\0"):
                    os.kill(int(command.parent.name), signal.SIGKILL)


@contextmanager
def lenient_visitor(folder: Path) -> Iterator[Visitor]:
    """Run a browser that withholds no cookie by itself: what is to stop an attack has to stop it there."""
    with _playwright() as (playwright, path):
        (folder / "Default").mkdir()
        (folder / "Default/Preferences").write_text(json.dumps(_LENIENT))
        arguments = list(_ARGUMENTS)
        profile = playwright.chromium.launch_persistent_context(str(folder), executable_path=path, args=arguments)
        with closing(profile):
            yield Visitor(profile, folder)


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
