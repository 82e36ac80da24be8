"""One server for all of these tests, and a stage for each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from tests.pyclient.stage import Loop, Server, Stage, guarded

from propylon import Propylon
from propylon.testing import FakeClock


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service in memory, and an app that it guards, on an event loop of its own."""
    loop, clock = Loop(), FakeClock()
    key_file = tmp_path_factory.mktemp("pyclient") / "propylon.key"
    propylon = Propylon(store="memory://", clock=clock, password_profile="unsafe_cheapest", key_file=str(key_file))
    loop.run(propylon.open())
    yield Server(loop, propylon, guarded(propylon), clock, count(1))
    loop.run(propylon.close())
    loop.close()


@pytest.fixture
def stage(server: Server) -> Stage:
    """An account of its own, and a network on which nothing has happened."""
    return Stage(server)
