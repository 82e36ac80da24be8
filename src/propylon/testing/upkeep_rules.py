"""Session data, the feed as one reader hears it, and what is removed when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from propylon.core.principal import SessionData
from propylon.core.throttle import Pace
from propylon.ports import Store
from propylon.testing.records import NOW, a_user
from propylon.testing.rules import FEED_TTL_S, Rules, bookmarked, end, ending, heard, live_ids, opened

# ruff: noqa: S101 - these are tests

KEEP_S = 600


class UpkeepRules(Rules):
    """The ports ``SessionDataStore``, ``RevocationFeed`` and ``Upkeep``."""

    async def test_data_that_was_never_written_is_an_empty_object(self, store: Store) -> None:
        """Its version is 0, also for a session that is not there."""
        session = await opened(store)
        assert await store.read_data(session.id) == SessionData({}, 0)
        assert await store.read_data("unknown") == SessionData({}, 0)

    @pytest.mark.parametrize("value", [{}, {"장바구니": [1, 2.5, None, True, {"a": "\x00'"}], "": ""}])
    async def test_data_comes_back_as_it_was_written(self, store: Store, value: dict[str, Any]) -> None:
        """Any JSON object, under version 1."""
        session, other = await opened(store), await opened(store)
        assert await store.replace_data(session.id, value, 0) == 1
        assert await store.read_data(session.id) == SessionData(value, 1)
        assert await store.read_data(other.id) == SessionData({}, 0)

    async def test_changing_what_was_handed_out_changes_nothing_kept(self, store: Store) -> None:
        """The store keeps a copy, in both directions."""
        session, value = await opened(store), {"cart": [1]}
        await store.replace_data(session.id, value, 0)
        value["cart"].append(2)
        (await store.read_data(session.id)).value["cart"].append(3)
        assert await store.read_data(session.id) == SessionData({"cart": [1]}, 1)

    @pytest.mark.parametrize("expected", [0, 2, -1])
    async def test_data_is_replaced_only_at_the_expected_version(self, store: Store, expected: int) -> None:
        """Somebody else was first: nothing is written."""
        session = await opened(store)
        await store.replace_data(session.id, {"n": 1}, 0)
        assert await store.replace_data(session.id, {"n": 2}, expected) is None
        assert await store.read_data(session.id) == SessionData({"n": 1}, 1)

    async def test_data_can_be_replaced_whatever_it_is(self, store: Store) -> None:
        """Without an expectation the version still rises."""
        session = await opened(store)
        assert await store.replace_data(session.id, {"n": 1}, None) == 1
        assert await store.replace_data(session.id, {"n": 2}, None) == 2

    async def test_a_session_that_is_over_takes_no_data(self, store: Store) -> None:
        """Neither an unknown one nor one that has ended, whatever is expected."""
        session = await opened(store)
        await end(store, session.id)
        for session_id in (session.id, "unknown"):
            assert await store.replace_data(session_id, {"n": 1}, 0) is None
            assert await store.replace_data(session_id, {"n": 1}, None) is None
            assert await store.read_data(session_id) == SessionData({}, 0)

    async def test_no_news_is_empty(self, store: Store) -> None:
        """Adding an account, opening and touching a session announce nothing."""
        session = await opened(store)
        await store.touch(session.id, now=NOW + 1, ip="198.51.100.7")
        assert list(store.news()) == []

    async def test_news_come_once_and_in_order(self, store: Store) -> None:
        """Positions rise strictly, and the next call starts after the last entry."""
        ids = [(await opened(store)).id for _ in range(3)]
        await end(store, ids[2])
        await end(store, ids[0])
        first = store.news()
        await end(store, ids[1])
        second = store.news()
        assert [entry.id for entry in first] == [ids[2], ids[0]]
        assert [entry.id for entry in second] == [ids[1]]
        positions = [entry.position for entry in (*first, *second)]
        assert positions == sorted(set(positions))
        assert list(store.news()) == []

    async def test_a_bookmark_stays_while_nothing_is_announced(self, store: Store) -> None:
        """So whoever remembers something under it may go on doing so."""
        await opened(store)
        mark = bookmarked(store)
        assert bookmarked(store) == mark

    async def test_a_bookmark_has_moved_before_an_ending_is_acknowledged(self, store: Store) -> None:
        """From then until ``news`` was read there is no bookmark, or another one; afterwards there is a new one."""
        for _ in range(20):
            session = await opened(store)
            mark = bookmarked(store)
            await end(store, session.id)
            assert store.bookmark() != mark
            assert store.news()
            assert store.bookmark() != mark
            assert bookmarked(store) != mark

    async def test_an_ending_is_announced_for_as_long_as_its_tokens_live(self, store: Store) -> None:
        """The entry names the session, the reason and when its last token has expired."""
        session = await opened(store)
        over = ending("ended_by_administrator", at=NOW + 7)
        await store.end_session(session.id, over, user_id=None, feed_ttl_s=300)
        (entry,) = store.news()
        assert (entry.subject, entry.id, entry.reason) == (
            "session_ended",
            session.id,
            "ended_by_administrator",
        )
        assert entry.expires_at == NOW + 307

    async def test_the_store_says_that_it_can_be_written_to(self, store: Store) -> None:
        """A ping answers and announces nothing."""
        await store.ping()
        assert list(store.news()) == []

    async def test_ended_sessions_are_kept_up_to_the_exact_second(self, store: Store) -> None:
        """So that whoever comes back is told why; then they go, with their data."""
        session = await opened(store)
        await store.replace_data(session.id, {"n": 1}, 0)
        await end(store, session.id)
        assert await store.purge(NOW + KEEP_S - 1, keep_ended_s=KEEP_S) == 0
        assert await store.find_session(session.id) is not None
        assert await store.purge(NOW + KEEP_S, keep_ended_s=KEEP_S) == 1
        assert await store.find_session(session.id) is None
        assert await store.read_data(session.id) == SessionData({}, 0)

    async def test_expired_sessions_are_kept_up_to_the_exact_second(self, store: Store) -> None:
        """Idle and absolute ends count alike."""
        idle = await opened(store, idle_ttl_s=60)
        absolute = await opened(store, expires_at=NOW + 60)
        assert await store.purge(NOW + 59 + KEEP_S, keep_ended_s=KEEP_S) == 0
        assert await store.purge(NOW + 60 + KEEP_S, keep_ended_s=KEEP_S) == 2
        assert [await store.find_session(session.id) for session in (idle, absolute)] == [None, None]

    async def test_upkeep_spares_what_lives(self, store: Store) -> None:
        """However many others go in the same run, and their users' sign-ins go on."""
        await store.add_user(a_user("user-2"))
        kept = await opened(store, "user-2")
        for _ in range(250):
            await opened(store, expires_at=NOW)
        assert await store.purge(NOW, keep_ended_s=0) == 250
        assert await live_ids(store, "user-2") == [kept.id]
        await opened(store)
        assert len(await live_ids(store)) == 1

    async def test_upkeep_drops_only_failures_that_count_no_more(self, store: Store) -> None:
        """A tally that still makes somebody wait survives."""
        pace = Pace(free=0, forgive_s=100, longest_wait_s=1000)
        await store.add_failure([("old", pace)], NOW)
        for _ in range(10):
            await store.add_failure([("new", pace)], NOW)
        await store.purge(NOW + 100, keep_ended_s=KEEP_S)
        assert await store.wait_s([("new", pace)], NOW + 100) == 900
        assert await store.wait_s([("old", pace)], NOW + 1) == 0

    async def test_upkeep_hides_no_news_from_a_regular_listener(self, store: Store) -> None:
        """An entry outlives its tokens for a while, so whoever asks now and then hears each one."""
        session = await opened(store)
        store.news()
        await end(store, session.id)
        await store.purge(NOW + FEED_TTL_S, keep_ended_s=KEEP_S)
        assert heard(store) == [("session_ended", session.id, "signed_out")]

    async def test_an_account_survives_upkeep(self, store: Store) -> None:
        """Disabled ones too."""
        await store.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
        await store.purge(NOW + 10**9, keep_ended_s=0)
        user = await store.find_user("user-1")
        assert user == msgspec.structs.replace(a_user(), disabled_at=NOW, security_version=1)
