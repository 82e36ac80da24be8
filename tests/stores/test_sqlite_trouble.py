"""When SQLite cannot write: nothing is acknowledged, nothing is half-written, and it recovers by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from propylon.core.revocation import FeedEntry
from propylon.errors import StoreUnavailable
from propylon.stores.news import FEED_KEEP_S
from propylon.stores.sqlite import SqliteStore, connection, feed, writer
from propylon.stores.sqlite.feed import announce
from propylon.testing import a_session, a_user
from propylon.testing.rules import end, end_all, heard, live_ids, opened, sign_in


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Give a test an SQLite store with one account."""
    store = SqliteStore(tmp_path / "propylon.db")
    await store.open()
    await store.add_user(a_user())
    yield store
    await store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of a second for a lock instead of two seconds."""
    assert connection.execute_when_free.__defaults__ == (connection.LOCK_WAIT_S,)
    monkeypatch.setattr(connection.execute_when_free, "__defaults__", (0.1,))


def set_pragma(store: SqliteStore, pragma: str) -> None:
    """Change the writing connection, as a full disk or a read-only mount would."""
    assert store._writer is not None
    store._writer._db.execute(f"PRAGMA {pragma}")


@pytest.mark.usefixtures("impatient")
async def test_a_locked_file_refuses_writes_and_serves_reads(store: SqliteStore, tmp_path: Path) -> None:
    """A backup that holds the lock for too long costs writes, not look-ups, and only while it lasts."""
    session = await opened(store)
    with closing(sqlite3.connect(tmp_path / "propylon.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable):
            await end(store, session.id)
        assert await live_ids(store) == [session.id]
        with pytest.raises(StoreUnavailable):
            await store.ping()
        other.execute("ROLLBACK")
    assert heard(store) == []
    assert await end(store, session.id)


async def test_a_lock_that_is_let_go_in_time_costs_only_time(store: SqliteStore, tmp_path: Path) -> None:
    """Writes wait for their turn."""
    session = await opened(store)
    with closing(sqlite3.connect(tmp_path / "propylon.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = asyncio.ensure_future(end(store, session.id))
        done, _ = await asyncio.wait([ending], timeout=0.1)
        assert not done
        other.execute("ROLLBACK")
        assert await ending


async def test_a_full_file_takes_nothing_half(store: SqliteStore) -> None:
    """An ending that does not fit leaves session and feed as they were; with room again it is written."""
    sessions = [await opened(store) for _ in range(200)]
    assert store._writer is not None
    (pages,) = store._writer._db.execute("PRAGMA page_count").fetchone()
    set_pragma(store, f"max_page_count = {pages}")
    with pytest.raises(StoreUnavailable):
        await end_all(store, "user-1")
    assert len(await live_ids(store)) == len(sessions)
    assert heard(store) == []
    set_pragma(store, "max_page_count = 1000000")
    assert len(await end_all(store, "user-1")) == len(heard(store)) == len(sessions)


async def test_a_read_only_file_refuses_writes_and_serves_reads(store: SqliteStore) -> None:
    """A file system that was remounted read-only is a failure of the system, not of the caller."""
    session = await opened(store)
    set_pragma(store, "query_only = ON")
    with pytest.raises(StoreUnavailable):
        await end(store, session.id)
    assert await store.find_session(session.id) == session
    set_pragma(store, "query_only = OFF")
    assert await end(store, session.id)


async def test_a_file_that_was_replaced_takes_no_more_writes(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to a file without a name is lost with the process; back in its place it goes on."""
    monkeypatch.setattr(feed, "LOOK_EVERY_S", 0.0)
    session, path = await opened(store), tmp_path / "propylon.db"
    kept = path.rename(tmp_path / "kept.db")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await end(store, session.id)
        with pytest.raises(StoreUnavailable):
            store.news()
        path.touch()  # gone, then another file
    kept.replace(path)
    assert heard(store) == []
    assert await end(store, session.id)


async def test_the_file_is_looked_for_once_a_second(store: SqliteStore, tmp_path: Path) -> None:
    """News cost nothing between two looks; a store that is opened anew looks at once."""
    store.news()
    (tmp_path / "propylon.db").rename(tmp_path / "kept.db")
    assert store.news() == ()
    store._look_again_at = 0.0
    with pytest.raises(StoreUnavailable):
        store.news()


async def test_a_store_on_a_new_file_hears_its_own_news(store: SqliteStore, tmp_path: Path) -> None:
    """Also while one of the same process still has the old file open, under the same name."""
    for name in ("propylon.db", "propylon.db-wal", "propylon.db-shm"):
        (tmp_path / name).rename(tmp_path / f"kept-{name}")
    newer = SqliteStore(tmp_path / "propylon.db")
    await newer.open()
    await newer.add_user(a_user())
    newer.news()
    session = await opened(newer)
    assert await end(newer, session.id)
    assert heard(newer) == [("session_ended", session.id, "signed_out")]
    await newer.close()


async def test_one_write_that_fails_takes_no_other_with_it(store: SqliteStore) -> None:
    """Of those that share a commit each stands for itself; what it had written before failing is gone."""

    def fail(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO settings VALUES ('half', 'written')")
        raise LookupError

    def clash(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO heartbeat VALUES (1, 0)")

    sessions = [await opened(store) for _ in range(4)]
    endings = [end(store, session.id) for session in sessions]
    broken = [store._write(fail), store._write(clash)]
    answers = await asyncio.gather(*endings[:2], *broken, *endings[2:], return_exceptions=True)
    assert [type(answer) for answer in answers] == [bool, bool, LookupError, sqlite3.IntegrityError, bool, bool]
    assert await live_ids(store) == []
    assert await store.read_setting("half") is None


async def test_too_many_waiting_writes_are_refused_at_once(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue without a bound would take memory and answer nobody in time."""
    monkeypatch.setattr(writer, "MAX_WAITING", 5)
    with closing(sqlite3.connect(tmp_path / "propylon.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.ensure_future(store.ping())
        await asyncio.sleep(0.05)
        calls = asyncio.gather(*(store.ping() for _ in range(9)), return_exceptions=True)
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        answers = await calls
    await first
    assert [type(answer) for answer in answers] == [type(None)] * 5 + [StoreUnavailable] * 4


async def test_closing_finishes_what_was_asked_before(store: SqliteStore) -> None:
    """Many groups of writes wait, and all of them are answered and kept."""
    sessions = [a_session() for _ in range(2 * writer.MAX_GROUP + 7)]
    calls = asyncio.gather(*(sign_in(store, session) for session in sessions))
    await asyncio.sleep(0)
    await store.close()
    await calls
    await store.open()
    assert await live_ids(store) == [session.id for session in sessions]


async def test_a_closed_store_answers_nothing(store: SqliteStore) -> None:
    """Reads and writes are refused, and closing twice is harmless."""
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.find_session("x")
    with pytest.raises(StoreUnavailable):
        await store.live_sessions("user-1", 0)
    with pytest.raises(StoreUnavailable):
        await store.ping()


async def test_a_damaged_file_is_a_failure_and_no_answer(store: SqliteStore, tmp_path: Path) -> None:
    """A table that cannot be read is never taken for an empty one."""
    with closing(sqlite3.connect(tmp_path / "propylon.db")) as other:
        other.execute("ALTER TABLE sessions RENAME TO lost")
    with pytest.raises(StoreUnavailable):
        await store.find_session("x")
    with pytest.raises(StoreUnavailable):
        await store.count_by_mode(0)
    with pytest.raises(StoreUnavailable):
        await end(store, "x")


async def test_news_that_could_not_be_read_are_not_lost(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure on the way leaves the commit noticed but unread: the next call reads it."""
    session = await opened(store)
    store.news()
    await end(store, session.id)
    with monkeypatch.context() as patched:
        patched.setattr("propylon.stores.sqlite.feed._SINCE", "SELECT * FROM nowhere WHERE ? > position")
        with pytest.raises(StoreUnavailable):
            store.news()
    assert heard(store) == [("session_ended", session.id, "signed_out")]


async def test_a_commit_while_the_news_are_read_is_news_next_time(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever commits after the rows were read and before the answer is given is not overlooked."""
    assert store._writer is not None
    overtaking, read = store._writer._db, store._since_heard

    def overtaken() -> list[FeedEntry]:
        entries = read()
        announce(overtaking, "user_changed", "user-1")
        return entries

    await store.add_user(a_user("user-2"))
    with monkeypatch.context() as patched:
        patched.setattr(store, "_since_heard", overtaken)
        assert heard(store) == []
    assert heard(store) == [("user_changed", "user-1", "")]


async def test_news_without_a_mapped_index_are_read_each_time(store: SqliteStore) -> None:
    """Where the index of the log cannot be mapped, the feed is only slower."""
    session = await opened(store)
    mark, store._mark = store._mark, None
    assert heard(store) == []
    await end(store, session.id)
    assert heard(store) == [("session_ended", session.id, "signed_out")]
    store._mark = mark


async def test_what_was_removed_unread_between_others_is_noticed_too(store: SqliteStore, tmp_path: Path) -> None:
    """A change is kept for a shorter time than an ending: whoever slept between the two is told to forget."""
    sleeper = SqliteStore(tmp_path / "propylon.db")
    await sleeper.open()
    sessions = [await opened(store) for _ in range(2)]
    assert heard(sleeper) == []
    await end(store, sessions[0].id)
    await store.rename_user("user-1", "Lee")
    await end(store, sessions[1].id)
    with closing(sqlite3.connect(tmp_path / "propylon.db")) as other:
        (changed_until,) = other.execute("SELECT expires_at FROM feed WHERE subject = 'user_changed'").fetchone()
    await store.purge(changed_until + FEED_KEEP_S, keep_ended_s=10**10)
    told = heard(sleeper)
    assert [id_ for subject, id_, _ in told if subject == "session_ended"] == [session.id for session in sessions]
    assert ("user_changed", "", "") in told
    await sleeper.close()
