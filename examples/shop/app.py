"""The shop: a FastAPI app that checks every request itself, with Propylon on the same store and key.

It never asks how the session travels. A cookie, an access token, and the access token of a hybrid session all
arrive in a route as the same ``Principal``.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StrictInt

from examples.shop import cart, catalogue, demo, refusals
from examples.shop.orders import Order, Orders
from examples.shop.page import Page
from propylon import Demand, Principal, Propylon
from propylon.adapters.fastapi import Auth, SignedIn, require, user

propylon = Propylon.from_env()
orders = Orders(Path(os.environ.get("SHOP_DB", "shop.db")))

app = FastAPI(title="The shop", docs_url=None, redoc_url=None)
Auth(propylon).guard(app, mount=False)
app.add_exception_handler(RequestValidationError, refusals.refuse)

# An order takes a moment: whoever begins one has a token that does not end in the middle.
Ordering = Annotated[Principal, require(left_s=2)]
# What costs as much as this is ordered by somebody who has just given the password, and not by whoever finds an open
# laptop. Not a dependency, as it depends on what is ordered: the route asks.
BIG_KRW = 300_000
JUST_CONFIRMED = Demand.of(fresh_s=int(os.environ.get("SHOP_FRESH_S", "300")))

# Letters, digits and signs of ASCII: what a UUID is made of, and nothing that a log or a proxy could alter.
IdempotencyKey = Annotated[str, Header(min_length=8, max_length=100, pattern=r"^[!-~]+$")]


class Quantity(BaseModel):
    """How many."""

    quantity: StrictInt = 1


class Wanted(BaseModel):
    """What the visitor saw when they pressed the button: which cart, and what was in it."""

    cart: Annotated[str, Field(max_length=100)]
    lines: dict[str, StrictInt]


@app.get("/me")
async def me(request: Request) -> dict[str, str]:
    """Answer who is calling, and nothing else.

    It asks by itself: FastAPI takes several times as long to resolve a dependency as Propylon takes to answer.
    """
    who = await user(request)
    return {"user_id": who.user_id, "session_id": who.session_id}


@app.get("/open")
async def open_to_all() -> dict[str, bool]:
    """Answer anyone; nobody is authenticated, so nothing is spent on it."""
    return {"ok": True}


@app.get("/api/catalogue")
async def show_catalogue() -> list[dict[str, Any]]:
    """Show what there is, to everyone."""
    return catalogue.LISTING


@app.get("/api/me")
async def show_me(who: SignedIn) -> dict[str, Any]:
    """Show who is calling, and by what."""
    user = await who.user()
    return {
        "user": {"id": user.id, "email": user.email, "name": user.name, "roles": sorted(who.roles)},
        "session_id": who.session_id,
        "credential": who.credential,
        "expires_at": who.expires_at,
    }


@app.get("/api/cart")
async def show_cart(who: SignedIn) -> dict[str, Any]:
    """Show the cart of this session."""
    return _cart(who, (await who.data()).value)


@app.post("/api/cart/{product}")
async def add_to_cart(product: str, body: Quantity, who: SignedIn) -> dict[str, Any]:
    """Add to the cart. However many tabs add at the same time, nothing is lost."""
    return _cart(who, (await who.update_data(cart.add(product, body.quantity))).value)


@app.put("/api/cart/{product}")
async def set_quantity(product: str, body: Quantity, who: SignedIn) -> dict[str, Any]:
    """Set the quantity of one product; 0 takes it out."""
    return _cart(who, (await who.update_data(cart.put(product, body.quantity))).value)


@app.delete("/api/cart")
async def empty_cart(who: SignedIn) -> dict[str, Any]:
    """Empty the cart."""
    return _cart(who, (await who.update_data(cart.empty)).value)


@app.get("/api/orders")
async def show_orders(who: SignedIn) -> list[Order]:
    """Show the caller's own orders, newest first."""
    return await asyncio.to_thread(orders.of, who.user_id)


@app.post("/api/orders", status_code=201)
async def place_order(
    request: Request,
    response: Response,
    who: Ordering,
    idempotency_key: IdempotencyKey,
    wanted: Wanted | None = None,
) -> Order:
    """Order what the visitor saw, or what is in the cart. The same key, or the same cart, gives the same order: 200."""
    data = (await who.data()).value
    name, bought = cart.name(who, data), cart.lines(data)
    if wanted:
        name, bought = wanted.cart, cart.seen(who, wanted.cart, wanted.lines)
    total_krw = catalogue.total_krw(bought)
    if total_krw >= BIG_KRW:
        await request.scope["propylon"].require(JUST_CONFIRMED)
    order, is_new = await asyncio.to_thread(orders.place, who.user_id, idempotency_key, name, bought, total_krw)
    # Last, and with a repeated request again: a crash before this leaves a cart too full, and loses no order.
    await who.update_data(cart.take_out(who, order.cart, order.lines))
    response.status_code = 201 if is_new else 200
    return order


@app.get("/api/shop")
async def about() -> dict[str, Any]:
    """Tell the page where people sign in."""
    return {
        "propylon": propylon.config.public_url,
        "mode": propylon.config.mode,
        "big_krw": BIG_KRW,
        "demo": demo.SIGN_IN if os.environ.get("SHOP_DEMO") else None,
    }


def _cart(who: Principal, data: cart.Data) -> dict[str, Any]:
    bought = cart.lines(data)
    return {"name": cart.name(who, data), "lines": bought, "total_krw": catalogue.total_krw(bought)}


app.mount("/", Page(propylon.config.public_origin))
