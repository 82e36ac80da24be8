"""The feed on Redis: bounded, gapless or honest about gaps, and silent when nobody answers."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.servers.redis import RedisServer

from propylon.core.secret import ServerKey, derive
from propylon.core.session import MAX_ACCESS_TTL_S, Session
from propylon.errors import FeedSilent, StoreUnavailable
from propylon.stores.redis import RedisStore, database, feed, layout
from propylon.stores.redis.user_sessions import KEEP_OVER_S
from propylon.testing import NOW, a_session, an_opening
from propylon.testing.rules import ending, sign_in

FORGET = ["session_changed", "user_changed", "keys_changed", "mode_changed"]

Opening = Callable[[], Awaitable[RedisStore]]


@pytest.fixture
async def open_store(redis_server: RedisServer) -> AsyncIterator[Opening]:
    """A factory of stores on one server, empty at the start."""
    redis_server.admin.flushall()
    opened: list[RedisStore] = []

    async def make() -> RedisStore:
        store = RedisStore(redis_server.url, max_silence_s=1)
        await store.open()
        opened.append(store)
        return store

    yield make
    for store in opened:
        await store.close()


async def put(store: RedisStore, user_id: str = "user-1") -> Session:
    """Open a session."""
    session = a_session(user_id)
    await store.open_session(an_opening(session), NOW)
    return session


async def end_one(store: RedisStore) -> str:
    """Open a session, end it, and return its id."""
    session = await put(store)
    assert await store.end_session(session.id, ending(), user_id=None, feed_ttl_s=300)
    return session.id


async def deafen(store: RedisStore) -> None:
    """Stop the store's follower, as a process that sleeps has none."""
    for follower in store._followers:
        follower.cancel()
    await asyncio.wait(store._followers)


def heard(store: RedisStore) -> list[str]:
    """Return the news: the id, or the subject where everything of it is to be forgotten."""
    return [entry.id or entry.subject for entry in store.news()]


async def test_an_entry_reaches_another_process_by_itself(open_store: Opening) -> None:
    """Nobody has to ask the server: the follower is told."""
    store, other = await open_store(), await open_store()
    session_id = await end_one(store)
    async with asyncio.timeout(0.3):
        while not (news := other.news()):  # noqa: ASYNC110 - that is the question
            await asyncio.sleep(0.001)
    assert [entry.id for entry in news] == [session_id]
    assert abs(news[0].announced_ms / 1000 - time.time()) < 5


async def test_silence_is_what_the_setting_says_and_no_longer(open_store: Opening) -> None:
    """Within it the news are empty; a moment beyond it they are refused, and nothing is remembered as true."""
    store = await open_store()
    await deafen(store)
    store.news()
    store._streams[0].heard_at = time.monotonic() - 0.5
    assert list(store.news()) == []
    assert store.bookmark() is not None
    store._streams[0].heard_at = time.monotonic() - 1.0
    assert store.bookmark() is None
    with pytest.raises(FeedSilent):
        store.news()


async def test_own_entries_are_news_when_the_verb_has_returned(open_store: Opening) -> None:
    """With those of others before them, each once, also when the follower hears them too."""
    store, other = await open_store(), await open_store()
    await deafen(store)
    theirs = [await end_one(other) for _ in range(3)]
    mine = await end_one(store)
    assert heard(store) == [*theirs, mine]
    await store.catch_up()
    assert heard(store) == []


async def test_more_entries_than_one_answer_holds_are_heard_in_order(
    open_store: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is asked for at once."""
    monkeypatch.setattr(feed, "AT_ONCE", 3)
    store, other = await open_store(), await open_store()
    await deafen(store)
    theirs = [await end_one(other) for _ in range(10)]
    mine = await end_one(store)
    assert heard(store) == [*theirs, mine]


async def test_entries_removed_unread_are_replaced_by_forgetting(
    open_store: Opening, redis_server: RedisServer
) -> None:
    """A gap in the numbers shows it, before what is still there."""
    store, sleeper = await open_store(), await open_store()
    await end_one(store)
    await sleeper.catch_up()
    sleeper.news()
    await deafen(sleeper)
    newest = [await end_one(store) for _ in range(3)][-1]
    redis_server.admin.xtrim(layout.FEEDS[0], maxlen=1, approximate=False)
    await sleeper.catch_up()
    assert heard(sleeper) == [*FORGET, newest]


async def test_when_all_entries_were_removed_unread_everything_is_forgotten(
    open_store: Opening, redis_server: RedisServer
) -> None:
    """The stream knows that there were some."""
    store, sleeper = await open_store(), await open_store()
    await end_one(store)
    await sleeper.catch_up()
    sleeper.news()
    await deafen(sleeper)
    await end_one(store)
    redis_server.admin.xtrim(layout.FEEDS[0], maxlen=0, approximate=False)
    await sleeper.catch_up()
    assert heard(sleeper) == FORGET
    next_id = await end_one(store)
    await sleeper.catch_up()
    assert heard(sleeper) == [next_id]


@pytest.mark.parametrize("more", [0, 5])
async def test_a_store_that_lost_its_memory_makes_everyone_forget(
    open_store: Opening, redis_server: RedisServer, more: int
) -> None:
    """Whether or not it has written as much again by then."""
    store, other = await open_store(), await open_store()
    for _ in range(3):
        await end_one(store)
    await other.catch_up()
    other.news()
    await deafen(other)
    before = other.history()
    redis_server.admin.flushall()
    news = [await end_one(store) for _ in range(more)]
    await other.catch_up()
    assert heard(other) == [*FORGET, *news]
    await store.catch_up()
    assert other.history() == store.history() != before


async def test_who_writes_into_a_feed_that_was_lost_notices_at_once(
    open_store: Opening, redis_server: RedisServer
) -> None:
    """Though nothing but its own writes ever tells it: a process that is busy asks for no sign of life."""
    store = await open_store()
    await end_one(store)
    store.news()
    await deafen(store)
    before = store.history()
    redis_server.admin.flushall()
    ended = await end_one(store)
    assert store.history() != before
    told = heard(store)
    assert (told[: len(FORGET)], told[-1]) == (FORGET, ended)


async def test_a_store_taken_back_to_an_older_state_makes_everyone_forget(
    open_store: Opening, redis_server: RedisServer
) -> None:
    """What is still there is heard again; new entries are not taken for those that were lost."""
    store, other = await open_store(), await open_store()
    first = await end_one(store)
    before = redis_server.admin.dump(layout.FEEDS[0])
    await end_one(store)
    await other.catch_up()
    other.news()
    await deafen(other)
    redis_server.admin.restore(layout.FEEDS[0], 0, before, replace=True)
    await other.catch_up()
    assert heard(other) == [*FORGET, first]


async def test_a_connection_that_is_closed_under_a_command_is_a_store_that_is_away(
    open_store: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the driver of a cluster makes of it is no mistake of the caller's."""
    store = await open_store()

    async def closed(*_: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'writelines'")

    assert store._client is not None
    monkeypatch.setattr(store._client.commands, "execute_command", closed)
    with pytest.raises(StoreUnavailable):
        await store.ping()


async def test_old_entries_are_removed_when_new_ones_come(
    open_store: Opening, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a feed holds what was announced within the life of a token, however long the service runs."""
    assert feed.KEEP_MS >= (MAX_ACCESS_TTL_S + 60) * 1000
    store = await open_store()
    monkeypatch.setattr(feed, "KEEP_MS", 200)
    for _ in range(300):
        await end_one(store)
    await asyncio.sleep(0.3)
    await end_one(store)
    assert redis_server.admin.xlen(layout.FEEDS[0]) <= 101  # whole nodes of the stream go: 100 entries each


async def test_a_process_that_asks_for_no_news_stays_small(
    open_store: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not take stays in the store; it falls silent, and whoever asks has all of it."""
    monkeypatch.setattr(feed, "MAX_UNREAD", 5)
    store, idle = await open_store(), await open_store()
    ids = [await end_one(store) for _ in range(50)]
    await asyncio.sleep(1.5)
    with pytest.raises(FeedSilent):
        idle.news()
    held = len(idle._unread)
    await idle.catch_up()
    assert heard(idle) == ids
    assert held < 50


async def test_nobody_who_did_not_answer_was_heard(open_store: Opening, redis_server: RedisServer) -> None:
    """While the server stands still the feed is silent; afterwards it goes on by itself."""
    store = await open_store()
    session_id = await end_one(store)
    redis_server.freeze()
    try:
        await asyncio.sleep(1.3)
        with pytest.raises(FeedSilent):
            store.news()
        with pytest.raises(StoreUnavailable):
            await store.catch_up()
    finally:
        redis_server.thaw()
    async with asyncio.timeout(5):
        while True:
            try:
                assert heard(store) == [session_id]
                break
            except FeedSilent:
                await asyncio.sleep(0.05)


async def test_a_closed_store_has_heard_nothing(open_store: Opening) -> None:
    """Whoever still asks it is told so."""
    store = await open_store()
    await store.close()
    with pytest.raises(FeedSilent):
        store.news()
    with pytest.raises(StoreUnavailable):
        await store.find_session(a_session().id)


async def test_a_caller_that_gives_up_has_given_up(open_store: Opening) -> None:
    """However unlucky the moment: a cancellation that got lost would leave a task that nobody can end."""
    store = await open_store()

    async def for_ever() -> None:
        while True:
            await store.ping()

    for number in range(300):
        task = asyncio.create_task(for_ever())
        await asyncio.sleep(number % 10 / 5000)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done


async def test_many_look_ups_are_one_question(open_store: Opening, redis_server: RedisServer) -> None:
    """Sixty-four callers of one moment cost one command."""
    store = await open_store()
    sessions = [await put(store, f"user-{number}") for number in range(64)]
    redis_server.admin.config_resetstat()
    found = await asyncio.gather(*(store.find_session(session.id) for session in sessions))
    assert found == sessions
    assert redis_server.admin.info("commandstats")["cmdstat_mget"]["calls"] == 1


async def test_no_verb_walks_over_keys(open_store: Opening, redis_server: RedisServer) -> None:
    """Whatever is asked for a request is found by its name."""
    store = await open_store()
    redis_server.admin.config_resetstat()
    session = await put(store)
    await store.touch(session.id, now=NOW + 1, ip="192.0.2.9")
    await store.rotate(session.id, 0, now=NOW, grace_s=1, origin="", ip="", feed_ttl_s=1)
    await store.confirm(session.id, now=NOW, origin="", grace=True)
    await store.replace_data(session.id, {"n": 1}, None)
    await store.live_sessions("user-1", NOW)
    await store.end_sessions("user-1", ending(), keep=None, feed_ttl_s=1)
    used = set(redis_server.admin.info("commandstats"))
    assert used.isdisjoint({"cmdstat_keys", "cmdstat_scan", "cmdstat_psubscribe", "cmdstat_subscribe"})


async def test_sessions_go_by_themselves_some_time_after_they_are_over(
    open_store: Opening, redis_server: RedisServer
) -> None:
    """Not before anybody may still be told why; and their data not before them."""
    store = await open_store()
    live, over = await put(store), await put(store)
    await store.replace_data(live.id, {"n": 1}, None)
    await store.end_session(over.id, ending(), user_id=None, feed_ttl_s=1)
    raw_live, raw_over = layout.raw_id(live.id) or b"", layout.raw_id(over.id) or b""
    ttl_s = {key: redis_server.admin.ttl(key) for key in map(layout.session_key, (raw_live, raw_over))}
    assert live.idle_ttl_s + KEEP_OVER_S - 5 <= ttl_s[layout.session_key(raw_live)] <= live.idle_ttl_s + KEEP_OVER_S
    assert KEEP_OVER_S - 5 <= ttl_s[layout.session_key(raw_over)] <= KEEP_OVER_S
    left_s = redis_server.admin.ttl(layout.data_key(raw_live))
    assert isinstance(left_s, int)
    assert left_s >= live.expires_at - NOW + KEEP_OVER_S - 5


async def test_upkeep_leaves_no_list_of_nobody(open_store: Opening, redis_server: RedisServer) -> None:
    """When all is over nothing is left but the feed with its name, and the sign of life."""
    store = await open_store()
    await end_one(store)
    await put(store, "user-2")
    for _ in range(2):
        await store.purge(NOW + 10**9, keep_ended_s=0)
    kinds = {key[layout.KIND :] for key in redis_server.admin.scan_iter()}
    assert kinds == {b"f", b"e", b"b"}


async def test_a_long_run_of_upkeep_goes_on_next_time(open_store: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks at some keys, and all are looked at in the end."""
    monkeypatch.setattr("propylon.stores.redis.upkeep.KEYS_A_RUN", 1)
    monkeypatch.setattr(database, "SCAN_AT_ONCE", 10)
    store = await open_store()
    for number in range(40):
        await put(store, f"user-{number}")
    removed = [await store.purge(NOW + 10**9, keep_ended_s=0) for _ in range(20)]
    assert sum(removed) == 40
    assert max(removed) < 30


async def test_no_secret_of_a_session_is_in_the_server(open_store: Opening, redis_server: RedisServer) -> None:
    """Not in any spelling: what is stored forges nothing without the key, and the key is not stored."""
    key = ServerKey("key-1", bytes(range(100, 132)))
    store = await open_store()
    sessions = [await put(store) for _ in range(5)]
    stored = b"".join(
        redis_server.admin.get(name) or b"" for name in redis_server.admin.scan_iter() if name[layout.KIND :] != b"f"
    )
    assert all(session.salt in stored for session in sessions)
    secrets = [derive(key, one.salt, kind, n) for one in sessions for kind in ("cookie", "refresh") for n in range(3)]
    for secret in (*secrets, key.value):
        assert secret not in stored
        assert secret.hex().encode() not in stored
        assert base64.urlsafe_b64encode(secret).rstrip(b"=") not in stored


async def test_a_session_of_another_shard_is_a_mistake_of_the_program(open_store: Opening) -> None:
    """It could not be found by its id."""
    store = await open_store()
    foreign = next(one.id for number in range(99) if (one := a_session(f"u-{number}")).id[0] != a_session().id[0])
    with pytest.raises(ValueError, match="new_session_id"):
        await sign_in(store, a_session(id=foreign))  # type: ignore[arg-type]  # half a store will do
