"""The order story over a network that breaks: a short run of ``scripts/shop-storm``."""

from __future__ import annotations

from pathlib import Path

from tests.shop.faults import FAULTS
from tests.shop.storm import storm

ORDERS = 40


async def test_whatever_breaks_each_order_is_placed_once_and_nobody_is_signed_out(tmp_path: Path) -> None:
    """In all modes, in two tabs, with tokens of five seconds: what was confirmed is what was placed, as it was seen."""
    one = await storm(tmp_path, orders=ORDERS, people=6, seed=20261125)
    assert one.wrong() == []
    assert sum(map(len, one.placed.values())) == ORDERS
    assert set(one.chance.happened) == set(FAULTS)
