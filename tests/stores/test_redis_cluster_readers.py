"""A cluster has no single order: readers of ``GET /v1/feed`` that go on at another node miss nothing all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.http.following import Following
from tests.servers.redis import Cluster

from propylon import Propylon
from propylon.core.secret import shard_of_user
from propylon.testing import NOW, a_session, an_opening
from propylon.testing.rules import ending

HERE, THERE = 0, 1


@pytest.fixture
async def nodes(tmp_path: Path, cluster: Cluster, patient: None) -> AsyncIterator[tuple[Propylon, Propylon]]:
    """Two nodes of one set-up whose followers stand still: each hears of a shard when the test asks it to."""
    cluster.empty()
    stores: dict[str, Any] = {"store": f"sqlite:///{tmp_path}/accounts.db", "session_store": cluster.url}
    key = str(tmp_path / "propylon.key")
    opened = [
        Propylon(key_file=key, password_profile="unsafe_cheapest", feed_max_silence_s=300, **stores) for _ in range(2)
    ]
    for node in opened:
        await node.open()
        for follower in sessions_of(node)._followers:
            follower.cancel()
    yield opened[HERE], opened[THERE]
    for node in opened:
        await node.close()


def sessions_of(node: Propylon) -> Any:
    """Return a node's half of the store that is in Redis."""
    return node.runtime.store._sessions  # type: ignore[attr-defined]  # a SplitStore


async def hear(node: Propylon, *shards: int) -> None:
    """Let a node hear what is new in these shards, in this order."""
    for shard in shards:
        await sessions_of(node)._catch_up_with(sessions_of(node)._streams[shard])
        node.runtime.gate._hear(node.runtime.store.news())


async def end_one_elsewhere(node: Propylon, user_id: str) -> tuple[int, str]:
    """End a session through another process than the two nodes; return its shard and its id."""
    store = type(sessions_of(node))(node.config.session_store, max_silence_s=1)
    await store.open()
    session = a_session(user_id)
    await store.open_session(an_opening(session), NOW)
    assert await store.end_session(session.id, ending(), user_id=None, feed_ttl_s=300)
    await store.close()
    return shard_of_user(user_id), session.id


async def test_a_reader_that_goes_on_at_another_node_misses_nothing(nodes: tuple[Propylon, Propylon]) -> None:
    """What one node heard second, the other heard first: it does not know the place, and sends everything."""
    here, there = nodes
    user, other_user = (
        "user-1",
        next(f"user-{n}" for n in range(100) if shard_of_user(f"user-{n}") != shard_of_user("user-1")),
    )
    secret = (await here.runtime.verifiers.add("shop")).secret
    (x_shard, x), (y_shard, y) = [await end_one_elsewhere(here, one) for one in (user, other_user)]
    await hear(there, x_shard, y_shard)
    async with Following(here, secret) as reader:
        await reader.until("ready")
        await hear(here, y_shard)
        (heard,) = await reader.until("revoked")
    assert heard.data["sid"] == y
    await hear(here, x_shard)
    async with Following(there, secret, heard.id) as reader:
        assert x in {event.data.get("sid") for event in await reader.until("ready")}
    async with Following(here, secret, heard.id) as reader:  # where the place is known, nothing is sent twice
        assert [event.data.get("sid") for event in await reader.until("ready")] == [x, None]
