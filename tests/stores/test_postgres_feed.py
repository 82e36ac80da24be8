"""The feed on PostgreSQL: in the order of commits, heard at once, and never silent without anybody noticing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from tests.servers.postgres import PostgresServer
from tests.servers.wire import Wire

from propylon.core.limits import LimitReached, SessionLimits
from propylon.core.revocation import FeedEntry
from propylon.errors import FeedSilent, StoreUnavailable
from propylon.stores import postgres_store
from propylon.stores.postgres import PostgresStore, feed, unread
from propylon.testing.records import a_session, a_user
from propylon.testing.rules import FEED_TTL_S, end, ending, heard, heard_at, opened, sign_in

INSERT = (
    "INSERT INTO propylon.feed (subject, id, reason, expires_at) VALUES ('session_ended', $1, 'evicted', 2000000000)"
)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """An open store with one account."""
    store = postgres_store(postgres_url)
    await store.open()
    await store.add_user(a_user())
    yield store
    await store.close()


async def until(condition: Callable[[], object], within_s: float) -> float:
    """Wait until something is so, and return how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is watched sets no event
            await asyncio.sleep(0.002)
    return time.monotonic() - began


def listening(store: PostgresStore) -> tuple[list[FeedEntry], Callable[[], int]]:
    """Return a list, and what adds the news to it and returns how many there are, silent or not."""
    told: list[FeedEntry] = []

    def count() -> int:
        with suppress(FeedSilent):
            told.extend(store.news())
        return len(told)

    return told, count


async def connected(url: str) -> Any:
    """Return a connection of an administrator."""
    return await asyncpg.connect(url)


async def test_a_smaller_number_that_commits_later_is_not_skipped(store: PostgresStore, postgres_url: str) -> None:
    """The transaction that began first commits last; its entry comes last, and comes."""
    first, second = await connected(postgres_url), await connected(postgres_url)
    earlier, later = first.transaction(), second.transaction()
    await earlier.start()
    await first.execute(INSERT, "began first")
    await later.start()
    async with asyncio.timeout(5):  # neither waits for the other before its own commit
        await second.execute(INSERT, "began second")
        await later.commit()
    await store.catch_up()
    told = list(store.news())
    await earlier.commit()
    await store.catch_up()
    told += store.news()
    assert [entry.id for entry in told] == ["began second", "began first"]
    assert told[1].position == told[0].position + 1
    await asyncio.gather(first.close(), second.close())


async def test_no_reader_ever_sees_a_hole_that_is_filled_later(postgres_url: str) -> None:
    """Eight transactions at a time, each with a pause before its commit, some taken back; readers look all the while.

    A reader that had gone past a position would miss what becomes visible below it.
    """
    rng = random.Random(7)  # noqa: S311 - pauses, the same in each run
    told: list[int] = []
    done = asyncio.Event()

    async def write(number: int) -> None:
        db = await connected(postgres_url)
        for turn in range(40):
            transaction = db.transaction()
            await transaction.start()
            for part in range(rng.randint(1, 3)):
                await db.execute(INSERT, f"{number} {turn} {part}")
            await asyncio.sleep(rng.random() * 0.004)
            await (transaction.rollback() if rng.random() < 0.2 else transaction.commit())
        await db.close()

    async def read() -> None:
        db, last = await connected(postgres_url), 0
        while not done.is_set():
            for (position,) in await db.fetch(
                "SELECT position FROM propylon.feed WHERE position > $1 ORDER BY position", last
            ):
                told.append(position)
                last = position
        await db.close()

    reader = asyncio.ensure_future(read())
    await asyncio.gather(*(write(number) for number in range(8)))
    await asyncio.sleep(0.05)
    done.set()
    await reader
    db = await connected(postgres_url)
    kept = [row[0] for row in await db.fetch("SELECT position FROM propylon.feed ORDER BY position")]
    assert len(kept) > 300
    assert told == kept == list(range(1, len(kept) + 1))
    await db.close()


async def test_another_node_hears_within_milliseconds(store: PostgresStore, postgres_url: str) -> None:
    """Nobody asks: the notification wakes the follower. Far below the heartbeat, which would hear it too."""
    other = postgres_store(postgres_url)
    await other.open()
    lags = []
    for _ in range(20):
        session = await opened(store)
        await asyncio.sleep(0.02)
        await end(store, session.id)
        told, count = listening(other)
        lags.append(await until(count, 5))
        assert [entry.id for entry in told] == [session.id]
    assert sorted(lags)[len(lags) // 2] < feed.HEARTBEAT_S / 4
    await other.close()


async def test_an_entry_that_was_never_notified_is_heard_all_the_same(store: PostgresStore, postgres_url: str) -> None:
    """The rows are the truth: the heartbeat finds them."""
    db = await connected(postgres_url)
    await db.execute("ALTER TABLE propylon.feed DISABLE TRIGGER feed_gets_position")
    await db.execute(
        "INSERT INTO propylon.feed (position, subject, id, reason, expires_at, announced_ms)"
        " VALUES (nextval('propylon.feed_positions'), 'user_changed', 'user-1', '', 2000000000, 0)"
    )
    told, count = listening(store)
    await until(count, 5)
    assert [entry.id for entry in told] == ["user-1"]
    await db.close()


async def test_an_entry_knows_when_it_was_committed(store: PostgresStore) -> None:
    """By the clock of the server, for the lag."""
    session = await opened(store)
    before_ms = time.time_ns() // 1_000_000
    await end(store, session.id)
    (entry,) = store.news()
    assert before_ms - 1 <= entry.announced_ms <= time.time_ns() // 1_000_000 + 1


async def test_a_listen_connection_lost_without_a_word_is_noticed(
    store: PostgresStore, postgres: PostgresServer, postgres_url: str
) -> None:
    """Nothing arrives on it and nothing closes it: within the bound the follower has another one, by itself."""
    async with Wire(postgres.port) as wire:
        node = postgres_store(postgres.url(postgres_url.rpartition("/")[2], port=wire.port))
        await node.open()
        await until(lambda: wire.connections >= 2, 5)
        await asyncio.sleep(0.1)
        wire.go_dead(for_good=False)
        session = await opened(store)
        await end(store, session.id)
        told, count = listening(node)
        took_s = await until(count, 10)
        assert [entry.id for entry in told] == [session.id]
        assert took_s < feed.HEARTBEAT_S + feed.HEARTBEAT_TIMEOUT_S + 1
        await node.close()


async def test_who_hears_nothing_says_so_and_recovers(
    store: PostgresStore, postgres: PostgresServer, postgres_url: str
) -> None:
    """Beyond the bound the news are refused, asking fails too, and when the way is open again all is heard."""
    async with Wire(postgres.port) as wire:
        node = postgres_store(postgres.url(postgres_url.rpartition("/")[2], port=wire.port), max_silence_s=1.5)
        await node.open()
        assert list(node.news()) == []
        await until(lambda: wire.connections >= 2, 5)
        wire.go_dead(for_good=True)
        session = await opened(store)
        await end(store, session.id)
        await asyncio.sleep(1.6)
        with pytest.raises(FeedSilent):
            node.news()
        with pytest.raises(StoreUnavailable):
            await node.catch_up()
        with pytest.raises(FeedSilent):
            node.news()
        wire.come_back()
        told, count = listening(node)
        await until(count, 10)
        assert [entry.id for entry in told] == [session.id]
        await node.close()


async def test_a_quiet_feed_is_not_a_silent_one(postgres_url: str) -> None:
    """Nothing happens for much longer than the bound, and every look is answered."""
    store = postgres_store(postgres_url, max_silence_s=0.9)
    await store.open()
    for _ in range(30):
        assert list(store.news()) == []
        await asyncio.sleep(0.1)
    await store.close()


async def test_asking_counts_as_having_heard(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose follower is at a loss still serves, asking each time."""
    monkeypatch.setattr(feed.Feed, "_listen", lambda _: asyncio.sleep(3600))
    store = postgres_store(postgres_url, max_silence_s=0.3)
    await store.open()
    for _ in range(3):
        await asyncio.sleep(0.35)
        with pytest.raises(FeedSilent):
            store.news()
        await store.catch_up()
        assert list(store.news()) == []
    await store.close()


async def test_own_entries_are_there_without_the_follower(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a verb of this process announced is in its news when the verb returns, in order, at once or one by one."""
    monkeypatch.setattr(feed.Feed, "_listen", lambda _: asyncio.sleep(3600))
    store = postgres_store(postgres_url)
    await store.open()
    await store.add_user(a_user())
    sessions = [await opened(store) for _ in range(20)]
    await asyncio.gather(*(end(store, session.id) for session in sessions))
    assert {entry.id for entry in store.news()} == {session.id for session in sessions}
    await store.rename_user("user-1", "Lee")
    assert heard(store) == [("user_changed", "user-1", "")]
    await store.close()


async def test_a_node_that_nobody_asks_stays_small(
    store: PostgresStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound it holds nothing, says so, and whoever asks hears of every one."""
    monkeypatch.setattr(unread, "MAX_UNREAD", 30)
    sleeper = postgres_store(postgres_url)
    await sleeper.open()
    sessions = [await opened(store) for _ in range(50)]
    for session in sessions:
        await end(store, session.id)
    await until(lambda: sleeper._unread.waits, 5)
    assert len(sleeper._unread._entries) <= 30
    await opened(sleeper)
    await sleeper.rename_user("user-1", "Lee")
    with pytest.raises(FeedSilent):
        sleeper.news()
    told = await heard_at(sleeper)
    assert told == [("session_ended", session.id, "signed_out") for session in sessions] + [
        ("user_changed", "user-1", "")
    ]
    await sleeper.close()


async def test_a_store_that_lost_its_last_writes_hides_nothing(
    store: PostgresStore, postgres: PostgresServer, postgres_url: str
) -> None:
    """It was restored from a copy and numbers anew what this node had heard further than: all is read again."""
    for _ in range(3):
        await end(store, (await opened(store)).id)
    assert len(await heard_at(store)) == 3
    name = postgres_url.rpartition("/")[2]
    postgres.sql(
        "DELETE FROM propylon.feed WHERE position > 1; SELECT setval('propylon.feed_positions', 1);"
        " INSERT INTO propylon.feed (subject, id, reason, expires_at)"
        " SELECT 'session_ended', 'lost ' || n, 'evicted', 2000000000 FROM generate_series(1, 2) n",
        name,
    )
    told = await heard_at(store)
    assert [subject for subject, id_, _ in told if not id_] == [
        "session_changed", "user_changed", "keys_changed", "mode_changed"
    ]  # fmt: skip
    assert [id_ for _, id_, _ in told][-2:] == ["lost 1", "lost 2"]


async def test_a_void_sign_in_announces_nothing_and_a_limit_reached_what_was_chosen(store: PostgresStore) -> None:
    """Also an ending before a refusal is among the node's own news."""
    first, second = await opened(store), await opened(store)
    assert heard(store) == []
    strict = SessionLimits(per_user=1, policy="refuse_newest")
    assert await sign_in(store, a_session(), limits=strict, end=first.id) == LimitReached((second,), 1)
    assert heard(store) == [("session_ended", first.id, "ended_by_user")]


async def test_a_store_without_sessions_has_no_feed(postgres_url: str) -> None:
    """Nothing follows, nothing is announced, nothing is ever silent."""
    store = postgres_store(postgres_url, sessions_elsewhere=True, max_silence_s=0.0)
    await store.open()
    await store.add_user(a_user())
    await store.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
    await store.catch_up()
    assert store._follower is None
    assert list(store.news()) == []
    await store.close()
