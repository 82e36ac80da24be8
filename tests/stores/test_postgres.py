"""The store in a PostgreSQL database keeps the contract, also with several objects on that database."""

from __future__ import annotations

import pytest

from propylon.ports import AccountStore, Store
from propylon.stores import make_store, postgres_store
from propylon.testing import AccountStoreContract, SharedStoreContract


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


class TestPostgresAccounts(AccountStoreContract):
    """A database whose sessions are elsewhere."""

    @pytest.fixture(autouse=True)
    def _place(self, postgres_url: str) -> None:
        self.url = postgres_url

    async def make_account_store(self) -> AccountStore:
        """Return an opened store."""
        accounts = postgres_store(self.url, sessions_elsewhere=True)
        await accounts.open()
        return accounts
