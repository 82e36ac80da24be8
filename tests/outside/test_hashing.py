"""The hash pool: bounded, aside of the event loop, and exact about its places."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator

import pytest

from propylon.core.password import OWASP, UNSAFE_CHEAPEST, Hasher, is_foreign
from propylon.errors import Overloaded, PropylonError
from propylon.outside.hashing import MAX_REFUSAL_S, MAX_RETRY_AFTER_S, NICENESS, HashPool, default_threads


class GatedHasher(Hasher):
    """The real hasher, which starts a hash only when the test opens the gate."""

    def __init__(self) -> None:
        super().__init__(UNSAFE_CHEAPEST)
        self.gate = threading.Event()
        self.started = threading.Semaphore(0)
        self.hashed: list[bytes] = []

    def hash(self, prepared: bytes) -> str:
        """Wait for the gate, then hash."""
        self.started.release()
        assert self.gate.wait(timeout=60)
        self.hashed.append(prepared)
        return super().hash(prepared)


@pytest.fixture
def hasher() -> GatedHasher:
    """Return a hasher behind a closed gate."""
    return GatedHasher()


@pytest.fixture
async def pool(hasher: GatedHasher) -> AsyncIterator[HashPool]:
    """Return a pool of one thread with room for two more."""
    pool = HashPool(hasher, threads=1, max_queue=2, patience_s=60)
    yield pool
    hasher.gate.set()
    await pool.aclose()


async def started(pool: HashPool, hasher: GatedHasher, *passwords: bytes) -> list[asyncio.Task[str]]:
    """Start hashes, one after the other, and wait until the first one runs."""
    tasks = [asyncio.create_task(pool.hash(password)) for password in passwords]
    await asyncio.to_thread(hasher.started.acquire)
    return tasks


async def emptied(pool: HashPool) -> None:
    """Wait until every place is free again."""
    async with asyncio.timeout(60):
        while pool.depth:  # noqa: ASYNC110 - a worker thread empties it, which sets no event here
            await asyncio.sleep(0.001)


async def test_a_password_is_hashed_and_verified_off_the_loop(pool: HashPool, hasher: GatedHasher) -> None:
    """The answers are the hasher's own."""
    hasher.gate.set()
    stored = await pool.hash(b"password")
    assert await pool.verify(stored, b"password")
    assert not await pool.verify(stored, b"passwort")
    assert not pool.needs_rehash(stored)
    assert not await pool.decoy_verify(b"password")
    await emptied(pool)


async def test_a_full_queue_refuses_at_once(pool: HashPool, hasher: GatedHasher) -> None:
    """One runs, two wait, the fourth is told to come back; and the three are served."""
    tasks = await started(pool, hasher, b"1", b"2", b"3")
    for refused in (pool.hash(b"4"), pool.verify("", b"4"), pool.decoy_verify(b"4")):
        with pytest.raises(Overloaded) as overloaded:
            await refused
        assert 1 <= overloaded.value.retry_after_s <= MAX_RETRY_AFTER_S
    assert pool.depth == 3
    hasher.gate.set()
    assert all(await asyncio.gather(*tasks))
    assert hasher.hashed == [b"1", b"2", b"3"]
    await emptied(pool)
    assert await pool.hash(b"5")


async def test_a_caller_that_leaves_while_waiting_gives_its_place_up(pool: HashPool, hasher: GatedHasher) -> None:
    """Its hash is never made: an attacker who hangs up costs nothing."""
    tasks = await started(pool, hasher, b"1", b"2", b"3")
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    assert pool.depth == 2
    later = asyncio.create_task(pool.hash(b"4"))
    hasher.gate.set()
    await asyncio.gather(tasks[0], tasks[2], later)
    assert hasher.hashed == [b"1", b"3", b"4"]


async def test_a_caller_that_leaves_while_its_hash_runs_keeps_the_place_until_its_end(
    pool: HashPool, hasher: GatedHasher
) -> None:
    """The processor is still at it: a place given up early would let in more work than there are threads."""
    (task,) = await started(pool, hasher, b"1")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert pool.depth == 1
    hasher.gate.set()
    await emptied(pool)
    assert hasher.hashed == [b"1"]


async def test_a_storm_of_callers_that_leave_leaks_no_place(pool: HashPool, hasher: GatedHasher) -> None:
    """Cancelled before, while and after running, in any order, the places come back."""
    hasher.gate.set()
    for round_ in range(100):
        tasks = [asyncio.create_task(pool.hash(b"x")) for _ in range(3)]
        for _ in range(round_ % 4):
            await asyncio.sleep(0)
        for task in tasks[: round_ % 3 + 1]:
            task.cancel()
        await asyncio.wait(tasks)
        await emptied(pool)


async def test_an_unreadable_hash_is_the_callers_and_frees_its_place(pool: HashPool) -> None:
    """What the hasher raises arrives, and the pool goes on."""
    for _ in range(5):
        with pytest.raises(PropylonError) as refused:
            await pool.verify("no hash", b"password")
        assert refused.value.code == "hash_unreadable"
    await emptied(pool)


async def test_the_event_loop_turns_while_passwords_are_hashed() -> None:
    """A hash on the loop itself would let it turn once; beside it, it turns hundreds of times."""
    pool = HashPool(Hasher(OWASP), threads=1, max_queue=4)
    hashing = asyncio.gather(*(pool.hash(b"password") for _ in range(4)))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    await pool.aclose()
    assert len(await hashing) == 4
    assert turns > 100


async def test_a_closed_pool_finishes_what_it_took_and_takes_no_more(hasher: GatedHasher) -> None:
    """Those who wait are served: their number is bounded."""
    pool = HashPool(hasher, threads=1, max_queue=2)
    tasks = await started(pool, hasher, b"1", b"2")
    closing = asyncio.create_task(pool.aclose())
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool.hash(b"3")
    hasher.gate.set()
    await closing
    assert len(await asyncio.gather(*tasks)) == 2
    assert pool.depth == 0


class TellingHasher(Hasher):
    """Tells by which scheduling its thread runs; the first hash gets no processor until it is let go."""

    def __init__(self) -> None:
        super().__init__(UNSAFE_CHEAPEST)
        self.let_go = threading.Event()
        self.let_go.set()

    def hash(self, prepared: bytes) -> str:
        """Return the policy and the niceness of the thread."""
        thread = threading.get_native_id()
        told = f"{os.sched_getscheduler(thread)} {os.getpriority(os.PRIO_PROCESS, thread)}"
        if threading.current_thread().name.startswith("propylon-hash_"):
            assert self.let_go.wait(timeout=60)
        return told


@pytest.mark.parametrize("forbidden", [False, True])
async def test_hash_threads_stand_behind_the_others(monkeypatch: pytest.MonkeyPatch, *, forbidden: bool) -> None:
    """On Linux they run when nothing else wants the processor, or at least of lower priority; the process does not."""
    if forbidden:
        monkeypatch.setattr(os, "sched_setscheduler", refuse)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    pool = HashPool(TellingHasher(), threads=1, max_queue=0)
    told = await pool.hash(b"")
    await pool.aclose()
    assert told == (f"{os.SCHED_OTHER} {min(19, own + NICENESS)}" if forbidden else f"{os.SCHED_IDLE} {own}")
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def refuse(*_: object) -> None:
    """Do what a sandbox does."""
    raise PermissionError


async def test_hashes_that_get_no_processor_are_done_by_another_thread() -> None:
    """A machine that is busy without pause keeps nobody out: the running and the waiting ones are taken over."""
    hasher = TellingHasher()
    hasher.let_go.clear()
    pool = HashPool(hasher, threads=1, max_queue=8, patience_s=0.01)  # nine callers fill every place
    own = os.getpriority(os.PRIO_PROCESS, 0)
    told = await asyncio.wait_for(asyncio.gather(*(pool.hash(b"") for _ in range(9))), 30)
    assert told == [f"{os.SCHED_OTHER} {min(19, own + NICENESS)}"] * 9
    assert pool.depth == 1  # the one that cannot be stopped holds its place
    hasher.let_go.set()
    await emptied(pool)
    assert (await pool.hash(b"")).startswith(str(os.SCHED_IDLE))
    await pool.aclose()


def test_one_core_stays_free_and_the_workers_share_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by what the process may use, not by what the machine has; never less than one."""
    for cores, workers, threads in [(1, 1, 1), (2, 1, 1), (8, 1, 7), (8, 2, 3), (8, 8, 1), (8, 0, 7)]:
        usable = set(range(cores))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, usable=usable: usable, raising=False)
        assert default_threads(workers) == threads


class SlowForeign(Hasher):
    """A hasher to which every password but one is wrong, and another system's hash takes long."""

    def verify(self, stored: str, prepared: bytes) -> bool:
        """Take a while for what is not ours."""
        if is_foreign(stored):
            time.sleep(0.05)
        return prepared == b"right"


async def test_every_refusal_takes_as_long_as_that_of_an_imported_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, known and imported wait alike once such a hash was met; who is right does not wait."""
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    pool = HashPool(SlowForeign(UNSAFE_CHEAPEST), threads=1, max_queue=2, patience_s=60)
    ours, theirs = "$argon2id$ours", "$2b$theirs"
    assert not await pool.verify(ours, b"wrong")
    assert waits == []  # nothing was imported: nobody waits
    assert not await pool.verify(theirs, b"wrong")
    assert waits.pop() == 0
    assert not await pool.verify(ours, b"wrong")
    assert not await pool.decoy_verify(b"wrong")
    known, unknown = waits
    assert 0.04 < known <= MAX_REFUSAL_S
    assert 0.04 < unknown <= MAX_REFUSAL_S
    assert await pool.verify(ours, b"right")
    assert await pool.verify(theirs, b"right")
    assert len(waits) == 2
    await pool.aclose()
