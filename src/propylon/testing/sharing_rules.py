"""Several objects on one store, as the processes of one set-up have them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from propylon.core.limits import SessionLimits
from propylon.core.refresh import Repeated, Rotated
from propylon.core.throttle import Pace
from propylon.ports import Opened, Store
from propylon.testing.race_rules import count_up
from propylon.testing.records import NOW, a_session, a_signing_key, a_user
from propylon.testing.refresh_rules import rotate
from propylon.testing.rules import (
    FEED_TTL_S,
    Rules,
    bookmarked,
    end,
    end_all,
    ending,
    heard_at,
    live_ids,
    opened,
    sign_in,
)

# ruff: noqa: S101 - these are tests

T = TypeVar("T")

NODES = 5
EACH = 10


class SharingRules(Rules):
    """``make_store`` may be called again, from any thread, for another object on the same store."""

    async def at_nodes(self, work: Callable[[Store], Awaitable[T]]) -> list[T]:
        """Run ``work`` ten times at once on each of five threads, each with a store and a loop of its own."""

        async def at_one() -> list[T]:
            store = await self.make_store()
            try:
                return await asyncio.gather(*(work(store) for _ in range(EACH)))
            finally:
                await store.close()

        with ThreadPoolExecutor(NODES) as nodes:
            loop = asyncio.get_running_loop()
            answers = await asyncio.gather(*(loop.run_in_executor(nodes, asyncio.run, at_one()) for _ in range(NODES)))
        return [answer for node in answers for answer in node]

    async def test_what_one_node_acknowledged_the_other_sees(self, store: Store) -> None:
        """At once, without any delay: reads follow writes."""
        other = await self.make_store()
        session = await opened(store)
        assert await other.find_session(session.id) == session
        await end(other, session.id)
        found = await store.find_session(session.id)
        assert found is not None
        assert found.ending == ending()
        await other.close()

    async def test_all_nodes_follow_one_history(self, store: Store) -> None:
        """Also one that opens later, and whatever happens meanwhile: only a loss of the feed makes it another one."""
        history = store.history()
        await end(store, (await opened(store)).id)
        other = await self.make_store()
        assert other.history() == store.history() == history
        await other.close()

    async def test_every_acknowledged_ending_is_news_to_the_other(self, store: Store) -> None:
        """Each exactly once, in order, whichever verb ended it."""
        other = await self.make_store()
        told: list[tuple[str, str, str]] = []
        for _ in range(20):
            first, second, third = [await opened(store) for _ in range(3)]
            await end(store, first.id)
            told += await heard_at(other)
            assert told[-1] == ("session_ended", first.id, "signed_out")
            await end_all(store, "user-1")
            told += await heard_at(other)
            assert [entry[1] for entry in told[-2:]] == [second.id, third.id]
        assert len(told) == len(set(told)) == 60
        await other.close()

    async def test_what_another_node_ended_moves_the_bookmark(self, store: Store) -> None:
        """At once, or across a network as soon as it was heard."""
        other = await self.make_store()
        session = await opened(store)
        mark = bookmarked(other)
        await end(store, session.id)
        await other.catch_up()
        assert other.bookmark() != mark
        assert bookmarked(other) != mark
        await other.close()

    async def test_news_of_all_nodes_come_once_and_in_one_order(self, store: Store) -> None:
        """Two listeners hear the same entries in the same order while five nodes write."""
        other = await self.make_store()

        async def open_and_end(node: Store) -> str:
            session = await opened(node)
            await end(node, session.id)
            return session.id

        ids = await self.at_nodes(open_and_end)
        await asyncio.gather(store.catch_up(), other.catch_up())
        mine, theirs = list(store.news()), list(other.news())
        assert sorted(entry.id for entry in mine) == sorted(ids)
        assert mine == theirs
        assert [entry.position for entry in mine] == sorted({entry.position for entry in mine})
        await other.close()

    async def test_a_node_that_starts_hears_of_the_dead_whose_tokens_live(self, store: Store) -> None:
        """A restart forgives nobody."""
        session = await opened(store)
        await end(store, session.id)
        late = await self.make_store()
        assert await heard_at(late) == [("session_ended", session.id, "signed_out")]
        await late.close()

    async def test_a_node_that_slept_too_long_is_told_to_forget_everything(self, store: Store) -> None:
        """Entries removed unread are replaced by one for each kind of thing that can be remembered.

        A store that pushes has delivered them before they were removed.
        """
        sleeper = await self.make_store()
        await end(store, (await opened(store)).id)
        await heard_at(sleeper)
        ids = [(await opened(store)).id for _ in range(3)]
        for session_id in ids:
            await end(store, session_id)
        await store.purge(NOW + 10**9, keep_ended_s=10**10)
        told = await heard_at(sleeper)
        drops = sorted(subject for subject, id_, _ in told if not id_)
        assert (
            drops == ["keys_changed", "mode_changed", "session_changed", "user_changed"]
            or [id_ for _, id_, _ in told] == ids
        )
        assert list(sleeper.news()) == []
        await sleeper.close()

    async def test_rotations_at_many_nodes_have_one_successor(self, store: Store) -> None:
        """One rotates, all get the same."""
        session = await opened(store)
        outcomes = await self.at_nodes(lambda node: rotate(node, session.id, 0))
        assert Counter(type(outcome) for outcome in outcomes) == {Rotated: 1, Repeated: NODES * EACH - 1}
        assert {outcome.session.refresh_generation for outcome in outcomes if outcome.session} == {1}

    async def test_a_limit_holds_over_all_nodes(self, store: Store) -> None:
        """Fifty sign-ins at five nodes leave three."""
        limits = SessionLimits(per_user=3)
        outcomes = await self.at_nodes(lambda node: sign_in(node, a_session(), limits=limits))
        assert all(isinstance(outcome, Opened) for outcome in outcomes)
        assert len(await live_ids(store)) == 3
        strict = SessionLimits(per_user=6, policy="refuse_newest")
        outcomes = await self.at_nodes(lambda node: sign_in(node, a_session(), limits=strict))
        assert sum(isinstance(outcome, Opened) for outcome in outcomes) == 3
        assert len(await live_ids(store)) == 6

    async def test_session_data_written_at_many_nodes_loses_nothing(self, store: Store) -> None:
        """Compare-and-swap counts across nodes."""
        session = await opened(store)
        await self.at_nodes(lambda node: count_up(node, session.id))
        assert (await store.read_data(session.id)).value == {"count": NODES * EACH}

    async def test_one_address_is_one_account_over_all_nodes(self, store: Store) -> None:
        """Whoever loses the race is told."""
        user = a_user("new", email_key="new@example.org")
        answers = await self.at_nodes(lambda node: node.add_user(user))
        assert Counter(answers) == {True: 1, False: NODES * EACH - 1}
        assert await store.find_user_by_email("new@example.org") == user

    async def test_one_password_change_wins_over_all_nodes(self, store: Store) -> None:
        """The security version rises once."""
        over = ending("password_changed")
        answers = await self.at_nodes(
            lambda node: node.replace_password(a_user(), "$new", over, keep=None, feed_ttl_s=FEED_TTL_S)
        )
        assert Counter(answers) == {True: 1, False: NODES * EACH - 1}
        assert await store.find_user("user-1") == a_user(password_hash="$new", security_version=1)  # noqa: S106

    async def test_no_sign_in_slips_past_a_disabling_elsewhere(self, store: Store) -> None:
        """Sign-ins at all nodes, and one node disables the account in the middle of them."""
        order = iter(range(NODES * EACH))

        async def step(node: Store) -> None:
            if next(order) == EACH:
                await node.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
            else:
                await sign_in(node, a_session())

        await self.at_nodes(step)
        assert await live_ids(store) == []

    async def test_failures_at_many_nodes_are_all_counted(self, store: Store) -> None:
        """Spreading the tries over nodes gains nothing."""
        total = NODES * EACH
        pace = Pace(free=total, forgive_s=1000, longest_wait_s=10**9)
        await self.at_nodes(lambda node: node.add_failure([("key", pace)], NOW))
        assert await store.wait_s([("key", pace)], NOW) == 1
        one_more = Pace(free=total + 1, forgive_s=1000, longest_wait_s=10**9)
        assert await store.wait_s([("key", one_more)], NOW) == 0

    async def test_one_first_key_is_published_over_all_nodes(self, store: Store) -> None:
        """Nodes that start together sign with the same key."""
        names = iter(range(NODES * EACH))
        answers = await self.at_nodes(lambda node: node.publish_key(a_signing_key(f"key-{next(names)}"), replaces=None))
        assert Counter(answers) == {True: 1, False: NODES * EACH - 1}
        assert len(await store.signing_keys()) == 1
