"""What a person does on the pages."""

from __future__ import annotations

from playwright.sync_api import Page

EMAIL = "mina@example.com"
PASSWORD = "a quiet river at dawn"


def sign_up(page: Page, url: str, email: str = EMAIL, name: str = "Mina Park") -> None:
    """Make an account on the sign-up page."""
    page.goto(f"{url}/signup")
    page.fill("input[name=name]", name)
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/login*")


def sign_in(page: Page, url: str, email: str = EMAIL, password: str = PASSWORD) -> None:
    """Sign in on the sign-in page and arrive at the account."""
    page.goto(f"{url}/login")
    send_sign_in(page, email, password)
    page.wait_for_url("**/account*")


def send_sign_in(page: Page, email: str = EMAIL, password: str = PASSWORD) -> None:
    """Fill in and send the form that is shown."""
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit]")
