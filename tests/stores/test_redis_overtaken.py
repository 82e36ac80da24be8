"""Somebody else is first, between the look and the swap: what was decided is decided anew, never half of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.servers.redis import RedisServer

from propylon.core.limits import SessionLimits
from propylon.core.refresh import Missing, Rotated
from propylon.core.session import Session
from propylon.errors import StoreUnavailable
from propylon.ports import AccountChange, Opened
from propylon.stores.redis import RedisStore, database
from propylon.testing import NOW, a_session, an_opening
from propylon.testing.rules import ending


@pytest.fixture
async def stores(redis_server: RedisServer) -> AsyncIterator[tuple[RedisStore, RedisStore]]:
    """Two nodes on one empty server."""
    redis_server.admin.flushall()
    both = RedisStore(redis_server.url, max_silence_s=5), RedisStore(redis_server.url, max_silence_s=5)
    for store in both:
        await store.open()
    yield both
    for store in both:
        await store.close()


async def put(store: RedisStore, **changes: Any) -> Session:
    """Open a session; ``changes`` are fields of the opening."""
    session = a_session()
    assert isinstance(await store.open_session(an_opening(session, **changes), NOW), Opened)
    return session


def interrupt(store: RedisStore, look: str, meanwhile: Callable[[], Awaitable[object]], times: int = 1) -> None:
    """Let something happen after the store's next looks, before it swaps."""
    looked = getattr(store, look)
    left = times

    async def look_and_be_late(*words: Any) -> Any:
        nonlocal left
        seen = await looked(*words)
        if left:
            left -= 1
            await meanwhile()
        return seen

    setattr(store, look, look_and_be_late)


async def ids(store: RedisStore) -> list[str]:
    """Return the ids of the user's live sessions."""
    return [session.id for session in await store.live_sessions("user-1", NOW)]


async def test_who_signs_in_while_all_are_ended_is_ended_too(stores: tuple[RedisStore, RedisStore]) -> None:
    """What is there at the moment of the ending ends."""
    store, other = stores
    await put(store)
    interrupt(store, "_look", lambda: put(other))
    assert len(await store.end_sessions("user-1", ending(), keep=None, feed_ttl_s=1)) == 2
    assert await ids(other) == []


async def test_a_limit_holds_for_who_comes_in_between(stores: tuple[RedisStore, RedisStore]) -> None:
    """The one in between is evicted, since it was first."""
    store, other = stores
    limits = SessionLimits(per_user=1)
    interrupt(store, "_look", lambda: put(other, limits=limits))
    session = await put(store, limits=limits)
    assert await ids(other) == [session.id]


async def test_no_sign_in_slips_past_a_change(stores: tuple[RedisStore, RedisStore]) -> None:
    """The version is looked at again, also where no limit asks for the sessions."""
    store, other = stores
    change = AccountChange(
        position=1, subject="user_changed", user_id="user-1", security_version=1, ending=ending("password_changed")
    )
    interrupt(store, "_look_at_list", lambda: other.apply_change(change))
    assert not isinstance(await store.open_session(an_opening(a_session()), NOW), Opened)
    assert await ids(other) == []


async def test_a_late_change_spares_who_has_signed_in_after_it(stores: tuple[RedisStore, RedisStore]) -> None:
    """The accounts knew of the new password before this store did: only sessions of the old one end."""
    store, _ = stores
    before, after = await put(store), await put(store, security_version=1)
    change = AccountChange(
        position=1, subject="user_changed", user_id="user-1", security_version=1, ending=ending("password_changed")
    )
    await store.apply_change(change)
    assert await ids(store) == [after.id]
    assert before.id in {entry.id for entry in store.news()}


async def test_nothing_moves_on_that_has_ended_in_between(stores: tuple[RedisStore, RedisStore]) -> None:
    """Neither a touch nor a rotation, a confirmation or data bring it back."""
    store, other = stores
    verbs: list[Callable[[str], Awaitable[object]]] = [
        lambda id_: store.touch(id_, now=NOW + 1, ip=""),
        lambda id_: store.rotate(id_, 0, now=NOW, grace_s=1, origin="", ip="", feed_ttl_s=1),
        lambda id_: store.confirm(id_, now=NOW, origin="", grace=True),
        lambda id_: store.replace_data(id_, {"n": 1}, None),
    ]
    answers = []
    for verb in verbs:
        session = await put(store)

        async def end(session_id: str = session.id) -> None:
            assert await other.end_session(session_id, ending(), user_id=None, feed_ttl_s=1)

        interrupt(store, "_held", end)
        answers.append(await verb(session.id))
        found = await other.find_session(session.id)
        assert found is not None
        assert found.ending == ending()
        assert (await other.read_data(session.id)).version == 0
    assert answers[0] is answers[2] is answers[3] is None
    assert isinstance(answers[1], Missing)


async def test_a_rotation_after_a_touch_in_between_keeps_both(stores: tuple[RedisStore, RedisStore]) -> None:
    """The address of the touch is not lost, nor is the generation."""
    store, other = stores
    session = await put(store)
    interrupt(store, "_held", lambda: other.touch(session.id, now=NOW + 50, ip="198.51.100.7"))
    outcome = await store.rotate(session.id, 0, now=NOW, grace_s=1, origin="home", ip="192.0.2.1", feed_ttl_s=1)
    assert isinstance(outcome, Rotated)
    assert (outcome.session.last_seen_at, outcome.session.refresh_generation) == (NOW + 50, 1)


async def test_whoever_is_always_late_is_told_so(
    stores: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up instead of going on for ever."""
    monkeypatch.setattr(database, "MAX_TRIES", 5)
    store, other = stores
    session = await put(store)
    seconds = iter(range(1, 100))
    interrupt(store, "_held", lambda: other.touch(session.id, now=NOW + next(seconds), ip=""), times=99)
    with pytest.raises(StoreUnavailable):
        await store.touch(session.id, now=NOW, ip="")


async def test_a_sign_in_whose_answer_was_lost_is_in(stores: tuple[RedisStore, RedisStore]) -> None:
    """Asked again it finds itself there, once."""
    store, other = stores
    session = a_session()
    opening = an_opening(session, limits=SessionLimits(per_user=5))
    interrupt(store, "_look", lambda: other.open_session(opening, NOW))
    assert await store.open_session(opening, NOW) == Opened(session, ())
    assert await ids(other) == [session.id]
