"""The schema of a file: brought up to date, or only looked at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from propylon.errors import SetupError
from propylon.ports import StoredKey
from propylon.stores.inspection import Inspection
from propylon.stores.migrations import Migration, history, migrate, released
from propylon.stores.sqlite.connection import FIRST_LOCK_WAIT_S, connect_writer, create_file, execute_when_free

_SETTING = "SELECT value FROM settings WHERE name = ?"
_KEYS = "SELECT kid, alg, created_at, retired_at FROM signing_keys ORDER BY seq"


def bring_up_to_date(path: Path) -> list[Migration]:
    """Create the file if need be and apply what is missing; return what was applied.

    Raises:
        SetupError: the file cannot be used, or is of a newer Propylon.
    """
    try:
        create_file(path.resolve())
        with closing(connect_writer(path.resolve())) as db:
            return apply_missing(db)
    except (OSError, sqlite3.Error) as error:
        raise cannot_be_used(path, error) from error


def apply_missing(db: sqlite3.Connection) -> list[Migration]:
    """Apply the migrations that are missing, all in one transaction."""
    execute_when_free(db, "BEGIN IMMEDIATE", FIRST_LOCK_WAIT_S)
    applied = migrate(db, released())
    db.execute("COMMIT")
    return applied


def cannot_be_used(path: Path, error: Exception) -> SetupError:
    """Return the one sentence for a file that is no usable database."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SetupError("store_unusable", path=path, reason=reason)


def inspect(path: Path) -> Inspection:
    """Look at a file without creating or changing anything in it."""
    if not path.exists():
        return Inspection(exists=False)
    try:
        # Unlike a plain path, mode=rw never creates a file.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)) as db:
            return _seen(db)
    except (OSError, sqlite3.Error) as error:
        return Inspection(exists=True, unreadable=str(error))


def _seen(db: sqlite3.Connection) -> Inspection:
    applied = history(db)
    if 1 not in applied:
        return Inspection(exists=True, unwritable=_refusal_to_write(db), applied=applied)
    return Inspection(
        exists=True,
        unwritable=_refusal_to_write(db),
        applied=applied,
        server_keys=_setting(db, "server_keys"),
        mode=_setting(db, "mode"),
        signing_keys=tuple(_key(*row) for row in db.execute(_KEYS)),
    )


def _refusal_to_write(db: sqlite3.Connection) -> str | None:
    """Take the lock of a write and give it back: a full proof would have to change something."""
    try:
        execute_when_free(db, "BEGIN IMMEDIATE")
        db.execute("ROLLBACK")
    except sqlite3.Error as error:
        return str(error)
    return None


def _setting(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute(_SETTING, (name,)).fetchone()
    return None if row is None else str(row[0])


def _key(kid: str, alg: str, created_at: int, retired_at: int | None) -> StoredKey:
    # Whoever only looks has no use for the sealed private part.
    return StoredKey(kid=kid, alg=alg, sealed=b"", sealed_with="", created_at=created_at, retired_at=retired_at)
