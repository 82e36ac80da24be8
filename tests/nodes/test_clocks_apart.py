"""Two nodes whose clocks differ by twenty seconds: the order of what happened comes from the store, never from them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.http.driving import PASSWORD, Connect, bearer, sign_in, sign_up

from propylon import Propylon
from propylon.testing import NOW, FakeClock

APART_S = 20
NEW_PASSWORD = "another correct horse"

MakeNodes = Callable[[int], Awaitable[tuple[Propylon, Propylon]]]


@pytest.fixture
async def two_nodes(tmp_path: Path, stores: dict[str, str]) -> AsyncIterator[MakeNodes]:
    """Two nodes in this process, the clock of the second ahead by so many seconds."""
    opened: list[Propylon] = []

    async def make(ahead_s: int) -> tuple[Propylon, Propylon]:
        for clock in (FakeClock(NOW), FakeClock(NOW + ahead_s)):
            settings: dict[str, Any] = {**stores, "key_file": str(tmp_path / "propylon.key")}
            node = Propylon(password_profile="unsafe_cheapest", clock=clock, **settings)
            opened.append(await node.open())
        return opened[0], opened[1]

    yield make
    for node in opened:
        await node.close()


async def verdict(node: Propylon, connect: Connect, body: dict[str, Any]) -> int:
    """Return what a node answers to an access token, once it has heard all that was acknowledged."""
    await node.runtime.store.catch_up()
    return (await connect(node).get("/v1/verify", headers=bearer(body["access_token"]))).status_code


@pytest.mark.parametrize("ahead_s", [-APART_S, APART_S])
async def test_signed_in_before_is_out_and_after_is_in(two_nodes: MakeNodes, connect: Connect, ahead_s: int) -> None:
    """Sign out everywhere at one node, an instant after a sign-in at the other and an instant before the next."""
    here, there = await two_nodes(ahead_s)
    await sign_up(connect(here))
    before = [await sign_in(connect(node), "bearer") for node in (here, there)]
    answer = await connect(here).delete("/v1/sessions", headers=bearer(before[0]["access_token"]))
    assert answer.status_code == 204
    after = await sign_in(connect(there), "bearer")
    for node in (here, there):
        assert [await verdict(node, connect, body) for body in before] == [401, 401]
        assert await verdict(node, connect, after) == 204


@pytest.mark.parametrize("ahead_s", [-APART_S, APART_S])
async def test_a_new_password_ends_what_came_before_it_alone(
    two_nodes: MakeNodes, connect: Connect, ahead_s: int
) -> None:
    """The kept session, and the sign-in with the new password, live on at both."""
    here, there = await two_nodes(ahead_s)
    await sign_up(connect(here))
    kept, gone = await sign_in(connect(here), "bearer"), await sign_in(connect(there), "bearer")
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = await connect(here).put("/v1/user/password", json=change, headers=bearer(kept["access_token"]))
    assert answer.status_code == 204
    new = await sign_in(connect(there), "bearer", password=NEW_PASSWORD)
    for node in (here, there):
        assert [await verdict(node, connect, body) for body in (kept, gone, new)] == [204, 401, 204]
