"""The one writing thread of a process: what waits together is committed together.

A commit that survives a power cut costs an fsync, and SQLite has one writer at a time. So writes queue up for
one thread, which takes all that wait, runs each in a savepoint of its own, and commits once for all of
them: fifty sign-ins at once cost about as much waiting as one. Nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from propylon.errors import StoreUnavailable
from propylon.stores.sqlite.connection import Place, execute_when_free

T = TypeVar("T")
P = ParamSpec("P")

logger = logging.getLogger("propylon.stores")

# So many writes share one commit at most: the first of them waits for the last.
MAX_GROUP = 128

# So many writes wait at most; beyond that the store does not keep up, and saying so at once is kinder.
MAX_WAITING = 4096

# These are the fault of one write. Any other error of the database concerns the whole transaction.
_ONE_JOBS_FAULT = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)


@dataclass(slots=True)
class _Job:
    """One write, whoever waits for it, and how it went."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None


class Writer:
    """Runs writes on a thread and connection of its own, in groups."""

    def __init__(self, db: sqlite3.Connection, place: Place) -> None:
        self._db, self._place = db, place
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="propylon-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work(connection, ...)`` inside a transaction and return its result once that is committed.

        A caller that is cancelled meanwhile takes nothing back: the write holds or not, like any answer that
        is lost on the way.

        Raises:
            StoreUnavailable: nothing of it was written (locked, full, read-only, too many waiting, closed).
        """
        if self._closing or self._jobs.qsize() >= MAX_WAITING:
            raise StoreUnavailable
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(lambda db: work(db, *args, **kwargs), future))
        return await future

    def close(self) -> None:
        """Finish what waits, then end the thread and close its connection. Blocks."""
        if not self._closing:
            self._closing = True
            self._jobs.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while group := self._next_group():
            self._commit(group)
            _answer(group)
        self._db.close()

    def _next_group(self) -> list[_Job]:
        """Wait for a write and take what waits with it; nothing means the end."""
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == MAX_GROUP:
                return group
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._jobs.put(None)
        return group

    def _commit(self, group: list[_Job]) -> None:
        try:
            self._place.check()
            execute_when_free(self._db, "BEGIN IMMEDIATE")
            for job in group:
                self._attempt(job)
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - a thread that died would leave everyone waiting for ever
            logger.error("nothing of %d writes was kept: %s", len(group), error)  # noqa: TRY400 - no trace: it repeats
            self._roll_back()
            for job in group:
                job.error = StoreUnavailable()

    def _attempt(self, job: _Job) -> None:
        """Run one write so that its own failure takes back only itself."""
        self._db.execute("SAVEPOINT job")
        try:
            job.value = job.work(self._db)
        except Exception as error:
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _ONE_JOBS_FAULT):
                raise
            job.error = error
            self._db.execute("ROLLBACK TO job")
        self._db.execute("RELEASE job")

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")


def _answer(group: list[_Job]) -> None:
    """Hand the results over, with one wake-up for each event loop."""
    for loop in {job.future.get_loop() for job in group}:
        theirs = [job for job in group if job.future.get_loop() is loop]
        with suppress(RuntimeError):  # that loop has ended, and nobody waits there any more
            loop.call_soon_threadsafe(_resolve, theirs)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():  # cancelled
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)
