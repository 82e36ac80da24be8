"""Redis fails under a running store: nothing acknowledged is lost, nobody waits for long, and no hand is needed."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Self

import pytest
from tests.servers.redis import PASSWORD, SOON_MS, Cluster, RedisServer, Sentinels

from propylon.core.session import Session
from propylon.core.throttle import Pace
from propylon.errors import FeedSilent, SetupError, StoreUnavailable
from propylon.ports import Opened
from propylon.stores.redis import RedisStore, database, layout
from propylon.testing import NOW, a_session, an_opening
from propylon.testing.rules import ending

RECOVERY_S = 20
PACE = Pace(free=0, forgive_s=100, longest_wait_s=60)

MakeServer = Callable[..., RedisServer]


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """A factory of servers of one test."""
    servers: list[RedisServer] = []

    def make(*words: str) -> RedisServer:
        servers.append(RedisServer(*words))
        return servers[-1].start()

    yield make
    for server in servers:
        server.remove()


@pytest.fixture
def own_sentinels() -> Iterator[Sentinels]:
    """Servers that the test may break."""
    servers = Sentinels(SOON_MS)
    try:
        yield servers.start()
    finally:
        servers.remove()


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Likewise."""
    servers = Cluster(SOON_MS)
    try:
        yield servers.start()
    finally:
        servers.remove()


@asynccontextmanager
async def opened(url: str, max_silence_s: float = 1) -> AsyncIterator[RedisStore]:
    """Lend an open store."""
    store = RedisStore(url, max_silence_s=max_silence_s)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def recovered(work: Callable[[], Awaitable[object]]) -> None:
    """Try until it works again by itself."""
    async with asyncio.timeout(RECOVERY_S):
        while True:
            try:
                await work()
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


class Load:
    """Sign-ins and sign-outs without pause, and what was acknowledged of them.

    Attributes:
        live: sessions whose sign-in was acknowledged, and whose sign-out was not even asked for.
        dead: sessions whose sign-out was acknowledged.
        failed: how many calls failed.
        slowest_s: how long the slowest call took.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.live: list[Session] = []
        self.dead: list[Session] = []
        self.failed, self.slowest_s = 0, 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._go_on(f"user-{number}")) for number in range(8)]
        await asyncio.sleep(0.3)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _go_on(self, user_id: str) -> None:
        number = 0
        while True:
            number += 1
            began = time.monotonic()
            try:
                await self._once(f"{user_id}-{number // 20}", leave=number % 2 == 0)
            except StoreUnavailable:
                self.failed += 1
                await asyncio.sleep(0.02)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    async def _once(self, user_id: str, *, leave: bool) -> None:
        session = a_session(user_id)
        assert isinstance(await self._store.open_session(an_opening(session), NOW), Opened)
        if leave:
            await self._store.end_session(session.id, ending(), user_id=None, feed_ttl_s=300)
            self.dead.append(session)
        else:
            self.live.append(session)

    async def check(self, store: RedisStore) -> None:
        """Every acknowledged sign-out holds and is in the feed; every acknowledged sign-in is there."""
        assert len(self.live) > 20
        assert len(self.dead) > 20
        for session in self.dead:
            found = await store.find_session(session.id)
            assert found is not None
            assert found.ending is not None
        for session in self.live:
            assert await store.find_session(session.id) == session
        await store.catch_up()
        told = {entry.id for entry in store.news() if entry.subject == "session_ended"}
        assert {session.id for session in self.dead} <= told


async def test_a_killed_server_comes_back_with_all_that_was_acknowledged(make_server: MakeServer) -> None:
    """Where it writes each command to the disk before it answers."""
    server = make_server("--appendonly", "yes", "--appendfsync", "always")
    async with opened(server.url) as store:
        async with Load(store) as load:
            server.kill()
            await asyncio.sleep(1)
            server.start()
            await recovered(store.ping)
            await asyncio.sleep(0.5)
        assert load.failed > 0
        assert load.slowest_s < 2.5
        async with opened(server.url) as other:
            await load.check(other)
        await recovered(store.catch_up)
        assert store.news()


async def test_a_frozen_server_is_given_up_within_two_seconds_and_taken_up_again(make_server: MakeServer) -> None:
    """For ten seconds every call fails in time, nobody is believed to be signed in, and then it goes on by itself."""
    server = make_server()
    async with opened(server.url) as store, Load(store) as load:
        session = load.live[0]
        server.freeze()
        frozen_at = time.monotonic()
        while time.monotonic() - frozen_at < 10:
            began = time.monotonic()
            answers = await asyncio.gather(
                *(store.find_session(session.id) for _ in range(50)),
                store.ping(),
                store.catch_up(),
                return_exceptions=True,
            )
            assert {type(answer) for answer in answers} == {StoreUnavailable}
            assert time.monotonic() - began < 2.5
        with pytest.raises(FeedSilent):
            store.news()
        server.thaw()
        await recovered(store.ping)
        await recovered(store.catch_up)
        assert await store.find_session(session.id) is not None
        assert load.slowest_s < 2.5
    assert len(server.admin.client_list()) <= 40


async def test_a_failover_by_sentinels_loses_nothing_that_was_acknowledged(own_sentinels: Sentinels) -> None:
    """The master is killed under load; its replica had every write before it was acknowledged."""
    async with opened(own_sentinels.url) as store:
        async with Load(store) as load:
            killed = own_sentinels.master()
            killed.kill()
            await asyncio.sleep(0.3)
            before = len(load.dead)
            await asyncio.to_thread(_until, lambda: own_sentinels.master() is not killed)
            await asyncio.sleep(1)
            # One replica is all there was: until there is another, nothing can be acknowledged.
            assert load.failed > 0
            assert len(load.dead) == before
            killed.start()
            await recovered(lambda: load._once("user-1", leave=True))
            await asyncio.sleep(0.5)
        assert len(load.dead) > before
        assert load.slowest_s < 2.5
        async with opened(own_sentinels.url) as other:
            await load.check(other)
        await recovered(store.catch_up)


class Watched:
    """All that clients send to a server from now on, each with the port it came from."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.sent: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        began = threading.Event()
        self._watching = asyncio.create_task(asyncio.to_thread(self._watch, began))
        await asyncio.to_thread(began.wait)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.admin.echo("enough")
        await self._watching

    def _watch(self, began: threading.Event) -> None:
        with self._server.admin.monitor() as monitor:
            began.set()
            while (told := monitor.next_command())["command"] != "ECHO enough":
                if told["client_type"] != "lua":
                    self.sent.append((told["client_port"], told["command"]))


async def test_a_write_is_confirmed_by_the_server_that_has_it(sentinels: Sentinels) -> None:
    """Over the connection it came by: a master that took over in between would confirm what the old one has lost."""
    async with opened(sentinels.url) as store:
        await store.open_session(an_opening(a_session()), NOW)  # now the script is known
        async with Watched(sentinels.master()) as watched:
            sessions = [a_session(f"user-{number}") for number in range(8)]
            await asyncio.gather(*(store.open_session(an_opening(session), NOW) for session in sessions))
    written = [at for at, (_, words) in enumerate(watched.sent) if words.startswith(f"EVALSHA {database.SWAP.digest}")]
    assert len(written) == 8
    for at in written:
        port = watched.sent[at][0]
        after = [words for from_, words in watched.sent[at + 1 :] if from_ == port]
        assert [words.split()[0] for words in after[:2]] == ["SET", "WAIT"]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RECOVERY_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_master_without_its_replica_acknowledges_nothing(own_sentinels: Sentinels) -> None:
    """It might be one that was cut off, while another took over and said that a session has ended."""
    async with opened(own_sentinels.url) as store:
        session = a_session()
        await store.open_session(an_opening(session), NOW)
        (replica,) = (node for node in own_sentinels.nodes if node is not own_sentinels.master())
        replica.freeze()
        try:
            with pytest.raises(StoreUnavailable):
                await store.end_session(session.id, ending(), user_id=None, feed_ttl_s=300)
            with pytest.raises(StoreUnavailable):
                await store.open_session(an_opening(a_session()), NOW)
            with pytest.raises(StoreUnavailable):
                await store.catch_up()
            await asyncio.sleep(0.5)
            with pytest.raises(FeedSilent):
                store.news()
        finally:
            replica.thaw()
        await recovered(store.catch_up)
        assert session.id in {entry.id for entry in store.news()}


async def test_a_failover_in_a_cluster_loses_nothing_that_was_acknowledged(own_cluster: Cluster) -> None:
    """A master is killed under load; the others go on meanwhile."""
    async with opened(own_cluster.url, max_silence_s=5) as store:
        async with Load(store) as load:
            killed = own_cluster.master_of(layout.user_key("user-1"))
            killed.kill()
            await asyncio.to_thread(_until, lambda: own_cluster.master_of(layout.user_key("user-1")) is not killed)
            killed.start()
            await recovered(store.ping)
            await recovered(store.catch_up)
            await recovered(lambda: load._once("user-1", leave=True))
            await asyncio.sleep(0.5)
        assert load.failed > 0
        assert load.slowest_s < 3.5
        assert own_cluster.master_of(layout.user_key("user-1")) is not killed
        async with opened(own_cluster.url, max_silence_s=5) as other:
            await load.check(other)
    _collect_what_the_driver_has_replaced()


def _collect_what_the_driver_has_replaced() -> None:
    """Let go here of connections to nodes that are no more: redis-py drops them unclosed, and later is another test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_a_server_that_forgot_the_scripts_is_given_them_again(make_server: MakeServer) -> None:
    """Nobody notices."""
    server = make_server()
    async with opened(server.url) as store:
        for _ in range(3):
            server.admin.script_flush()
            session = a_session()
            assert isinstance(await store.open_session(an_opening(session), NOW), Opened)
            server.admin.script_flush()
            assert await store.end_session(session.id, ending(), user_id=None, feed_ttl_s=1)


async def test_a_full_server_says_so_and_does_nothing_by_halves(make_server: MakeServer) -> None:
    """What cannot be written is not acknowledged; when there is room again it goes on."""
    server = make_server("--maxmemory-policy", "noeviction")
    async with opened(server.url) as store:
        session = a_session()
        await store.open_session(an_opening(session), NOW)
        server.admin.config_set("maxmemory", "1mb")
        for refused in (
            store.open_session(an_opening(a_session()), NOW),
            store.end_session(session.id, ending(), user_id=None, feed_ttl_s=1),
            store.replace_data(session.id, {"n": 1}, None),
            store.add_failure([("key", PACE)], NOW),
            store.ping(),
        ):
            with pytest.raises(StoreUnavailable):
                await refused
        assert await store.find_session(session.id) == session
        assert [one.id for one in await store.live_sessions("user-1", NOW)] == [session.id]
        assert list(store.news()) == []
        server.admin.config_set("maxmemory", "0")
        assert await store.end_session(session.id, ending(), user_id=None, feed_ttl_s=1)


@pytest.mark.parametrize("credentials", ["", f":{PASSWORD}x@", f"nobody:{PASSWORD}@"])
async def test_a_wrong_password_is_one_sentence_without_it(make_server: MakeServer, credentials: str) -> None:
    """It names the place and the setting."""
    server = make_server("--requirepass", PASSWORD)
    url = f"redis://{credentials}127.0.0.1:{server.port}"
    with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{server.port} refuses .* PROPYLON_SESSION_STORE") as caught:
        await RedisStore(url, max_silence_s=1).open()
    assert PASSWORD not in str(caught.value)
    async with opened(f"redis://:{PASSWORD}@127.0.0.1:{server.port}") as store:
        await store.ping()


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("redis://:{0}@{1}", "No Redis server answers at {1}: "),
        ("redis+sentinel://:{0}@{1}/svc", "No sentinel at {1} names a master of 'svc': "),
        ("redis+cluster://:{0}@{1}", "No Redis server answers at {1}: "),
    ],
)
async def test_no_server_is_one_sentence_without_the_password(
    make_server: MakeServer, kind: str, sentence: str
) -> None:
    """Within a moment, and nothing is left behind."""
    server = make_server()
    server.kill()
    server._process = None
    place = f"127.0.0.1:{server.port}"
    with pytest.raises(SetupError, match=f"^{sentence.format('', place)}") as caught:
        await RedisStore(kind.format(PASSWORD, place), max_silence_s=1).open()
    assert PASSWORD not in str(caught.value)


async def test_replicas_that_are_not_there_stop_the_start(make_server: MakeServer) -> None:
    """Nothing could ever be acknowledged."""
    server = make_server()
    with pytest.raises(SetupError, match=r"fewer than 1 replicas .*replicas=0"):
        await RedisStore(f"{server.url}?replicas=1", max_silence_s=1).open()
