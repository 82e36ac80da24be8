"""What a visitor does in the shop, and a network that loses what they order."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page, Route, expect
from tests.e2e.stories import PASSWORD
from tests.shop.launching import Launched

# How recent the password has to be for a big order; long enough for the way from the one to the other.
FRESH_S = 3
MODES = ("cookie", "bearer", "hybrid")
TOKENS = "/v1/session/tokens"


class Place:
    """Propylon and the shop, running, and an account that nobody else uses."""

    def __init__(self, launched: Launched) -> None:
        self.shop = launched.shop_url()
        self.propylon = launched.url
        self.account = {"email": f"mina-{uuid.uuid4().hex[:8]}@example.com", "password": PASSWORD}
        httpx.post(f"{self.propylon}/v1/users", json={**self.account, "name": "Mina"}).raise_for_status()

    def open_session(self) -> dict[str, Any]:
        """Sign in as an app does; return the answer."""
        answer = httpx.post(f"{self.propylon}/v1/sessions", json={**self.account, "mode": "bearer"})
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    def end_all_sessions(self) -> None:
        """Sign the user out everywhere, from another device."""
        bearer = {"authorization": f"Bearer {self.open_session()['access_token']}"}
        httpx.delete(f"{self.propylon}/v1/sessions", headers=bearer).raise_for_status()

    def orders(self) -> list[dict[str, int]]:
        """Return what the account has ordered, as the shop has it."""
        bearer = {"authorization": f"Bearer {self.open_session()['access_token']}"}
        return [
            order["lines"] for order in httpx.get(f"{self.shop}/api/orders", headers=bearer).raise_for_status().json()
        ]

    def visit(self, page: Page) -> None:
        """Open the shop, wait until it has found out who is there, and write the account where the demo's stands."""
        page.goto(self.shop)
        page.wait_for_selector("html[data-ready]")
        if page.locator("#gate").is_visible():
            self.fill_in(page)

    def fill_in(self, page: Page) -> None:
        """Write the account into the form."""
        for name, value in self.account.items():
            page.fill(f"#sign-in input[name={name}]", value)


def sign_in(page: Page, mode: str) -> None:
    """Sign in with the account that is filled in."""
    page.locator(f"#sign-in input[value={mode}]").check(force=True)
    page.click("#sign-in button[type=submit]")
    expect(page.locator("#who")).to_be_visible()


def add(page: Page, product: str) -> None:
    """Put one into the cart."""
    page.click(f"[data-key=add-{product}]")


def told(page: Page) -> str:
    """Return the code of the refusal that is shown."""
    expect(page.locator("#problem")).to_be_visible()
    assert page.locator(".problem__title").inner_text()
    assert page.locator(".problem__detail").inner_text()
    return page.locator(".problem__code").inner_text()


def beside(page: Page, place: Place) -> Page:
    """Open the shop in another tab of the same browser."""
    other = page.context.new_page()
    place.visit(other)
    return other


def lose(context: BrowserContext, *, arrives: bool) -> list[Route]:
    """Lose the answers to orders from now on, or the orders themselves; return them as they come."""
    lost: list[Route] = []

    def drop(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        if arrives:
            route.fetch()
        route.abort()
        lost.append(route)

    context.route("**/api/orders", drop)
    return lost


def wait_for(lost: list[Route], page: Page) -> None:
    """Wait until one has been lost."""
    for _ in range(600):
        if lost:
            return
        page.wait_for_timeout(50)
    raise AssertionError("nothing was sent")


def travelled(page: Page) -> list[tuple[str, str]]:
    """Return what the page shows of its requests, the oldest first: method and path, and status.

    Without the stream that tells of the end: it begins and ends when it will.
    """
    rows = page.locator("#travels tr").all()
    shown = [(row.locator("td:first-child code").inner_text(), row.locator(".status").inner_text()) for row in rows]
    return [(request, status) for request, status in shown[::-1] if not request.endswith("/events")]
