"""Guessing becomes slow, and nobody can make it slow for somebody else."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import httpx
import pytest
from tests.http.driving import EMAIL, PASSWORD, Connect, MakePropylon, enter, refused, sign_in, sign_up

from propylon import Propylon
from propylon.errors import StoreUnavailable
from propylon.flows.throttling import PAIR, PAIR_UNDER_WAY, SIGN_UP, SOURCE, SOURCE_UNDER_WAY, TAKEN
from propylon.testing import FakeClock

TOKENS = "/v1/session/tokens"
RIGHT = {"email": EMAIL, "password": PASSWORD}
WRONG = {"email": EMAIL, "password": "not the password"}
HOME, OFFICE, ELSEWHERE = "192.0.2.1", "198.51.100.7", "203.0.113.9"


async def guess(client: httpx.AsyncClient, email: str = EMAIL, **headers: str) -> httpx.Response:
    """Try a wrong password."""
    return await client.post("/v1/sessions", json={**WRONG, "email": email}, headers=headers)


async def guesses(client: httpx.AsyncClient, count: int, email: str = EMAIL) -> list[int]:
    """Try so many wrong passwords, one after the other."""
    return [(await guess(client, email)).status_code for _ in range(count)]


def told_to_wait(answer: httpx.Response) -> int:
    """Check that an answer is 429 and return for how long."""
    refused(answer, 429, "too_many_attempts")
    return int(answer.headers["retry-after"])


async def test_five_guesses_are_free_and_each_more_costs_twice_the_time(
    in_memory: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """1, 2, 4 ... seconds until waiting forgives as fast as guessing adds, told to the second."""
    client = connect(in_memory)
    await sign_up(client)
    assert await guesses(client, PAIR.free) == [401] * PAIR.free
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512]:
        assert told_to_wait(await guess(client)) == expected
        clock.advance(expected - 1)
        assert told_to_wait(await guess(client)) == 1
        clock.advance(1)
        assert (await guess(client)).status_code == 401


async def test_being_told_to_wait_does_not_make_the_wait_longer(
    in_memory: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """An app that asks again and again is let in when the time is over."""
    client = connect(in_memory)
    await sign_up(client)
    await guesses(client, PAIR.free + 20)
    clock.advance(1)
    assert await sign_in(client)


async def test_a_right_password_wipes_the_slate(in_memory: Propylon, connect: Connect, clock: FakeClock) -> None:
    """Who mistyped for a while has five free tries again."""
    client = connect(in_memory)
    await sign_up(client)
    await guesses(client, PAIR.free)
    clock.advance(1)
    await sign_in(client)
    assert await guesses(client, PAIR.free) == [401] * PAIR.free


async def test_nobody_is_locked_out_from_elsewhere(propylon: Propylon, connect: Connect) -> None:
    """Whoever hammers an account from another address is slowed down; its owner goes in at once."""
    owner = connect(propylon, ip=HOME)
    await sign_up(owner)
    for attacker in (connect(propylon, ip=OFFICE), connect(propylon, ip=ELSEWHERE)):
        assert (await guesses(attacker, 30))[-1] == 429
    assert await sign_in(owner)
    assert (await owner.post("/v1/session/confirm", json={"password": PASSWORD})).status_code == 204


async def test_colleagues_behind_one_address_do_not_lock_each_other_out(propylon: Propylon, connect: Connect) -> None:
    """Their failures count for their accounts, and for the address only when there are very many."""
    owner, colleague = connect(propylon, ip=OFFICE), connect(propylon, ip=OFFICE)
    await sign_up(owner)
    for number in range(SOURCE.free // 10):
        await guesses(colleague, 8, f"colleague-{number}@example.com")
    assert await sign_in(owner)


async def test_guessing_for_many_accounts_from_one_address_becomes_slow(
    in_memory: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """Password spraying: one try for each account is counted for the address."""
    attacker = connect(in_memory, ip=ELSEWHERE)
    answers = [await guess(attacker, f"victim-{number}@example.com") for number in range(SOURCE.free + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [401] * SOURCE.free
    assert told_to_wait(answers[-1]) == 1
    assert (await guess(connect(in_memory, ip=HOME), "victim-1@example.com")).status_code == 401


@pytest.mark.parametrize(
    "spelling",
    [
        "MINA@EXAMPLE.COM",
        "Mina@Example.com",
        " mina@example.com ",
        "\tmina@example.com",
        "mina@EXAMPLE.COM",
        "\uff4d\uff49\uff4e\uff41@example.com",
        "mina@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com",
        "mina\uff20example.com",
        "m\u2170na@example.com",
    ],
)
async def test_another_spelling_of_the_address_is_no_new_account_to_guess(
    in_memory: Propylon, connect: Connect, spelling: str
) -> None:
    """A165: case, width, spaces and compatibility characters all count together."""
    client = connect(in_memory)
    await sign_up(client)
    await guesses(client, PAIR.free - 1)
    assert (await guess(client, spelling)).status_code == 401
    assert told_to_wait(await guess(client)) == 1
    assert told_to_wait(await guess(client, spelling)) == 1


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "x_forwarded_for"])
async def test_a_forwarded_address_from_nobody_in_particular_counts_for_nothing(
    in_memory: Propylon, connect: Connect, name: str
) -> None:
    """A165, P186: a header is not an address: whoever sends another one each time is still the same."""
    client = connect(in_memory, ip=ELSEWHERE)
    answers = [await guess(client, **{name: f"192.0.2.{number}"}) for number in range(PAIR.free + 1)]
    assert told_to_wait(answers[-1]) == 1


async def test_behind_a_trusted_proxy_the_client_is_counted_and_not_what_it_claims(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """The hop that the proxy wrote counts; those further left are the client's own invention."""
    propylon = await make_propylon(store="memory", trusted_proxies="10.0.0.1")
    proxy = connect(propylon, ip="10.0.0.1")
    answers = [
        await guess(proxy, **{"x-forwarded-for": f"192.0.2.{number}, {ELSEWHERE}"}) for number in range(PAIR.free + 1)
    ]
    assert told_to_wait(answers[-1]) == 1
    assert (await guess(proxy, **{"x-forwarded-for": HOME})).status_code == 401


async def test_a_subscribers_64_is_one_source(in_memory: Propylon, connect: Connect) -> None:
    """Whoever has 2**64 addresses of IPv6 has one source; the neighbour is another."""
    answers = [await guess(connect(in_memory, ip=f"2001:db8:0:1::{number:x}")) for number in range(1, PAIR.free + 2)]
    assert told_to_wait(answers[-1]) == 1
    assert (await guess(connect(in_memory, ip="2001:db8:0:2::1"))).status_code == 401


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_a_burst_of_guesses_gains_no_more_than_those_under_way(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock, store: str
) -> None:
    """A165: fifty at once cost what fifty in a row cost; the few that were under way together slip through."""
    propylon = await make_propylon(store=store)
    client = connect(propylon)
    await sign_up(client)
    answers = Counter(answer.status_code for answer in await asyncio.gather(*(guess(client) for _ in range(50))))
    assert PAIR.free <= answers[401] < PAIR.free + PAIR_UNDER_WAY
    assert answers[401] + answers[429] == 50
    assert told_to_wait(await guess(client)) == 1 << (answers[401] - PAIR.free)


async def test_a_burst_over_many_accounts_gains_no_more_than_those_under_way(
    in_memory: Propylon, connect: Connect
) -> None:
    """The same for spraying: the address is looked at again before each try."""
    client = connect(in_memory, ip=ELSEWHERE)
    burst = (guess(client, f"victim-{number}@example.com") for number in range(SOURCE.free + 100))
    answers = Counter(answer.status_code for answer in await asyncio.gather(*burst))
    assert SOURCE.free <= answers[401] < SOURCE.free + SOURCE_UNDER_WAY
    assert answers[429] > 0


async def test_right_passwords_are_never_counted(propylon: Propylon, connect: Connect) -> None:
    """However many, at once or in a row: they are sign-ins."""
    client = connect(propylon)
    await sign_up(client)
    at_once = await asyncio.gather(*(client.post("/v1/sessions", json=RIGHT) for _ in range(60)))
    in_a_row = [await client.post("/v1/sessions", json=RIGHT) for _ in range(20)]
    assert {answer.status_code for answer in (*at_once, *in_a_row)} == {201}
    assert await guesses(client, PAIR.free) == [401] * PAIR.free


async def test_a_valid_refresh_token_is_never_refused_for_the_noise_of_others(
    propylon: Propylon, connect: Connect
) -> None:
    """Wrong ones from the same address are slowed down; the right one is looked at before any count."""
    client = connect(propylon)
    body = await enter(client, "bearer")
    forged = body["refresh_token"][:-2] + ("AA" if not body["refresh_token"].endswith("AA") else "BA")
    answers = [await client.post(TOKENS, json={"refresh_token": forged}) for _ in range(SOURCE.free + 1)]
    refused(answers[0], 401, "credential_malformed")
    assert told_to_wait(answers[-1]) == 1
    renewed = await client.post(TOKENS, json={"refresh_token": body["refresh_token"]})
    assert renewed.status_code == 200


@pytest.mark.parametrize("path", ["/v1/session/confirm", "/v1/user/password"])
async def test_guessing_with_a_stolen_session_is_slow_too(propylon: Propylon, connect: Connect, path: str) -> None:
    """A thief with a cookie cannot try out passwords at a step-up; the owner elsewhere is not disturbed."""
    thief, owner = connect(propylon, ip=ELSEWHERE), connect(propylon, ip=HOME)
    await enter(thief)
    await sign_in(owner)
    body = {"password": "x"} if path.endswith("confirm") else {"current_password": "x", "new_password": "y" * 12}
    send = thief.post if path.endswith("confirm") else thief.put
    answers = [await send(path, json=body) for _ in range(PAIR.free + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [401] * PAIR.free
    assert told_to_wait(answers[-1]) == 1
    assert (await owner.post("/v1/session/confirm", json={"password": PASSWORD})).status_code == 204


async def test_asking_which_addresses_have_accounts_is_slow(
    in_memory: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """Sign-up says that an address is taken; after thirty of them, from one source, it says so once a minute."""
    client = connect(in_memory, ip=ELSEWHERE)
    await sign_up(client)
    answers = [await client.post("/v1/users", json=RIGHT) for _ in range(TAKEN.free + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [409] * TAKEN.free
    assert told_to_wait(answers[-1]) == 1
    clock.advance(1)
    for expected in [2, 4, 8, 16, 32, 60, 60, 60]:
        refused(await client.post("/v1/users", json=RIGHT), 409, "email_taken")
        assert told_to_wait(await client.post("/v1/users", json=RIGHT)) == expected
        clock.advance(expected)
    await sign_up(connect(in_memory, ip=HOME), "jun@example.com")


async def test_going_through_other_addresses_is_no_way_around_it(in_memory: Propylon, connect: Connect) -> None:
    """Not the address that is tried counts, but whoever tries, also where an account is made in between."""
    client = connect(in_memory, ip=ELSEWHERE)
    for number in range(TAKEN.free):
        await sign_up(client, f"victim-{number}@example.com")
    for number in range(TAKEN.free):
        known = {**RIGHT, "email": f"victim-{number}@example.com"}
        refused(await client.post("/v1/users", json=known), 409, "email_taken")
    assert told_to_wait(await client.post("/v1/users", json={**RIGHT, "email": "victim-0@example.com"})) == 1


async def test_the_mistakes_of_one_do_not_close_the_sign_up_for_an_office(
    in_memory: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """Many are free, and however many there were, a colleague waits for a minute and not for a quarter of an hour."""
    careless, colleague = connect(in_memory, ip=OFFICE), connect(in_memory, ip=OFFICE)
    await sign_up(careless)
    for _ in range(TAKEN.free - 1):
        refused(await careless.post("/v1/users", json=RIGHT), 409, "email_taken")
    await sign_up(colleague, "jun@example.com")
    for _ in range(1_000):
        if (answer := await careless.post("/v1/users", json=RIGHT)).status_code == 429:
            clock.advance(told_to_wait(answer))
            refused(await careless.post("/v1/users", json=RIGHT), 409, "email_taken")
    waits = told_to_wait(await colleague.post("/v1/users", json={**RIGHT, "email": "bo@example.com"}))
    assert waits <= TAKEN.longest_wait_s == 60
    clock.advance(waits)
    await sign_up(colleague, "bo@example.com")


async def test_a_script_does_not_fill_the_database_with_accounts(in_memory: Propylon, connect: Connect) -> None:
    """Accounts made are counted for their source as failures are."""
    source = f"sign-up source {ELSEWHERE}"
    for _ in range(SIGN_UP.free - 1):
        await in_memory.runtime.store.add_failure([(source, SIGN_UP)], in_memory.runtime.clock.now())
    client = connect(in_memory, ip=ELSEWHERE)
    await sign_up(client)
    assert told_to_wait(await client.post("/v1/users", json={**RIGHT, "email": "jun@example.com"})) == 1


@pytest.mark.parametrize("verb", ["wait_s", "add_failure"])
@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/users", "/v1/session/confirm", TOKENS])
async def test_a_limiter_that_cannot_count_lets_nobody_guess(
    in_memory: Propylon, connect: Connect, monkeypatch: pytest.MonkeyPatch, verb: str, path: str
) -> None:
    """A165: it is closed, not open: 503, and no word about whether the guess was right."""
    client = connect(in_memory)
    await enter(client)
    monkeypatch.setattr(type(in_memory.runtime.store), verb, unavailable)
    wrong: dict[str, Any] = {
        "/v1/sessions": WRONG,
        "/v1/users": RIGHT,
        "/v1/session/confirm": {"password": "not the password"},
        TOKENS: {"refresh_token": "x"},
    }
    refused(await client.post(path, json=wrong[path]), 503, "store_unavailable")


async def unavailable(*_: Any) -> None:
    """Be a verb of a store that does not answer."""
    raise StoreUnavailable


class GatedHasher:
    """A hasher that stands still until its gate opens, and counts who stands before it."""

    def __init__(self, hasher: Any) -> None:
        self._hasher, self.gate = hasher, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hasher, name)

    def verify(self, stored: str, prepared: bytes) -> bool:
        """Wait, then verify."""
        self.gate.wait(10)
        answer: bool = self._hasher.verify(stored, prepared)
        return answer


@pytest.mark.parametrize("accounts", [1, 200])
async def test_one_address_alone_fills_no_queue(in_memory: Propylon, connect: Connect, accounts: int) -> None:
    """Two hundred attempts at once from one source leave the places of the hash pool to everybody else."""
    owner, attacker = connect(in_memory, ip=HOME), connect(in_memory, ip=ELSEWHERE)
    await sign_up(owner)
    hasher = GatedHasher(in_memory.runtime.hashing._hasher)
    in_memory.runtime.hashing._hasher = hasher  # type: ignore[assignment]
    storm = [asyncio.ensure_future(guess(attacker, f"victim-{number % accounts}@example.com")) for number in range(200)]
    await asyncio.wait(storm, timeout=0.1)
    under_way = in_memory.runtime.hashing.depth
    signing_in = asyncio.ensure_future(owner.post("/v1/sessions", json=RIGHT))
    await asyncio.wait([signing_in], timeout=0.1)
    hasher.gate.set()
    assert (await signing_in).status_code == 201
    assert {(await task).status_code for task in storm} == {401, 429}
    assert under_way == (PAIR_UNDER_WAY if accounts == 1 else SOURCE_UNDER_WAY)
    assert in_memory.runtime.sign_in._turnstile._under_way == {}


async def test_many_attempts_on_one_account_do_not_stand_before_a_colleagues(
    in_memory: Propylon, connect: Connect
) -> None:
    """Only the few that are under way take places of their address; the rest wait for their own account."""
    colleague, attacker = connect(in_memory, ip=OFFICE), connect(in_memory, ip=OFFICE)
    await sign_up(colleague)
    hasher = GatedHasher(in_memory.runtime.hashing._hasher)
    in_memory.runtime.hashing._hasher = hasher  # type: ignore[assignment]
    storm = [asyncio.ensure_future(guess(attacker, "victim@example.com")) for _ in range(200)]
    await asyncio.wait(storm, timeout=0.1)
    signing_in = asyncio.ensure_future(colleague.post("/v1/sessions", json=RIGHT))
    await asyncio.wait([signing_in], timeout=0.1)
    assert in_memory.runtime.hashing.depth == PAIR_UNDER_WAY + 1
    hasher.gate.set()
    assert (await signing_in).status_code == 201
    await asyncio.gather(*storm)


async def test_attempts_that_are_given_up_leave_nothing_behind(in_memory: Propylon, connect: Connect) -> None:
    """A167: whoever hangs up while waiting takes no memory and no place with them."""
    client = connect(in_memory)
    await sign_up(client)
    hasher = GatedHasher(in_memory.runtime.hashing._hasher)
    in_memory.runtime.hashing._hasher = hasher  # type: ignore[assignment]
    storm = [asyncio.ensure_future(guess(client, f"victim-{number % 50}@example.com")) for number in range(200)]
    await asyncio.wait(storm, timeout=0.1)
    for task in storm:
        task.cancel()
    await asyncio.gather(*storm, return_exceptions=True)
    assert in_memory.runtime.sign_in._turnstile._under_way == {}
    hasher.gate.set()
    assert (await client.post("/v1/sessions", json=RIGHT)).status_code == 201
