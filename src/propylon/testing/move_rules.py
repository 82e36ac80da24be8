"""Changes of mode: the outcome of the pure decision is what is kept, in one step, and everybody hears of it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from propylon.core.moving import Moved, MovedBefore, MoveOutcome, Over, Unmoved
from propylon.core.refresh import GivenUp, Repeated, Rotated
from propylon.core.session import Mode
from propylon.ports import Store
from propylon.testing.records import NOW
from propylon.testing.refresh_rules import GRACE_S, LATER, rotate
from propylon.testing.rules import Rules, end, ending, heard, live_ids, opened

# ruff: noqa: S101 - these are tests

CROWD = 50


async def move(store: Store, session_id: str, to: Mode, cookie: int | None = None, *, now: int = NOW) -> MoveOutcome:
    """Present the session cookie of a generation, or a token that was checked, to move."""
    return await store.move_session(session_id, to, cookie=cookie, now=now, grace_s=GRACE_S, origin="home")


class MoveRules(Rules):
    """``SessionWriter.move_session``."""

    @pytest.mark.parametrize("to", ["bearer", "hybrid"])
    async def test_a_cookie_session_moves_to_tokens(self, store: Store, to: Mode) -> None:
        """What it has become is kept, and every process forgets what it remembered of it."""
        session = await opened(store)
        outcome = await move(store, session.id, to, cookie=0, now=NOW + 5)
        assert isinstance(outcome, Moved)
        assert (outcome.session.mode, outcome.session.moved_at) == (to, NOW + 5)
        assert (outcome.session.cookie_generation, outcome.session.cookie_rotated_at) == (1, NOW + 5)
        assert await store.find_session(session.id) == outcome.session
        assert heard(store) == [("session_changed", session.id, "")]

    @pytest.mark.parametrize("mode", ["bearer", "hybrid"])
    async def test_a_session_of_tokens_moves_to_the_cookie(self, store: Store, mode: Mode) -> None:
        """Its cookie is the one that it has had all the while, as where it was handed over."""
        session = await opened(store, mode=mode)
        outcome = await move(store, session.id, "cookie", now=NOW + 5)
        assert isinstance(outcome, Moved)
        assert (outcome.session.mode, outcome.session.cookie_generation) == ("cookie", 0)
        assert await store.find_session(session.id) == outcome.session
        assert heard(store) == [("session_changed", session.id, "")]

    async def test_a_move_can_be_made_again_within_the_grace_window(self, store: Store) -> None:
        """An answer that was lost is given again, and nothing is written or announced."""
        session = await opened(store)
        moved = await move(store, session.id, "bearer", cookie=0)
        store.news()
        again = await move(store, session.id, "bearer", cookie=0, now=NOW + GRACE_S)
        assert again == MovedBefore(moved.session) if moved.session else False
        assert heard(store) == []

    @pytest.mark.parametrize(("cookie", "now"), [(0, LATER), (1, NOW), (-1, NOW)])
    async def test_no_other_cookie_makes_a_move_again(self, store: Store, cookie: int, now: int) -> None:
        """Neither the old one after the window, nor the one for the pages, nor any older."""
        session = await opened(store)
        moved = await move(store, session.id, "bearer", cookie=0)
        assert await move(store, session.id, "bearer", cookie=cookie, now=now) == Unmoved(moved.session)  # type: ignore[arg-type]

    async def test_a_cookie_from_before_a_confirmation_moves_nothing(self, store: Store) -> None:
        """Whoever planted it must not get tokens that have seen the step-up."""
        session = await opened(store)
        confirmed = await store.confirm(session.id, now=NOW, origin="home", grace=True)
        assert confirmed is not None
        assert await move(store, session.id, "bearer", cookie=0) == Unmoved(confirmed)

    async def test_a_cookie_beside_tokens_does_not_move_them(self, store: Store) -> None:
        """A web view holds what an app has handed over; how the app travels is not for it to say."""
        session = await opened(store, mode="bearer")
        assert await move(store, session.id, "hybrid", cookie=0) == Unmoved(session)
        assert await store.find_session(session.id) == session

    async def test_a_token_does_not_move_a_cookie_session(self, store: Store) -> None:
        """A page that asked for an access token would become a holder of refresh tokens."""
        session = await opened(store)
        assert await move(store, session.id, "bearer") == Unmoved(session)

    async def test_an_ended_session_does_not_move(self, store: Store) -> None:
        """It is not revived, and nothing is announced."""
        session = await opened(store)
        await end(store, session.id)
        store.news()
        assert await move(store, session.id, "bearer", cookie=0) == Over(await store.find_session(session.id))
        assert heard(store) == []

    async def test_an_expired_or_unknown_session_does_not_move(self, store: Store) -> None:
        """At the exact second of its end it is over."""
        session = await opened(store, expires_at=NOW + 90)
        assert await move(store, session.id, "bearer", cookie=0, now=NOW + 90) == Over(session)
        assert await move(store, "unknown", "bearer", cookie=0) == Over(None)

    async def test_a_token_given_up_is_honoured_for_the_window_and_ends_nothing_after_it(self, store: Store) -> None:
        """A tab that slept is refused, a thief too; the session, which travels as a cookie now, goes on."""
        session = await opened(store, mode="bearer")
        await rotate(store, session.id, 0)
        await move(store, session.id, "cookie")
        assert isinstance(await rotate(store, session.id, 1, now=NOW + GRACE_S, origin="elsewhere"), Repeated)
        for generation in (0, 1):
            assert isinstance(await rotate(store, session.id, generation, now=LATER, origin="elsewhere"), GivenUp)
        assert await live_ids(store, now=LATER) == [session.id]

    @pytest.mark.parametrize("generation", [0, 1])
    async def test_a_token_given_up_stays_so_after_moving_back(self, store: Store, generation: int) -> None:
        """Neither does the window of the way back revive it, nor does it end the session as theft would."""
        session = await opened(store, mode="bearer")
        await rotate(store, session.id, 0)
        await move(store, session.id, "cookie")
        back = await move(store, session.id, "bearer", cookie=0, now=LATER)
        assert isinstance(back, Moved)
        assert isinstance(await rotate(store, session.id, generation, now=LATER + 1), GivenUp)
        fresh = back.session.refresh_generation
        assert isinstance(await rotate(store, session.id, fresh, now=LATER + 1), Rotated)
        assert await live_ids(store, now=LATER) == [session.id]

    async def test_there_and_back_at_once_loses_no_tab(self, store: Store) -> None:
        """Within the window of both moves, the token from before them is answered with the new one."""
        session = await opened(store, mode="bearer")
        await move(store, session.id, "cookie")
        back = await move(store, session.id, "bearer", cookie=0, now=NOW + 2)
        assert isinstance(back, Moved)
        assert await rotate(store, session.id, 0, now=NOW + 3) == Repeated(back.session)

    async def test_of_many_moves_one_moves_and_all_get_the_same(self, store: Store) -> None:
        """Tabs that hear of the change at once are all answered with one set of credentials."""
        session = await opened(store)
        outcomes = await asyncio.gather(*(move(store, session.id, "bearer", cookie=0) for _ in range(CROWD)))
        assert Counter(type(outcome) for outcome in outcomes) == {Moved: 1, MovedBefore: CROWD - 1}
        kept = await store.find_session(session.id)
        assert all(outcome.session == kept for outcome in outcomes)
        assert heard(store) == [("session_changed", session.id, "")]

    async def test_of_many_moves_to_the_cookie_one_moves(self, store: Store) -> None:
        """The same for those who hold tokens."""
        session = await opened(store, mode="hybrid")
        outcomes = await asyncio.gather(*(move(store, session.id, "cookie") for _ in range(CROWD)))
        assert Counter(type(outcome) for outcome in outcomes) == {Moved: 1, MovedBefore: CROWD - 1}
        assert heard(store) == [("session_changed", session.id, "")]

    async def test_no_move_revives_what_ends_meanwhile(self, store: Store) -> None:
        """Whichever comes first, the ending holds."""
        session = await opened(store)
        moves = [move(store, session.id, "bearer", cookie=0) for _ in range(CROWD)]
        halfway = CROWD // 2
        answers = await asyncio.gather(*moves[:halfway], end(store, session.id), *moves[halfway:])
        assert answers[halfway] is True
        found = await store.find_session(session.id)
        assert found is not None
        assert found.ending == ending()
        assert await live_ids(store) == []

    async def test_a_move_and_rotations_at_once_leave_everybody_with_something(self, store: Store) -> None:
        """Nobody is taken for a thief, and the session has moved."""
        session = await opened(store, mode="bearer")
        rotations = [rotate(store, session.id, 0) for _ in range(CROWD)]
        halfway = CROWD // 2
        outcomes = await asyncio.gather(*rotations[:halfway], move(store, session.id, "cookie"), *rotations[halfway:])
        assert isinstance(outcomes.pop(halfway), Moved)
        assert {type(outcome) for outcome in outcomes} <= {Rotated, Repeated}
        found = await store.find_session(session.id)
        assert found is not None
        assert (found.mode, found.ending) == ("cookie", None)
