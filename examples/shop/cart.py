"""The cart: a plain dict in the session's data. Every function returns new data, for ``principal.update_data``.

The data is ``{"cart": {product: quantity}, "number": n}``, where ``number`` counts the carts that this session has
ordered. It is also the caller's to write (``PUT /v1/session/data``), so what stands in it is checked when it is read.

A cart has a name, which goes to the page and comes back with the order: whose it is, of which session, and the how
manieth. So a tab that still shows a cart that another has ordered orders nothing twice, an order that waits for a new
sign-in is still the same, and whoever has signed in meanwhile orders nothing that they have not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from examples.shop.catalogue import PRICES_KRW
from propylon import Principal
from propylon.errors import Forbidden, NotFound, RuleRefused

Data = dict[str, Any]
Change = Callable[[Data], Data]

MAX_QUANTITY = 999


def lines(data: Data) -> dict[str, int]:
    """Return what is in the cart: quantity by product."""
    kept = data.get("cart")
    kept = kept if isinstance(kept, dict) else {}
    return {product: count for product, count in kept.items() if _is_line(product, count)}


def name(who: Principal, data: Data) -> str:
    """Return which cart this is. Ordering it makes the next one."""
    return f"{who.user_id}/{who.session_id}/{_number(data)}"


def seen(who: Principal, cart: str, quantities: dict[str, int]) -> dict[str, int]:
    """Return what a page says that its visitor saw in a cart, checked.

    Raises:
        Forbidden: somebody else saw it. A cookie comes by itself, also to a page that does not know of the change.
        NotFound: there is no such product.
        RuleRefused: a quantity is out of range.
    """
    if not cart.startswith(f"{who.user_id}/"):
        raise Forbidden
    for product, quantity in quantities.items():
        _check(product, quantity, least=1)
    return quantities


def add(product: str, quantity: int) -> Change:
    """Add to what is there. Concurrent additions all count: the store compares and swaps."""
    return lambda data: _with(data, product, lines(data).get(product, 0) + quantity)


def put(product: str, quantity: int) -> Change:
    """Set the quantity; none removes the product."""
    return lambda data: _with(data, product, quantity)


def empty(data: Data) -> Data:
    """Take everything out."""
    return {**data, "cart": {}}


def take_out(who: Principal, ordered: str, bought: dict[str, int]) -> Change:
    """Take what was bought out of the cart ``ordered``, once: done again, or late, it touches no newer cart."""

    def change(data: Data) -> Data:
        if name(who, data) != ordered:
            return data
        left = {product: count - bought.get(product, 0) for product, count in lines(data).items()}
        return {"cart": {product: count for product, count in left.items() if count > 0}, "number": _number(data) + 1}

    return change


def _with(data: Data, product: str, quantity: int) -> Data:
    _check(product, quantity, least=0)
    changed = lines(data) | {product: quantity}
    return {**data, "cart": {kept: count for kept, count in changed.items() if count}}


def _check(product: str, quantity: int, *, least: int) -> None:
    if product not in PRICES_KRW:
        raise NotFound
    if not least <= quantity <= MAX_QUANTITY:
        raise RuleRefused(errors=(("quantity", "out_of_range", {"least": least, "most": MAX_QUANTITY}),))


def _number(data: Data) -> int:
    kept = data.get("number")
    return kept if type(kept) is int else 0


def _is_line(product: str, count: object) -> bool:
    return product in PRICES_KRW and type(count) is int and 0 < count <= MAX_QUANTITY
