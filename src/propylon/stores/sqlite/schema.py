"""The schema of a file: brought up to date, or only looked at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from propylon.errors import SetupError
from propylon.ports import StoredKey
from propylon.stores.inspection import Inspection
from propylon.stores.migrations import Migration, history, migrate, released
from propylon.stores.sqlite import rights
from propylon.stores.sqlite.connection import FIRST_LOCK_WAIT_S, connect_writer, create_file, execute_when_free

NO_DATABASE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)

_SETTING = "SELECT value FROM settings WHERE name = ?"
_KEYS = "SELECT kid, alg, created_at, retired_at FROM signing_keys ORDER BY seq"


def bring_up_to_date(path: Path) -> list[Migration]:
    """Create the file if need be and apply what is missing; return what was applied.

    Raises:
        SetupError: the file cannot be used, or is of a newer Propylon.
    """
    try:
        create_file(path.resolve())
        rights.check(path.resolve())
        with closing(connect_writer(path.resolve())) as db:
            return apply_missing(db)
    except (OSError, sqlite3.Error) as error:
        raise cannot_be_used(path, error) from error


def apply_missing(db: sqlite3.Connection) -> list[Migration]:
    """Apply the migrations that are missing, all in one transaction."""
    execute_when_free(db, "BEGIN IMMEDIATE", FIRST_LOCK_WAIT_S)
    applied = migrate(db, released())
    _write_what_is_there(db)
    db.execute("COMMIT" if applied else "ROLLBACK")
    return applied


def cannot_be_used(path: Path, error: Exception) -> SetupError:
    """Return the one sentence for a file that is no usable database."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in NO_DATABASE:
        return SetupError("store_no_database", path=path, reason=reason)
    whole = path.resolve()
    if refused := ", ".join(map(str, rights.refused(whole))):
        who, standing = rights.user(), rights.standing(whole)
        return SetupError("store_refused", path=path, reason=reason, user=who, refused=refused, standing=standing)
    return SetupError("store_unusable", path=path, reason=reason)


def inspect(path: Path) -> Inspection:
    """Look at a file without creating or changing anything in it."""
    if not path.exists():
        return Inspection(exists=False)
    try:
        with closing(_connect_to_look(path.resolve())) as db:
            return _seen(db, path)
    except (OSError, sqlite3.Error) as error:
        return Inspection(exists=True, unreadable=cannot_be_used(path, error))


def _connect_to_look(path: Path) -> sqlite3.Connection:
    # Unlike a plain path, mode=rw never creates a file. Where it cannot write, SQLite would make the index of a log all
    # the same, and leave it; without a log there is nothing that it would be needed for.
    as_it_lies = rights.refused(path) and not path.with_name(path.name + "-wal").exists()
    options = "mode=ro&immutable=1" if as_it_lies else "mode=rw"
    return sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, isolation_level=None)


def _seen(db: sqlite3.Connection, path: Path) -> Inspection:
    applied = history(db)
    if 1 not in applied:
        return Inspection(exists=True, unwritable=_refusal_to_write(db, path), applied=applied)
    return Inspection(
        exists=True,
        unwritable=_refusal_to_write(db, path),
        applied=applied,
        server_keys=_setting(db, "server_keys"),
        mode=_setting(db, "mode"),
        signing_keys=tuple(_key(*row) for row in db.execute(_KEYS)),
    )


def _refusal_to_write(db: sqlite3.Connection, path: Path) -> SetupError | None:
    """Write, and take it back."""
    try:
        rights.check(path.resolve())
        execute_when_free(db, "BEGIN IMMEDIATE")
        _write_what_is_there(db)
        db.execute("ROLLBACK")
    except (OSError, sqlite3.Error) as error:
        return cannot_be_used(path, error)
    return None


def _write_what_is_there(db: sqlite3.Connection) -> None:
    """Give the file a number that it has; raise where it cannot be written to.

    Of a file that may only be read, ``BEGIN IMMEDIATE`` takes no lock and says nothing: the first write fails.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {version}")


def _setting(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute(_SETTING, (name,)).fetchone()
    return None if row is None else str(row[0])


def _key(kid: str, alg: str, created_at: int, retired_at: int | None) -> StoredKey:
    # Whoever only looks has no use for the sealed private part.
    return StoredKey(kid=kid, alg=alg, sealed=b"", sealed_with="", created_at=created_at, retired_at=retired_at)
