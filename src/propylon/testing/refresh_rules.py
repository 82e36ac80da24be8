"""Refresh tokens: the outcome of the pure decision is what is kept, in one step."""

from __future__ import annotations

import pytest

from propylon.core.refresh import Late, Missing, RefreshOutcome, Repeated, Reused, Rotated
from propylon.core.session import Ending
from propylon.ports import Store
from propylon.testing.records import NOW
from propylon.testing.rules import FEED_TTL_S, Rules, end, heard, live_ids, opened

# ruff: noqa: S101 - these are tests

GRACE_S = 30
LATER = NOW + GRACE_S + 1


async def rotate(
    store: Store, session_id: str, presented: int, *, now: int = NOW, origin: str = "home"
) -> RefreshOutcome:
    """Present the refresh token of a generation."""
    return await store.rotate(
        session_id,
        presented,
        now=now,
        grace_s=GRACE_S,
        origin=origin,
        ip="198.51.100.7",
        feed_ttl_s=FEED_TTL_S,
    )


class RefreshRules(Rules):
    """``SessionWriter.rotate``."""

    async def test_the_newest_token_rotates(self, store: Store) -> None:
        """The next generation is kept with when, from where and by which address."""
        session = await opened(store)
        outcome = await rotate(store, session.id, 0, now=NOW + 5)
        assert isinstance(outcome, Rotated)
        assert outcome.session.refresh_generation == 1
        assert (outcome.session.refresh_rotated_at, outcome.session.refresh_origin) == (NOW + 5, "home")
        assert (outcome.session.last_seen_at, outcome.session.ip) == (NOW + 5, "198.51.100.7")
        assert await store.find_session(session.id) == outcome.session

    async def test_a_repeat_within_the_grace_window_gets_the_same(self, store: Store) -> None:
        """Up to the last second of the window, from anywhere, however often."""
        session = await opened(store)
        await rotate(store, session.id, 0)
        for _ in range(3):
            outcome = await rotate(store, session.id, 0, now=NOW + GRACE_S, origin="elsewhere")
            assert isinstance(outcome, Repeated)
            assert outcome.session.refresh_generation == 1

    async def test_a_late_token_from_home_gets_the_same(self, store: Store) -> None:
        """The lateness is kept: it is forgiven once."""
        session = await opened(store)
        await rotate(store, session.id, 0)
        outcome = await rotate(store, session.id, 0, now=LATER)
        assert isinstance(outcome, Late)
        assert (outcome.session.refresh_generation, outcome.session.late_generation) == (1, 0)
        assert await store.find_session(session.id) == outcome.session

    async def test_a_late_token_from_elsewhere_ends_the_session(self, store: Store) -> None:
        """A thief elsewhere is caught at the first word."""
        session = await opened(store)
        await rotate(store, session.id, 0)
        outcome = await rotate(store, session.id, 0, now=LATER, origin="elsewhere")
        assert isinstance(outcome, Reused)
        assert outcome.session.ending == Ending("reused", LATER)
        assert await store.find_session(session.id) == outcome.session

    async def test_late_twice_in_a_row_ends_the_session(self, store: Store) -> None:
        """A thief next door, taking turns with the victim, is caught at the second word."""
        session = await opened(store)
        await rotate(store, session.id, 0)
        assert isinstance(await rotate(store, session.id, 0, now=LATER), Late)
        await rotate(store, session.id, 1, now=LATER)
        assert isinstance(await rotate(store, session.id, 1, now=LATER + GRACE_S + 1), Reused)
        assert await live_ids(store, now=LATER) == []

    async def test_a_reused_token_ends_only_its_own_session(self, store: Store) -> None:
        """Theft is announced for that session and nobody else's."""
        session, other = await opened(store), await opened(store)
        await rotate(store, session.id, 0)
        await rotate(store, session.id, 1)
        store.news()
        assert isinstance(await rotate(store, session.id, 0), Reused)
        assert await live_ids(store) == [other.id]
        assert heard(store) == [("session_ended", session.id, "reused")]

    async def test_a_token_newer_than_the_record_still_counts(self, store: Store) -> None:
        """After a store lost its last writes, the client's token leads on."""
        session = await opened(store)
        outcome = await rotate(store, session.id, 5)
        assert isinstance(outcome, Rotated)
        assert outcome.session.refresh_generation == 6

    @pytest.mark.parametrize("presented", [0, 1, 2])
    async def test_no_token_of_an_ended_session_is_answered(self, store: Store, presented: int) -> None:
        """Whatever generation comes, the outcome names the ended session and announces nothing new."""
        session = await opened(store)
        await rotate(store, session.id, 0)
        await end(store, session.id)
        store.news()
        outcome = await rotate(store, session.id, presented)
        assert outcome == Missing(await store.find_session(session.id))
        assert heard(store) == []

    async def test_an_expired_session_is_not_renewed(self, store: Store) -> None:
        """At the exact second of its end it is over, and nothing of it changes."""
        session = await opened(store, expires_at=NOW + 90)
        assert await rotate(store, session.id, 0, now=NOW + 90) == Missing(session)
        assert await store.find_session(session.id) == session

    async def test_an_unknown_session_is_missing(self, store: Store) -> None:
        """There is nothing to rotate."""
        assert await rotate(store, "unknown", 0) == Missing(None)
