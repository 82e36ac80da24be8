"""Shared fixtures: whole services in process, on a clock that the test moves, and one behind a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http.driving import Connect, MakePropylon, connected
from tests.http.serving import Served, ServedSettings
from tests.servers.postgres import PostgresServer

from propylon import Propylon
from propylon.outside import hashing
from propylon.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
async def make_propylon(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakePropylon]:
    """A factory of open services; all of one test share a key file and, with ``store="sqlite"``, a database."""
    # Their passwords are cheap, and other tests keep the processors busy: an idle one would be waited for in vain.
    monkeypatch.setattr(hashing, "_wait_for_idle_processor", lambda: None)
    opened: list[Propylon] = []

    async def make(*, store: str = "sqlite", **settings: Any) -> Propylon:
        url = f"sqlite:///{tmp_path / 'propylon.db'}" if store == "sqlite" else "memory://"
        settings = {"password_profile": "unsafe_cheapest", "key_file": str(tmp_path / "propylon.key"), **settings}
        propylon = Propylon(store=url, clock=clock, **settings)
        opened.append(await propylon.open())
        return propylon

    yield make
    for propylon in opened:
        await propylon.close()


@pytest.fixture
async def propylon(make_propylon: MakePropylon) -> Propylon:
    """A service on a temporary SQLite file, public at http://localhost:8000."""
    return await make_propylon()


@pytest.fixture
async def in_memory(make_propylon: MakePropylon) -> Propylon:
    """The same in memory: faster, where the test is not about the store."""
    return await make_propylon(store="memory")


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """A factory of HTTP clients of a service in this process, each with its own cookies."""
    clients: list[httpx.AsyncClient] = []

    def make(app: Any, base_url: str = "http://localhost:8000", **how: Any) -> httpx.AsyncClient:
        clients.append(connected(app, base_url, **how))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def client(propylon: Propylon, connect: Connect) -> httpx.AsyncClient:
    """One client of ``propylon``."""
    return connect(propylon)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """A factory of real servers, each a process group of its own on a free loopback port."""
    running: list[Served] = []

    def start(**settings: str) -> Served:
        running.append(Served(ServedSettings(tmp_path, settings)))
        running[-1].start()
        return running[-1]

    yield start
    for served in running:
        served.kill()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A real server with the settings that all of these tests share."""
    return serve()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that all tests share; each has a database of its own."""
    server = PostgresServer()
    try:
        server.start()
        server.prepare()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh database with Propylon's schema in it."""
    with postgres.database() as name:
        yield postgres.url(name)
