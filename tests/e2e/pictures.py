"""Takes the pictures of the documents: ``python -m tests.e2e.pictures``, one account page in each language."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright
from tests.e2e.conftest import CHROMIUM_ARGUMENTS
from tests.http.serving import Served, ServedSettings

IMAGES = Path("docs/images")
ACCOUNT = {"email": "mina@example.com", "password": "correct horse battery"}
LANGUAGES = {"en": ("en-US", "Mina Park"), "ko": ("ko-KR", "박미나")}
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
ELSEWHERE = (
    ("cookie", f"{IPHONE} KAKAOTALK/25.4.0 (INAPP)", "203.0.113.24"),
    ("bearer", "ShopApp/2.3 (Android 16)", "198.51.100.7"),
)


def main() -> None:
    """Serve, sign in on three devices, and keep what the owner of the account then sees."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for language, (locale, name) in LANGUAGES.items():
            store = f"sqlite:///{language}.db"
            server = Served(ServedSettings(Path(folder), {"trusted_proxies": "127.0.0.1", "store": store}))
            server.start()
            try:
                url = server.url
                httpx.post(f"{url}/v1/users", json={**ACCOUNT, "name": name}).raise_for_status()
                _sign_in_elsewhere(url)
                _take(url, locale, IMAGES / f"account.{language}.png")
            finally:
                server.kill()


def _sign_in_elsewhere(url: str) -> None:
    for mode, user_agent, ip in ELSEWHERE:
        headers = {"user-agent": user_agent, "x-forwarded-for": ip}
        httpx.post(f"{url}/v1/sessions", json={**ACCOUNT, "mode": mode}, headers=headers).raise_for_status()


def _take(url: str, locale: str, path: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
        context = browser.new_context(
            locale=locale,
            user_agent=CHROME,
            viewport={"width": 960, "height": 690},
            extra_http_headers={"x-forwarded-for": "192.0.2.61"},
        )
        page = context.new_page()
        _sign_in(page, url)
        page.screenshot(path=path)
        browser.close()


def _sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login")
    page.locator("input[name=email]").fill(ACCOUNT["email"])
    page.locator("input[name=password]").fill(ACCOUNT["password"])
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/account")


if __name__ == "__main__":
    main()
