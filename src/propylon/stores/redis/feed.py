"""The feed: streams, followed; what was heard is kept until it is asked for, and silence is measured."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from propylon.core.revocation import FeedEntry, FeedSubject
from propylon.core.secret import SHARDS
from propylon.core.session import MAX_ACCESS_TTL_S
from propylon.errors import FeedSilent, StoreUnavailable
from propylon.ports import History, Pulse
from propylon.stores.coalescing import Coalescer
from propylon.stores.news import FEED_KEEP_S, Lags, missed
from propylon.stores.redis.database import HEAR, SWAP, Database, Overtaken
from propylon.stores.redis.layout import EPOCHS, FEEDS
from propylon.stores.redis.place import Place

logger = logging.getLogger("propylon.stores")

# A follower waits so long for an entry and then asks for a sign of life, so one comes at least twice a second.
WAIT_MS = 400
HEARTBEAT_S = 0.4

EPOCH_BYTES = 12
NOT_HEARD = "not heard yet"

# Between attempts to follow anew; at random, or all nodes would knock together at a server that just started.
LONGEST_PAUSE_S = 1.0

# Entries held for a process that does not ask for them. Beyond it they stay in the store until it does.
MAX_UNREAD = 100_000
AT_ONCE = 10_000

# No token lives longer, whatever was asked; and whoever follows at all hears each entry before it goes.
KEEP_MS: Final = (MAX_ACCESS_TTL_S + 60 + FEED_KEEP_S) * 1000


class Mark(NamedTuple):
    """An entry's place: when it was announced by the clock of the server, and its number from 1 on."""

    ms: int
    number: int

    def __str__(self) -> str:
        """Spell it as the stream does."""
        return f"{self.ms}-{self.number}"


START: Final = Mark(0, 0)


class Change(NamedTuple):
    """One value to replace: what it must still be, what it becomes (empty: nothing), and for how long.

    Attributes:
        ttl_s: after which the server removes it; 0 is never.
    """

    key: bytes
    expected: bytes
    value: bytes
    ttl_s: int


class Announcement(NamedTuple):
    """What others must hear."""

    subject: FeedSubject
    id: str
    reason: str
    expires_at: int


class Stream:
    """One feed, as far as it was heard.

    Attributes:
        epoch: the name of the history that was heard; empty before anything was.
        heard_at: when the newest answer was asked for, monotonic; what it did not hold came later.
    """

    def __init__(self, number: int) -> None:
        self.number, self.keys = number, (FEEDS[number], EPOCHS[number])
        self.mark, self.epoch = START, b""
        self.heard_at = float("-inf")


class Feed(Database):
    """``propylon.ports.RevocationFeed``, on Redis.

    Where there is one server there is one feed, in one order. A cluster has one for each shard, since a script writes
    into one slot alone: the order is one for each user, and positions of different shards do not compare.
    """

    def __init__(self, place: Place, *, max_silence_s: float) -> None:
        super().__init__(place)
        self._max_silence_s = max_silence_s
        self._streams: list[Stream] = []
        self._unread: list[FeedEntry] = []
        self._taken = 0
        self._catching_up = Coalescer(self._caught_up)
        self._followers: list[asyncio.Task[None]] = []
        self._begin()

    async def open(self) -> None:
        """Connect; the first ``news`` will be everything that is kept."""
        self._begin()
        await super().open()
        try:
            await self.catch_up()
        except BaseException:
            await self.close()
            raise
        self._lags.begin()
        self._followers = [asyncio.create_task(self._follow(stream)) for stream in self._streams]

    async def close(self) -> None:
        """Stop following, then let go of the servers."""
        followers, self._followers = self._followers, []
        for follower in followers:
            follower.cancel()
        for follower in followers:
            with suppress(asyncio.CancelledError):
                await follower
        await super().close()
        self._begin()  # heard nothing: a closed store answers nothing

    def news(self) -> Sequence[FeedEntry]:
        """Return what came since the last call; a comparison of two times when nothing did."""
        silent_before = time.monotonic() - self._max_silence_s
        for stream in self._streams:
            if stream.heard_at < silent_before:
                raise FeedSilent
        if not self._unread:
            return ()
        self._taken += 1  # first: a thread that looks in between sees another bookmark
        entries, self._unread = self._unread, []
        return entries

    def bookmark(self) -> int | None:
        """Return how often news were taken; None while some wait, or while there is silence."""
        silent_before = time.monotonic() - self._max_silence_s
        if self._unread or any(stream.heard_at < silent_before for stream in self._streams):
            return None
        return self._taken

    def pulse(self) -> Pulse:
        """Return how long ago the feed that is silent for longest was heard, and the lags since the last look."""
        heard_at = min(stream.heard_at for stream in self._streams)
        return Pulse(time.monotonic() - heard_at, self._lags.take())

    def history(self) -> History:
        """Return which history was heard, in a cluster those of all shards together."""
        return self._history

    async def catch_up(self) -> None:
        """Ask every feed; all who ask in the same moment are served by one question."""
        await asyncio.gather(*(self._catching_up.find(stream.number) for stream in self._streams))

    def _begin(self) -> None:
        several = self._place.kind == "cluster"
        self._streams = [Stream(number) for number in range(SHARDS if several else 1)]
        self._unread = []
        self._history = History(NOT_HEARD, one_order=not several)
        self._lags = Lags()

    async def _swap(self, shard: int, changes: Iterable[Change], told: Sequence[Announcement] = ()) -> None:
        """Replace values and announce in one step; return once that is safe, and among this process' own news.

        Raises:
            Overtaken: a value is not what was expected; nothing was done.
        """
        stream = self._streams[shard if len(self._streams) > 1 else 0]
        since, asked_at = stream.mark, time.monotonic()
        keys, values = [stream.keys[0]], []
        for change in changes:
            keys.append(change.key)
            values += [change.expected, change.value, change.ttl_s * 1000]
        entries = [msgspec.msgpack.encode(tuple(entry)) for entry in told]
        answer = await self.run_safely(shard, SWAP, keys, str(since), AT_ONCE, KEEP_MS, len(entries), *entries, *values)
        if answer is None:
            raise Overtaken
        if told:
            last, news = answer
            if not self._hear(stream, since, last, news, asked_at):
                await self._catching_up.find(stream.number)

    async def _caught_up(self, numbers: Sequence[int]) -> dict[int, None]:
        await asyncio.gather(*(self._catch_up_with(self._streams[number]) for number in numbers))
        return {}

    async def _catch_up_with(self, stream: Stream) -> None:
        while True:
            since, known, asked_at = stream.mark, stream.epoch, time.monotonic()
            values = (str(since), AT_ONCE, secrets.token_bytes(EPOCH_BYTES))
            # A master that was cut off while another took over still answers, but has no replica to confirm it.
            epoch, last, news = await self.run_safely(stream.number, HEAR, stream.keys, *values)
            if self._is_of(stream, epoch, known) and self._hear(stream, since, last, news, asked_at):
                return

    def _is_of(self, stream: Stream, epoch: bytes, known: bytes) -> bool:
        """Return whether an answer, asked for when ``known`` was, is of the history that was heard until now.

        One of another is not read on with: all of it is heard from its beginning.
        """
        if epoch == stream.epoch:
            return True
        if known != stream.epoch:
            return False  # asked before it was known that the history is another one
        stream.epoch = epoch
        names = b"".join(one.epoch for one in self._streams)
        self._history = History(hashlib.sha256(names).hexdigest()[:32], one_order=len(self._streams) == 1)
        if known:
            self._forget(stream)
        return not known

    def _forget(self, stream: Stream) -> None:
        logger.warning("the store of sessions has lost entries of the feed: all that is remembered is dropped")
        self._unread += missed(self._position(stream, stream.mark))
        stream.mark = START

    def _hear(
        self, stream: Stream, since: Mark, last: bytes, news: Sequence[Sequence[object]], asked_at: float
    ) -> bool:
        """Add an answer to the question what came after ``since``; return False where more has to be asked for."""
        if since > stream.mark:  # asked before it was known that the history is another one
            return False
        if _mark(last) < since:
            self._forget(stream)  # restored from a copy, or taken over by a replica that had not received all
            return False
        if not self._append(stream, since, news):
            return False
        if len(news) == AT_ONCE and stream.mark < _mark(last):
            return False
        if stream.mark < _mark(last):  # the newest entries were removed unread
            stream.mark = _mark(last)
            self._unread += missed(self._position(stream, stream.mark))
        stream.heard_at = max(stream.heard_at, asked_at)
        return True

    def _append(self, stream: Stream, since: Mark, news: Sequence[Sequence[object]]) -> bool:
        """Take in entries; return False where some before them are missing, and the history may be another one."""
        before, gapless = since, True
        for id_, fields in news:
            mark = _mark(id_)
            if mark > stream.mark:
                if before.number + 1 != mark.number and before != START:  # what lies between was removed unread
                    self._unread += missed(self._position(stream, mark) - 1)
                    gapless = False
                self._unread.append(self._entry(stream, mark, fields))
                self._lags.note(mark.ms)
                stream.mark = mark
            before = mark
        return gapless

    def _entry(self, stream: Stream, mark: Mark, fields: object) -> FeedEntry:
        packed = fields[b"e"] if isinstance(fields, dict) else fields[1]  # type: ignore[index]  # a list of two
        subject, id_, reason, expires_at = msgspec.msgpack.decode(packed)
        return FeedEntry(self._position(stream, mark), subject, id_, reason, expires_at, mark.ms)

    def _position(self, stream: Stream, mark: Mark) -> int:
        return mark.number * len(self._streams) + stream.number

    async def _follow(self, stream: Stream) -> None:
        """Follow until cancelled, anew whenever the connection is lost."""
        pause_s = 0.0
        while True:
            try:
                await self._listen(stream)
                pause_s = 0.0
                continue
            except StoreUnavailable as error:
                if not pause_s:  # once, not with every attempt
                    cause = error.__cause__ or error
                    logger.warning("the feed cannot be followed: %s", str(cause) or type(cause).__name__)
                with suppress(StoreUnavailable):
                    await self.command("EXISTS", stream.keys[1])  # in a cluster the client then looks who is master now
            except Exception:
                logger.exception("following the feed failed")
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s + 0.05)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _listen(self, stream: Stream) -> None:
        """Wait for entries once, and ask for a sign of life when it is time for one."""
        if len(self._unread) >= MAX_UNREAD:  # for whoever asks next
            await asyncio.sleep(HEARTBEAT_S)
            return
        if time.monotonic() - stream.heard_at >= HEARTBEAT_S:
            await self._catch_up_with(stream)
        since = stream.mark
        news = await self.wait_for(stream.keys[0], str(since), WAIT_MS)
        if news and since <= stream.mark and not self._append(stream, since, news):
            await self._catch_up_with(stream)


def _mark(id_: object) -> Mark:
    ms, _, number = id_.partition(b"-")  # type: ignore[attr-defined]  # bytes, as a stream spells it
    return Mark(int(ms), int(number))
