"""The cart: a plain dict in the session's data. Every function returns new data, for ``principal.update_data``.

The data is ``{"cart": {product: quantity}, "checkout": {"key": ..., "lines": {product: quantity}}}``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from examples.shop.catalogue import PRICES_KRW
from propylon.errors import NotFound, RuleRefused

Data = dict[str, Any]
Change = Callable[[Data], Data]

MAX_QUANTITY = 999


def lines(data: Data) -> dict[str, int]:
    """Return what is in the cart: quantity by product."""
    return dict(data.get("cart", {}))


def add(product: str, quantity: int) -> Change:
    """Add to what is there. Concurrent additions all count: the store compares and swaps."""
    return lambda data: _with(data, product, lines(data).get(product, 0) + quantity)


def put(product: str, quantity: int) -> Change:
    """Set the quantity; none removes the product."""
    return lambda data: _with(data, product, quantity)


def empty(data: Data) -> Data:
    """Take everything out."""
    return {**data, "cart": {}}


def check_out(key: str) -> Change:
    """Move the cart's lines to the check-out ``key``, so that no two orders can be made of one cart."""

    def change(data: Data) -> Data:
        if data.get("checkout", {}).get("key") == key or not lines(data):
            return data  # a repeated request finds the lines where the first one has put them
        return {"cart": {}, "checkout": {"key": key, "lines": lines(data)}}

    return change


def checked_out(data: Data, key: str) -> dict[str, int]:
    """Return the lines of the check-out ``key``; none if the cart was empty."""
    checkout = data.get("checkout", {})
    return dict(checkout["lines"]) if checkout.get("key") == key else {}


def _with(data: Data, product: str, quantity: int) -> Data:
    if product not in PRICES_KRW:
        raise NotFound
    if not 0 <= quantity <= MAX_QUANTITY:
        raise RuleRefused(errors=(("quantity", "wrong_type", {}),))
    changed = lines(data) | {product: quantity}
    return {**data, "cart": {name: count for name, count in changed.items() if count}}
