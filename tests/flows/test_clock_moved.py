"""The wall clock of a node is set while credentials are alive (attacks J38): nothing dead comes back."""

from __future__ import annotations

import httpx
import pytest
from tests.http.driving import MODES, Connect, bearer, enter, held, refused

from propylon import Propylon
from propylon.core.session import MAX_ACCESS_TTL_S
from propylon.testing import NOW, FakeClock

HOUR_S = 3_600


@pytest.fixture
def client(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A client of a service in memory."""
    return connect(in_memory)


async def asks(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    """Ask who is calling."""
    return await client.get("/v1/session", headers=headers)


@pytest.mark.parametrize("back_s", [1, HOUR_S, 24 * HOUR_S])
async def test_a_clock_set_back_lengthens_no_remembered_token(
    client: httpx.AsyncClient, clock: FakeClock, back_s: int
) -> None:
    """What was verified counts for the seconds it had left then, however the wall clock moves."""
    token = bearer((await enter(client, "bearer"))["access_token"])
    assert (await asks(client, token)).status_code == 200
    clock.advance(200)
    clock.set_wall_clock(NOW + 200 - back_s)
    assert (await asks(client, token)).status_code == 200  # still remembered
    clock.advance(100)
    answer = await asks(client, token)
    if back_s < HOUR_S:
        assert answer.status_code == 200  # verified anew, by a clock that is a second behind
    else:
        refused(answer, 401, "credential_malformed")  # by that clock it comes from the future


async def test_an_expired_token_is_not_remembered_when_the_clock_goes_back(
    client: httpx.AsyncClient, clock: FakeClock
) -> None:
    """Expired, refused, and an hour back: it is not the memory that answers."""
    token = bearer((await enter(client, "bearer"))["access_token"])
    assert (await asks(client, token)).status_code == 200
    clock.advance(300)
    refused(await asks(client, token), 401, "token_expired")
    clock.set_wall_clock(NOW - HOUR_S)
    assert (await asks(client, token)).status_code == 401


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by_s", [-24 * HOUR_S, -20, 20, 24 * HOUR_S])
async def test_a_revocation_holds_however_the_clock_was_moved(
    client: httpx.AsyncClient, in_memory: Propylon, clock: FakeClock, mode: str, by_s: int
) -> None:
    """The clock runs wrong for a minute, upkeep runs, and it is set right again: who signed out stays out."""
    credential = held(await enter(client, mode))
    cookies = dict(client.cookies)
    assert (await client.delete("/v1/session", headers=credential)).status_code == 204
    clock.set_wall_clock(NOW + by_s)
    clock.advance(60)
    await in_memory.runtime.tend()
    clock.set_wall_clock(NOW + 60)
    client.cookies.update(cookies)
    assert (await asks(client, credential)).json()["code"] == "session_revoked"


async def test_a_revocation_is_forgotten_when_every_token_is_dead(
    client: httpx.AsyncClient, in_memory: Propylon, clock: FakeClock
) -> None:
    """Memory comes back; the token is refused for its age then."""
    credential = held(await enter(client, "bearer"))
    await client.delete("/v1/session", headers=credential)
    assert in_memory.runtime.gate.remembered()[2] == 0
    await in_memory.runtime.gate.listen()
    assert in_memory.runtime.gate.remembered()[2] == 1
    clock.advance(MAX_ACCESS_TTL_S + 60)
    await in_memory.runtime.tend()
    assert in_memory.runtime.gate.remembered()[2] == 0
    refused(await asks(client, credential), 401, "token_expired")
