"""The store in a PostgreSQL database keeps the contract, also with several objects on that database."""

from __future__ import annotations

import pytest

from propylon.ports import Store
from propylon.stores import make_store
from propylon.testing import SharedStoreContract


class TestPostgresStore(SharedStoreContract):
    """``postgresql://...``."""

    @pytest.fixture(autouse=True)
    def _place(self, postgres_url: str) -> None:
        self.url = postgres_url

    async def make_store(self) -> Store:
        """Return an opened store."""
        store = make_store(self.url)
        await store.open()
        return store
