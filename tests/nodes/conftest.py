"""Nodes of one set-up, each a ``propylon serve`` of its own on a port of its own, on every kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.http.serving import Served, ServedSettings
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

MakeNode = Callable[..., Served]

PUBLIC_URL = "http://localhost:8000"  # one for all; every node's own port answers to it
STORES = ("sqlite", "postgresql", "redis beside sqlite", "redis beside postgresql")


@pytest.fixture(scope="session")
def redis_node() -> Iterator[RedisServer]:
    """One Redis server, for the sessions of all nodes."""
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings that say where a set-up keeps what it keeps; there is nothing in it yet."""
    sessions, _, accounts = request.param.rpartition(" beside ")
    settings = {"store": f"sqlite:///{tmp_path}/shared.db"}
    if sessions:
        redis = request.getfixturevalue("redis_node")
        redis.admin.flushall()
        settings["session_store"] = redis.url
    if accounts == "sqlite":
        yield settings
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    with postgres.database() as name:
        yield {**settings, "store": postgres.url(name)}


@pytest.fixture
def make_node(tmp_path: Path, stores: dict[str, str]) -> Iterator[MakeNode]:
    """A factory of nodes, which are killed when the test is over."""
    nodes: list[Served] = []
    numbers = count()

    def make(**settings: str) -> Served:
        directory = tmp_path / f"node-{next(numbers)}"
        directory.mkdir()
        ours = {"public_url": PUBLIC_URL, "key_file": str(tmp_path / "propylon.key"), **stores, **settings}
        nodes.append(Served(ServedSettings(directory, ours)))
        nodes[-1].start()
        return nodes[-1]

    yield make
    for node in nodes:
        node.kill()
