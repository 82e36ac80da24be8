"""Password hashing off the event loop: bounded, and behind everything else in line for the processor.

A hash is dear on purpose, so a storm of sign-ins is the cheapest attack there is. The threads are few and of
low priority, and the queue is short: whoever finds it full is told at once to come back, and those already
signed in do not notice.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from propylon.core.password import Hasher
from propylon.errors import Overloaded

#: How much nicer than the process the threads are (19 is the most).
NICENESS: Final = 10

MAX_RETRY_AFTER_S: Final = 60

T = TypeVar("T")


def default_threads(workers: int) -> int:
    """Return how many hash threads each of ``workers`` processes gets: one core stays free for the others."""
    return max(1, (_usable_cores() - 1) // max(1, workers))


class HashPool:
    """A bounded pool of threads around a `Hasher`.

    Every method but `needs_rehash` raises `propylon.errors.Overloaded` at once when ``max_queue`` callers
    wait already or the pool is closed. A caller that is cancelled while it waits gives its place up; once its
    hash runs, the place is taken until that has ended, since nothing can stop it.

    Args:
        hasher: what hashes.
        threads: how many hashes run at once.
        max_queue: how many more may wait.
    """

    def __init__(self, hasher: Hasher, *, threads: int, max_queue: int) -> None:
        self._hasher = hasher
        self._threads = threads
        self._places = threads + max_queue
        self._depth = 0
        self._mean_s = 0.05  # until the first hash is measured
        self._lock = threading.Lock()
        self._closed = False
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="propylon-hash", initializer=_step_back)

    @property
    def depth(self) -> int:
        """How many hashes run or wait."""
        return self._depth

    async def hash(self, prepared: bytes) -> str:
        """Hash a prepared password."""
        return await self._run(lambda: self._hasher.hash(prepared))

    async def verify(self, stored: str, prepared: bytes) -> bool:
        """Say whether a stored hash is that of this password; raises as `Hasher.verify` does."""
        return await self._run(lambda: self._hasher.verify(stored, prepared))

    async def decoy_verify(self, prepared: bytes) -> bool:
        """Spend what `verify` spends, for a user who does not exist; always False."""
        return await self.verify(self._hasher.decoy(), prepared)

    def needs_rehash(self, stored: str) -> bool:
        """Say whether a stored hash was made at a lower cost; cheap, so it runs here and now."""
        return self._hasher.needs_rehash(stored)

    async def aclose(self) -> None:
        """Take no more work, and wait until the hashes that run or wait have ended."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)

    async def _run(self, work: Callable[[], T]) -> T:
        self._take_place()
        try:
            future = self._executor.submit(self._timed, work)
        except BaseException:  # the executor refused; it will never call back
            self._leave_place()
            raise
        future.add_done_callback(lambda _: self._leave_place())
        return await asyncio.wrap_future(future)

    def _take_place(self) -> None:
        with self._lock:
            if self._closed or self._depth >= self._places:
                raise Overloaded(retry_after_s=self._retry_after_s())
            self._depth += 1

    def _leave_place(self) -> None:
        with self._lock:
            self._depth -= 1

    def _timed(self, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return work()
        finally:
            # A moving mean; a lost update of it under a race does no harm.
            self._mean_s += (time.perf_counter() - started - self._mean_s) / 8

    def _retry_after_s(self) -> int:
        """Return when those now in line will have been served."""
        return min(MAX_RETRY_AFTER_S, max(1, math.ceil(self._depth * self._mean_s / self._threads)))


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # what taskset or a container leaves, not what the machine has
    return os.cpu_count() or 1


def _step_back() -> None:
    """Lower this thread's priority, on Linux: elsewhere its id may be that of another process."""
    if sys.platform == "linux":
        with suppress(OSError):
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + NICENESS)
