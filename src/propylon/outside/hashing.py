"""Password hashing off the event loop: bounded, and behind everything else in line for the processor.

A hash is dear on purpose, so a storm of sign-ins is the cheapest attack there is. The threads are few and run
only when nothing else wants the processor, and the queue is short: whoever finds it full is told at once to
come back, and those already signed in do not notice. Where something else wants every processor all the time,
one more thread, of low priority, goes on with the work: a busy machine must not keep everybody out.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from propylon.core.password import Hasher, is_foreign
from propylon.errors import Overloaded

#: How much nicer than the process a thread is that may not wait for an idle processor (19 is the most).
NICENESS: Final = 10

#: A hash takes 20 to 150 ms; one that has run for longer than this gets no processor.
PATIENCE_S: Final = 0.25

MAX_RETRY_AFTER_S: Final = 60

#: A refusal takes as long as the slowest of so many imported hashes did, within reason.
FOREIGN_REMEMBERED: Final = 32
MAX_REFUSAL_S: Final = 2.0

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
        patience_s: how long a hash may run before it is taken to get no processor.
    """

    def __init__(self, hasher: Hasher, *, threads: int, max_queue: int, patience_s: float = PATIENCE_S) -> None:
        self._hasher = hasher
        self._threads = threads
        self._places = threads + max_queue
        self._depth = 0
        self._mean_s = 0.05  # until the first hash is measured
        self._lock = threading.Lock()
        self._closed = False
        self._patience_s = patience_s
        self._executor = ThreadPoolExecutor(threads, "propylon-hash", initializer=_wait_for_idle_processor)
        self._escort = ThreadPoolExecutor(1, "propylon-hash-escort", initializer=_step_back)
        self._starved: set[Future[Any]] = set()
        self._foreign_s: deque[float] = deque(maxlen=FOREIGN_REMEMBERED)

    @property
    def depth(self) -> int:
        """How many hashes run or wait."""
        return self._depth

    async def hash(self, prepared: bytes) -> str:
        """Hash a prepared password."""
        return await self._run(lambda: self._hasher.hash(prepared))

    async def verify(self, stored: str, prepared: bytes) -> bool:
        """Say whether a stored hash is that of this password; raises as `Hasher.verify` does.

        An imported hash costs another time than ours, so its owner would be told from a stranger by the wait for a
        refusal. Where there are imported hashes, every refusal therefore waits for the slowest of them, on no thread.
        """
        right, took_s = await self._run(lambda: self._verified(stored, prepared))
        if not right and self._foreign_s:
            await asyncio.sleep(min(max(self._foreign_s), MAX_REFUSAL_S) - took_s)  # at once when that is negative
        return right

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
        await asyncio.to_thread(self._escort.shutdown)

    async def _run(self, work: Callable[[], T]) -> T:
        self._take_place(self._places)
        return await self._result(self._submit(self._executor, work), work)

    def _submit(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> Future[T]:
        """Let an executor do work for which a place was taken; the place is free when it has ended."""
        try:
            job = executor.submit(self._timed, work)
        except BaseException:  # the executor refused; it will never call back
            self._leave_place()
            raise
        job.add_done_callback(lambda _: self._leave_place())
        return job

    async def _result(self, job: Future[T], work: Callable[[], T]) -> T:
        waiting = asyncio.wrap_future(job)
        try:
            if await self._is_starved(job, waiting):
                return await self._escorted(job, waiting, work)
            return waiting.result()
        finally:
            waiting.cancel()  # a caller that leaves, or has its answer: what has not begun need not begin

    async def _is_starved(self, job: Future[T], waiting: asyncio.Future[T]) -> bool:
        """Wait for a hash; return True as soon as it is clear that it gets no processor."""
        was_running = False
        while not (await asyncio.wait({waiting}, timeout=self._patience_s))[0]:
            if was_running:
                self._starved.add(job)
                job.add_done_callback(self._starved.discard)
            if self._starved and not self._closed:
                return True  # its own thread, or the one that it waits for
            was_running = job.running()
        return False

    async def _escorted(self, job: Future[T], waiting: asyncio.Future[T], work: Callable[[], T]) -> T:
        """Do the work in the thread that does get a processor; a first run that cannot be stopped may still win."""
        has_begun = not job.cancel()
        # What has begun cannot be stopped and keeps its own place; what has not gave it up in this moment.
        self._take_place(self._places + (self._threads if has_begun else 0))
        escorted = asyncio.wrap_future(self._submit(self._escort, work))
        if not has_begun:
            return await escorted
        finished, late = await asyncio.wait({waiting, escorted}, return_when=asyncio.FIRST_COMPLETED)
        for other in late:
            other.cancel()
        return finished.pop().result()

    def _verified(self, stored: str, prepared: bytes) -> tuple[bool, float]:
        """Return the answer, and how long it took."""
        started = time.perf_counter()
        right = self._hasher.verify(stored, prepared)
        took_s = time.perf_counter() - started
        if is_foreign(stored):
            self._foreign_s.append(took_s)
        return right, took_s

    def _take_place(self, places: int) -> None:
        with self._lock:
            if self._closed or self._depth >= places:
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


def _wait_for_idle_processor() -> None:
    """Let this thread run only when nothing else wants the processor, on Linux.

    A lower priority alone is not enough: a thread that has the processor keeps it for a slice of some
    milliseconds, also when the event loop wakes up meanwhile. An idle thread is moved aside at once.
    """
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        except OSError:  # some sandboxes forbid it
            _step_back()


def _step_back() -> None:
    """Lower this thread's priority, on Linux: elsewhere its id may be that of another process."""
    if sys.platform == "linux":
        with suppress(OSError):
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + NICENESS)
