"""A store of accounts whose sessions are elsewhere: each change is told through its outbox, exactly as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from propylon.core.device import Device
from propylon.core.session import Ending
from propylon.ports import AccountChange, AccountStore
from propylon.testing.records import NOW, a_signing_key, a_user
from propylon.testing.rules import FEED_TTL_S, ending

# ruff: noqa: S101 - these are tests

ALL = 1_000


class OutboxRules:
    """The port ``Outbox``, and what the verbs of ``AccountHalf`` put into it."""

    async def make_account_store(self) -> AccountStore:
        """Return an opened store whose sessions are elsewhere. To be overridden."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def accounts(self) -> AsyncIterator[AccountStore]:
        """Give a test its store, with one account in it."""
        accounts = await self.make_account_store()
        await accounts.add_user(a_user())
        yield accounts
        await accounts.close()

    async def test_what_concerns_no_session_is_not_told(self, accounts: AccountStore) -> None:
        """A new account, a stronger hash, and whatever was refused."""
        await accounts.add_user(a_user("user-2"))
        await accounts.rehash("user-1", "$argon2id$1", "$argon2id$2")
        await accounts.rename_user("nobody", "Lee")
        await accounts.enable_user("nobody", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
        stale = a_user(security_version=7)
        assert not await accounts.replace_password(
            stale, "$new", ending("password_changed"), keep=None, feed_ttl_s=FEED_TTL_S
        )
        await accounts.publish_key(a_signing_key(), replaces="another")
        await accounts.drop_keys(NOW)
        await accounts.write_setting("mode", "bearer", expected="cookie")
        assert await told(accounts) == []

    async def test_a_new_password_is_told_with_all_that_it_means(self, accounts: AccountStore) -> None:
        """The version after it, the ending with its device, whom it spares, and how long tokens live."""
        over = Ending("password_changed", NOW + 3, Device("파이어폭스", "Linux", "desktop"))
        assert await accounts.replace_password(a_user(), "$new", over, keep="s-kept", feed_ttl_s=FEED_TTL_S)
        assert await told(accounts) == [
            a_change(security_version=1, ending=over, keep="s-kept", feed_ttl_s=FEED_TTL_S),
        ]

    async def test_a_disabled_account_is_told_with_an_ending(self, accounts: AccountStore) -> None:
        """Nobody is spared."""
        over = ending("user_disabled")
        await accounts.enable_user("user-1", disabled=over, feed_ttl_s=FEED_TTL_S)
        assert await told(accounts) == [a_change(security_version=1, ending=over, feed_ttl_s=FEED_TTL_S)]

    async def test_a_change_that_ends_nobody_is_told_without_an_ending(self, accounts: AccountStore) -> None:
        """A new name, an account enabled again."""
        await accounts.rename_user("user-1", "Lee")
        await accounts.enable_user("user-1", disabled=None, feed_ttl_s=FEED_TTL_S)
        assert await told(accounts) == [a_change(), a_change()]

    async def test_keys_and_settings_are_told(self, accounts: AccountStore) -> None:
        """They belong to nobody."""
        await accounts.publish_key(a_signing_key("a"), replaces=None)
        await accounts.publish_key(a_signing_key("b", created_at=NOW + 9), replaces="a")
        await accounts.drop_keys(NOW + 10)
        await accounts.write_setting("mode", "bearer", expected=None)
        subjects = [change.subject for change in await told(accounts)]
        assert subjects == ["keys_changed", "keys_changed", "keys_changed", "mode_changed"]

    async def test_changes_stand_in_order_until_they_are_forgotten(self, accounts: AccountStore) -> None:
        """The oldest come first; forgetting is by position, and again is harmless."""
        for version in range(5):
            user = a_user(password_hash=f"${version}", security_version=version)
            over = ending("password_changed", at=NOW + version)
            assert await accounts.replace_password(user, "$x", over, keep=None, feed_ttl_s=FEED_TTL_S)
        first, second, *_ = oldest = await accounts.pending_changes(3)
        assert [change.security_version for change in oldest] == [1, 2, 3]
        await accounts.forget_changes([first.position, second.position])
        await accounts.forget_changes([first.position])
        await accounts.forget_changes([])
        left = await accounts.pending_changes(ALL)
        assert [change.security_version for change in left] == [3, 4, 5]
        assert [change.position for change in left] == sorted({change.position for change in left})

    async def test_no_position_is_used_twice(self, accounts: AccountStore) -> None:
        """Or forgetting a change that was applied would lose one that was not."""
        seen: list[int] = []
        for name in ("Lee", "Park", "Choi"):
            await accounts.rename_user("user-1", name)
            (change,) = await accounts.pending_changes(ALL)
            await accounts.forget_changes([change.position])
            seen.append(change.position)
        assert len(set(seen)) == 3

    async def test_every_change_made_at_once_is_told_once(self, accounts: AccountStore) -> None:
        """None is lost among many."""
        users = [a_user(f"many-{number}") for number in range(20)]
        await asyncio.gather(*(accounts.add_user(user) for user in users))
        over = ending("user_disabled")
        await asyncio.gather(*(accounts.enable_user(user.id, disabled=over, feed_ttl_s=FEED_TTL_S) for user in users))
        changes = await told(accounts)
        assert sorted(change.user_id for change in changes) == sorted(user.id for user in users)

    async def test_upkeep_forgets_no_change(self, accounts: AccountStore) -> None:
        """However long the store of sessions was away."""
        await accounts.rename_user("user-1", "Lee")
        await accounts.purge(NOW + 10**9, keep_ended_s=0)
        assert await told(accounts) == [a_change()]


def a_change(**changes: object) -> AccountChange:
    """Return a change of ``user-1`` as `told` shows it."""
    return AccountChange(**{"position": 0, "subject": "user_changed", "user_id": "user-1", **changes})  # type: ignore[arg-type]


async def told(accounts: AccountStore) -> list[AccountChange]:
    """Return what the outbox tells; the versions of changes that end nobody, and positions, are left out."""
    return [_told(change) for change in await accounts.pending_changes(ALL)]


def _told(change: AccountChange) -> AccountChange:
    version = change.security_version if change.ending is not None else 0
    return AccountChange(
        position=0,
        subject=change.subject,
        user_id=change.user_id,
        security_version=version,
        ending=change.ending,
        keep=change.keep,
        feed_ttl_s=change.feed_ttl_s,
    )
