"""Servers that the tests of the stores share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.redis import Cluster, RedisServer, Sentinels


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
