"""The feed, followed: a notification wakes, the rows are the truth, and silence is measured."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from propylon.core.revocation import FeedEntry
from propylon.errors import FeedSilent
from propylon.ports import History, Pulse
from propylon.stores.coalescing import Coalescer
from propylon.stores.news import BESIDE_ACCOUNTS, Lags
from propylon.stores.postgres.database import Database
from propylon.stores.postgres.place import connect
from propylon.stores.postgres.unread import Unread

T = TypeVar("T")

logger = logging.getLogger("propylon.stores")

CHANNEL = "propylon_feed"

# Also without any notification the rows are read so often: it is the heartbeat, and a notification may be lost.
HEARTBEAT_S = 0.5

# A heartbeat without an answer for so long means that the connection leads nowhere, whatever TCP believes.
HEARTBEAT_TIMEOUT_S = 2.0

# Between attempts to connect anew; at random, or all nodes would knock together at a server that just started.
LONGEST_PAUSE_S = 1.0

# From the entry heard last, which must be there and the same, or this is no longer the history that was heard.
_SINCE = """
SELECT position, subject, id, reason, expires_at, announced_ms, tag FROM feed WHERE position >= $1 ORDER BY position
"""

# The newest row stays: by its position a reader that slept for long sees that it has missed some.
DROP_OLD = """
DELETE FROM feed WHERE position IN (
    SELECT position FROM feed WHERE expires_at <= $1 AND position < (SELECT max(position) FROM feed)
    LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING 1
"""


class Feed(Database):
    """``propylon.ports.RevocationFeed``, on PostgreSQL."""

    def __init__(self, url: str, *, max_silence_s: float, followed: bool) -> None:
        super().__init__(url)
        self._max_silence_s, self._followed = max_silence_s, followed
        self._lags = Lags()
        self._unread = Unread(self._lags)
        self._woken = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._catching_up = Coalescer(self._caught_up)

    async def open(self) -> None:
        """Connect; the first ``news`` will be everything that is kept."""
        await super().open()
        self._lags = Lags()
        self._unread, self._woken = Unread(self._lags), asyncio.Event()
        if not self._followed:
            return
        try:
            await self.catch_up()
        except BaseException:
            await self.close()
            raise
        self._lags.begin()
        self._follower = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Stop following, then finish what is under way."""
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower
            self._follower = None
        await super().close()
        self._unread = Unread(self._lags)  # heard nothing: a closed store answers nothing

    def news(self) -> Sequence[FeedEntry]:
        """Return what came since the last call; a comparison of two times when nothing did."""
        if not self._followed:
            return ()
        if time.monotonic() - self._unread.heard_at > self._max_silence_s or self._unread.waits:
            raise FeedSilent
        return self._unread.take()

    def bookmark(self) -> int | None:
        """Return how often news were taken; None while some wait, or while there is silence."""
        if not self._followed:
            return 0
        unread = self._unread
        if time.monotonic() - unread.heard_at > self._max_silence_s:
            return None
        return unread.bookmark()

    async def catch_up(self) -> None:
        """Read the rows; all who ask in the same moment are served by one question."""
        if self._followed:
            await self._catching_up.find("everything")

    def history(self) -> History:
        """Return that nothing loses the feed without the accounts."""
        return BESIDE_ACCOUNTS

    def pulse(self) -> Pulse:
        """Return how long ago the newest answer was asked for, and the lags since the last look."""
        silence_s = time.monotonic() - self._unread.heard_at if self._followed else 0.0
        return Pulse(silence_s, self._lags.take())

    async def _announced(self) -> None:
        """Have what this process has just committed among its own news."""
        if self._followed and not self._unread.waits:
            await self._catching_up.find("what fits")

    async def _told(self, answer: T) -> T:
        """Pass on the answer of a change, once what it announced is among this process' own news."""
        if answer:
            await self._announced()
        return answer

    async def _caught_up(self, wishes: Sequence[str]) -> Mapping[str, None]:
        asked_at, since = time.monotonic(), self._unread.place
        rows = await self._fetch(_SINCE, since.position)
        if not self._unread.add(since, rows, asked_at, whatever_it_takes="everything" in wishes):
            await self._caught_up(wishes)
        return {}

    async def _follow(self) -> None:
        """Follow until cancelled, connecting anew whenever the connection is lost."""
        pause_s = 0.0
        while True:
            began = time.monotonic()
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it was, following goes on
                logger.warning("the feed has to be followed anew: %s", str(error) or type(error).__name__)
            # One that had lasted is replaced at once, one that cannot be had is asked for less and less often.
            lasted = time.monotonic() - began > LONGEST_PAUSE_S
            pause_s = 0.05 if lasted else min(LONGEST_PAUSE_S, 2 * pause_s + 0.05)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _listen(self) -> None:
        """Follow on one connection until it fails."""
        db = await connect(self._url, command_timeout=HEARTBEAT_TIMEOUT_S)
        try:
            db.add_termination_listener(self._wake)
            await db.add_listener(CHANNEL, self._wake)
            while True:
                self._woken.clear()
                await self._read_on(db)
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await self._woken.wait()
        finally:
            db.terminate()

    async def _read_on(self, db: Any) -> None:
        if self._unread.waits:  # for whoever asks next; the connection is kept alive meanwhile
            await db.execute("SELECT 1")
            return
        asked_at, since = time.monotonic(), self._unread.place
        self._unread.add(since, await db.fetch(_SINCE, since.position), asked_at)

    def _wake(self, *_: object) -> None:
        self._woken.set()
