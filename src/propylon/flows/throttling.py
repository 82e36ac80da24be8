"""Failures make the next attempt wait: for the pair of account and source, and for the source alone.

Nobody can make somebody else wait from elsewhere, and successes never count: fifty right passwords at once
are fifty sign-ins. What a parallel burst could gain is bounded by letting only a few attempts of one pair, and
of one source, be under way at a time; the others wait for them, and are refused if those failed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from propylon.core.throttle import Pace
from propylon.errors import TooMany
from propylon.ports import Clock, SecurityLog, Throttle

# Five free tries, then 1, 2, 4 ... seconds up to 15 minutes; one failure is forgiven every 5 minutes.
# Guessing on and on from one source is held to fewer than 200 tries a day for one account.
PAIR = Pace(free=5, forgive_s=300, longest_wait_s=900)
# Many people may share one address (an office, a mobile network), so a source alone gets more.
SOURCE = Pace(free=100, forgive_s=6, longest_wait_s=60)
# Addresses that a sign-up found taken, which says who has an account: many people of one office make that mistake, and
# whoever goes through a list of addresses is held to some 1,500 a day.
TAKEN = Pace(free=30, forgive_s=60, longest_wait_s=60)
# Accounts made from one source: an office may sign up in one morning, a script fills no database.
SIGN_UP = Pace(free=1_000, forgive_s=4, longest_wait_s=60)

PAIR_UNDER_WAY = 5
# Fewer than the places of the hash pool: one address alone fills no queue that others stand in.
SOURCE_UNDER_WAY = 20


class Turnstile:
    """Admits attempts of one kind (``sign-in``, ``sign-up``, ``refresh``)."""

    def __init__(self, throttle: Throttle, clock: Clock, log: SecurityLog, kind: str) -> None:
        self._throttle, self._clock, self._log, self._kind = throttle, clock, log, kind
        self._under_way: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    def keys(
        self, account: str, source: str, by_source: Pace = SOURCE, *, by_pair: Pace = PAIR
    ) -> tuple[tuple[str, Pace], ...]:
        """Return the two keys of an attempt. Accounts are digested: no address lies in the tallies."""
        pair = hashlib.sha256(f"{len(account)} {account} {source}".encode("utf-8", "surrogatepass")).hexdigest()
        return ((f"{self._kind} pair {pair[:32]}", by_pair), (f"{self._kind} source {source}", by_source))

    async def admit(self, keys: tuple[tuple[str, Pace], ...]) -> None:
        """Raise ``TooMany`` while earlier failures ask for a wait."""
        wait_s = await self._throttle.wait_s(keys, self._clock.now())
        if wait_s > 0:
            source = keys[-1][0].rpartition(" ")[2]
            self._log.record("excess_rate_limit_exceeded", kind=self._kind, source=source, wait_s=wait_s)
            raise TooMany(wait_s)

    async def failed(self, keys: tuple[tuple[str, Pace], ...]) -> None:
        """Count a failure."""
        await self._throttle.add_failure(keys, self._clock.now())

    async def succeeded(self, keys: tuple[tuple[str, Pace], ...]) -> None:
        """Forget the failures of the pair; those of the source stay (its owner may own one account)."""
        await self._throttle.forget_failures(keys[0][0])

    @asynccontextmanager
    async def turn(self, keys: tuple[tuple[str, Pace], ...]) -> AsyncIterator[None]:
        """Admit one attempt, a few of the same pair and of the same source at a time."""
        (pair, _), (source, _) = keys
        # The pair first: many attempts on one account must not stand in line before those of a colleague.
        async with self._place(pair, PAIR_UNDER_WAY), self._place(source, SOURCE_UNDER_WAY):
            await self.admit(keys)
            yield

    @asynccontextmanager
    async def _place(self, key: str, most: int) -> AsyncIterator[None]:
        places, holders = self._under_way.setdefault(key, (asyncio.Semaphore(most), []))
        holders.append(None)
        try:
            async with places:
                yield
        finally:
            holders.pop()
            if not holders:
                del self._under_way[key]
