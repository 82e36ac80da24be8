"""Accounts in one store, sessions in another, seen as one.

What a change of an account means for sessions is written into the accounts' outbox, in the transaction of the
change, and applied to the sessions' store before anybody is answered. A process that dies between the two
writes, or a sessions' store that is away, leaves the change in the outbox: every node looks there about twice a
second and finishes what it finds. Applying a change twice is harmless (``AccountFollower``), so nobody has to
agree on who does it.
"""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TypeVar

from propylon.core.limits import LimitReached
from propylon.core.principal import User
from propylon.core.session import Ending
from propylon.errors import StoreUnavailable
from propylon.ports import AccountStore, Opened, Opening, SessionStore, SignInVoid, StoredKey

T = TypeVar("T", bool, int)

logger = logging.getLogger("propylon.stores")

# What another node left behind is finished within a second, also when this one is unlucky with its jitter.
DRAIN_EVERY_S = 0.5
DRAIN_AT_ONCE = 100


class SplitStore:
    """A ``propylon.ports.Store`` made of two."""

    def __init__(self, accounts: AccountStore, sessions: SessionStore) -> None:
        self._accounts, self._sessions = accounts, sessions
        self._round: asyncio.Task[None] | None = None  # the one that runs, or has run
        self._next_round: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        # Passed on as they are: the feed is asked at every request, and a wrapper would cost as much as it does.
        self.news, self.catch_up, self.pulse = sessions.news, sessions.catch_up, sessions.pulse
        self.bookmark = sessions.bookmark
        self.history = sessions.history
        self.find_session, self.live_sessions = sessions.find_session, sessions.live_sessions
        self.all_live_sessions, self.count_by_mode = sessions.all_live_sessions, sessions.count_by_mode
        self.rotate, self.touch, self.confirm = sessions.rotate, sessions.touch, sessions.confirm
        self.move_session = sessions.move_session
        self.end_session, self.end_sessions = sessions.end_session, sessions.end_sessions
        self.read_data, self.replace_data = sessions.read_data, sessions.replace_data
        self.wait_s, self.add_failure = sessions.wait_s, sessions.add_failure
        self.forget_failures = sessions.forget_failures
        self.find_user, self.find_user_by_email = accounts.find_user, accounts.find_user_by_email
        self.list_users, self.add_user, self.rehash = accounts.list_users, accounts.add_user, accounts.rehash
        self.signing_keys, self.read_setting = accounts.signing_keys, accounts.read_setting

    async def open(self) -> None:
        """Open both, and begin to finish what other processes could not."""
        await self._accounts.open()
        try:
            await self._sessions.open()
        except BaseException:
            await self._accounts.close()
            raise
        self._draining = asyncio.create_task(self._drain_for_ever())

    async def close(self) -> None:
        if self._draining is not None:
            self._draining.cancel()
            with suppress(asyncio.CancelledError):
                await self._draining
            self._draining = None
        if under_way := [task for task in (self._round, self._next_round) if task is not None]:
            await asyncio.wait(under_way)
        await self._sessions.close()
        await self._accounts.close()

    async def ping(self) -> None:
        await self._accounts.ping()
        await self._sessions.ping()

    async def purge(self, now: int, *, keep_ended_s: int) -> int:
        removed = await self._accounts.purge(now, keep_ended_s=keep_ended_s)
        return removed + await self._sessions.purge(now, keep_ended_s=keep_ended_s)

    async def open_session(self, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
        user = await self._accounts.find_user(opening.session.user_id)
        if user is None or user.disabled_at is not None or user.security_version != opening.security_version:
            return SignInVoid()
        # A change before this look must be applied before the session is in, or it would end it; one after it does.
        await self.drain()
        return await self._sessions.open_session(opening, now)

    async def rename_user(self, user_id: str, name: str) -> bool:
        return await self._told(await self._accounts.rename_user(user_id, name))

    async def replace_password(
        self, user: User, new_hash: str, ending: Ending, *, keep: str | None, feed_ttl_s: int
    ) -> bool:
        changed = await self._accounts.replace_password(user, new_hash, ending, keep=keep, feed_ttl_s=feed_ttl_s)
        return await self._told(changed)

    async def enable_user(self, user_id: str, *, disabled: Ending | None, feed_ttl_s: int) -> bool:
        changed = await self._accounts.enable_user(user_id, disabled=disabled, feed_ttl_s=feed_ttl_s)
        return await self._told(changed)

    async def publish_key(self, key: StoredKey, *, replaces: str | None) -> bool:
        return await self._told(await self._accounts.publish_key(key, replaces=replaces))

    async def drop_keys(self, retired_before: int) -> int:
        return await self._told(await self._accounts.drop_keys(retired_before))

    async def write_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        return await self._told(await self._accounts.write_setting(name, value, expected=expected))

    async def drain(self) -> None:
        """Apply every change that waits in the outbox, in order.

        Raises:
            StoreUnavailable: one of the two stores is away; what was not applied stays in the outbox.
        """
        # Whoever comes while a round runs shares the next one, so a store that times out keeps nobody for longer
        # than two rounds, however many wait.
        if self._next_round is None:
            self._next_round = asyncio.create_task(self._drain_after(self._round))
            self._next_round.add_done_callback(_retrieved)
        await asyncio.shield(self._next_round)

    async def _drain_after(self, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._round, self._next_round = self._next_round, None
        while changes := await self._accounts.pending_changes(DRAIN_AT_ONCE):
            for change in changes:
                await self._sessions.apply_change(change)
            await self._accounts.forget_changes([change.position for change in changes])

    async def _told(self, answer: T) -> T:
        """Return ``answer`` once what follows from it holds here and everywhere."""
        if answer:
            await self.drain()
            # Another node may have applied it in our place, and then only asking brings it into our news.
            await self._sessions.catch_up()
        return answer

    async def _drain_for_ever(self) -> None:
        away = False
        while True:
            # Nodes that started together need not look together.
            await asyncio.sleep(DRAIN_EVERY_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            try:
                await self.drain()
                away = False
            except StoreUnavailable as error:
                if not away:  # once, not twice a second
                    logger.warning("changes of accounts wait for the store of sessions: %s", error)
                away = True
            except Exception:
                logger.exception("changes of accounts could not be applied")


def _retrieved(task: asyncio.Task[None]) -> None:
    """Take note of a failure that everybody who waited for it has given up on."""
    if not task.cancelled():
        task.exception()
