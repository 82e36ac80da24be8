"""Whether the feed tells of everything that has ended lately: the store of accounts remembers which one it knows.

A feed that is kept apart from the accounts may be lost without them: a server that restarts empty, is emptied, or is
another one than before. Whoever follows it from then on would not hear of what ended before, and take a token of
it for good until it expires. So nobody believes a feed that the accounts do not know, for as long as any token lives
that was issued before; sessions are looked up instead, and one that is lost is none.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

import msgspec

from propylon.ports import Clock, RevocationFeed, SettingStore, SigningKeyStore

logger = logging.getLogger("propylon")

SETTING = "feed_history"


class _Store(RevocationFeed, SettingStore, SigningKeyStore, Protocol):
    """What is asked for it."""


class Noted(msgspec.Struct, frozen=True):
    """What the accounts know of the feed.

    Attributes:
        name: ``ports.History.name``.
        whole_at: epoch seconds from when on no token lives that an ending lost with an earlier feed was about. The
            nodes' clocks may differ: ``policy.feed_ttl_s`` is longer than a token's life by more than that.
    """

    name: str
    whole_at: int


class FeedHistory:
    """The agreement of all nodes on one feed."""

    def __init__(self, store: _Store, clock: Clock, *, feed_ttl_s: int) -> None:
        self._store, self._clock, self._feed_ttl_s = store, clock, feed_ttl_s
        self._agreed: Noted | None = None
        self._agreeing = asyncio.Lock()

    @property
    def one_order(self) -> bool:
        """Whether every process hears the entries in the same order."""
        return self._store.history().one_order

    def is_known(self) -> bool:
        """Return whether the feed is still the one that was agreed on."""
        return self._agreed is not None and self._agreed.name == self._store.history().name

    def is_whole(self) -> bool:
        """Return whether a session that the feed does not name has not ended."""
        return self._agreed is not None and self.is_known() and self._agreed.whole_at <= self._clock.now()

    async def agree(self) -> None:
        """Have the accounts know the feed, and know since when they do.

        Raises:
            StoreUnavailable: one of the two stores is away; until they are back nothing is believed.
        """
        async with self._agreeing:
            while not self.is_known():
                recorded = await self._store.read_setting(SETTING)
                agreed = await self._agreed_on(recorded)
                if _spelled(agreed) == recorded or (recorded is None and not agreed.name):
                    self._agreed = agreed  # beside the accounts, where it has always been, it needs no word
                elif await self._store.write_setting(SETTING, _spelled(agreed), expected=recorded):
                    self._agreed = agreed

    async def _agreed_on(self, recorded: str | None) -> Noted:
        name = self._store.history().name
        before = None if recorded is None else msgspec.json.decode(recorded, type=Noted)
        if before is not None and before.name == name:
            return before
        # Until something was noted, sessions were beside the accounts; and without a key no token was ever issued.
        if before is None and (not name or not await self._store.signing_keys()):
            return Noted(name, 0)
        logger.warning(
            "the revocation feed is another one than before: for %d s the session of every access token is looked up,"
            " and services elsewhere refuse all of them",
            self._feed_ttl_s,
        )
        whole_at = self._clock.now() + self._feed_ttl_s
        return Noted(name, whole_at if before is None else max(whole_at, before.whole_at))


def _spelled(noted: Noted) -> str:
    return msgspec.json.encode(noted).decode()
