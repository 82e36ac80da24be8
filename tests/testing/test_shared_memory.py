"""What a rehearsal keeps everything in is a store like every other."""

from __future__ import annotations

import asyncio

import pytest

from propylon.ports import Store
from propylon.testing import SharedStoreContract
from propylon.testing.shared_memory import SharedMemory, done


class TestSharedMemory(SharedStoreContract):
    """Views of one memory, as nodes have them of one database."""

    @pytest.fixture(autouse=True)
    def memory(self) -> None:
        """A memory for each test."""
        self._memory = SharedMemory()

    async def make_store(self) -> Store:
        """Return another view of it."""
        return self._memory.view()


def test_what_would_wait_is_refused() -> None:
    """A step that waits has no loop to wait on: it is said, not left half done."""
    with pytest.raises(RuntimeError, match="waits"):
        done(asyncio.sleep(0))


def test_what_fails_fails_as_it_does_anywhere() -> None:
    """The error of a verb reaches whoever asked."""

    async def fails() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        done(fails())
