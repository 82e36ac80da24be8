"""The shop's file of orders, when it cannot be written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from examples.shop import orders as module
from examples.shop.orders import Orders

from propylon.errors import StoreUnavailable


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Orders:
    """An empty file of orders that is not waited for."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0)
    return Orders(tmp_path / "shop.db")


def test_a_locked_file_refuses_and_places_nothing(orders: Orders, tmp_path: Path) -> None:
    """503 for the caller, who may repeat it with the same key."""
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            orders.place("mina", "key", "session/0", {"lamp": 1}, 68_000)
        other.execute("ROLLBACK")
    assert orders.of("mina") == []
    order, is_new = orders.place("mina", "key", "session/0", {"lamp": 1}, 68_000)
    assert (order.lines, is_new) == ({"lamp": 1}, True)


def test_an_order_is_on_disk_when_it_is_placed(orders: Orders, tmp_path: Path) -> None:
    """Whoever opens the file next, after a crash, finds it; and the number after it is another."""
    placed, _ = orders.place("mina", "key", "session/0", {"lamp": 1}, 68_000)
    again = Orders(tmp_path / "shop.db")
    assert again.of("mina") == [placed]
    following, _ = again.place("mina", "other", "session/1", {"cup": 1}, 32_000)
    assert following.number == placed.number + 1


def test_the_key_decides_before_the_cart_does(orders: Orders) -> None:
    """Two orders fit a request: that of its key, and that of its cart. What the caller named is meant."""
    first, _ = orders.place("mina", "key", "session/0", {"lamp": 1}, 68_000)
    orders.place("mina", "other", "session/1", {"cup": 1}, 32_000)
    assert orders.place("mina", "key", "session/1", {"cup": 1}, 32_000) == (first, False)
