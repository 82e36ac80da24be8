"""The store in memory keeps the contract."""

from __future__ import annotations

from propylon.ports import Store
from propylon.stores import make_store
from propylon.testing import StoreContract


class TestMemoryStore(StoreContract):
    """``memory://``."""

    async def make_store(self) -> Store:
        """Return an opened store."""
        store = make_store("memory://")
        await store.open()
        return store
