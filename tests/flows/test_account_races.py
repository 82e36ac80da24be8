"""Many at the same instant: one account of an address, one new password, no sign-in past a change, no limit overrun."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.http.driving import EMAIL, PASSWORD, Connect, MakePropylon, bearer, enter, held, refused, sign_in, sign_up
from tests.http.serving import Served

from propylon import Propylon
from propylon.testing import FakeClock

NEW_PASSWORD = "another correct horse"
SPELLINGS = ("mina@example.com", "MINA@example.com", "Mina@Example.Com", " mina@EXAMPLE.com")
SIGN_IN = {"email": EMAIL, "password": PASSWORD, "mode": "bearer"}


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("sources", [1, 50])
async def test_fifty_sign_ups_for_one_address_make_one_account(
    make_propylon: MakePropylon, connect: Connect, store: str, sources: int
) -> None:
    """A183: from one source or from fifty, in whatever spelling; the others hear that it is taken, or to wait."""
    propylon = await make_propylon(store=store)
    clients = [connect(propylon, ip=f"192.0.2.{number % sources}") for number in range(50)]
    answers = await asyncio.gather(
        *(
            client.post("/v1/users", json={"email": SPELLINGS[number % 4], "password": f"{PASSWORD} {number}"})
            for number, client in enumerate(clients)
        )
    )
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[201] == 1
    assert statuses[409] + statuses[429] == 49
    assert len(await propylon.runtime.administration.users()) == 1
    (winner,) = (number for number, answer in enumerate(answers) if answer.status_code == 201)
    assert await sign_in(clients[winner], password=f"{PASSWORD} {winner}")


async def test_of_many_new_passwords_at_once_one_holds(propylon: Propylon, connect: Connect) -> None:
    """Whoever was told 204 was the one; the rest are told that their current password is not current any more."""
    clients = [connect(propylon) for _ in range(4)]
    await sign_up(clients[0])
    for client in clients:
        await sign_in(client)
    answers = await asyncio.gather(
        *(
            client.put("/v1/user/password", json={"current_password": PASSWORD, "new_password": f"{NEW_PASSWORD} {n}"})
            for n, client in enumerate(clients)
        )
    )
    (winner,) = (n for n, answer in enumerate(answers) if answer.status_code == 204)
    assert {answer.status_code for answer in answers} == {204, 401}
    assert await sign_in(connect(propylon), password=f"{NEW_PASSWORD} {winner}")
    for n, client in enumerate(clients):
        assert (await client.get("/v1/session")).status_code == (200 if n == winner else 401)


async def changes_password(propylon: Propylon, client: httpx.AsyncClient) -> None:
    """Give the account another password."""
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await client.put("/v1/user/password", json=body)).status_code == 204


async def is_disabled(propylon: Propylon, client: httpx.AsyncClient) -> None:
    """Stop the account."""
    await propylon.runtime.administration.disable(EMAIL)


async def is_disabled_and_enabled(propylon: Propylon, client: httpx.AsyncClient) -> None:
    """Stop the account for a moment."""
    await propylon.runtime.administration.disable(EMAIL)
    await propylon.runtime.administration.enable(EMAIL)


class Slow:
    """Password hashing that has verified, and holds its answer back."""

    def __init__(self, hashing: Any) -> None:
        self._hashing = hashing
        self.verified, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hashing, name)

    async def verify(self, stored: str, prepared: bytes) -> bool:
        """Verify, and wait."""
        right: bool = await self._hashing.verify(stored, prepared)
        self.verified.set()
        await self.go_on.wait()
        return right


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("change", [changes_password, is_disabled, is_disabled_and_enabled])
async def test_a_sign_in_that_overlaps_a_change_of_the_account_is_void(
    make_propylon: MakePropylon, connect: Connect, store: str, change: Callable[..., Any]
) -> None:
    """The password was right when it was looked at; when the session would open it is not any more."""
    propylon = await make_propylon(store=store)
    owner = connect(propylon)
    await enter(owner)
    slow = Slow(propylon.runtime.hashing)
    propylon.runtime.sign_in._hashing = slow
    overlapping = asyncio.ensure_future(connect(propylon).post("/v1/sessions", json=SIGN_IN))
    await slow.verified.wait()
    await change(propylon, owner)
    slow.go_on.set()
    refused(await overlapping, 401, "credentials_wrong")
    user = await propylon.runtime.administration.user(EMAIL)
    living = await propylon.runtime.store.live_sessions(user.id, propylon.runtime.clock.now())
    assert len(living) == (1 if change is changes_password else 0)


@pytest.mark.parametrize("change", [changes_password, is_disabled])
async def test_no_sign_in_of_a_crowd_survives_a_change_of_the_account(
    propylon: Propylon, connect: Connect, clock: FakeClock, change: Callable[..., Any]
) -> None:
    """Thirty sign-ins around the change: those before it are ended by it, those after it are refused."""
    owner = connect(propylon)
    await enter(owner)
    crowd = [asyncio.ensure_future(connect(propylon).post("/v1/sessions", json=SIGN_IN)) for _ in range(15)]
    await asyncio.sleep(0)
    changing = asyncio.ensure_future(change(propylon, owner))
    crowd += [asyncio.ensure_future(connect(propylon).post("/v1/sessions", json=SIGN_IN)) for _ in range(15)]
    await changing
    for task in crowd:
        answer = await task
        if answer.status_code == 201:
            refused_or_over = await connect(propylon).get("/v1/session", headers=held(answer.json()))
            assert refused_or_over.status_code == 401


async def test_fifty_sign_ins_on_two_workers_leave_exactly_the_limit(serve: Callable[..., Served]) -> None:
    """Two processes that open sessions of one user at the same instant never count each other out."""
    served = serve(workers="2", session_limit="3")
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=served.url, limits=limits, timeout=30) as client:
        await sign_up(client)
        answers = await asyncio.gather(*(client.post("/v1/sessions", json=SIGN_IN) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {201}
        tokens = [answer.json()["access_token"] for answer in answers]
        verdicts = [
            (await client.get("/v1/session", headers={**bearer(token), "connection": "close"})).status_code
            for token in tokens
            for _ in range(2)
        ]
        assert sorted(verdicts) == [200] * 6 + [401] * 94
