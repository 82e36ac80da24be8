"""Everyone is signed out: every credential of every session is refused on every node, and new sign-ins live."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.http.driving import Connect, MakePropylon, bearer, sign_in, sign_up

from propylon import Propylon
from propylon.flows import administration
from propylon.runtime import Runtime
from propylon.testing import NOW, FakeClock

PEOPLE = 5


async def people_signed_in(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Make accounts and sign each in twice."""
    bodies = []
    for number in range(PEOPLE):
        email = f"person-{number}@example.com"
        await sign_up(client, email)
        bodies += [await sign_in(client, "bearer", email=email) for _ in range(2)]
    return bodies


async def statuses(node: Propylon, connect: Connect, bodies: list[dict[str, Any]]) -> set[int]:
    """Return what a node answers to each of the access tokens."""
    client = connect(node)
    answers = [await client.get("/v1/verify", headers=bearer(body["access_token"])) for body in bodies]
    return {answer.status_code for answer in answers}


@pytest.mark.parametrize("page", [1, 3, 10_000])
async def test_all_tokens_of_everyone_are_refused_at_once(
    make_propylon: MakePropylon, connect: Connect, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """On the node that did it and on another that remembers them, however many are ended in one step."""
    monkeypatch.setattr(administration, "EVERYONE_PAGE", page)
    monkeypatch.setattr(administration, "EVERYONE_AT_ONCE", 2)
    here, there = await make_propylon(), await make_propylon()
    bodies = await people_signed_in(connect(here))
    for node in (here, there):
        assert await statuses(node, connect, bodies) == {204}
    assert await here.runtime.administration.end_everyone() == 2 * PEOPLE
    for node in (there, here):
        assert await statuses(node, connect, bodies) == {401}
    for body in bodies:
        answer = await connect(there).post("/v1/session/tokens", json={"refresh_token": body["refresh_token"]})
        assert answer.status_code == 401


@pytest.mark.parametrize("by_s", [-20, 0, 20])
async def test_who_signs_in_an_instant_later_lives(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock, by_s: int
) -> None:
    """Also where the clock of the node that signs in differs from that of the one that ended everybody by 20 s."""
    here, there = await make_propylon(), await make_propylon()
    bodies = await people_signed_in(connect(here))
    _set_apart(there.runtime, FakeClock(NOW + by_s))
    await here.runtime.administration.end_everyone()
    new = await sign_in(connect(there), "bearer", email="person-0@example.com")
    for node in (here, there):
        assert await statuses(node, connect, [new]) == {204}
        assert await statuses(node, connect, bodies) == {401}


def _set_apart(runtime: Runtime, clock: FakeClock) -> None:
    """Give a node a wall clock of its own."""
    for part in (runtime.gate, runtime.sign_in, runtime.issuer, runtime.renew, runtime.keys, runtime.administration):
        if hasattr(part, "_clock"):
            part._clock = clock
