"""Sessions on Redis keep the contract: on one server, behind sentinels, and on a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers.redis import Cluster, RedisServer, Sentinels

from propylon.ports import SessionStore, Store
from propylon.stores.redis import RedisStore
from propylon.stores.split import SplitStore
from propylon.stores.sqlite import SqliteStore
from propylon.testing import SessionStoreContract, SharedStoreContract

SILENCE_S = 5


class OnRedis(SharedStoreContract, SessionStoreContract):
    """Accounts in a file, sessions where the class says."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, where: str, patient: None) -> None:
        self.path, self.url = tmp_path / "accounts.db", where

    async def make_store(self) -> Store:
        """Return an opened store."""
        accounts = SqliteStore(self.path, sessions_elsewhere=True)
        store = SplitStore(accounts, RedisStore(self.url, max_silence_s=SILENCE_S))
        await store.open()
        return store

    async def make_session_store(self) -> SessionStore:
        """Return an opened store."""
        sessions = RedisStore(self.url, max_silence_s=SILENCE_S)
        await sessions.open()
        return sessions


class TestOnOneServer(OnRedis):
    """``redis://``."""

    @pytest.fixture
    def where(self, redis_server: RedisServer) -> str:
        """An empty server."""
        redis_server.admin.flushall()
        return redis_server.url


class TestBehindSentinels(OnRedis):
    """``redis+sentinel://``."""

    @pytest.fixture
    def where(self, sentinels: Sentinels) -> str:
        """An empty master."""
        sentinels.master().admin.flushall()
        return sentinels.url


class TestOnACluster(OnRedis):
    """``redis+cluster://``."""

    @pytest.fixture
    def where(self, cluster: Cluster) -> str:
        """Empty masters."""
        cluster.empty()
        return cluster.url
