"""One event loop for all servers of these tests, and a stage for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pyclient.stage import Loop, Stage

from propylon import Propylon
from propylon.testing import FakeClock


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """An event loop on a thread."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def stage(loop: Loop, tmp_path: Path) -> Iterator[Stage]:
    """A service in memory, with one account."""
    clock = FakeClock()
    propylon = Propylon(
        store="memory://", clock=clock, password_profile="unsafe_cheapest", key_file=str(tmp_path / "propylon.key")
    )
    loop.run(propylon.open())
    yield Stage(loop, propylon, clock)
    loop.run(propylon.close())
