"""Sessions: found, listed, opened within limits, touched, confirmed, ended."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from propylon.core.limits import LimitReached, SessionLimits
from propylon.core.secret import new_session_id
from propylon.core.session import Ending
from propylon.ports import Opened, SignInVoid, Store
from propylon.testing.records import DAY_S, DESKTOP, NOW, PHONE, a_session, a_user, an_opening
from propylon.testing.rules import Rules, end, end_all, ending, heard, live_ids, opened, sign_in

# ruff: noqa: S101 - these are tests

ONE = SessionLimits(per_user=1)


class SessionRules(Rules):
    """The ports ``SessionReader``, ``SessionWriter`` and ``SessionEnder``."""

    @pytest.mark.parametrize("session_id", ["unknown", "", "s-\x00", "s' OR 1=1 --", "\ud800", "x" * 10_000])
    async def test_a_session_that_is_not_there_is_an_answer(self, store: Store, session_id: str) -> None:
        """Unknown and malformed ids find nothing and raise nothing."""
        await opened(store)
        assert await store.find_session(session_id) is None

    async def test_a_session_is_found_as_it_was_opened(self, store: Store) -> None:
        """Every field survives, bytes and unusual text included."""
        session = a_session(
            salt=bytes(range(32)),
            mode="hybrid",
            remember=True,
            device=PHONE,
            ip="2001:db8::1",
            refresh_origin="옛집 'quoted'",
            cookie_generation=3,
            cookie_rotated_at=NOW - 5,
            earlier_auth_time=NOW - 9,
            refresh_generation=2**40,
            late_generation=7,
            sign_in_method="import",
        )
        assert await sign_in(store, session) == Opened(session, ())
        assert await store.find_session(session.id) == session

    async def test_an_expired_session_is_still_found(self, store: Store) -> None:
        """Whoever comes back with it is told that it expired, not that it never was."""
        session = await opened(store, expires_at=NOW - 1)
        assert await store.find_session(session.id) == session

    @pytest.mark.parametrize("by", [None, PHONE])
    async def test_an_ended_session_is_found_with_its_ending(self, store: Store, by: object) -> None:
        """The reason, the time and the device that ended it are kept."""
        session = await opened(store)
        over = Ending("ended_by_user", NOW + 3, by)  # type: ignore[arg-type]  # a device or None
        assert await store.end_session(session.id, over, user_id=None, feed_ttl_s=1)
        found = await store.find_session(session.id)
        assert found == msgspec.structs.replace(session, ending=over)

    async def test_live_sessions_come_oldest_first_within_one_second(self, store: Store) -> None:
        """The order of opening counts, not the whole seconds nor the ids."""
        ids = [new_session_id(bytes((0, number)) + bytes(14), "user-1") for number in (80, 200, 1, 70)]
        for session_id in ids:
            await opened(store, id=session_id)
        assert await live_ids(store) == ids

    async def test_a_session_expires_at_the_exact_second(self, store: Store) -> None:
        """One second before the idle or the absolute end it lives; at that second it does not."""
        idle = await opened(store, idle_ttl_s=60)
        absolute = await opened(store, expires_at=NOW + 90)
        assert await live_ids(store, now=NOW + 59) == [idle.id, absolute.id]
        assert await live_ids(store, now=NOW + 60) == [absolute.id]
        assert await live_ids(store, now=NOW + 89) == [absolute.id]
        assert await live_ids(store, now=NOW + 90) == []

    async def test_lives_longer_than_a_day_are_not_cut(self, store: Store) -> None:
        """Seconds are seconds, also beyond 86,400 of them."""
        session = await opened(store, idle_ttl_s=400 * DAY_S, expires_at=NOW + 400 * DAY_S)
        assert await live_ids(store, now=NOW + 400 * DAY_S - 1) == [session.id]
        assert await live_ids(store, now=NOW + 400 * DAY_S) == []

    @pytest.mark.parametrize("other", ["user", "user-11", "USER-1", "user-1:", "user-1*", "user-%", "user_1"])
    async def test_users_with_similar_ids_are_strangers(self, store: Store, other: str) -> None:
        """Prefixes, case and pattern characters neither list nor end anybody else's session."""
        await store.add_user(a_user(other, email_key="other"))
        mine, theirs = await opened(store), await opened(store, other)
        assert await live_ids(store, other) == [theirs.id]
        assert await end_all(store, other) == (theirs.id,)
        assert await live_ids(store) == [mine.id]

    async def test_sessions_with_similar_ids_are_strangers(self, store: Store) -> None:
        """Ending one leaves those alone whose ids differ in case, or in a sign that means something elsewhere."""
        stem = new_session_id(bytes(16), "user-1")[:-2]
        first, *others = [f"{stem}{end}" for end in ("sA", "SA", "_A", "-A", "sQ")]
        for session_id in (first, *others):
            await opened(store, id=session_id)
        assert await end(store, first)
        for session_id in (first, stem, f"{stem}%A", f"{stem}*", f"{first}A"):
            assert not await end(store, session_id)
        assert await live_ids(store) == others

    async def test_everyones_sessions_come_newest_first_up_to_the_limit(self, store: Store) -> None:
        """Ended and expired ones are left out before the limit counts."""
        await store.add_user(a_user("user-2"))
        first, second = await opened(store), await opened(store, "user-2")
        gone = await opened(store)
        await opened(store, expires_at=NOW)
        await end(store, gone.id)
        assert [session.id for session in await store.all_live_sessions(NOW, 10)] == [second.id, first.id]
        assert [session.id for session in await store.all_live_sessions(NOW, 1)] == [second.id]

    async def test_modes_are_counted_over_live_sessions(self, store: Store) -> None:
        """For each kind of device; what has no live session is not in the answer."""
        assert await store.count_by_mode(NOW) == {}
        await opened(store, mode="bearer")
        await opened(store, mode="bearer")
        await opened(store, mode="bearer", device=PHONE)
        await opened(store, mode="cookie")
        gone = await opened(store, mode="hybrid")
        await end(store, gone.id)
        expected = {("bearer", "desktop"): 2, ("bearer", "mobile"): 1, ("cookie", "desktop"): 1}
        assert await store.count_by_mode(NOW) == expected

    async def test_a_sign_in_is_void_without_the_account(self, store: Store) -> None:
        """Nobody opens a session for a user who is not there."""
        assert await sign_in(store, a_session("nobody")) == SignInVoid()
        assert await store.all_live_sessions(NOW, 10) == []

    @pytest.mark.parametrize("version", [0, 2])
    async def test_a_sign_in_is_void_when_the_security_version_moved(self, store: Store, version: int) -> None:
        """The password that was checked is no longer the password."""
        await store.add_user(a_user("user-2", security_version=1))
        assert await sign_in(store, a_session("user-2"), security_version=version) == SignInVoid()
        assert isinstance(await sign_in(store, a_session("user-2"), security_version=1), Opened)

    async def test_a_void_sign_in_ends_nobody(self, store: Store) -> None:
        """The session chosen to make room stays when the newcomer may not come at all."""
        chosen = await opened(store)
        assert await sign_in(store, a_session(), end=chosen.id, security_version=9) == SignInVoid()
        assert await live_ids(store) == [chosen.id]

    async def test_an_id_opens_one_session(self, store: Store) -> None:
        """Of many at once with one id one is in, ended or not it stays the only one, and the others end nobody."""
        await store.add_user(a_user())
        first, limits = a_session(), SessionLimits(per_user=2)
        await store.open_session(an_opening(a_session(), limits=limits), NOW)
        rivals = [msgspec.structs.replace(first, salt=bytes([n]) * 32) for n in range(20)]
        outcomes = await asyncio.gather(*(store.open_session(an_opening(one, limits=limits), NOW) for one in rivals))
        (opened,) = [outcome for outcome in outcomes if isinstance(outcome, Opened)]
        assert outcomes.count(SignInVoid()) == 19
        found = await store.find_session(first.id)
        assert found is not None
        assert found.salt == opened.session.salt
        assert len(await store.live_sessions("user-1", NOW)) == 2
        await store.end_session(first.id, Ending("signed_out", NOW), user_id=None, feed_ttl_s=300)
        another = msgspec.structs.replace(first, salt=b"x" * 32)
        assert await store.open_session(an_opening(another, limits=limits), NOW) == SignInVoid()

    async def test_the_oldest_goes_and_learns_by_which_device(self, store: Store) -> None:
        """Eviction is written on the evicted and announced."""
        oldest, other = await opened(store), await opened(store)
        store.news()
        newcomer = a_session(device=PHONE)
        outcome = await sign_in(store, newcomer, limits=SessionLimits(per_user=2), now=NOW + 5)
        evicted = msgspec.structs.replace(oldest, ending=Ending("evicted", NOW + 5, PHONE))
        assert outcome == Opened(newcomer, (evicted,))
        assert await store.find_session(oldest.id) == evicted
        assert await live_ids(store) == [other.id, newcomer.id]
        assert heard(store) == [("session_ended", oldest.id, "evicted")]

    async def test_limits_count_by_kind_of_device(self, store: Store) -> None:
        """A phone makes a phone go and no desktop."""
        desktop, phone = await opened(store, device=DESKTOP), await opened(store, device=PHONE)
        newcomer = a_session(device=PHONE)
        outcome = await sign_in(store, newcomer, limits=SessionLimits(per_kind={"mobile": 1}))
        assert isinstance(outcome, Opened)
        assert [session.id for session in outcome.evicted] == [phone.id]
        assert await live_ids(store) == [desktop.id, newcomer.id]

    async def test_limits_count_by_role(self, store: Store) -> None:
        """A role's own number replaces the general one."""
        limits = SessionLimits(per_user=5, per_role={"teller": 1})
        first = await opened(store)
        assert await sign_in(store, second := a_session(), limits=limits) == Opened(second, ())
        outcome = await sign_in(store, third := a_session(), limits=limits, roles=("teller", "clerk"))
        assert isinstance(outcome, Opened)
        assert [session.id for session in outcome.evicted] == [first.id, second.id]
        assert await live_ids(store) == [third.id]

    async def test_what_has_ended_or_expired_takes_no_place(self, store: Store) -> None:
        """Only live sessions count against a limit."""
        gone = await opened(store)
        await end(store, gone.id)
        await opened(store, expires_at=NOW)
        assert await sign_in(store, newcomer := a_session(), limits=ONE) == Opened(newcomer, ())

    async def test_a_refused_newcomer_changes_nothing(self, store: Store) -> None:
        """The answer names who is there; the newcomer is not kept."""
        here = await opened(store)
        newcomer = a_session()
        outcome = await sign_in(store, newcomer, limits=SessionLimits(per_user=1, policy="refuse_newest"))
        assert outcome == LimitReached((here,), 1)
        assert await store.find_session(newcomer.id) is None
        assert await live_ids(store) == [here.id]

    async def test_the_chosen_session_makes_room(self, store: Store) -> None:
        """It is ended by its user, with the newcomer's device, in the same step."""
        chosen, newcomer = await opened(store), a_session(device=PHONE)
        store.news()
        limits = SessionLimits(per_user=1, policy="refuse_newest")
        outcome = await sign_in(store, newcomer, limits=limits, end=chosen.id)
        found = await store.find_session(chosen.id)
        assert outcome == Opened(newcomer, (), found)
        assert found is not None
        assert found.ending == Ending("ended_by_user", NOW, PHONE)
        assert heard(store) == [("session_ended", chosen.id, "ended_by_user")]

    async def test_one_choice_after_another_makes_room_at_last(self, store: Store) -> None:
        """After a limit was lowered a chosen session ends also where one is not enough."""
        first, second = await opened(store), await opened(store)
        limits = SessionLimits(per_user=1, policy="refuse_newest")
        assert await sign_in(store, a_session(), limits=limits, end=first.id) == LimitReached((second,), 1)
        newcomer = a_session()
        outcome = await sign_in(store, newcomer, limits=limits, end=second.id)
        assert outcome == Opened(newcomer, (), await store.find_session(second.id))

    @pytest.mark.parametrize("limits", [SessionLimits(), SessionLimits(per_user=9)], ids=["unlimited", "limited"])
    async def test_only_what_lived_makes_room(self, store: Store, limits: SessionLimits) -> None:
        """With or without a limit; what had ended or expired by itself is not reported, nor ended again."""
        signed_out, expired, chosen = await opened(store), await opened(store, expires_at=NOW), await opened(store)
        await end(store, signed_out.id)
        gone = [await store.find_session(session.id) for session in (signed_out, expired)]
        for session in (signed_out, expired):
            assert await sign_in(store, newcomer := a_session(), limits=limits, end=session.id) == Opened(newcomer, ())
        assert [await store.find_session(session.id) for session in (signed_out, expired)] == gone
        outcome = await sign_in(store, a_session(), limits=limits, end=chosen.id)
        assert isinstance(outcome, Opened)
        assert outcome.made_room is not None
        assert outcome.made_room.id == chosen.id

    async def test_nobody_elses_session_makes_room(self, store: Store) -> None:
        """Naming a stranger's session ends nothing."""
        await store.add_user(a_user("user-2"))
        theirs = await opened(store, "user-2")
        assert await sign_in(store, newcomer := a_session(), end=theirs.id) == Opened(newcomer, ())
        assert await live_ids(store, "user-2") == [theirs.id]

    async def test_a_touch_moves_the_idle_end(self, store: Store) -> None:
        """The time and the address of the last use are kept, and never go back."""
        session = await opened(store, idle_ttl_s=60)
        await store.touch(session.id, now=NOW + 50, ip="198.51.100.7")
        await store.touch(session.id, now=NOW + 20, ip="198.51.100.7")
        seen = msgspec.structs.replace(session, last_seen_at=NOW + 50, ip="198.51.100.7")
        assert await store.find_session(session.id) == seen
        assert await live_ids(store, now=NOW + 109) == [session.id]

    async def test_a_touch_never_revives(self, store: Store) -> None:
        """What has ended or expired stays so, at the exact second too; the unknown stays unknown."""
        expired, over = await opened(store, idle_ttl_s=60), await opened(store)
        await end(store, over.id)
        for session_id in (expired.id, over.id, "unknown"):
            await store.touch(session_id, now=NOW + 60, ip="198.51.100.7")
        assert await store.find_session(expired.id) == expired
        assert await live_ids(store, now=NOW + 60) == []
        assert await store.find_session("unknown") is None

    async def test_a_confirmation_renews_every_secret_and_is_announced(self, store: Store) -> None:
        """All generations rise in one step."""
        session = await opened(store)
        store.news()
        found = await store.confirm(session.id, now=NOW + 9, origin="home", grace=True)
        assert found is not None
        assert (found.auth_time, found.earlier_auth_time) == (NOW + 9, NOW)
        assert (found.cookie_generation, found.refresh_generation) == (1, 1)
        assert await store.find_session(session.id) == found
        assert heard(store) == [("session_changed", session.id, "")]

    async def test_only_a_live_session_can_be_confirmed(self, store: Store) -> None:
        """Ended, expired and unknown ones are refused and nothing is announced."""
        expired, over = await opened(store, expires_at=NOW + 9), await opened(store)
        await end(store, over.id)
        store.news()
        for session_id in (expired.id, over.id, "unknown"):
            assert await store.confirm(session_id, now=NOW + 9, origin="home", grace=True) is None
        assert heard(store) == []

    async def test_a_session_ends_once_and_the_first_ending_stays(self, store: Store) -> None:
        """The second order finds nothing to end and announces nothing."""
        session = await opened(store)
        assert await end(store, session.id)
        assert not await store.end_session(session.id, ending("evicted"), user_id=None, feed_ttl_s=1)
        found = await store.find_session(session.id)
        assert found is not None
        assert found.ending == ending("signed_out")

    async def test_only_its_owner_ends_a_session(self, store: Store) -> None:
        """Where a user is named, the session must be theirs."""
        session = await opened(store)
        assert not await end(store, session.id, user_id="user-2")
        assert await live_ids(store) == [session.id]
        assert await end(store, session.id, user_id="user-1")

    async def test_ending_what_is_not_live_is_no(self, store: Store) -> None:
        """Unknown and just expired sessions were not ended by this order."""
        session = await opened(store, expires_at=NOW + 9)
        assert not await end(store, "unknown")
        assert not await end(store, session.id, at=NOW + 9)

    async def test_an_expired_session_that_was_ended_stays_dead_for_slower_clocks(self, store: Store) -> None:
        """A node whose clock is behind cannot keep alive what another has signed out after its end."""
        session = await opened(store, idle_ttl_s=60)
        await end(store, session.id, at=NOW + 60)
        await store.touch(session.id, now=NOW + 59, ip="198.51.100.7")
        assert await live_ids(store, now=NOW + 60) == []

    async def test_all_but_one_end(self, store: Store) -> None:
        """The ids of those that lived come back; the kept one and other users' stay."""
        await store.add_user(a_user("user-2"))
        theirs, kept = await opened(store, "user-2"), await opened(store)
        going = [(await opened(store)).id for _ in range(3)]
        await opened(store, expires_at=NOW)
        assert sorted(await end_all(store, "user-1", keep=kept.id)) == sorted(going)
        assert await end_all(store, "user-1", keep=kept.id) == ()
        assert await live_ids(store) == [kept.id]
        assert await live_ids(store, "user-2") == [theirs.id]

    async def test_keeping_a_session_that_is_not_there_keeps_nothing(self, store: Store) -> None:
        """A kept id that is nobody's, or somebody else's, protects no session of the user."""
        session = await opened(store)
        assert await end_all(store, "user-1", keep="unknown") == (session.id,)
