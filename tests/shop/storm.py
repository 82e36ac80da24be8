"""The order story on a bad day: ``python -m tests.shop.storm``, or ``scripts/shop-storm``.

People order in all three modes, in two tabs each, with access tokens of five seconds, over a network that loses a
quarter of everything. They do what people do: press, press in both tabs, reload, and press again where nobody answers.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from tests.e2e.conftest import CHROMIUM_ARGUMENTS
from tests.shop.faults import Chance, Proxy
from tests.shop.launching import Launched

MODES = ("cookie", "bearer", "hybrid")
PASSWORD = "a quiet river at dawn"
PRODUCTS = ("cup", "tea", "notebook", "bell", "soap", "fan")
RATE = 0.25
TTL_S = 5
# Nothing takes as long as this, also on a machine that is busy with other things.
WITHIN_S = 120.0
POLL_INTERVAL_S = 0.03

# Tells of every confirmation that is shown, and of a gate that is: whatever becomes of the page afterwards.
WATCH = """addEventListener("DOMContentLoaded", () => {
  const say = () => {
    const number = /\\d+/.exec(document.querySelector("#ordered").textContent)
    if (number) told("confirmed", Number(number[0]))
    if (!document.querySelector("#gate").hidden) told("gate", 0)
  }
  new MutationObserver(say).observe(document.body, { subtree: true, childList: true, attributeFilter: ["hidden"] })
})"""
STATE = """() => {
  const count = (line) => Number(/\\d+/.exec(line.querySelector(".steps").innerText)[0])
  const product = (line) => line.querySelector(".step").dataset.key.slice("fewer-".length)
  const lines = [...document.querySelectorAll("#cart-lines li")].map((line) => [product(line), count(line)])
  const kept = Object.entries(sessionStorage).filter(([name]) => name.startsWith("stoa.order."))
  const { dataset } = document.documentElement
  return {
    lines: Object.fromEntries(lines),
    begun: kept.some(([, order]) => order !== "null"),
    ready: dataset.ready === "yes" && !("busy" in dataset),
    refused: document.querySelector("#problem").hidden ? "" : document.querySelector(".problem__code").innerText,
  }
}"""


class Shopper:
    """One person with two tabs."""

    def __init__(self, context: BrowserContext, shop: str, mode: str, seed: int) -> None:
        self.account = {"email": f"{mode}-{uuid.uuid4().hex[:8]}@example.com", "password": PASSWORD}
        self.mode, self.confirmed, self.gates = mode, set[int](), 0
        self.wanted: dict[int, dict[str, int]] = {}
        self._context, self._shop = context, shop
        self._random = random.Random(seed)  # noqa: S311 - chance, and no secret
        self._tabs: list[Page] = []
        self._signed_in = False

    async def arrive(self) -> None:
        """Sign in, in the first of two tabs."""
        await self._context.expose_function("told", self._told)
        await self._context.add_init_script(WATCH)
        self._tabs = [await self._context.new_page() for _ in range(2)]
        for page in self._tabs:
            await self._load(page)
        page = self._tabs[0]
        for name, value in self.account.items():
            await page.fill(f"#sign-in input[name={name}]", value)
        await page.locator(f"#sign-in input[value={self.mode}]").check(force=True)
        await page.click("#sign-in button[type=submit]")
        for page in self._tabs:
            await page.wait_for_selector("#who:not([hidden])")
            await self._settled(page)
        self._signed_in = True

    async def order(self) -> None:
        """Fill the cart, order it in one tab or in both, perhaps reload, and press on until all is known."""
        seen = await self._fill()
        before = set(self.confirmed)
        pressing = self._random.choice([self._tabs[:1], self._tabs[1:], self._tabs, self._tabs])
        for page in pressing:
            await _press(page, "#order")
        if self._random.random() < 0.2:
            await asyncio.sleep(self._random.uniform(0, 0.2))
            await self._load(pressing[0])
        for page in self._tabs:
            while (await self._settled(page))["begun"]:
                await _press(page, "#order")
        confirmed = self.confirmed - before
        assert len(confirmed) == 1, f"{self.mode}: {seen} was confirmed as {confirmed or 'nothing'}"
        self.wanted[confirmed.pop()] = seen

    async def _fill(self) -> dict[str, int]:
        """Put something in, until it is there and both tabs show it."""
        page, other = self._random.sample(self._tabs, 2)
        for _ in range(50):
            await _press(page, f"[data-key=add-{self._random.choice(PRODUCTS)}]")
            state = await self._settled(page)
            if not state["refused"] and state["lines"] and await self._shows(other, state["lines"]):
                return dict(state["lines"])
        raise AssertionError(f"nothing can be put into the cart: {state}")

    async def _shows(self, page: Page, lines: dict[str, int]) -> bool:
        for _ in range(30):
            if (await self._settled(page))["lines"] == lines:
                return True
            await asyncio.sleep(POLL_INTERVAL_S)
        return False

    async def _settled(self, page: Page) -> dict[str, Any]:
        deadline = time.monotonic() + WITHIN_S
        while not (state := await page.evaluate(STATE))["ready"]:
            assert time.monotonic() < deadline, f"{self.mode}: {state}"
            await asyncio.sleep(POLL_INTERVAL_S)
        return dict(state)

    async def _load(self, page: Page) -> None:
        await page.goto(self._shop)
        await page.wait_for_selector("html[data-ready]")

    def _told(self, what: str, number: int) -> None:
        if what == "confirmed":
            self.confirmed.add(number)
        elif self._signed_in:
            self.gates += 1


class Storm:
    """Propylon, the shop, a bad network before both, and people."""

    def __init__(self, folder: Path, seed: int, rate: float = RATE) -> None:
        self.chance, self._seed, self._folder = Chance(seed, rate), seed, folder
        self._propylon, self._shop = Proxy(self.chance), Proxy(self.chance)
        self.shoppers: list[Shopper] = []

    async def run(self, browser: Browser, orders: int, people: int) -> None:
        """Let people place that many orders together."""
        async with AsyncExitStack() as stack:
            for proxy in (self._propylon, self._shop):
                await proxy.open()
                stack.push_async_callback(proxy.close)
            launched = await asyncio.to_thread(self._launch)
            stack.push_async_callback(asyncio.to_thread, launched.end)
            for number in range(people):
                context = await browser.new_context(locale="en-US")
                stack.push_async_callback(context.close)
                self.shoppers.append(Shopper(context, self._shop.url, MODES[number % 3], self._seed + number))
            await asyncio.gather(*(self._arrive(one) for one in self.shoppers))
            self.chance.on = True
            await asyncio.gather(
                *(self._shop_for(one, range(number, orders, people)) for number, one in enumerate(self.shoppers))
            )
            self.chance.on = False
            self.placed = {one: await self._placed(one) for one in self.shoppers}

    def wrong(self) -> list[str]:
        """Return what has gone wrong: nothing."""
        found = []
        for one in self.shoppers:
            if self.placed[one] != one.wanted:
                found.append(f"{one.mode}: the shop has {self.placed[one]}, and was to have {one.wanted}")
            if one.confirmed != one.wanted.keys():
                found.append(f"{one.mode}: confirmed were {one.confirmed}, and should be {one.wanted.keys()}")
            if one.gates:
                found.append(f"{one.mode}: signed out {one.gates} times")
        return found

    def _launch(self) -> Launched:
        environ = {
            "PROPYLON_PUBLIC_URL": self._propylon.url,
            "PROPYLON_ORIGINS": self._shop.url,
            "PROPYLON_ACCESS_TTL_S": str(TTL_S),
        }
        launched = Launched(self._folder, environ=environ)
        self._propylon.target = launched.port
        self._direct = launched.shop_url()
        self._shop.target = int(self._direct.rpartition(":")[2])
        return launched

    async def _arrive(self, one: Shopper) -> None:
        async with httpx.AsyncClient(base_url=self._propylon.url) as client:
            (await client.post("/v1/users", json={**one.account, "name": one.mode})).raise_for_status()
        await one.arrive()

    @staticmethod
    async def _shop_for(one: Shopper, orders: Iterable[int]) -> None:
        for _ in orders:
            await one.order()

    async def _placed(self, one: Shopper) -> dict[int, dict[str, int]]:
        async with httpx.AsyncClient(base_url=self._propylon.url) as client:
            body = (await client.post("/v1/sessions", json={**one.account, "mode": "bearer"})).raise_for_status().json()
            bearer = {"authorization": f"Bearer {body['access_token']}"}
            answer = (await client.get(f"{self._direct}/api/orders", headers=bearer)).raise_for_status()
        return {order["number"]: order["lines"] for order in answer.json()}


async def storm(folder: Path, *, orders: int, people: int, seed: int) -> Storm:
    """Run one in a browser of its own."""
    one = Storm(folder, seed)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
        await one.run(browser, orders, people)
        await browser.close()
    return one


async def _press(page: Page, selector: str) -> None:
    await page.evaluate("(selector) => document.querySelector(selector).click()", selector)


def main() -> int:
    """Say what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        one = asyncio.run(storm(Path(folder), orders=given.orders, people=given.people, seed=given.seed))
    took_s = time.monotonic() - began
    placed, confirmed = sum(map(len, one.placed.values())), sum(len(who.confirmed) for who in one.shoppers)
    sys.stdout.write(f"{placed} orders placed, {confirmed} confirmed, in {took_s:.0f} s\n")
    for fault, times in sorted(one.chance.happened.items()):
        sys.stdout.write(f"{times:6} {fault}\n")
    for wrong in one.wrong():
        sys.stdout.write(f"WRONG: {wrong}\n")
    return 1 if one.wrong() or placed != given.orders else 0


if __name__ == "__main__":
    sys.exit(main())
