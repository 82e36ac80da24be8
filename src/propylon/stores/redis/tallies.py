"""Failures on Redis, counted for all processes together."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import asyncio
from collections.abc import Sequence

from propylon.core import throttle
from propylon.core.throttle import Pace, Tally
from propylon.stores.redis.database import FAIL, Database
from propylon.stores.redis.layout import tally_key
from propylon.stores.redis.records import unpacked_tally

# Clocks of nodes differ: so much longer than it counts a tally is kept.
MARGIN_S = 3_600


class Tallies(Database):
    """``propylon.ports.Throttle``, on Redis.

    Counting is decided inside the server (``fail.lua``): an attack makes many processes count under one name at once,
    and each would overtake the others.
    """

    async def wait_s(self, keys: Sequence[tuple[str, Pace]], now: int) -> int:
        tallies = await asyncio.gather(*(self._tally(key) for key, _ in keys))
        waits = (throttle.wait_s(tally, pace, now) for tally, (_, pace) in zip(tallies, keys, strict=True))
        return max(waits, default=0)

    async def add_failure(self, keys: Sequence[tuple[str, Pace]], now: int) -> None:
        for key, pace in keys:
            await self.run(FAIL, [tally_key(key)], now, pace.forgive_s, pace.longest_wait_s, MARGIN_S)

    async def forget_failures(self, key: str) -> None:
        await self.command("DEL", tally_key(key))

    async def _tally(self, key: str) -> Tally:
        return unpacked_tally(await self.find(tally_key(key)))[0]
