"""How many live sessions travel in which mode, for readers who may ask more often than a store should count."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from propylon.core.device import Kind
from propylon.core.session import Mode
from propylon.ports import Clock, SessionReader

Counts = Mapping[tuple[Mode, Kind], int]

KEEP_S = 5.0
# Of millions of sessions one count takes seconds: whoever watches must not slow down whoever signs in.
SHARE_OF_THE_TIME = 10


class Census(msgspec.Struct, frozen=True):
    """The live sessions by mode and kind of device, as they were ``at`` (epoch seconds)."""

    counts: Counts
    at: int


class Counting:
    """Counts in this process: one count at a time, whoever asks for it."""

    def __init__(self, store: SessionReader, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._turn = asyncio.Lock()
        self._latest: Census | None = None
        self._keep_until = 0.0

    async def now(self) -> Census:
        """Count."""
        async with self._turn:
            return await self._count()

    async def lately(self) -> Census:
        """Return the last count, or a new one where that is older than some seconds, or than ten times what it took."""
        async with self._turn:
            if self._latest is None or self._clock.monotonic() >= self._keep_until:
                return await self._count()
            return self._latest

    async def _count(self) -> Census:
        began, at = self._clock.monotonic(), self._clock.now()
        self._latest = Census(await self._store.count_by_mode(at), at)
        ended = self._clock.monotonic()
        self._keep_until = ended + max(KEEP_S, SHARE_OF_THE_TIME * (ended - began))
        return self._latest
