"""What looks at everything: surveys for operators, and the removal of what has no use any more.

Redis removes by itself what is over, some time later; upkeep does it to the second and tidies the lists.
"""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncIterator

from propylon.core.device import Kind
from propylon.core.session import Mode, Session, refusal
from propylon.stores.redis.database import DROP, Overtaken
from propylon.stores.redis.layout import KIND, SESSION, TALLY, USER, data_key, session_key, shard_of
from propylon.stores.redis.place import Place
from propylon.stores.redis.records import Held, unpacked, unpacked_list, unpacked_tally
from propylon.stores.redis.sessions import Sessions
from propylon.stores.redis.user_sessions import change_of_list, over_at

# So many keys are looked at in one run, which goes on next time: of two million a tenth a second, on one node.
KEYS_A_RUN = 20_000

# So many are removed at once; whoever serves a request finds room in between.
REMOVED_AT_ONCE = 16


class Upkeep(Sessions):
    """Surveys and ``propylon.ports.Upkeep.purge``, on Redis."""

    def __init__(self, place: Place, *, max_silence_s: float) -> None:
        super().__init__(place, max_silence_s=max_silence_s)
        self._cursors: dict[str, int] = {}

    async def all_live_sessions(self, now: int, limit: int) -> list[Session]:
        newest: list[tuple[int, str]] = []  # a heap, the oldest of them first
        sessions: dict[str, Session] = {}
        async for held in self._everyones():
            session = held.session
            if refusal(session, now) is not None or session.id in sessions:
                continue
            heapq.heappush(newest, (held.opened_us, session.id))
            sessions[session.id] = session
            if len(newest) > limit:
                del sessions[heapq.heappop(newest)[1]]
        return [sessions[session_id] for _, session_id in sorted(newest, reverse=True)]

    async def count_by_mode(self, now: int) -> dict[tuple[Mode, Kind], int]:
        counts: Counter[tuple[Mode, Kind]] = Counter()
        async for held in self._everyones():
            if refusal(held.session, now) is None:
                counts[held.session.mode, held.session.device.kind] += 1
        return dict(counts)

    async def purge(self, now: int, *, keep_ended_s: int) -> int:
        removed = seen = 0
        async for keys in self.each_key(self._cursors):
            removed += await self._tidy(keys, now, now - keep_ended_s)
            seen += len(keys)
            if seen >= KEYS_A_RUN:
                break
        else:
            self._cursors = {}
        return removed

    async def _everyones(self) -> AsyncIterator[Held]:
        """Return all sessions there are. While the server's table of keys grows, it may show one twice."""
        async for keys in self.each_key({}):
            for key, value in (await self.values([key for key in keys if key[KIND] == SESSION])).items():
                yield unpacked(key[KIND + 1 :], value)

    async def _tidy(self, keys: list[bytes], now: int, over_before: int) -> int:
        found = await self.values([key for key in keys if key[KIND] in (SESSION, USER, TALLY)])
        over, lists = [], []
        for key, value in found.items():
            if key[KIND] == SESSION and over_at(unpacked(key[KIND + 1 :], value).session) <= over_before:
                over.append((key, value))
            elif key[KIND] == TALLY and unpacked_tally(value)[1] <= now:
                await self.run(DROP, [key], value)
            elif key[KIND] == USER:
                lists.append((key, value))
        removed = 0
        for start in range(0, len(over), REMOVED_AT_ONCE):
            some = over[start : start + REMOVED_AT_ONCE]
            removed += sum(await asyncio.gather(*(self._remove(key, value) for key, value in some)))
        for key, value in lists:
            await self._prune(key, value)
        return removed

    async def _remove(self, key: bytes, value: bytes) -> int:
        """Remove a session and its data, if it is still as it was looked at."""
        removed: int = await self.run(DROP, [key, data_key(key[KIND + 1 :])], value)
        return removed

    async def _prune(self, key: bytes, value: bytes) -> None:
        """Take out of a user's list what is no more."""
        listed = unpacked_list(value)
        there = await self.values([session_key(raw) for raw in listed.ids])
        staying = tuple(raw for raw in listed.ids if session_key(raw) in there)
        if len(staying) == len(listed.ids):
            return
        try:
            await self._swap(shard_of(key), [change_of_list(key, listed, staying, listed.security_version)])
        except Overtaken:
            return  # somebody signed in; next time
