"""Fills stores with sessions, and measures what they weigh and how fast they are found."""

from __future__ import annotations

import asyncio
import random
import secrets
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from time import perf_counter
from uuid import uuid4

from tests.servers.redis import RedisServer

from bench.table import Result, median_of
from propylon.core.revocation import FeedEntry, RevokedSessions
from propylon.core.secret import new_session_id
from propylon.core.session import Session
from propylon.stores.redis import RedisStore
from propylon.testing.records import NOW, a_session, an_opening

AT_ONCE = 64
ROUNDS = 5
LOOK_UPS = 60_000
HELD = 20_000
REVOKED = 1_000_000


async def redis_memory(server: RedisServer, sizes: Sequence[int]) -> list[Result]:
    """Return the memory of a session at each size, one user a session, its user's list with it."""
    results, there = [], 0
    async with _Opened(server) as store:
        empty = server.admin.info("memory")["used_memory"]
        for size in sizes:
            await _open_sessions(store, size - there)
            there = size
            each = (server.admin.info("memory")["used_memory"] - empty) / size
            results.append(Result(f"a session in Redis, of {size:,}", each, (each, each), "bytes", 400))
    return results


async def look_ups(server: RedisServer) -> Result:
    """Return how many sessions a second one process on one core finds, 64 asked for at a time."""
    rates = []
    async with _Opened(server) as store:
        ids = [session.id for session in await _open_sessions(store, HELD)]

        async def look(some: Sequence[str]) -> None:
            for session_id in some:
                assert await store.find_session(session_id) is not None

        for _ in range(ROUNDS):
            each = [random.choices(ids, k=LOOK_UPS // AT_ONCE) for _ in range(AT_ONCE)]  # noqa: S311 - no secret
            started = perf_counter()
            await asyncio.gather(*(look(some) for some in each))
            rates.append(sum(map(len, each)) / (perf_counter() - started) / 1000)
    middle, spread = median_of(rates)
    return Result("look-ups in Redis, 64 at once", middle, spread, "thousand/s", 60, at_most=False)


async def fill_redis(server: RedisServer, sessions: int) -> None:
    """Open that many sessions."""
    async with _Opened(server) as store:
        await _open_sessions(store, sessions)


def fill_postgres(url: str, sessions: int) -> None:
    """Add that many live sessions, by a statement: opening them one by one takes minutes."""
    asyncio.run(_filled(url, sessions))


def revocation_set() -> list[Result]:
    """Return what an entry weighs and how long a million take; each in a process that does nothing else."""
    weights = [_alone("weigh")]
    times = [_alone("load") for _ in range(ROUNDS)]
    weight, weight_spread = median_of(weights)
    seconds, seconds_spread = median_of(times)
    return [
        Result("an entry of the revocation set", weight, weight_spread, "bytes", 120),
        Result(f"loading {REVOKED:,} revocations", seconds, seconds_spread, "s", 2.0),
    ]


def _alone(what: str) -> float:
    command = [sys.executable, "-m", "bench.filling", what]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _weigh() -> float:
    tracemalloc.start()
    held = _loaded(REVOKED)[0]
    each = tracemalloc.get_traced_memory()[0] / len(held)
    tracemalloc.stop()
    return each


def _loaded(number: int) -> tuple[RevokedSessions, float]:
    """Return a set that was loaded, and the seconds that it took beside making up what is in it."""
    held, took_s = RevokedSessions(300), 0.0
    for start in range(0, number, 10_000):
        ids = [secrets.token_urlsafe(16) for _ in range(10_000)]
        started = perf_counter()
        for position, session_id in enumerate(ids, start):
            held.add(FeedEntry(position, "session_ended", session_id, "signed_out", NOW), position / 10_000)
        took_s += perf_counter() - started
    return held, took_s


async def _open_sessions(store: RedisStore, number: int) -> list[Session]:
    sessions: list[Session] = []
    for _ in range(0, number, AT_ONCE):
        some = [_session() for _ in range(min(AT_ONCE, number - len(sessions)))]
        await asyncio.gather(*(store.open_session(an_opening(one), NOW) for one in some))
        sessions += some
    return sessions


def _session() -> Session:
    user_id = str(uuid4())
    return a_session(user_id, id=new_session_id(secrets.token_bytes(16), user_id))


class _Opened:
    """A store that is open for a while."""

    def __init__(self, server: RedisServer) -> None:
        self._store = RedisStore(server.url, max_silence_s=5)

    async def __aenter__(self) -> RedisStore:
        await self._store.open()
        return self._store

    async def __aexit__(self, *_: object) -> None:
        await self._store.close()


async def _filled(url: str, sessions: int) -> None:
    from propylon.stores.postgres import PostgresStore  # noqa: PLC0415 - of two drivers one is enough elsewhere
    from propylon.stores.postgres.place import connect  # noqa: PLC0415

    store = PostgresStore(url, max_silence_s=5)
    await store.open()
    await store.open_session(an_opening(_session()), NOW)
    await store.close()
    db = await connect(url, command_timeout=300)
    columns = await db.fetchval(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_schema = 'propylon'"
        " AND table_name = 'sessions' AND column_name NOT IN ('seq', 'id', 'user_id')"
    )
    await db.execute(
        f"INSERT INTO sessions (id, user_id, {columns}) SELECT md5(n::text), gen_random_uuid()::text, {columns}"  # noqa: S608 - ours
        f" FROM sessions, generate_series(2, {sessions}) AS n; ANALYZE"
    )
    await db.close()


if __name__ == "__main__":
    print(_weigh() if sys.argv[1] == "weigh" else _loaded(REVOKED)[1])
