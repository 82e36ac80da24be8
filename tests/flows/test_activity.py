"""What a session costs the store while it is used: one look and one write an interval, over all nodes together."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest
from tests.http.driving import EMAIL, SESSION_COOKIE, Connect, MakePropylon, cookie_value, sign_in, sign_up

from propylon import Propylon
from propylon.testing import CountingStore, FakeClock

INTERVAL_S, INTERVALS, NODES = 60, 5, 3


def counted(propylon: Propylon) -> CountingStore:
    """Count what the gate of a node asks of its store."""
    store = CountingStore(propylon.runtime.store)
    propylon.runtime.gate._store = store
    return store


async def ask(client: httpx.AsyncClient, cookie: str) -> int:
    """Present a cookie."""
    client.cookies.clear()
    return (await client.get("/v1/verify", headers={"cookie": f"{SESSION_COOKIE}={cookie}"})).status_code


async def a_cookie(client: httpx.AsyncClient) -> str:
    """Sign up and in."""
    await sign_up(client)
    body = {"email": EMAIL, "password": "correct horse battery", "mode": "cookie"}
    return cookie_value(await client.post("/v1/sessions", json=body))


async def test_activity_is_written_once_an_interval_however_many_nodes_see_it(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock
) -> None:
    """Each node serves the session every ten seconds."""
    nodes = [await make_propylon() for _ in range(NODES)]
    stores, clients = [counted(node) for node in nodes], [connect(node) for node in nodes]
    cookie = await a_cookie(clients[0])
    for _ in range(INTERVALS * INTERVAL_S // 10):
        clock.advance(10)
        for client in clients:
            assert await ask(client, cookie) == 204
    asked = sum((store.calls for store in stores), Counter[str]())
    assert asked["touch"] == INTERVALS
    assert asked["find_session"] <= NODES * (INTERVALS + 1)


async def test_a_page_that_loads_many_things_at_once_is_one_activity(
    propylon: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """Fifty requests of one session in the same moment write once."""
    store, client = counted(propylon), connect(propylon)
    cookie = await a_cookie(client)
    clock.advance(INTERVAL_S)
    assert set(await asyncio.gather(*(ask(client, cookie) for _ in range(50)))) == {204}
    assert store.calls["touch"] == 1


@pytest.mark.parametrize("nodes", [1, 2])
async def test_no_read_is_stale_after_an_ending_was_acknowledged(
    make_propylon: MakePropylon, connect: Connect, nodes: int
) -> None:
    """S95: while many requests of the session are in flight, each that begins after the answer is refused."""
    acting = await make_propylon()
    asked = acting if nodes == 1 else await make_propylon()
    client = connect(acting)
    await sign_up(client)
    for _ in range(10):
        body = await sign_in(client, "cookie")
        cookie, session_id = client.cookies[SESSION_COOKIE], body["session"]["id"]
        acknowledged = asyncio.Event()
        late: list[int] = []

        async def load(
            cookie: str = cookie, acknowledged: asyncio.Event = acknowledged, late: list[int] = late
        ) -> None:
            requester = connect(asked)
            after = 0
            while after < 3:
                await asyncio.sleep(0)  # a request that is served from memory waits for nothing
                over = acknowledged.is_set()
                status = await ask(requester, cookie)
                assert status in (204, 401)
                if over:
                    late.append(status)
                    after += 1

        loads = [asyncio.create_task(load()) for _ in range(8)]
        await asyncio.sleep(0.01)
        await acting.runtime.administration.end_session(session_id)
        acknowledged.set()
        await asyncio.gather(*loads)
        assert set(late) == {401}
        assert len(late) == 24
