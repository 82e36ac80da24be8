"""What ``propylon explain`` says of a store that is away (``cli.explain.away_*``, ``accounts_*``, ``file_*``) is so."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.http.driving import Connect, bearer, refused, sign_in, sign_up
from tests.servers.postgres import PostgresServer
from tests.servers.redis import DURABLE, RedisServer
from tests.servers.wire import Wire

from propylon import Propylon
from propylon.cli.outages import bounds_of
from propylon.config import made_of
from propylon.errors import StoreUnavailable
from propylon.stores.postgres import PostgresStore
from propylon.stores.redis import RedisStore
from propylon.stores.split import SplitStore
from propylon.stores.sqlite import connection

MakeNode = Callable[..., Awaitable[Propylon]]

# No test is slow enough for it: silence comes when the test says so.
NEVER_S = "300"


class People(NamedTuple):
    """Clients with a credential each.

    Attributes:
        cookie: one that the server has seen since the sign-in, and remembers.
        new_cookie: one that it has not.
        token: likewise, as headers.
        new_token: likewise.
        refresh: a refresh token.
        leaving: somebody with a remembered cookie who is going to sign out.
    """

    cookie: httpx.AsyncClient
    new_cookie: httpx.AsyncClient
    token: dict[str, str]
    new_token: dict[str, str]
    refresh: str
    leaving: httpx.AsyncClient


@pytest.fixture(scope="module")
def durable_redis() -> Iterator[RedisServer]:
    """A Redis that has, after a start, what it had before."""
    server = RedisServer(*DURABLE)
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
async def make_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeNode]:
    """A factory of nodes in this process, with accounts in one file."""
    monkeypatch.setattr("propylon.outside.hashing._wait_for_idle_processor", lambda: None)
    opened: list[Propylon] = []

    async def make(**settings: str) -> Propylon:
        own = {"store": f"sqlite:///{tmp_path}/accounts.db", "key_file": str(tmp_path / "key")}
        chosen: dict[str, Any] = {**own, **settings}
        opened.append(await Propylon(password_profile="unsafe_cheapest", **chosen).open())
        return opened[-1]

    yield make
    for node in opened:
        await node.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a twentieth of a second for a lock instead of two seconds."""
    monkeypatch.setattr(connection.execute_when_free, "__defaults__", (0.05,))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, as somebody else's program does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def people(node: Propylon, connect: Connect) -> People:
    """Sign everybody in; whoever is to be known is seen once."""
    cookie, new_cookie, leaving, others = (connect(node) for _ in range(4))
    await sign_up(others)
    for client in (cookie, new_cookie, leaving):
        await sign_in(client)
    token, new_token = [bearer((await sign_in(others, "bearer"))["access_token"]) for _ in range(2)]
    refresh = (await sign_in(others, "bearer"))["refresh_token"]
    for client, headers in ((cookie, {}), (leaving, {}), (others, token)):
        assert (await ask(client, headers)).status_code == 204
    return People(cookie, new_cookie, token, new_token, refresh, leaving)


async def ask(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> httpx.Response:
    """Ask who is calling."""
    return await client.get("/v1/verify", headers=headers or {})


async def renewed(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Use a refresh token."""
    return await client.post("/v1/session/tokens", json={"refresh_token": token})


async def tried(client: httpx.AsyncClient) -> httpx.Response:
    """Sign in."""
    body = {"email": "mina@example.com", "password": "correct horse battery", "mode": "bearer"}
    return await client.post("/v1/sessions", json=body)


async def away(*_: object, **__: object) -> None:
    """Be a store that does not answer."""
    raise StoreUnavailable


def fall_silent(node: Propylon) -> None:
    """Let the time pass after which nothing is believed that was heard before."""
    store = node.runtime.store
    if isinstance(store, PostgresStore):
        store._unread.heard_at = float("-inf")
        return
    assert isinstance(store, SplitStore)
    assert isinstance(store._sessions, RedisStore)
    for stream in store._sessions._streams:
        stream.heard_at = float("-inf")


async def only_memory_answers(node: Propylon, held: People, plain: httpx.AsyncClient) -> None:
    """Hold that who is remembered is let in and nobody comes or goes; and after so much silence nobody is let in."""
    for client, credential in ((held.cookie, {}), (plain, held.token), (plain, held.new_token)):
        assert (await ask(client, credential)).status_code == 204
    refused(await ask(held.new_cookie), 503, "store_unavailable")
    refused(await tried(plain), 503, "store_unavailable")
    refused(await renewed(plain, held.refresh), 503, "store_unavailable")
    refused(await held.leaving.delete("/v1/session"), 503, "store_unavailable")
    assert (await plain.get("/readyz")).status_code == 503
    fall_silent(node)
    for client, credential in ((held.cookie, {}), (plain, held.token), (plain, held.new_token)):
        refused(await ask(client, credential), 503, "store_unavailable")


async def test_while_redis_is_away_memory_answers_and_nobody_comes_or_goes(
    make_node: MakeNode, durable_redis: RedisServer, connect: Connect
) -> None:
    """Then, after so much silence, nobody is let in; and when it is back all of them are, without signing in."""
    node = await make_node(session_store=durable_redis.url, feed_max_silence_s=NEVER_S)
    held, plain = await people(node, connect), connect(node)
    durable_redis.kill()
    try:
        await only_memory_answers(node, held, plain)
    finally:
        durable_redis.start()
    for client, credential in ((held.cookie, {}), (held.new_cookie, {}), (held.leaving, {}), (plain, held.token)):
        assert (await ask(client, credential)).status_code == 204
    assert (await renewed(plain, held.refresh)).status_code == 200


async def test_while_redis_is_away_a_token_goes_on_where_silence_is_borne(
    make_node: MakeNode, durable_redis: RedisServer, connect: Connect
) -> None:
    """``unsafe_feed_silence``: whatever was heard how long ago, and still nobody can sign out."""
    node = await make_node(session_store=durable_redis.url, unsafe_feed_silence="a trial")
    held, plain = await people(node, connect), connect(node)
    durable_redis.kill()
    try:
        fall_silent(node)
        for client, credential in ((held.cookie, {}), (plain, held.token), (plain, held.new_token)):
            assert (await ask(client, credential)).status_code == 204
        refused(await ask(held.new_cookie), 503, "store_unavailable")
        refused(await held.leaving.delete("/v1/session"), 503, "store_unavailable")
    finally:
        durable_redis.start()


async def test_while_postgresql_is_away_memory_answers_and_nobody_comes_or_goes(
    make_node: MakeNode, postgres: PostgresServer, connect: Connect
) -> None:
    """Accounts and sessions in one database, at the other end of a wire that is taken away."""
    async with AsyncExitStack() as cut:
        with postgres.database() as name:
            wire = await cut.enter_async_context(Wire(postgres.port))
            node = await make_node(store=postgres.url(name, port=wire.port), feed_max_silence_s=NEVER_S)
            held, plain = await people(node, connect), connect(node)
            await cut.aclose()
            await only_memory_answers(node, held, plain)


async def test_while_the_accounts_are_away_who_is_known_goes_on_and_may_go(
    make_node: MakeNode, durable_redis: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody signs in or renews; a sign-out counts, since sessions are elsewhere."""
    node = await make_node(session_store=durable_redis.url)
    held, plain = await people(node, connect), connect(node)
    store = node.runtime.store
    assert isinstance(store, SplitStore)
    for name in ("find_user", "find_user_by_email", "signing_keys", "read_setting"):
        monkeypatch.setattr(store, name, away)
    for name in ("find_user", "pending_changes", "ping"):
        monkeypatch.setattr(store._accounts, name, away)
    for client, credential in ((held.cookie, {}), (plain, held.token), (plain, held.new_token)):
        assert (await ask(client, credential)).status_code == 204
    refused(await ask(held.new_cookie), 503, "store_unavailable")
    refused(await tried(plain), 503, "store_unavailable")
    refused(await renewed(plain, held.refresh), 503, "store_unavailable")
    assert (await held.leaving.delete("/v1/session")).status_code == 204
    assert (await plain.get("/readyz")).status_code == 503


@pytest.mark.usefixtures("impatient")
async def test_while_a_file_of_accounts_cannot_be_written_people_come_and_go(
    make_node: MakeNode, durable_redis: RedisServer, connect: Connect, tmp_path: Path
) -> None:
    """Sessions are elsewhere; accounts stay as they are."""
    node = await make_node(session_store=durable_redis.url)
    held, plain = await people(node, connect), connect(node)
    with locked(tmp_path / "accounts.db"):
        assert (await ask(held.new_cookie)).status_code == 204
        assert (await tried(plain)).status_code == 201
        assert (await held.leaving.delete("/v1/session")).status_code == 204
        new = {"email": "somebody@example.com", "password": "correct horse battery"}
        refused(await plain.post("/v1/users", json=new), 503, "store_unavailable")
        change = {"current_password": "correct horse battery", "new_password": "another horse battery"}
        refused(await held.cookie.put("/v1/user/password", json=change), 503, "store_unavailable")


@pytest.mark.usefixtures("impatient")
async def test_while_the_one_file_cannot_be_written_nobody_comes_or_goes(
    make_node: MakeNode, connect: Connect, tmp_path: Path
) -> None:
    """Whoever is signed in goes on, seen before or not."""
    node = await make_node()
    held, plain = await people(node, connect), connect(node)
    with locked(tmp_path / "accounts.db"):
        for client in (held.cookie, held.new_cookie):
            assert (await ask(client)).status_code == 204
        for credential in (held.token, held.new_token):
            assert (await ask(plain, credential)).status_code == 204
        refused(await tried(plain), 503, "store_unavailable")
        refused(await renewed(plain, held.refresh), 503, "store_unavailable")
        refused(await held.leaving.delete("/v1/session"), 503, "store_unavailable")
        assert (await plain.get("/readyz")).status_code == 503
    assert (await ask(held.leaving)).status_code == 204
    assert (await renewed(plain, held.refresh)).status_code == 200


async def test_a_file_that_is_not_there_any_more_answers_nobody(
    make_node: MakeNode, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others would do with the file of that name is not seen in the one that was opened."""
    node = await make_node()
    held, plain = await people(node, connect), connect(node)
    monkeypatch.setattr("propylon.stores.sqlite.feed.LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(node.runtime.store, "_look_again_at", 0.0)
    file = tmp_path / "accounts.db"
    file.rename(tmp_path / "moved.db")
    for client, credential in ((held.cookie, {}), (plain, held.token), (plain, held.new_token)):
        refused(await ask(client, credential), 503, "store_unavailable")
    (tmp_path / "moved.db").rename(file)
    for client, credential in ((held.cookie, {}), (held.new_cookie, {}), (plain, held.new_token)):
        assert (await ask(client, credential)).status_code == 204


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (0, 0, 0, 6, 300)),
        ({"session_store": "redis://h"}, (5, 5, 5, 11, 300)),
        ({"store": "postgresql://h/p", "feed_max_silence_s": 60}, (60, 60, 60, 66, 300)),
        ({"session_store": "redis://h", "feed_max_silence_s": 300}, (60, 300, 300, 300, 300)),
        ({"session_store": "redis://h", "access_ttl_s": 3, "activity_interval_s": 2}, (2, 3, 3, 3, 3)),
        ({"session_store": "redis://h", "unsafe_feed_silence": "a trial"}, (60, 300, 300, 300, 300)),
        ({"store": "memory://", "unsafe_feed_silence": "a trial"}, (0, 0, 0, 6, 300)),
    ],
    ids=str,
)
def test_no_credential_outlives_what_bounds_it(settings: dict[str, Any], expected: tuple[int, ...]) -> None:
    """Silence, the activity that is due, the life of a token: the shortest of them; a store that is asked has none."""
    bounds = bounds_of(made_of({name: str(value) for name, value in settings.items()}))
    told = (bounds.cookie_s, bounds.token_s, bounds.everywhere_s, bounds.elsewhere_s, bounds.signature_s)
    assert told == expected
