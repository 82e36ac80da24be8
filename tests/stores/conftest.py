"""Servers that the tests of the stores share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.redis import Cluster, RedisServer, Sentinels

from propylon.stores.redis import database, place


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis server, which forgets."""
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Sentinels]:
    """A master, its replica and three sentinels."""
    servers = Sentinels()
    try:
        yield servers.start()
    finally:
        servers.remove()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three masters and three replicas."""
    servers = Cluster()
    try:
        yield servers.start()
    finally:
        servers.remove()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that give a busy machine ten times as long; what they do in the time that they have is another test's."""
    for module, name in ((database, "CALL_TIMEOUT_S"), (database, "CONFIRM_WITHIN_MS"), (place, "ANSWER_TIMEOUT_S")):
        monkeypatch.setattr(module, name, 10 * getattr(module, name))
