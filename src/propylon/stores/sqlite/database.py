"""Reads on the event loop, writes on the writer's thread: what the tables' modules share."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from propylon.errors import StoreUnavailable
from propylon.stores.sqlite import rights
from propylon.stores.sqlite.commit_mark import CommitMark
from propylon.stores.sqlite.connection import Place, connect_reader, connect_writer, create_file
from propylon.stores.sqlite.schema import apply_missing, cannot_be_used
from propylon.stores.sqlite.writer import Writer

T = TypeVar("T")
P = ParamSpec("P")
Row = tuple[Any, ...]

logger = logging.getLogger("propylon.stores")


class Database:
    """One SQLite file: a connection that reads on the event loop, and a writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._mark: CommitMark | None = None
        self._place: Place | None = None

    async def open(self) -> None:
        """Create the file if need be, bring its schema up to date and connect.

        Raises:
            SetupError: the file cannot be used, or is of a newer Propylon.
        """
        await asyncio.to_thread(self._connect)

    async def close(self) -> None:
        """Finish the writes under way and let go of the file."""
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)
        if self._reader is not None:
            self._reader.close()
        if self._mark is not None:
            self._mark.release()
        self._writer = self._reader = self._mark = self._place = None

    async def ping(self) -> None:
        """Write one row, as any other write would be written."""
        await self._write(_beat)

    def _connect(self) -> None:
        # SQLite follows symbolic links before it names the companions of the file.
        path = self._path.resolve()
        try:
            create_file(path)
            rights.check(path)
            place, db = Place(path), connect_writer(path)
            try:
                apply_missing(db)
                self._reader = connect_reader(path)
                self._reader.execute("SELECT count(*) FROM settings").fetchone()
            except BaseException:
                db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise cannot_be_used(self._path, error) from error
        self._mark, self._place = CommitMark.acquire(path), place
        self._writer = Writer(db, place)

    def _read_one(self, query: str, values: tuple[object, ...]) -> Row | None:
        """Return the first row, or None.

        On the event loop on purpose: a look by key takes a few microseconds, handing it to a thread forty.
        """
        if self._reader is None:
            raise StoreUnavailable
        try:
            row: Row | None = self._reader.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        except UnicodeEncodeError:  # no text that could be stored, so nothing is found under it
            return None
        return row

    def _read_all(self, query: str, values: tuple[object, ...]) -> list[Row]:
        """Return all rows of a query that an index keeps short."""
        if self._reader is None:
            raise StoreUnavailable
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        except UnicodeEncodeError:
            return []

    def _check_place(self) -> None:
        """Raise ``StoreUnavailable`` where other processes would open another file than this one."""
        if self._place is None:
            raise StoreUnavailable
        try:
            self._place.check()
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    async def _survey(self, query: str, values: tuple[object, ...]) -> list[Row]:
        """Return the rows of a query over a whole table: off the loop, on a connection of its own."""
        return await asyncio.to_thread(_look_over, self._path.resolve(), query, values)

    async def _write(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work(connection, ...)`` as one atomic step; its return value is the answer once it holds."""
        if self._writer is None:
            raise StoreUnavailable
        return await self._writer.run(work, *args, **kwargs)


def _look_over(path: Path, query: str, values: tuple[object, ...]) -> list[Row]:
    try:
        with closing(connect_reader(path)) as db:
            return db.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise _unavailable(error) from error


def _unavailable(error: sqlite3.Error) -> StoreUnavailable:
    logger.error("the store cannot be read: %s", error)
    return StoreUnavailable()


def _beat(db: sqlite3.Connection) -> None:
    db.execute("UPDATE heartbeat SET beats = beats + 1")
