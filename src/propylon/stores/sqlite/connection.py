"""The file and the connections to it."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from pathlib import Path

# In WAL mode a reader never waits for a writer; only while another process repairs or closes the file.
READ_WAIT_S = 0.05

# A log that once grew is cut back to this at a checkpoint, bytes.
MAX_IDLE_LOG_BYTES = 64 * 1024 * 1024

# How long another process may hold the lock that we want.
LOCK_WAIT_S = 2.0

# At the start all processes of a set-up want it at once, and one may be migrating.
FIRST_LOCK_WAIT_S = 10.0

# SQLite's own busy handler soon sleeps 100 ms at a time and misses every gap that a busy neighbour leaves;
# asking again after a few milliseconds, each time a different span, lets all of them through.
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.0002, 0.004


class Place:
    """The name of the file that is open, and whether that file still lies there.

    A file that was moved away, deleted or replaced goes on working for whoever has it open, and nobody else sees
    what they write: a sign-out in it would be undone by the next start.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, _identity(path)

    def check(self) -> None:
        """Raise ``sqlite3.OperationalError`` unless the file is where it was."""
        try:
            found = _identity(self._path)
        except OSError:
            found = None
        if found != self._file:
            raise sqlite3.OperationalError(f"{self._path} is no longer the file that was opened")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def create_file(path: Path) -> None:
    """Create the file, readable by its owner alone; SQLite gives its companions the same mode.

    It is left alone when it is there: closing a file also drops the locks that SQLite holds on it elsewhere
    in this process (POSIX advisory locks), so nobody may open it for a look.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def connect_writer(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits survive a power cut; it waits for no lock by itself."""
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        execute_when_free(db, "PRAGMA journal_mode = WAL", FIRST_LOCK_WAIT_S)
        # NORMAL would lose the last commits at a power cut: a sign-out that was answered would come undone.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"PRAGMA journal_size_limit = {MAX_IDLE_LOG_BYTES}")
    except BaseException:
        db.close()
        raise
    return db


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads; outside a transaction each look sees everything committed."""
    db = sqlite3.connect(path, timeout=READ_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db


def execute_when_free(db: sqlite3.Connection, statement: str, wait_s: float = LOCK_WAIT_S) -> None:
    """Run a statement that takes a lock, again and again while somebody else holds it.

    Raises:
        sqlite3.OperationalError: nobody let go for ``wait_s`` seconds, or something else is wrong.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            db.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))  # noqa: S311 - no secret
        else:
            return
