"""A look at the servers from outside: it writes what every node writes all the time, a sign of life, and nothing else.

What it announces to itself, to hear how long that takes, lies apart from the feed and is gone at once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import ResponseError

from propylon.errors import SetupError, StoreUnavailable
from propylon.stores.redis.database import Database
from propylon.stores.redis.layout import BEAT
from propylon.stores.redis.place import Place
from propylon.stores.server import RedisSettings, Server, is_local

LOOK_WITHIN_S = 10.0
HEAR_WITHIN_MS = 700
# Time for the listener to be there.
SETTLE_S = 0.02
# As with the feed, in one step; whatever becomes of this process, the key goes.
_ANNOUNCE: Final = "redis.call('XADD', KEYS[1], '*', 'x', '1') return redis.call('PEXPIRE', KEYS[1], 3000)"


def inspect(url: str) -> tuple[Server, ...]:
    """Look at every master. Not to be called on an event loop.

    Raises:
        SetupError: the servers cannot be used.
    """
    return asyncio.run(_inspected(Place.parse(url)))


async def _inspected(place: Place) -> tuple[Server, ...]:
    look = Look(place)
    await look.open()
    try:
        async with asyncio.timeout(LOOK_WITHIN_S):
            return await look.servers()
    except (StoreUnavailable, TimeoutError):
        raise SetupError("redis_silent", place=place) from None
    finally:
        await look.close()


class Look(Database):
    """One look at the servers."""

    async def servers(self) -> tuple[Server, ...]:
        """Return every master as it stands."""
        heard_after_ms = await self._heard_after_ms()
        return tuple([await self._seen(name, master, heard_after_ms) for name, master in await self._masters()])

    async def _seen(self, name: str, master: Any, heard_after_ms: float) -> Server:
        async with self._at_server():
            address = name or str(self._place)
            info = await _told(master, "INFO")
            config = await _told(master, "CONFIG GET", "*")
            ahead_s = await _ahead_s(master)
        return Server(
            place=address,
            local=all(map(is_local, [name.rpartition(":")[0]] if name else [host for host, _ in self._place.hosts])),
            encrypted=self._place.tls,
            guarded=self._place.password is not None or "ssl_certfile" in self._place.options,
            version=info.get("redis_version"),
            ahead_s=ahead_s,
            heard_after_ms=heard_after_ms,
            redis=RedisSettings(
                kind=self._place.kind,
                confirmed_by=self._place.replicas,
                replicas=_number(info.get("connected_slaves")),
                max_memory=_number(info.get("maxmemory")),
                policy=info.get("maxmemory_policy"),
                appendonly=_number(info.get("aof_enabled")),
                appendfsync=config.get("appendfsync"),
                min_replicas=_number(config.get("min-replicas-to-write", config.get("min-slaves-to-write"))),
            ),
        )

    async def _heard_after_ms(self) -> float:
        """Announce something that concerns nobody, in the shard of the first feed, and return when it was heard."""
        key = BEAT[0] + secrets.token_hex(8).encode()
        listening = asyncio.create_task(self.wait_for(key, "0", HEAR_WITHIN_MS))
        await asyncio.sleep(SETTLE_S)
        started = time.perf_counter()
        await self.command("EVAL", _ANNOUNCE, 1, key)
        await listening
        took_ms = (time.perf_counter() - started) * 1000
        await self.command("DEL", key)
        return took_ms


async def _told(master: Any, *words: str) -> Mapping[str, Any]:
    """Return an answer, or nothing where the server keeps it to itself: from this user, or from everybody."""
    try:
        told: Mapping[str, Any] = await master.execute_command(*words)
    except ResponseError:
        return {}
    return told


async def _ahead_s(master: Any) -> float:
    asked_at = time.time()
    seconds, microseconds = await master.execute_command("TIME")
    return float(seconds + microseconds / 1e6 - (asked_at + time.time()) / 2)


def _number(text: Any) -> int | None:
    return int(text) if text is not None else None
