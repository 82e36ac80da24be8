"""PostgreSQL restarted, cut off, slow, crowded: nothing is acknowledged half, and recovery needs no hand."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.durability.people import until
from tests.servers.postgres import PostgresServer
from tests.servers.wire import Wire

from propylon.core.session import Session
from propylon.errors import StoreUnavailable
from propylon.stores import postgres_store
from propylon.stores.postgres import PostgresStore, database, feed, place
from propylon.stores.postgres.endings import END_ONE, how_to_end
from propylon.testing.records import NOW, a_session, a_user
from propylon.testing.rules import FEED_TTL_S, end, end_all, ending, heard, heard_at, live_ids, opened, sign_in

TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'propylon' AND datname = $1
"""


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """An open store with one account."""
    store = postgres_store(postgres_url)
    await store.open()
    await store.add_user(a_user())
    yield store
    await store.close()


def through(wire: Wire, url: str) -> str:
    """Return the URL of the same database, at the other end of a wire."""
    return f"postgresql://postgres@127.0.0.1:{wire.port}/{url.rpartition('/')[2]}"


async def ended_or_not(store: PostgresStore, session: Session) -> bool | None:
    """End a session; None where nobody knows whether it was ended."""
    try:
        return await end(store, session.id)
    except StoreUnavailable:
        return None


async def fates(store: PostgresStore, sessions: list[Session]) -> list[bool]:
    """Return of each session whether it has ended, and see that exactly the ended ones were announced."""
    found = [await store.find_session(session.id) for session in sessions]
    over = [session is not None and session.ending is not None for session in found]
    fresh = postgres_store(store._url)
    await fresh.open()
    told = [id_ for subject, id_, _ in heard(fresh) if subject == "session_ended"]
    await fresh.close()
    assert sorted(told) == sorted(session.id for session, gone in zip(sessions, over, strict=True) if gone)
    return over


async def recovered(store: PostgresStore, within_s: float = 10) -> None:
    """Wait until the store can be written to again."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await store.ping()
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def test_a_connection_killed_in_mid_transaction_leaves_nothing(store: PostgresStore) -> None:
    """What the transaction had ended and announced until then is undone, its caller hears so, the next one works."""
    session = await opened(store)

    async def work(db: Any) -> None:
        await db.fetch(END_ONE, *how_to_end(ending(), FEED_TTL_S), session.id, None)
        pid = await db.fetchval("SELECT pg_backend_pid()")
        killer = await asyncpg.connect(store._url)
        assert await killer.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        await killer.close()
        await db.execute("SELECT 1")

    with pytest.raises(StoreUnavailable):
        await store._write(work)
    assert await live_ids(store) == [session.id]
    assert await heard_at(store) == []
    assert await end(store, session.id)


async def test_a_write_that_fails_by_itself_leaves_its_connection_to_nobody(store: PostgresStore) -> None:
    """An open transaction that went back to the pool would take the next caller's write with it."""

    async def fail(db: Any) -> None:
        await db.execute("INSERT INTO settings VALUES ('half', 'written')")
        raise LookupError

    for _ in range(2 * database.WRITING):
        with pytest.raises(LookupError):
            await store._write(fail)
    assert await store.read_setting("half") is None
    assert await store.write_setting("half", "whole", expected=None)


async def test_connections_killed_under_load_acknowledge_nothing_half(store: PostgresStore) -> None:
    """All connections, again and again, while two hundred sessions end: what was answered holds, the rest is whole."""
    sessions = [await opened(store) for _ in range(200)]
    store.news()
    killer = await asyncpg.connect(store._url)
    name = store._url.rpartition("/")[2]
    ends = [asyncio.ensure_future(ended_or_not(store, session)) for session in sessions]
    for _ in range(6):
        await asyncio.sleep(0.01)
        await killer.fetch(TERMINATE, name)
    answers = await asyncio.gather(*ends)
    await killer.close()
    await recovered(store)
    over = await fates(store, sessions)
    assert [gone for gone, answer in zip(over, answers, strict=True) if answer is not None and not gone] == []
    assert None in answers
    assert True in answers


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
async def test_a_server_that_restarts_under_load_loses_nothing_that_was_answered(
    store: PostgresStore, postgres: PostgresServer, how: signal.Signals
) -> None:
    """Neither for who asks nor for who follows; callers meanwhile are told, and nobody has to lend a hand."""
    other = postgres_store(store._url)
    await other.open()
    ended: list[str] = []
    refused = 0
    stop = asyncio.Event()

    async def work() -> None:
        nonlocal refused
        while not stop.is_set():
            try:
                session = await opened(store)
                if await end(store, session.id):
                    ended.append(session.id)
            except StoreUnavailable:
                refused += 1
                await asyncio.sleep(0.02)

    workers = [asyncio.ensure_future(work()) for _ in range(8)]
    await until(lambda: len(ended) > 20)
    before = len(ended)
    await asyncio.to_thread(postgres.stop, how)
    await until(lambda: refused > 0)
    await asyncio.to_thread(postgres.start)
    await recovered(store)
    at_recovery = len(ended)
    await until(lambda: len(ended) > at_recovery + 20)
    stop.set()
    await asyncio.gather(*workers)
    assert 0 < before <= at_recovery < len(ended)
    assert refused
    for session_id in ended:
        found = await store.find_session(session_id)
        assert found is not None
        assert found.ending is not None
    async with asyncio.timeout(5):
        missing = set(ended)
        while missing:
            missing -= {id_ for _, id_, _ in await heard_at(other)}
    assert set(ended) <= {id_ for _, id_, _ in heard(store)}
    await other.close()


async def test_a_slow_store_is_only_slow(store: PostgresStore, postgres: PostgresServer) -> None:
    """200 ms each way: every verb is answered, look-ups share their round trips, and the feed is never silent."""
    async with Wire(postgres.port, delay_s=0.2) as wire:
        slow = postgres_store(through(wire, store._url), max_silence_s=5)
        await slow.open()
        sessions = [await opened(store) for _ in range(64)]
        began = time.monotonic()
        assert await asyncio.gather(*(slow.find_session(session.id) for session in sessions)) == sessions
        assert time.monotonic() - began < 4 * 0.4
        assert await end(slow, sessions[0].id)
        assert heard(slow) == [("session_ended", sessions[0].id, "signed_out")]
        await end(store, sessions[1].id)
        told: list[tuple[str, str, str]] = []
        began = time.monotonic()
        while not told:
            told += heard(slow)
            await asyncio.sleep(0.01)
        assert told == [("session_ended", sessions[1].id, "signed_out")]
        assert time.monotonic() - began < 0.4 + feed.HEARTBEAT_S + 0.4
        await slow.close()


async def test_a_store_that_does_not_answer_is_given_up_in_time(store: PostgresStore, postgres: PostgresServer) -> None:
    """However many wait for it; and when it answers again, it is used again."""
    session = await opened(store)
    async with Wire(postgres.port) as wire:
        node = postgres_store(through(wire, store._url))
        await node.open()
        assert await node.find_session(session.id) == session
        wire.go_dead(for_good=True)
        began = time.monotonic()
        calls = [node.find_session(f"{session.id}{number}") for number in range(300)]
        writes = [end(node, session.id) for _ in range(20)]
        answers = await asyncio.gather(*calls, *writes, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        assert time.monotonic() - began < 2 * (place.CONNECT_TIMEOUT_S + place.COMMAND_TIMEOUT_S)
        wire.come_back()
        await recovered(node)
        assert await node.find_session(session.id) == session
        await node.close()


async def backends(admin: Any, store: PostgresStore) -> dict[int, str]:
    """Return the state of each of the store's connections, by the process that serves it."""
    query = "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'propylon' AND datname = $1"
    return {pid: state for pid, state in await admin.fetch(query, store._url.rpartition("/")[2])}  # noqa: C416 - rows


async def test_a_caller_that_gives_up_in_the_middle_costs_nobody_a_connection(store: PostgresStore) -> None:
    """Impatient callers by the dozen: their writes hold or not, and those who stay are served as if alone."""
    sessions = [await opened(store) for _ in range(60)]
    await asyncio.gather(*(store.ping() for _ in range(60)))
    admin = await asyncpg.connect(store._url)
    before = await backends(admin, store)
    calls = [asyncio.ensure_future(end(store, session.id)) for session in sessions]
    looks = [asyncio.ensure_future(store.find_session(session.id)) for session in sessions]
    await asyncio.sleep(0.002)
    for call in calls[::2] + looks[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    found = await asyncio.gather(*looks, return_exceptions=True)
    assert answers[1::2] == [True] * 30
    assert [session.id for session in found[1::2] if isinstance(session, Session)] == [s.id for s in sessions[1::2]]
    assert set(await live_ids(store)) <= {session.id for session in sessions[::2]}
    after = await backends(admin, store)
    assert set(before) <= set(after)
    assert not [state for state in after.values() if "transaction" in state]
    await admin.close()


async def test_a_closing_store_finishes_what_was_asked_before(store: PostgresStore) -> None:
    """Many more writes than connections wait, and all of them are answered and kept."""
    sessions = [a_session() for _ in range(60)]
    calls = asyncio.gather(*(sign_in(store, session) for session in sessions))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await store.close()
    await calls
    await store.open()
    assert set(await live_ids(store)) == {session.id for session in sessions}


async def test_a_closed_store_answers_nothing(store: PostgresStore) -> None:
    """Reads, writes and news are refused, and closing twice is harmless."""
    await store.close()
    await store.close()
    for question in (store.find_session("x"), store.live_sessions("user-1", 0), store.ping(), store.catch_up()):
        with pytest.raises(StoreUnavailable):
            await question
    with pytest.raises(StoreUnavailable):
        store.news()


async def test_too_many_waiting_writes_are_refused_at_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue without a bound would take memory and answer nobody in time."""
    monkeypatch.setattr(database, "MAX_WAITING", 5)
    answers = await asyncio.gather(*(store.ping() for _ in range(9)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None)] * 5 + [StoreUnavailable] * 4


async def test_a_clash_is_tried_again(store: PostgresStore) -> None:
    """Two that lock the same rows in the opposite order: the server undoes one, which then comes second."""
    await store.add_user(a_user("user-2"))
    both, later = asyncio.Barrier(2), "UPDATE users SET created_at = created_at + 1 WHERE id = $1"
    attempts = 0

    async def lock(db: Any, *names: str) -> bool:
        nonlocal attempts
        attempts += 1
        first_time = attempts <= 2
        await db.execute(later, names[0])
        if first_time:
            await both.wait()
        await db.execute(later, names[1])
        return True

    orders = (("user-1", "user-2"), ("user-2", "user-1"))
    answers = await asyncio.gather(*(store._write(lock, *names) for names in orders), return_exceptions=True)
    assert answers == [True, True]
    assert attempts == 3
    user = await store.find_user("user-1")
    assert user is not None
    assert user.created_at == NOW + 2


async def test_clashes_without_end_are_given_up(store: PostgresStore) -> None:
    """After a few attempts the caller hears that the store did not do it."""
    attempts = 0

    async def clash(db: Any) -> None:
        nonlocal attempts
        attempts += 1
        await db.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")

    with pytest.raises(StoreUnavailable):
        await store._write(clash)
    assert attempts == database.ATTEMPTS


async def test_a_lock_that_somebody_keeps_is_waited_for_only_so_long(store: PostgresStore) -> None:
    """The caller is told; look-ups go on; when the lock is let go, so do writes."""
    session = await opened(store)
    other = await asyncpg.connect(store._url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT 1 FROM propylon.sessions FOR UPDATE")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await end_all(store, "user-1")
    assert time.monotonic() - began < place.COMMAND_TIMEOUT_S
    assert await store.find_session(session.id) == session
    await transaction.rollback()
    assert await end_all(store, "user-1") == (session.id,)
    await other.close()


async def test_reads_do_not_stand_behind_writes(store: PostgresStore) -> None:
    """Every writing connection waits for a lock, and look-ups are answered as always."""
    session = await opened(store)
    other = await asyncpg.connect(store._url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT 1 FROM propylon.sessions FOR UPDATE")
    ends = [asyncio.ensure_future(end(store, session.id)) for _ in range(3 * database.WRITING)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(1):
        assert await store.find_session(session.id) == session
        assert await store.find_user("user-1") == a_user()
    await transaction.rollback()
    assert sorted(await asyncio.gather(*ends)) == [False] * (3 * database.WRITING - 1) + [True]
    await other.close()


async def test_a_server_whose_commits_are_not_durable_is_made_to_wait(postgres_url: str) -> None:
    """Whatever the database's own setting is, an ending that was answered survives a crash."""
    admin = await asyncpg.connect(postgres_url)
    name = postgres_url.rpartition("/")[2]
    await admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    await admin.close()
    store = postgres_store(postgres_url)
    await store.open()

    async def settings(db: Any) -> list[str]:
        return [await db.fetchval(f"SHOW {name}") for name in ("synchronous_commit", "transaction_isolation")]

    assert await store._write(settings) == ["on", "read committed"]
    await store.close()
