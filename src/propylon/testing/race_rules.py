"""Many at once: verbs that decide are atomic, so exactly one wins and nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from propylon.core.limits import LimitReached, SessionLimits
from propylon.core.refresh import Missing, Repeated, Rotated
from propylon.core.throttle import Pace
from propylon.ports import Opened, Store
from propylon.testing.records import NOW, PHONE, a_session, a_signing_key, a_user
from propylon.testing.refresh_rules import rotate
from propylon.testing.rules import FEED_TTL_S, Rules, end, ending, heard, live_ids, opened, sign_in

# ruff: noqa: S101 - these are tests

CROWD = 50
THREE = (
    SessionLimits(per_user=3),
    SessionLimits(per_kind={"mobile": 3}),
    SessionLimits(per_user=9, per_role={"teller": 3}),
)


async def count_up(store: Store, session_id: str) -> None:
    """Add one to the session's counter by compare-and-swap, again whenever somebody else was first."""
    while True:
        data = await store.read_data(session_id)
        value = {"count": data.value.get("count", 0) + 1}
        if await store.replace_data(session_id, value, data.version) is not None:
            return
        await asyncio.sleep(0)


class RaceRules(Rules):
    """Concurrency on one store object."""

    async def test_of_many_rotations_one_rotates_and_all_get_the_same(self, store: Store) -> None:
        """Tabs that renew at once are all answered with one successor."""
        session = await opened(store)
        outcomes = await asyncio.gather(*(rotate(store, session.id, 0) for _ in range(CROWD)))
        assert Counter(type(outcome) for outcome in outcomes) == {Rotated: 1, Repeated: CROWD - 1}
        assert {outcome.session.refresh_generation for outcome in outcomes if outcome.session} == {1}

    @pytest.mark.parametrize("limits", THREE, ids=["user", "kind", "role"])
    async def test_many_sign_ins_leave_as_many_as_the_limit(self, store: Store, limits: SessionLimits) -> None:
        """Each that came in beyond it put exactly one out."""
        outcomes = await asyncio.gather(
            *(sign_in(store, a_session(device=PHONE), limits=limits, roles=("teller",)) for _ in range(CROWD))
        )
        evicted = [gone.id for outcome in outcomes if isinstance(outcome, Opened) for gone in outcome.evicted]
        assert len(await live_ids(store)) == 3
        assert len(set(evicted)) == len(evicted) == CROWD - 3
        assert sorted(heard(store)) == sorted(("session_ended", gone, "evicted") for gone in evicted)

    @pytest.mark.parametrize("limits", THREE, ids=["user", "kind", "role"])
    async def test_many_sign_ins_admit_as_many_as_the_limit(self, store: Store, limits: SessionLimits) -> None:
        """All others are refused, and nobody is put out."""
        strict = SessionLimits(
            per_user=limits.per_user,
            per_kind=limits.per_kind,
            per_role=limits.per_role,
            policy="refuse_newest",
        )
        outcomes = await asyncio.gather(
            *(sign_in(store, a_session(device=PHONE), limits=strict, roles=("teller",)) for _ in range(CROWD))
        )
        assert Counter(type(outcome) for outcome in outcomes) == {Opened: 3, LimitReached: CROWD - 3}
        assert len(await live_ids(store)) == 3

    async def test_no_touch_revives_what_ends_meanwhile(self, store: Store) -> None:
        """Whichever comes first, the ending holds."""
        session = await opened(store)
        touches = [store.touch(session.id, now=NOW + 1, ip="198.51.100.7") for _ in range(CROWD)]
        halfway = CROWD // 2
        answers = await asyncio.gather(*touches[:halfway], end(store, session.id), *touches[halfway:])
        assert answers[halfway] is True
        found = await store.find_session(session.id)
        assert found is not None
        assert found.ending == ending()

    async def test_no_rotation_revives_what_ends_meanwhile(self, store: Store) -> None:
        """Rotations after the ending find nothing, and the ending is announced once."""
        session = await opened(store)
        before = [rotate(store, session.id, 0) for _ in range(5)]
        after = [rotate(store, session.id, 0) for _ in range(5)]
        outcomes = await asyncio.gather(*before, end(store, session.id), *after)
        assert outcomes[5] is True
        assert isinstance(await rotate(store, session.id, 0), Missing)
        assert await live_ids(store) == []
        assert heard(store) == [("session_ended", session.id, "signed_out")]

    async def test_of_many_endings_one_is_the_one(self, store: Store) -> None:
        """And it is announced once."""
        session = await opened(store)
        answers = await asyncio.gather(*(end(store, session.id) for _ in range(CROWD)))
        assert Counter(answers) == {True: 1, False: CROWD - 1}
        assert len(heard(store)) == 1

    async def test_many_writers_of_session_data_lose_nothing(self, store: Store) -> None:
        """Fifty increments by compare-and-swap are fifty."""
        session = await opened(store)
        await asyncio.gather(*(count_up(store, session.id) for _ in range(CROWD)))
        assert (await store.read_data(session.id)).value == {"count": CROWD}

    async def test_of_many_sign_ups_with_one_address_one_wins(self, store: Store) -> None:
        """The others are told that it is taken."""
        users = [a_user(f"new-{number}", email_key="new@example.org") for number in range(CROWD)]
        answers = await asyncio.gather(*(store.add_user(user) for user in users))
        assert Counter(answers) == {True: 1, False: CROWD - 1}
        assert await store.find_user_by_email("new@example.org") == users[answers.index(True)]

    async def test_of_many_password_changes_one_wins(self, store: Store) -> None:
        """What is stored is the winner's."""
        over = ending("password_changed")
        answers = await asyncio.gather(
            *(
                store.replace_password(a_user(), f"$new-{number}", over, keep=None, feed_ttl_s=FEED_TTL_S)
                for number in range(20)
            )
        )
        assert Counter(answers) == {True: 1, False: 19}
        user = await store.find_user("user-1")
        assert user == a_user(password_hash=f"$new-{answers.index(True)}", security_version=1)

    async def test_no_sign_in_slips_past_a_disabling(self, store: Store) -> None:
        """Those before it end with it, those after it are void."""
        sign_ins = [sign_in(store, a_session()) for _ in range(20)]
        disabling = store.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
        await asyncio.gather(*sign_ins[:10], disabling, *sign_ins[10:])
        assert await live_ids(store) == []

    async def test_failures_at_once_are_all_counted(self, store: Store) -> None:
        """As many tries at once as one likes are worth no more than one after the other."""
        pace = Pace(free=0, forgive_s=1000, longest_wait_s=10**9)
        await asyncio.gather(*(store.add_failure([("key", pace)], NOW) for _ in range(CROWD)))
        forgiven = NOW + 1000 * CROWD
        await store.add_failure([("probe", pace)], NOW)
        counting = Pace(free=CROWD - 1, forgive_s=1000, longest_wait_s=10**9)
        assert await store.wait_s([("key", counting)], NOW) == 2
        assert await store.wait_s([("key", Pace(free=CROWD, forgive_s=1000, longest_wait_s=1))], NOW) == 1
        assert await store.wait_s([("key", Pace(free=CROWD + 1, forgive_s=1000, longest_wait_s=1))], NOW) == 0
        assert await store.wait_s([("key", pace)], forgiven) == 0

    async def test_of_many_first_keys_one_is_published(self, store: Store) -> None:
        """Nodes that start together sign with the same key."""
        keys = [a_signing_key(f"key-{number}") for number in range(CROWD)]
        answers = await asyncio.gather(*(store.publish_key(key, replaces=None) for key in keys))
        assert Counter(answers) == {True: 1, False: CROWD - 1}
        assert await store.signing_keys() == [keys[answers.index(True)]]

    async def test_of_many_changes_of_a_setting_one_wins(self, store: Store) -> None:
        """The others learn that it has changed."""
        answers = await asyncio.gather(
            *(store.write_setting("mode", str(number), expected=None) for number in range(CROWD))
        )
        assert Counter(answers) == {True: 1, False: CROWD - 1}
        assert await store.read_setting("mode") == str(answers.index(True))

    async def test_a_caller_that_gives_up_harms_nobody(self, store: Store) -> None:
        """The others of the same moment are answered, and their writes hold."""
        sessions = [await opened(store) for _ in range(10)]
        calls = [asyncio.ensure_future(end(store, session.id)) for session in sessions]
        await asyncio.sleep(0)
        calls[3].cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [answer for index, answer in enumerate(answers) if index != 3] == [True] * 9
        assert set(await live_ids(store)) <= {sessions[3].id}
