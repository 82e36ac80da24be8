"""An order is what its visitor saw: once, theirs, with a sign-in that is good for it."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from tests.shop.conftest import APP
from tests.shop.visiting import PROPYLON_URL, SHOP_URL, Shop

from propylon.testing import Rehearsal

BIG = {"lamp": 5}
KEY = "7d3f2b0e-0c3a-4f0e-9d5e-1a2b3c4d5e6f"


async def test_two_tabs_that_show_one_cart_order_it_once(shop: Shop) -> None:
    """Whenever the second presses: it is told of the order that the first has placed."""
    visitor = shop.visitor()
    await visitor.enter()
    await visitor.add("bell", 3)
    seen = await visitor.get("/api/cart")
    at_once = await asyncio.gather(*(visitor.order(seen=seen) for _ in range(10)))
    late = await visitor.order(seen=seen)
    assert sorted(answer.status_code for answer in (*at_once, late)) == [200] * 10 + [201]
    assert await visitor.get("/api/orders") == [late.json()]
    assert await visitor.lines() == {}


async def test_what_is_ordered_is_what_was_seen(shop: Shop) -> None:
    """Another tab has put a cup in since: it is not ordered unseen, and stays in the next cart."""
    visitor = shop.visitor()
    await visitor.enter()
    await visitor.add("bell", 3)
    seen = await visitor.get("/api/cart")
    await visitor.add("cup")
    placed = await visitor.order(seen=seen)
    assert (placed.status_code, placed.json()["lines"], placed.json()["total_krw"]) == (201, {"bell": 3}, 81_000)
    left = await visitor.get("/api/cart")
    assert left["lines"] == {"cup": 1}
    assert left["name"] != seen["name"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_order_that_met_the_end_of_its_session_goes_on_with_the_next(shop: Shop, *, arrived: bool) -> None:
    """Whether it had arrived or not: after the next sign-in the same request places it, or shows it."""
    visitor = shop.visitor()
    await visitor.enter("bearer")
    await visitor.add("fan", 2)
    seen = await visitor.get("/api/cart")
    if arrived:
        assert (await visitor.order(KEY, seen=seen)).status_code == 201
    await visitor.client.delete("/v1/session", headers=visitor.headers)
    assert (await visitor.order(KEY, seen=seen)).status_code == 401
    await visitor.enter("bearer")
    again = await visitor.order(KEY, seen=seen)
    assert (again.status_code, again.json()["lines"]) == (200 if arrived else 201, {"fan": 2})
    assert await visitor.get("/api/orders") == [again.json()]


@pytest.mark.parametrize("cart", ["{yuna}", "{yuna}/0", "", "/", "nobody/0", "{mina}x/0"])
async def test_what_somebody_else_saw_is_not_ordered(shop: Shop, cart: str) -> None:
    """The cookie is Yuna's by now, and the page still shows what Mina wanted: 403, and neither has an order."""
    mina, yuna = shop.visitor(), shop.visitor()
    ids = {
        name: (await one.enter(email=f"{name}@example.com"))["user"]["id"]
        for name, one in (("mina", mina), ("yuna", yuna))
    }
    name = (await mina.get("/api/cart"))["name"] if cart == "{yuna}/0" else cart.format(**ids)
    refused = await yuna.order(seen={"name": name, "lines": {"ink": 1}})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert await mina.get("/api/orders") == await yuna.get("/api/orders") == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ({}, 422),
        ({"lamp": 0}, 422),
        ({"lamp": -1}, 422),
        ({"lamp": 1_000}, 422),
        ({"lamp": 1, "cup": 10**30}, 422),
        ({"lamp": "1"}, 422),
        ({"lamp": True}, 422),
        ({"lamp": 1.5}, 422),
        (["lamp"], 422),
        ({"yacht": 1}, 404),
    ],
)
async def test_what_nobody_can_have_seen_is_not_ordered(shop: Shop, lines: Any, status: int) -> None:
    """A body is checked like everything that comes from outside, and lowers no total."""
    visitor = shop.visitor()
    await visitor.enter()
    await visitor.add("lamp")
    name = (await visitor.get("/api/cart"))["name"]
    assert (await visitor.order(seen={"name": name, "lines": lines})).status_code == status
    assert await visitor.get("/api/orders") == []
    assert await visitor.lines() == {"lamp": 1}


@pytest.fixture
def rehearsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rehearsal, httpx.Client]]:
    """The shop in a test that moves its clock."""
    monkeypatch.setenv("SHOP_DB", str(tmp_path / "shop.db"))
    monkeypatch.setenv("PROPYLON_STORE", "memory://")
    monkeypatch.setenv("PROPYLON_PUBLIC_URL", PROPYLON_URL)
    monkeypatch.delitem(sys.modules, APP, raising=False)
    module = importlib.import_module(APP)
    with Rehearsal(module.propylon) as users, TestClient(module.app, base_url=SHOP_URL) as client:
        yield users, client


def press(client: httpx.Client, headers: dict[str, str], lines: dict[str, int], key: str = KEY) -> httpx.Response:
    """Order, as the page does when the button is pressed."""
    name = client.get("/api/cart", headers=headers).json()["name"]
    return client.post("/api/orders", headers={**headers, "idempotency-key": key}, json={"cart": name, "lines": lines})


@pytest.mark.parametrize(("mode", "code"), [("cookie", None), ("bearer", "token_expiring")])
def test_an_order_is_not_begun_with_a_token_that_is_about_to_end(
    rehearsed: tuple[Rehearsal, httpx.Client], mode: Any, code: str | None
) -> None:
    """With a second left: 401, and a client renews and sends it again. A cookie does not run out."""
    users, client = rehearsed
    device = users.sign_in(mode=mode)
    headers = device.headers()
    users.clock.advance(299)
    refused = press(client, headers, {"lamp": 1})
    assert refused.json().get("code") == code
    assert press(client, device.headers(), {"lamp": 1}).status_code == (201 if code else 200)
    assert len(client.get("/api/orders", headers=device.headers()).json()) == 1


@pytest.mark.parametrize("mode", ["cookie", "bearer"])
def test_a_big_order_asks_who_is_there(rehearsed: tuple[Rehearsal, httpx.Client], mode: Any) -> None:
    """Five minutes after the password: 401 for what is big, and it has not happened. What is small goes on."""
    users, client = rehearsed
    device = users.sign_in(mode=mode)
    assert press(client, device.headers(), BIG, "a-big-one").status_code == 201
    users.clock.advance(301)
    refused = press(client, device.headers(), BIG)
    assert (refused.status_code, refused.json()["code"], refused.json()["max_age"]) == (
        401,
        "reauthentication_required",
        300,
    )
    assert press(client, device.headers(), {"lamp": 1}, "a-small-one").status_code == 201
    again = users.sign_in(device.user.email, mode=mode)
    assert press(client, again.headers(), BIG).status_code == 201
    assert len(client.get("/api/orders", headers=again.headers()).json()) == 3
