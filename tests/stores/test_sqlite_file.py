"""The SQLite file itself: who may read it, which schema it has, and what is not in it."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from propylon.core.secret import ServerKey, derive
from propylon.errors import SetupError
from propylon.stores.migrations import Migration, migrate, released
from propylon.stores.sqlite import SqliteStore
from propylon.testing import a_session, a_user
from propylon.testing.rules import sign_in


def files_in(folder: Path) -> list[Path]:
    """Return what lies in a folder."""
    return list(folder.iterdir())


async def create(path: Path) -> None:
    """Open the store once, so that the file is there."""
    store = SqliteStore(path)
    await store.open()
    await store.close()


async def test_only_the_owner_reads_the_file_and_its_companions(tmp_path: Path) -> None:
    """The database, its log and the log's index have mode 0600, whatever the umask allows."""
    store = SqliteStore(tmp_path / "propylon.db")
    await store.open()
    await store.add_user(a_user())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files_in(tmp_path)}
    assert modes == dict.fromkeys(("propylon.db", "propylon.db-wal", "propylon.db-shm"), 0o600)
    await store.close()


async def test_an_acknowledged_write_is_on_the_disk(tmp_path: Path) -> None:
    """The writer syncs at every commit (2 is FULL); the log is a WAL."""
    store = SqliteStore(tmp_path / "propylon.db")
    await store.open()
    assert store._writer is not None
    assert store._writer._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._writer._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._writer._db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    await store.close()


async def test_a_link_to_the_file_is_the_same_store(tmp_path: Path) -> None:
    """The index of the log is found beside the file, not beside the link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere" / "real.db")
    direct, linked = SqliteStore(tmp_path / "elsewhere" / "real.db"), SqliteStore(tmp_path / "link.db")
    await direct.open()
    await linked.open()
    assert direct._mark is linked._mark is not None
    await direct.rename_user("user-1", "Lee")
    await direct.add_user(a_user())
    assert await linked.find_user("user-1") == a_user()
    await linked.close()
    await direct.close()


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """Old code must not write into a schema that it does not know."""
    path = tmp_path / "propylon.db"
    await create(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO migrations VALUES (99, 'future', 'x', 0)")
    with pytest.raises(SetupError, match="schema 99"):
        await create(path)


async def test_an_edited_migration_is_refused(tmp_path: Path) -> None:
    """Two databases of one version must not differ."""
    path = tmp_path / "propylon.db"
    await create(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE migrations SET checksum = 'x' WHERE version = 1")
    with pytest.raises(SetupError, match="0001_initial is not the one that was applied"):
        await create(path)


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Its statements are run inside the caller's transaction, one by one."""
    broken = Migration(2, "broken", "CREATE TABLE half (x);\nINSERT INTO nowhere\nVALUES (1);\n")
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            migrate(db, (*released(), broken))
        db.execute("ROLLBACK")
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_migrations_are_numbered_without_gaps() -> None:
    """The number of a file is its version."""
    assert [migration.version for migration in released()] == list(range(1, len(released()) + 1))


def test_each_migration_is_applied_once(tmp_path: Path) -> None:
    """A new one is applied to what is there; the second time there is nothing to do."""
    more = (*released(), Migration(len(released()) + 1, "more", "CREATE TABLE more (x);\n"))
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as db:
        assert [migrate(db, released()), migrate(db, more), migrate(db, more)] == [[*released()], [more[-1]], []]
        assert db.execute("SELECT * FROM more").fetchall() == []


async def test_stores_that_open_at_once_migrate_once(tmp_path: Path) -> None:
    """All of them come up, whoever was first."""
    await asyncio.gather(*(create(tmp_path / "propylon.db") for _ in range(8)))
    with closing(sqlite3.connect(tmp_path / "propylon.db")) as db:
        versions = db.execute("SELECT version FROM migrations ORDER BY version").fetchall()
    assert versions == [(migration.version,) for migration in released()]


async def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The sentence names the file."""
    content = b"not a database, but long enough to be one" * 50
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"notes\.txt"):
        await create(path)
    assert path.read_bytes() == content


async def test_a_missing_directory_is_a_sentence(tmp_path: Path) -> None:
    """Nothing is created on the way."""
    with pytest.raises(SetupError, match="No such file or directory"):
        await create(tmp_path / "missing" / "propylon.db")
    assert files_in(tmp_path) == []


async def test_no_secret_of_a_session_is_in_the_file(tmp_path: Path) -> None:
    """Not in any spelling: what is stored forges nothing without the key, and the key is not stored."""
    key = ServerKey("key-1", bytes(range(100, 132)))
    store = SqliteStore(tmp_path / "propylon.db")
    await store.open()
    await store.add_user(a_user())
    sessions = [a_session() for _ in range(5)]
    for session in sessions:
        await sign_in(store, session)
    await store.close()
    stored = b"".join(file.read_bytes() for file in files_in(tmp_path))
    assert all(session.salt in stored for session in sessions)
    secrets = [
        derive(key, session.salt, kind, generation)
        for session in sessions
        for kind in ("cookie", "refresh")
        for generation in range(3)
    ]
    for secret in (*secrets, key.value):
        assert secret not in stored
        assert secret.hex().encode() not in stored
        assert base64.urlsafe_b64encode(secret).rstrip(b"=") not in stored
