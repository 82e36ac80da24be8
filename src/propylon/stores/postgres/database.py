"""Questions and transactions: what the tables' modules share."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg

from propylon.errors import SetupError, StoreUnavailable
from propylon.stores.postgres.place import (
    CONNECT_TIMEOUT_S,
    FAILURES,
    cannot_be_used,
    check_url,
    how,
    never_lose_a_commit,
)
from propylon.stores.postgres.schema import check
from propylon.stores.rows import Row

T = TypeVar("T")
P = ParamSpec("P")


logger = logging.getLogger("propylon.stores")

# Connections of a process, at most, beside the one that follows the feed. Reads have their own: they are
# coalesced, so two carry them all, and they never stand behind writes that wait for a lock.
READING, WRITING = 2, 6

# A connection that nobody used for so long is closed; what a firewall forgot meanwhile is not used again.
IDLE_CLOSE_S = 60.0

# Nothing is under way any more when connections are closed; one that leads nowhere is not waited for.
GOODBYE_TIMEOUT_S = 1.0

# So many writes wait at most; beyond that the store does not keep up, and saying so at once is kinder.
MAX_WAITING = 4096

# Of two transactions that waited for each other the server has undone one completely.
_CLASHES = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
ATTEMPTS = 5
SHORTEST_PAUSE_S = 0.005


class Database:
    """One PostgreSQL database: connections that read, and connections that write."""

    def __init__(self, url: str) -> None:
        check_url(url)
        self._url = url
        self._readers: Any = None
        self._writers: Any = None
        self._under_way: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect, and see that the schema is the one of this Propylon.

        Raises:
            SetupError: the database cannot be used, or ``propylon migrate`` has not been run.
        """
        try:
            self._readers = await self._pool(READING)
            self._writers = await self._pool(WRITING)
            async with self._connected(self._readers) as db:
                await check(db, self._url)
        except (*FAILURES, ValueError) as error:
            await self.close()
            raise cannot_be_used(self._url, error) from error
        except SetupError:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way and let go of all connections."""
        readers, writers, self._readers, self._writers = self._readers, self._writers, None, None
        while self._under_way:
            await asyncio.wait(self._under_way)
        for pool in filter(None, (readers, writers)):
            try:
                await asyncio.wait_for(pool.close(), GOODBYE_TIMEOUT_S)
            except FAILURES:
                pool.terminate()

    async def ping(self) -> None:
        """Write one row, as any other write would be written."""
        await self._change("UPDATE heartbeat SET beats = beats + 1")

    async def _pool(self, size: int) -> Any:
        return await asyncpg.create_pool(
            self._url,
            **how(),
            min_size=0,
            max_size=size,
            init=never_lose_a_commit,
            reset=_left_as_it_is,
            max_inactive_connection_lifetime=IDLE_CLOSE_S,
        )

    async def _fetch(self, query: str, *values: object) -> list[Row]:
        """Return all rows of one query."""
        return await self._finish(self._asked(self._readers, query, values))

    async def _fetch_one(self, query: str, *values: object) -> Row | None:
        """Return the first row, or None."""
        rows = await self._fetch(query, *values)
        return rows[0] if rows else None

    async def _change(self, statement: str, *values: object) -> list[Row]:
        """Run one statement, which is a transaction by itself; return the rows that it returns."""
        return await self._finish(self._tried(lambda: self._asked(self._writers, statement, values)))

    async def _write(self, work: Callable[Concatenate[Any, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work(connection, ...)`` as one transaction; its return value is the answer once it holds."""
        return await self._finish(self._tried(lambda: self._transacted(lambda db: work(db, *args, **kwargs))))

    async def _asked(self, pool: Any, query: str, values: tuple[object, ...]) -> list[Row]:
        async with self._connected(pool) as db:
            rows: list[Row] = await db.fetch(query, *values)
            return rows

    async def _transacted(self, work: Callable[[Any], Awaitable[T]]) -> T:
        async with self._connected(self._writers) as db:
            await db.execute("BEGIN")
            answer = await work(db)
            await db.execute("COMMIT")
            return answer

    async def _tried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run a transaction, again where it clashed with another and was undone for it."""
        for number in range(ATTEMPTS):
            try:
                return await attempt()
            except _CLASHES:
                await asyncio.sleep(SHORTEST_PAUSE_S * random.uniform(1, 2 ** (number + 1)))  # noqa: S311 - no secret
        logger.error("nothing was written: %d attempts clashed with others", ATTEMPTS)
        raise StoreUnavailable

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end, whatever becomes of the caller: it holds or not, like an answer that got lost.

        Raises:
            StoreUnavailable: nothing was acknowledged (refused, cut off, too slow, too many waiting, closed).
        """
        if len(self._under_way) >= MAX_WAITING:
            work.close()
            raise StoreUnavailable
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except FAILURES as error:
            raise unavailable(error) from error

    @asynccontextmanager
    async def _connected(self, pool: Any) -> AsyncIterator[Any]:
        """Lend a connection. One on which anything went wrong is not used again: no reset cleans it up."""
        if pool is None:
            raise StoreUnavailable
        db = await pool.acquire(timeout=CONNECT_TIMEOUT_S)
        try:
            yield db
        except BaseException:
            db.terminate()
            raise
        finally:
            with suppress(*FAILURES):
                await pool.release(db)


def unavailable(error: BaseException) -> StoreUnavailable:
    """Return what callers hear of a failure; the log hears the rest."""
    logger.error("the store did not answer: %s", str(error) or type(error).__name__)
    return StoreUnavailable()


def findable(key: str) -> str:
    """Return ``key``; in place of one that PostgreSQL cannot hold, the empty one, under which nothing lies."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return ""
    return "" if "\x00" in key else key


async def _left_as_it_is(_db: Any) -> None:
    """Reset nothing when a connection comes back: nothing was changed, and it would cost as much as a look-up."""
