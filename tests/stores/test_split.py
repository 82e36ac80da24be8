"""Accounts in SQLite and sessions in another store are one store, whatever happens between the two writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from propylon.ports import AccountStore, SessionStore, Store
from propylon.stores.memory import MemorySessionStore
from propylon.stores.split import SplitStore
from propylon.stores.sqlite import SqliteStore
from propylon.testing import AccountStoreContract, SessionStoreContract, StoreContract


class TestSplitStore(StoreContract):
    """Accounts in a file, sessions in memory."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "accounts.db"

    async def make_store(self) -> Store:
        """Return an opened store."""
        store = SplitStore(SqliteStore(self.path, sessions_elsewhere=True), MemorySessionStore())
        await store.open()
        return store


class TestSqliteAccounts(AccountStoreContract):
    """A file whose sessions are elsewhere."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "accounts.db"

    async def make_account_store(self) -> AccountStore:
        """Return an opened store."""
        accounts = SqliteStore(self.path, sessions_elsewhere=True)
        await accounts.open()
        return accounts


class TestMemorySessions(SessionStoreContract):
    """Sessions alone, in memory."""

    async def make_session_store(self) -> SessionStore:
        """Return an opened store."""
        return MemorySessionStore()
