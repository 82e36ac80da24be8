"""Between the write to the accounts and the one to the sessions, anything may happen: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from propylon.errors import StoreUnavailable
from propylon.ports import AccountChange, SignInVoid
from propylon.stores.memory import MemorySessionStore
from propylon.stores.split import DRAIN_AT_ONCE, SplitStore
from propylon.stores.sqlite import SqliteStore
from propylon.testing.records import a_session, a_signing_key, a_user
from propylon.testing.rules import FEED_TTL_S, ending, heard, live_ids, opened, sign_in

NODE = str(Path(__file__).with_name("split_node.py"))
WITHIN_S = 1.0


class Shaky(MemorySessionStore):
    """Sessions in memory, in a store that can go away, or stand still before it applies a change."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.applied: list[int] = []
        self.held: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def apply_change(self, change: AccountChange) -> None:
        """Apply, fail, or wait."""
        if self.away:
            await asyncio.sleep(0.01)  # a time-out
            raise StoreUnavailable
        held, self.held = self.held, None
        if held is not None:
            self.reached.set()
            await held.wait()
        self.applied.append(change.position)
        await super().apply_change(change)


@pytest.fixture
def sessions() -> Shaky:
    """The one store of sessions of all nodes in a test."""
    return Shaky()


@pytest.fixture
async def make_node(tmp_path: Path, sessions: Shaky) -> AsyncIterator[Callable[[], SplitStore]]:
    """A factory of nodes on the same two stores; what they have not opened is not closed."""
    nodes: list[SplitStore] = []

    def make() -> SplitStore:
        nodes.append(SplitStore(SqliteStore(tmp_path / "accounts.db", sessions_elsewhere=True), sessions))
        return nodes[-1]

    yield make
    for node in nodes:
        await node.close()


@pytest.fixture
async def node(make_node: Callable[[], SplitStore]) -> SplitStore:
    """An open node, with one account."""
    node = make_node()
    await node.open()
    await node.add_user(a_user())
    return node


async def disable(node: SplitStore) -> bool:
    """Stop the account."""
    return await node.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; never for longer than a change may wait to be finished."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - the condition is whatever the store has done
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["disable", "replace password"])
async def test_what_a_process_left_behind_another_finishes(
    node: SplitStore, sessions: Shaky, tmp_path: Path, what: str
) -> None:
    """Killed (SIGKILL) after the account was written and before the sessions were: they end within a second."""
    session = await opened(node)
    node.news()
    other = await asyncio.create_subprocess_exec(sys.executable, NODE, str(tmp_path / "accounts.db"), what, stdout=PIPE)
    assert other.stdout is not None
    assert (await other.stdout.readline()).startswith(b"between")
    other.send_signal(signal.SIGKILL)
    assert await other.wait() == -signal.SIGKILL
    await until(lambda: sessions.applied)
    assert await live_ids(node) == []
    reason = "user_disabled" if what == "disable" else "password_changed"
    assert ("session_ended", session.id, reason) in heard(node)
    assert len(sessions.applied) == 1
    assert await sign_in(node, a_session()) == SignInVoid()


async def test_while_the_sessions_are_away_a_change_is_not_acknowledged_and_is_finished_later(
    node: SplitStore, sessions: Shaky
) -> None:
    """Nobody has to ask again."""
    await opened(node)
    sessions.away = True
    with pytest.raises(StoreUnavailable):
        await disable(node)
    user = await node.find_user("user-1")
    assert user is not None
    assert user.disabled_at is not None
    sessions.away = False
    await until(lambda: sessions.applied)
    assert await live_ids(node) == []


async def test_what_could_not_be_applied_is_applied_in_order(node: SplitStore, sessions: Shaky) -> None:
    """More changes than are read at once, of which the last is the one that counts."""
    await opened(node)
    sessions.away = True
    for _ in range(DRAIN_AT_ONCE + 5):
        with pytest.raises(StoreUnavailable):
            await node.rename_user("user-1", "Lee")
    with pytest.raises(StoreUnavailable):
        await disable(node)
    sessions.away = False
    await node.drain()
    assert sessions.applied == sorted(sessions.applied)
    assert len(sessions.applied) == DRAIN_AT_ONCE + 6
    assert await live_ids(node) == []


async def test_a_process_that_starts_finishes_what_it_finds(
    make_node: Callable[[], SplitStore], node: SplitStore, sessions: Shaky
) -> None:
    """Also when every other one is gone."""
    await opened(node)
    sessions.away = True
    with pytest.raises(StoreUnavailable):
        await disable(node)
    await node.close()
    sessions.away = False
    late = make_node()
    await late.open()
    await until(lambda: sessions.applied)
    assert await live_ids(late) == []


async def test_a_slow_node_that_applies_a_change_again_ends_nobody(
    make_node: Callable[[], SplitStore], node: SplitStore, sessions: Shaky
) -> None:
    """It read the outbox, fell asleep, and wakes when somebody has signed in again."""
    other = make_node()
    await other.open()
    sessions.held = go_on = asyncio.Event()
    sleeping = asyncio.create_task(disable(node))
    await sessions.reached.wait()
    await other.enable_user("user-1", disabled=None, feed_ttl_s=FEED_TTL_S)
    session = a_session()
    await sign_in(other, session, security_version=1)
    go_on.set()
    assert await sleeping
    assert await live_ids(node) == [session.id]


async def test_a_sign_in_comes_after_the_changes_before_it(node: SplitStore, sessions: Shaky) -> None:
    """Stopped and started again by processes that died: who signs in then is not ended by it afterwards."""
    await node._accounts.enable_user("user-1", disabled=ending("user_disabled"), feed_ttl_s=FEED_TTL_S)
    await node._accounts.enable_user("user-1", disabled=None, feed_ttl_s=FEED_TTL_S)
    session = a_session()
    await sign_in(node, session, security_version=1)
    await node.drain()
    assert len(sessions.applied) == 2
    assert await live_ids(node) == [session.id]


async def test_a_verb_returns_when_its_own_news_are_there(node: SplitStore) -> None:
    """Each once."""
    assert await node.rename_user("user-1", "Lee")
    assert heard(node) == [("user_changed", "user-1", "")]
    assert await node.publish_key(a_signing_key(), replaces=None)
    assert heard(node) == [("keys_changed", "", "")]
    assert await node.write_setting("mode", "bearer", expected=None)
    assert heard(node) == [("mode_changed", "", "")]


async def test_many_that_wait_for_a_store_that_is_away_wait_for_two_rounds(
    node: SplitStore, sessions: Shaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with a time-out of its own would keep the last of them for minutes."""
    sessions.away = True
    rounds = 0
    pending = node._accounts.pending_changes

    async def counted(limit: int) -> list[AccountChange]:
        nonlocal rounds
        rounds += 1
        return await pending(limit)

    monkeypatch.setattr(node._accounts, "pending_changes", counted)
    names = [node.rename_user("user-1", f"Lee {number}") for number in range(50)]
    answers = await asyncio.gather(*names, return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert rounds <= 4


async def test_a_caller_that_gives_up_takes_nobody_with_it(node: SplitStore, sessions: Shaky) -> None:
    """Those who share its round are answered."""
    sessions.held = go_on = asyncio.Event()
    first = asyncio.create_task(disable(node))
    await sessions.reached.wait()
    second, third = (asyncio.create_task(node.rename_user("user-1", name)) for name in ("Lee", "Park"))
    await asyncio.sleep(0.05)  # both are written and share the round to come
    second.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await first
    assert await third
    with pytest.raises(asyncio.CancelledError):
        await second
    assert len(sessions.applied) == 3
