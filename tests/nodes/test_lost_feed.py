"""Redis forgets everything: what was revoked before stays refused, at nodes that knew it and at those that did not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.http.driving import Connect, bearer, refused, sign_in, sign_up
from tests.http.following import Following
from tests.servers.redis import RedisServer

from propylon import Propylon
from propylon.core.session import MAX_ACCESS_TTL_S
from propylon.errors import StoreUnavailable
from propylon.flows.feed_history import SETTING
from propylon.stores.split import SplitStore
from propylon.testing import FakeClock

WITHIN_S = 20
# Until then a token may live that was revoked in what was lost; the clocks of nodes may differ by a minute.
BELIEVED_AGAIN_S = MAX_ACCESS_TTL_S + 60

MakeNode = Callable[..., Awaitable[Propylon]]
Losing = Callable[[RedisServer], None]


def emptied(server: RedisServer) -> None:
    """Somebody takes it for a cache."""
    server.admin.flushall()


def restarted(server: RedisServer) -> None:
    """It was told to write nothing to the disk."""
    server.kill()
    server.start()


class Held(NamedTuple):
    """Two tokens, issued before the loss.

    Attributes:
        dead: its session was ended, and that was acknowledged.
        lost: its session was alive.
    """

    dead: dict[str, str]
    lost: dict[str, str]


@pytest.fixture
async def make_node(tmp_path: Path, redis_node: RedisServer, clock: FakeClock) -> AsyncIterator[MakeNode]:
    """A factory of nodes in this process, with accounts in one file and sessions in one Redis."""
    redis_node.admin.flushall()
    opened: list[Propylon] = []

    async def make(**settings: str) -> Propylon:
        ours: dict[str, Any] = {
            "store": f"sqlite:///{tmp_path}/accounts.db",
            "session_store": redis_node.url,
            **settings,
        }
        key = str(tmp_path / "propylon.key")
        node = Propylon(clock=clock, key_file=key, password_profile="unsafe_cheapest", **ours)
        opened.append(await node.open())
        return node

    yield make
    for node in opened:
        await node.close()


@pytest.fixture
async def node(make_node: MakeNode) -> Propylon:
    """The first node of a new set-up."""
    return await make_node()


@pytest.fixture
async def held(node: Propylon, connect: Connect) -> Held:
    """What was issued, and revoked, before."""
    client = connect(node)
    await sign_up(client)
    dead, lost = [bearer((await sign_in(client, "bearer"))["access_token"]) for _ in range(2)]
    assert (await client.delete("/v1/session", headers=dead)).status_code == 204
    assert (await client.get("/v1/verify", headers=lost)).status_code == 204
    return Held(dead, lost)


async def noticed(node: Propylon, before: str) -> None:
    """Wait until a node follows another feed than before."""
    async with asyncio.timeout(WITHIN_S):
        while node.runtime.store.history().name == before:  # noqa: ASYNC110 - that is the question
            await asyncio.sleep(0.02)


async def away(*_: object, **__: object) -> None:
    """Be a store that does not answer."""
    raise StoreUnavailable


async def code_of(client: httpx.AsyncClient, headers: dict[str, str]) -> str:
    """Return why a credential is refused."""
    answer = await client.get("/v1/verify", headers=headers)
    assert answer.status_code == 401, answer.text
    code: str = answer.json()["code"]
    return code


@pytest.mark.parametrize("lose", [emptied, restarted])
async def test_a_new_node_takes_no_token_that_was_revoked_before_the_loss(
    make_node: MakeNode, node: Propylon, held: Held, connect: Connect, redis_node: RedisServer, lose: Losing
) -> None:
    """Nothing tells it of the ending; that the session is unknown does. A sign-in afterwards counts at once."""
    await node.close()
    lose(redis_node)
    client = connect(await make_node())
    for token in held:
        assert await code_of(client, token) == "session_revoked"
    newcomer = bearer((await sign_in(client, "bearer"))["access_token"])
    other = connect(await make_node())
    for asked in (client, other):
        for _ in range(2):
            assert (await asked.get("/v1/verify", headers=newcomer)).status_code == 204
    assert (await client.delete("/v1/session", headers=newcomer)).status_code == 204
    assert await code_of(client, newcomer) == "session_revoked"


@pytest.mark.parametrize("lose", [emptied, restarted])
async def test_a_node_that_runs_on_refuses_what_was_lost_too(
    node: Propylon, held: Held, connect: Connect, redis_node: RedisServer, lose: Losing
) -> None:
    """What it knew to be revoked, and what it served from memory until then: nobody could end that session now."""
    client, before = connect(node), node.runtime.store.history().name
    lose(redis_node)
    await noticed(node, before)
    assert await code_of(client, held.dead) == "session_revoked"
    assert await code_of(client, held.lost) == "session_revoked"


async def test_when_no_token_from_before_can_live_a_signature_is_enough_again(
    make_node: MakeNode,
    node: Propylon,
    held: Held,
    connect: Connect,
    redis_node: RedisServer,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All nodes agree on one moment, whenever each has noticed; until then each new token costs a look-up."""
    before = node.runtime.store.history().name
    emptied(redis_node)
    await noticed(node, before)
    await node.runtime.gate.listen()
    agreed = await node.runtime.store.read_setting(SETTING)
    clock.advance(100)
    nodes = [node, await make_node()]
    for one in nodes:
        await one.runtime.gate.listen()
        assert not one.runtime.gate.history.is_whole()
        assert await one.runtime.store.read_setting(SETTING) == agreed
    clock.advance(BELIEVED_AGAIN_S - 101)
    assert not any(one.runtime.gate.history.is_whole() for one in nodes)
    clock.advance(1)
    assert all(one.runtime.gate.history.is_whole() for one in nodes)
    client = connect(node)
    assert await code_of(client, held.dead) == "token_expired"
    newcomer = bearer((await sign_in(client, "bearer"))["access_token"])
    monkeypatch.delattr(node.runtime.store, "find_session")
    assert (await client.get("/v1/verify", headers=newcomer)).status_code == 204


async def test_verifiers_elsewhere_are_told_nothing_until_it_is_all_again(
    make_node: MakeNode, node: Propylon, redis_node: RedisServer, clock: FakeClock
) -> None:
    """Streams end and none begins, at whichever node: an empty list of the dead is no news."""
    secret = (await node.runtime.verifiers.add("shop")).secret
    async with Following(node, secret) as reader:
        await reader.until("ready")
        emptied(redis_node)
        async with asyncio.timeout(WITHIN_S):
            while (event := await reader.next()) is not None:
                assert event.name == "keys"  # the last word of a node that has forgotten them
        assert not node.runtime.gate.history.is_whole()
    for one in (node, await make_node()):
        async with Following(one, secret) as reader:
            assert reader.status == 503
    clock.advance(BELIEVED_AGAIN_S)
    async with Following(node, secret) as reader:
        assert (await reader.until("ready"))[0].name == "reset"


async def test_while_the_accounts_cannot_say_what_they_know_nobody_is_let_in(
    make_node: MakeNode,
    node: Propylon,
    held: Held,
    connect: Connect,
    redis_node: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node that runs answers 503, and one that would start does not."""
    client, before = connect(node), node.runtime.store.history().name
    emptied(redis_node)
    await noticed(node, before)
    with monkeypatch.context() as trouble:
        trouble.setattr(node.runtime.store, "read_setting", away)
        for token in held:
            refused(await client.get("/v1/verify", headers=token), 503, "store_unavailable")
    with monkeypatch.context() as trouble:
        trouble.setattr(SplitStore, "write_setting", away)
        with pytest.raises(StoreUnavailable):
            await make_node()
    for token in held:
        assert await code_of(client, token) == "session_revoked"


async def test_the_first_start_of_all_is_no_loss(
    make_node: MakeNode, node: Propylon, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is looked up in vain, neither at the node that was first nor at others, nor after a restart."""
    client = connect(node)
    await sign_up(client)
    token = bearer((await sign_in(client, "bearer"))["access_token"])
    await node.close()
    for one in [await make_node() for _ in range(2)]:
        assert one.runtime.gate.history.is_whole()
        monkeypatch.delattr(one.runtime.store, "find_session")
        assert (await connect(one).get("/v1/verify", headers=token)).status_code == 204


@pytest.mark.parametrize("back", [False, True])
async def test_sessions_that_move_to_another_store_leave_no_revoked_token_behind(
    make_node: MakeNode, redis_node: RedisServer, connect: Connect, *, back: bool
) -> None:
    """From beside the accounts to Redis, and back: the feed of the new place knows nothing of the old one."""
    old = await make_node(**({} if back else {"session_store": ""}))
    client = connect(old)
    await sign_up(client)
    token = bearer((await sign_in(client, "bearer"))["access_token"])
    assert (await client.delete("/v1/session", headers=token)).status_code == 204
    await old.close()
    new = connect(await make_node(session_store=old.config.store if back else redis_node.url))
    assert await code_of(new, token) == "session_revoked"
    newcomer = bearer((await sign_in(new, "bearer"))["access_token"])
    assert (await new.get("/v1/verify", headers=newcomer)).status_code == 204
