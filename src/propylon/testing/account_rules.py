"""Accounts: unique addresses, and changes that take the sessions with them."""

from __future__ import annotations

import msgspec
import pytest

from propylon.ports import SignInVoid, Store
from propylon.testing.records import NOW, a_session, a_user
from propylon.testing.rules import FEED_TTL_S, Rules, ending, heard, live_ids, opened, sign_in

# ruff: noqa: S101, S106 - these are tests


class AccountRules(Rules):
    """The ports ``UserReader`` and ``UserWriter``."""

    @pytest.mark.parametrize("unknown", ["nobody", "", "user", "user-11", "\ud800", "' OR 1=1 --"])
    async def test_an_account_that_is_not_there_is_an_answer(self, store: Store, unknown: str) -> None:
        """Unknown and malformed ids and addresses find nothing and raise nothing."""
        assert await store.find_user(unknown) is None
        assert await store.find_user_by_email(unknown) is None

    async def test_an_account_is_found_as_it_was_added(self, store: Store) -> None:
        """Every field survives, by id and by canonical address."""
        user = a_user(
            "user-2",
            email="Jürgen@Example.ORG",
            email_key="jürgen@example.org",
            name="이 'O\"Brien\x00",
            roles=("admin", "역할"),
            disabled_at=NOW,
            security_version=4,
        )
        assert await store.add_user(user)
        assert await store.find_user("user-2") == user
        assert await store.find_user_by_email("jürgen@example.org") == user
        assert await store.find_user_by_email("Jürgen@Example.ORG") is None

    async def test_a_taken_address_is_refused(self, store: Store) -> None:
        """The account that has it stays as it is."""
        assert not await store.add_user(a_user("user-2", email_key="user-1@example.org"))
        assert await store.find_user("user-2") is None
        assert await store.find_user_by_email("user-1@example.org") == a_user()

    async def test_accounts_are_listed_by_address_in_pages(self, store: Store) -> None:
        """Each page begins after the last address of the one before."""
        for name in ("c", "a", "b"):
            await store.add_user(a_user(name, email_key=name))
        assert [user.id for user in await store.list_users("", 2)] == ["a", "b"]
        assert [user.id for user in await store.list_users("b", 2)] == ["c", "user-1"]
        assert await store.list_users("user-1@example.org", 2) == []

    async def test_a_new_name_is_kept_and_announced(self, store: Store) -> None:
        """Whoever remembers the old one is told to drop it."""
        assert await store.rename_user("user-1", "Lee")
        assert await store.find_user("user-1") == a_user(name="Lee")
        assert heard(store) == [("user_changed", "user-1", "")]

    async def test_nobody_is_not_renamed(self, store: Store) -> None:
        """The answer is no, and nothing is announced."""
        assert not await store.rename_user("user", "Lee")
        assert heard(store) == []

    async def test_a_stronger_hash_replaces_the_one_it_was_made_of(self, store: Store) -> None:
        """Sessions and the security version stay as they are."""
        session = await opened(store)
        assert await store.rehash("user-1", "$argon2id$1", "$argon2id$2")
        assert await store.find_user("user-1") == a_user(password_hash="$argon2id$2")
        assert await live_ids(store) == [session.id]

    async def test_a_stronger_hash_of_an_older_password_is_dropped(self, store: Store) -> None:
        """Or signing in while the password changes would bring the old one back."""
        assert not await store.rehash("user-1", "$argon2id$0", "$argon2id$2")
        assert not await store.rehash("nobody", "$argon2id$1", "$argon2id$2")
        assert await store.find_user("user-1") == a_user()

    async def test_a_new_password_ends_all_sessions_but_the_kept_one(self, store: Store) -> None:
        """The hash, the version and the endings are one step, and all of it is announced."""
        kept, other = await opened(store), await opened(store)
        store.news()
        assert await store.replace_password(
            a_user(), "$new", ending("password_changed"), keep=kept.id, feed_ttl_s=FEED_TTL_S
        )
        assert await store.find_user("user-1") == a_user(password_hash="$new", security_version=1)
        assert await live_ids(store) == [kept.id]
        assert sorted(heard(store)) == [
            ("session_ended", other.id, "password_changed"),
            ("user_changed", "user-1", ""),
        ]

    async def test_a_password_is_replaced_once_for_one_look_at_the_account(self, store: Store) -> None:
        """The second of two changes is told so, and ends nothing."""
        over = ending("password_changed")
        assert await store.replace_password(a_user(), "$new", over, keep=None, feed_ttl_s=FEED_TTL_S)
        session = a_session()
        await sign_in(store, session, security_version=1)
        assert not await store.replace_password(a_user(), "$newer", over, keep=None, feed_ttl_s=FEED_TTL_S)
        assert not await store.replace_password(a_user("nobody"), "$x", over, keep=None, feed_ttl_s=FEED_TTL_S)
        assert await store.find_user("user-1") == a_user(password_hash="$new", security_version=1)
        assert await live_ids(store) == [session.id]

    async def test_a_rehash_in_between_does_not_void_a_new_password(self, store: Store) -> None:
        """The password that was checked is still the same."""
        await store.rehash("user-1", "$argon2id$1", "$argon2id$2")
        over = ending("password_changed")
        assert await store.replace_password(a_user(), "$new", over, keep=None, feed_ttl_s=FEED_TTL_S)

    async def test_a_sign_in_that_checked_the_old_password_is_void(self, store: Store) -> None:
        """However the two overlapped, no session of the old password remains."""
        over = ending("password_changed")
        await store.replace_password(a_user(), "$new", over, keep=None, feed_ttl_s=FEED_TTL_S)
        assert await sign_in(store, a_session(), security_version=0) == SignInVoid()

    async def test_a_disabled_account_has_no_session_and_opens_none(self, store: Store) -> None:
        """Not even for a sign-in that knows the newest version."""
        session = await opened(store)
        store.news()
        assert await store.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
        assert await store.find_user("user-1") == a_user(disabled_at=NOW, security_version=1)
        assert await live_ids(store) == []
        assert await sign_in(store, a_session(), security_version=1) == SignInVoid()
        assert sorted(heard(store)) == [
            ("session_ended", session.id, "user_disabled"),
            ("user_changed", "user-1", ""),
        ]

    async def test_an_enabled_account_signs_in_again_and_gets_no_session_back(self, store: Store) -> None:
        """What ended with the account stays ended."""
        await opened(store)
        await store.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
        assert await store.enable_user("user-1", disabled=None, feed_ttl_s=FEED_TTL_S)
        assert await store.find_user("user-1") == a_user(security_version=1)
        assert await live_ids(store) == []
        await sign_in(store, session := a_session(), security_version=1)
        assert await live_ids(store) == [session.id]

    async def test_disabling_twice_keeps_the_first_time(self, store: Store) -> None:
        """Since when somebody is shut out is not rewritten."""
        await store.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
        later = ending("user_disabled", at=NOW + 9)
        assert await store.enable_user("user-1", disabled=later, feed_ttl_s=FEED_TTL_S)
        user = await store.find_user("user-1")
        assert user == msgspec.structs.replace(a_user(), disabled_at=NOW, security_version=2)

    async def test_nobody_can_be_neither_enabled_nor_disabled(self, store: Store) -> None:
        """The answer is no, and nothing is announced."""
        assert not await store.enable_user("nobody", disabled=None, feed_ttl_s=FEED_TTL_S)
        assert not await store.enable_user("nobody", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
        assert heard(store) == []
