"""The shop's API in each mode: who gets in, whose cart it is, and what one order is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.http.driving import MODES
from tests.shop.visiting import SHOP_URL, Shop

GUARDED = [
    ("GET", "/me"),
    ("GET", "/api/me"),
    ("GET", "/api/cart"),
    ("POST", "/api/cart/lamp"),
    ("PUT", "/api/cart/lamp"),
    ("DELETE", "/api/cart"),
    ("GET", "/api/orders"),
    ("POST", "/api/orders"),
]
UNSAFE = [(method, path) for method, path in GUARDED if method != "GET"]
KEY = "7d3f2b0e-0c3a-4f0e-9d5e-1a2b3c4d5e6f"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is the problem ``code``, and return its body."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize("path", ["/", "/open", "/api/catalogue", "/api/shop"])
async def test_the_window_is_open_to_all(shop: Shop, path: str) -> None:
    """Nobody has to sign in to look."""
    assert (await shop.visitor().send("GET", path)).status_code == 200


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_a_guarded_route_refuses_who_presents_nothing(shop: Shop, method: str, path: str) -> None:
    """401 with a challenge, before anything is read or done."""
    answer = await shop.visitor().send(method, path, {"quantity": 1}, **{"idempotency-key": KEY})
    problem(answer, 401, "credential_missing")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_a_guarded_route_refuses_a_session_that_was_ended(shop: Shop, mode: str, method: str, path: str) -> None:
    """It ended at Propylon, in another process as far as the shop can tell, and is over here at once."""
    visitor, owner = shop.visitor(), shop.visitor()
    await visitor.enter(mode)
    assert (await visitor.send("GET", "/me")).status_code == 200
    await owner.enter("bearer")
    ended = await owner.client.delete("/v1/sessions?keep=current", headers=owner.headers)
    assert ended.status_code == 204
    answer = await visitor.send(method, path, {"quantity": 1}, **{"idempotency-key": KEY})
    problem(answer, 401, "session_revoked")


@pytest.mark.parametrize(("method", "path"), UNSAFE)
@pytest.mark.parametrize(
    "sent_by",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "null"},
    ],
)
async def test_another_sites_page_cannot_use_the_cookie(
    shop: Shop, method: str, path: str, sent_by: dict[str, str]
) -> None:
    """CSRF: 403, and the cart and the orders are as they were."""
    visitor = shop.visitor()
    await visitor.enter("cookie")
    await visitor.add("cup")
    answer = await visitor.send(method, path, {"quantity": 1}, **{"idempotency-key": KEY}, **sent_by)
    problem(answer, 403, "cross_site_refused")
    assert await visitor.lines() == {"cup": 1}
    assert await visitor.get("/api/orders") == []


async def test_the_shops_own_page_can(shop: Shop) -> None:
    """The same request as the page sends it."""
    visitor = shop.visitor()
    await visitor.enter("cookie")
    sent_by = {"sec-fetch-site": "same-origin", "origin": SHOP_URL}
    assert (await visitor.send("POST", "/api/cart/lamp", {"quantity": 2}, **sent_by)).status_code == 200


@pytest.mark.parametrize("mode", MODES)
async def test_the_shop_is_the_same_in_every_mode(shop: Shop, mode: str) -> None:
    """Sign in, fill the cart, order, see the order; the cart is empty again."""
    visitor = shop.visitor()
    signed_in = await visitor.enter(mode)
    me = await visitor.get("/api/me")
    assert me["user"]["email"] == signed_in["user"]["email"]
    assert me["session_id"] == signed_in["session"]["id"]
    assert me["credential"] == ("cookie" if mode == "cookie" else "access_token")
    await visitor.add("lamp")
    cart = (await visitor.add("cup", 2)).json()
    assert (cart["lines"], cart["total_krw"]) == ({"lamp": 1, "cup": 2}, 132_000)
    placed = await visitor.order()
    assert placed.status_code == 201
    assert placed.json()["lines"] == {"lamp": 1, "cup": 2}
    assert placed.json()["total_krw"] == 132_000
    assert await visitor.get("/api/orders") == [placed.json()]
    assert await visitor.lines() == {}


async def test_additions_at_the_same_time_all_count(shop: Shop) -> None:
    """Thirty requests, thirty lamps: compare-and-swap loses none."""
    visitor = shop.visitor()
    await visitor.enter("bearer")
    answers = await asyncio.gather(*(visitor.add("lamp") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert await visitor.lines() == {"lamp": 30}


async def test_one_key_places_one_order_however_often_it_is_sent(shop: Shop) -> None:
    """Twenty at once: one 201, nineteen times the same order."""
    visitor = shop.visitor()
    await visitor.enter("bearer")
    await visitor.add("bell", 3)
    answers = await asyncio.gather(*(visitor.order(KEY) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert {answer.json()["number"] for answer in answers} == {answers[0].json()["number"]}
    assert len(await visitor.get("/api/orders")) == 1
    assert await visitor.lines() == {}


async def test_one_cart_is_ordered_once_whatever_the_keys(shop: Shop) -> None:
    """Two tabs press the button, each with a key of its own: there is one order."""
    visitor = shop.visitor()
    await visitor.enter("bearer")
    await visitor.add("bell", 3)
    answers = await asyncio.gather(*(visitor.order() for _ in range(10)))
    placed = [answer for answer in answers if answer.status_code != 422]  # the cart was empty for those
    assert [answer.status_code for answer in placed].count(201) == 1
    assert {answer.json()["number"] for answer in placed} == {placed[0].json()["number"]}
    assert len(await visitor.get("/api/orders")) == 1


async def test_a_key_of_before_takes_nothing_out_of_a_newer_cart(shop: Shop) -> None:
    """An answer was lost, more was put into the cart, the request comes again: the old order, and the new cart."""
    visitor = shop.visitor()
    await visitor.enter("cookie")
    await visitor.add("bell")
    first = (await visitor.order(KEY)).json()
    await visitor.add("bell", 2)
    again = await visitor.order(KEY)
    assert (again.status_code, again.json()) == (200, first)
    assert await visitor.lines() == {"bell": 2}


async def test_an_order_survives_a_crash_before_the_cart_is_emptied(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever key comes next, the order that was placed is the answer, and it is there once."""
    visitor = shop.visitor()
    await visitor.enter("bearer")
    await visitor.add("fan", 2)
    with monkeypatch.context() as patch:
        patch.setattr("examples.shop.cart.take_out", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await visitor.order()
    await visitor.add("soap")
    again = await visitor.order()
    assert (again.status_code, again.json()["lines"]) == (200, {"fan": 2})
    assert await visitor.lines() == {"soap": 1}
    assert [order["lines"] for order in await visitor.get("/api/orders")] == [{"fan": 2}]


async def test_nothing_is_ordered_from_an_empty_cart(shop: Shop) -> None:
    """422 that names the cart; and there is no order."""
    visitor = shop.visitor()
    await visitor.enter()
    (fault,) = problem(await visitor.order(), 422, "fields_refused")["errors"]
    assert (fault["field"], fault["code"]) == ("cart", "required")
    assert await visitor.get("/api/orders") == []


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "required"),
        ("", "too_short"),
        ("short", "too_short"),
        ("k" * 101, "too_long"),
        ("with a space", "invalid"),
        ("été-été-été", "invalid"),
    ],
)
async def test_an_unusable_key_places_nothing(shop: Shop, key: str | None, code: str) -> None:
    """422 that says what is wrong with it; the cart stays."""
    visitor = shop.visitor()
    await visitor.enter()
    await visitor.add("tea")
    headers = {**visitor.headers} if key is None else {**visitor.headers, "idempotency-key": key.encode("latin-1")}
    answer = await visitor.client.post(f"{SHOP_URL}/api/orders", headers=headers)  # type: ignore[arg-type]
    (fault,) = problem(answer, 422, "fields_refused")["errors"]
    assert (fault["field"].lower(), fault["code"]) == ("idempotency-key", code)
    assert await visitor.lines() == {"tea": 1}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("quantity", [-1, 1_000, 10**30])
async def test_a_quantity_out_of_range_is_refused(shop: Shop, method: str, quantity: int) -> None:
    """422 that names the range; the cart stays."""
    visitor = shop.visitor()
    await visitor.enter()
    answer = await visitor.send(method, "/api/cart/tea", {"quantity": quantity})
    (fault,) = problem(answer, 422, "fields_refused")["errors"]
    assert (fault["field"], fault["code"]) == ("quantity", "out_of_range")
    assert await visitor.lines() == {}


async def test_additions_cannot_exceed_the_range_together(shop: Shop) -> None:
    """999 and one more is refused, and 999 stay."""
    visitor = shop.visitor()
    await visitor.enter()
    assert (await visitor.add("tea", 999)).status_code == 200
    assert (await visitor.add("tea")).status_code == 422
    assert await visitor.lines() == {"tea": 999}


@pytest.mark.parametrize("quantity", ["2", 1.5, True, None, [1]])
async def test_a_quantity_is_a_whole_number(shop: Shop, quantity: Any) -> None:
    """Nothing is guessed from what is not one."""
    visitor = shop.visitor()
    await visitor.enter()
    answer = await visitor.send("POST", "/api/cart/tea", {"quantity": quantity})
    (fault,) = problem(answer, 422, "fields_refused")["errors"]
    assert (fault["field"], fault["code"]) == ("quantity", "wrong_type")


async def test_a_body_that_is_no_json_is_refused(shop: Shop) -> None:
    """400, as Propylon says it."""
    visitor = shop.visitor()
    await visitor.enter()
    headers = {"content-type": "application/json"}
    answer = await visitor.client.post(f"{SHOP_URL}/api/cart/tea", content=b"{", headers=headers)
    problem(answer, 400, "json_malformed")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_the_shop_does_not_have_is_not_found(shop: Shop, method: str) -> None:
    """404, and the cart stays."""
    visitor = shop.visitor()
    await visitor.enter()
    problem(await visitor.send(method, "/api/cart/yacht", {"quantity": 1}), 404, "not_found")
    assert await visitor.lines() == {}


async def test_a_quantity_is_set_and_none_takes_it_out(shop: Shop) -> None:
    """PUT replaces, 0 removes, DELETE empties."""
    visitor = shop.visitor()
    await visitor.enter()
    await visitor.add("tea", 5)
    await visitor.add("cup", 1)
    assert (await visitor.send("PUT", "/api/cart/tea", {"quantity": 2})).json()["lines"] == {"tea": 2, "cup": 1}
    assert (await visitor.send("PUT", "/api/cart/tea", {"quantity": 0})).json()["lines"] == {"cup": 1}
    assert (await visitor.send("DELETE", "/api/cart")).json()["lines"] == {}


async def test_somebody_elses_orders_are_never_shown(shop: Shop) -> None:
    """Not in the list, and not by the same key."""
    mina, yuna = shop.visitor(), shop.visitor()
    await mina.enter(email="mina@example.com")
    await yuna.enter(email="yuna@example.com")
    await mina.add("ink")
    assert (await mina.order(KEY)).status_code == 201
    assert await yuna.get("/api/orders") == []
    problem(await yuna.order(KEY), 422, "fields_refused")
    await yuna.add("soap")
    theirs = await yuna.order(KEY)
    assert (theirs.status_code, theirs.json()["lines"]) == (201, {"soap": 1})
    assert [order["lines"] for order in await mina.get("/api/orders")] == [{"ink": 1}]


async def test_a_cart_is_one_sessions_and_the_orders_are_the_users(shop: Shop) -> None:
    """Two devices have two carts and see the same orders."""
    phone, laptop = shop.visitor(), shop.visitor()
    await phone.enter("bearer")
    await laptop.enter("cookie")
    await phone.add("ink")
    assert await laptop.lines() == {}
    placed = (await phone.order()).json()
    assert await laptop.get("/api/orders") == [placed]


@pytest.mark.parametrize(
    "forged",
    [
        {"cart": {"lamp": -5}},
        {"cart": {"yacht": 1}},
        {"cart": {"lamp": "1"}},
        {"cart": {"lamp": True}},
        {"cart": {"lamp": 1_000_000}},
        {"cart": ["lamp"]},
        {"cart": {}, "number": "many"},
        {"number": -1},
    ],
)
async def test_session_data_that_the_caller_wrote_by_hand_buys_nothing(shop: Shop, forged: dict[str, Any]) -> None:
    """Session data is the caller's to write: what is no line of a cart does not count, and lowers no total."""
    visitor = shop.visitor()
    await visitor.enter("bearer")
    version = (await visitor.client.get("/v1/session/data", headers=visitor.headers)).headers["etag"]
    written = {**visitor.headers, "if-match": version}
    assert (await visitor.client.put("/v1/session/data", json=forged, headers=written)).status_code == 204
    cart = await visitor.get("/api/cart")
    assert (cart["lines"], cart["total_krw"]) == ({}, 0)
    problem(await visitor.order(), 422, "fields_refused")
    await visitor.add("tea")
    assert (await visitor.order()).json()["total_krw"] == 18_500


async def test_a_refusal_speaks_the_callers_language(shop: Shop) -> None:
    """Korean where Korean is asked for, in the shop's own refusals too."""
    visitor = shop.visitor()
    answer = await visitor.send("GET", "/api/me", **{"accept-language": "ko"})
    assert "로그인" in answer.json()["detail"]
    await visitor.enter()
    refused = await visitor.send("POST", "/api/cart/tea", {"quantity": 1_000}, **{"accept-language": "ko"})
    assert "999" in refused.json()["errors"][0]["detail"]
    assert "허용 범위" in refused.json()["errors"][0]["detail"]


async def test_the_page_and_all_that_it_names_are_there(shop: Shop) -> None:
    """Every file that a file of the page refers to exists, under a policy without inline script or style."""
    visitor = shop.visitor()
    for path in (
        "/",
        "/shop.js",
        "/elements.js",
        "/ordering.js",
        "/api.js",
        "/travels.js",
        "/texts.js",
        "/remembered.js",
        "/shop.css",
        "/goods.svg",
        "/favicon.svg",
    ):
        answer = await visitor.send("GET", path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_every_product_has_a_drawing_and_both_languages(shop: Shop) -> None:
    """Nothing on the shelf is blank."""
    visitor = shop.visitor()
    drawings = (await visitor.send("GET", "/goods.svg")).text
    for product in await visitor.get("/api/catalogue"):
        assert f'<symbol id="{product["id"]}"' in drawings
        assert all(product[language][text] for language in ("en", "ko") for text in ("name", "note"))
        assert product["price_krw"] > 0
