"""The schema's history: one numbered set of migrations, never edited once released.

Each is applied exactly once, all that are missing in one transaction, and remembered with a checksum of its
text: an edited migration would mean two databases of the same version that differ.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from propylon.errors import SetupError

#: What was applied, in words that both databases understand. (SQLite takes an integer of any size for either name.)
HISTORY = """
CREATE TABLE IF NOT EXISTS migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL
)
"""

Dialect = Literal["sqlite", "postgres"]
_FOLDERS: dict[Dialect, str] = {"sqlite": "sql", "postgres": "sql/postgres"}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: ``NNNN_name.sql``."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, by which an edited migration is noticed."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def released(dialect: Dialect = "sqlite") -> tuple[Migration, ...]:
    """Return the migrations of this version of Propylon for one kind of database, in order."""
    folder = files("propylon.stores").joinpath(_FOLDERS[dialect])
    scripts = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    return tuple(Migration(int(script.name[:4]), script.name[5:-4], script.read_text("utf-8")) for script in scripts)


def migrate(db: sqlite3.Connection, migrations: tuple[Migration, ...]) -> list[Migration]:
    """Bring the database up to date inside the caller's transaction; return what was applied.

    The caller holds the write lock from before the history is read until the commit: of several processes
    that start at once, one migrates and the others find it done.

    Raises:
        SetupError: the database is newer than this code, or an applied migration was edited since.
    """
    db.execute(HISTORY)
    missing = missing_of(history(db), migrations)
    for migration in missing:
        _apply(db, migration)
    return missing


def history(db: sqlite3.Connection) -> dict[int, str]:
    """Return the version and checksum of every migration that was applied; none for a database of anything else."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'").fetchone() is None:
        return {}
    return dict(db.execute("SELECT version, checksum FROM migrations"))


def missing_of(applied: Mapping[int, str], migrations: tuple[Migration, ...]) -> list[Migration]:
    """Return the migrations that are still to be applied.

    Raises:
        SetupError: the database is newer than this code, or an applied migration was edited since.
    """
    newest = max(applied, default=0)
    if newest > migrations[-1].version:
        raise SetupError("store_newer", theirs=newest, ours=migrations[-1].version)
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise SetupError("migration_edited", name=f"{migration.version:04}_{migration.name}")
    return [migration for migration in migrations if migration.version not in applied]


def _apply(db: sqlite3.Connection, migration: Migration) -> None:
    for statement in _statements(migration.text):
        db.execute(statement)
    db.execute(
        "INSERT INTO migrations VALUES (?, ?, ?, ?)",
        (migration.version, migration.name, migration.checksum, int(time.time())),
    )


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit first, and half a migration could stay.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
