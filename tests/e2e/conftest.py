"""A real ``propylon serve`` on a free loopback port, and Debian's Chromium."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SCREENSHOTS = Path("test-output/screenshots")

Serve = Callable[..., str]


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start ``propylon serve`` with arguments and settings; return its URL. All are stopped at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **settings: str) -> str:
        port = free_port()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PROPYLON_")}
        environ |= {"PROPYLON_PASSWORD_PROFILE": "unsafe_cheapest"}
        environ |= {f"PROPYLON_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "propylon", "serve", "--port", str(port), *arguments]
        with (tmp_path / f"serve-{port}.log").open("wb") as log:
            running.append(subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log))
        url = f"http://localhost:{port}"
        wait_until_ready(url, running[-1])
        return url

    yield start
    for process in running:
        process.terminate()
    for process in running:
        assert process.wait(15) == 0


def wait_until_ready(url: str, process: subprocess.Popen[bytes], patience_s: float = 20) -> None:
    """Return when the server can serve."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        assert process.poll() is None, "the server stopped at its start"
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not become ready")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright.

    For one module at a time: Playwright keeps an event loop running in the main thread for as long as it lives, and
    the asynchronous tests of other modules could not start theirs.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Return pages of visitors who share nothing; whatever a page complains about fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def arrive(**options: object) -> Page:
        context = chromium.new_context(**{"locale": "en-US", **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message.text) else None)
        return page

    yield arrive
    for context in contexts:
        context.close()
    assert complaints == []


def _is_complaint(text: str) -> bool:
    return "Content Security Policy" in text or "Uncaught" in text


@pytest.fixture
def look() -> Callable[[Page, str], None]:
    """Keep a screenshot of a page for people to look at."""

    def take(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return take
