"""The store in one SQLite file keeps the contract, also with several objects on that file."""

from __future__ import annotations

from pathlib import Path

import pytest

from propylon.ports import Store
from propylon.stores import make_store
from propylon.testing import SharedStoreContract


class TestSqliteStore(SharedStoreContract):
    """``sqlite:///...``."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.url = f"sqlite:///{tmp_path}/propylon.db"

    async def make_store(self) -> Store:
        """Return an opened store."""
        store = make_store(self.url)
        await store.open()
        return store
