"""Who does not know the password learns nothing about the account: not from the answer, not from its time."""

from __future__ import annotations

import statistics
import time
from typing import Any

import httpx
import pytest
from tests.http.driving import EMAIL, PASSWORD, Connect, MakePropylon, refused, sign_up

from propylon import Propylon
from propylon.flows.throttling import PAIR

DISABLED = "jun@example.com"
UNKNOWN = "nobody@example.com"

ATTEMPTS: dict[str, dict[str, Any]] = {
    "wrong": {"email": EMAIL, "password": "not the password"},
    "unknown": {"email": UNKNOWN, "password": PASSWORD},
    "no address": {"email": "\u0000 no address", "password": PASSWORD},
    "disabled": {"email": DISABLED, "password": "not the password"},
    "too long": {"email": EMAIL, "password": "x" * 2_000},
    "too long, unknown": {"email": UNKNOWN, "password": "x" * 2_000},
    "with a NUL": {"email": EMAIL, "password": "not the\u0000password"},
    "empty": {"email": EMAIL, "password": ""},
    "widest": {"email": EMAIL, "password": "\ufdfa" * 1_024},
}


async def people(propylon: Propylon, client: httpx.AsyncClient) -> None:
    """Make an account, and one that is disabled."""
    await sign_up(client)
    await sign_up(client, DISABLED)
    await propylon.runtime.administration.disable(DISABLED)


async def test_the_answers_are_the_same_to_the_byte(propylon: Propylon, connect: Connect) -> None:
    """A162: status, headers and body of every failed attempt are equal, and none sets a cookie."""
    await people(propylon, connect(propylon))
    answers = [
        await connect(propylon, ip=f"192.0.2.{number}").post("/v1/sessions", json=attempt)
        for number, attempt in enumerate(ATTEMPTS.values())
    ]
    refused(answers[0], 401, "credentials_wrong")
    assert "set-cookie" not in answers[0].headers
    assert {(answer.status_code, answer.content, tuple(answer.headers.raw)) for answer in answers} == {
        (401, answers[0].content, tuple(answers[0].headers.raw))
    }


@pytest.mark.parametrize("email", [EMAIL, DISABLED, UNKNOWN])
async def test_the_wait_is_the_same_for_an_account_that_is_not_there(
    propylon: Propylon, connect: Connect, email: str
) -> None:
    """A162: an unknown address is throttled as a known one, so that being throttled says nothing either."""
    client = connect(propylon)
    await people(propylon, client)
    attempt = {"email": email, "password": "not the password"}
    answers = [await client.post("/v1/sessions", json=attempt) for _ in range(PAIR.free + 1)]
    assert [answer.status_code for answer in answers] == [401] * PAIR.free + [429]
    assert answers[-1].headers["retry-after"] == "1"


SAMPLES = 9


async def test_the_time_is_the_same_too(make_propylon: MakePropylon, connect: Connect) -> None:
    """A163: interleaved, with the real hash; measured in processor time, so that other programs do not matter.

    A hash is some thirty milliseconds, all the rest about one: leaving the hash out for anybody would show
    as a tenth, hashing twice as the double.
    """
    propylon = await make_propylon(store="memory", password_profile="owasp")
    await people(propylon, connect(propylon))
    took: dict[str, list[float]] = {name: [] for name in ATTEMPTS}
    for sample in range(SAMPLES):
        for number, (name, attempt) in enumerate(ATTEMPTS.items()):
            client = connect(propylon, ip=f"10.0.{number}.{sample}")
            started = time.process_time()
            answer = await client.post("/v1/sessions", json=attempt)
            took[name].append(time.process_time() - started)
            assert answer.status_code == 401
    medians = {name: statistics.median(samples) for name, samples in took.items()}
    ratios = {name: median / medians["wrong"] for name, median in medians.items()}
    assert all(0.6 < ratio < 1.6 for ratio in ratios.values()), ratios


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"email":"mina@example.com","password":"' + b"x" * 1_000_000 + b'"}', 413),
        (b'{"email":"' + b"x" * 1_000_000 + b'","password":"y"}', 413),
        (b'{"email":"mina@example.com","password":"\\ud800\\ud800"}', 400),
        (b'{"email":"mina@example.com","password":"\xed\xa0\x80"}', 400),
    ],
    ids=["1 MB password", "1 MB address", "lone surrogate", "encoded surrogate"],
)
async def test_what_is_no_password_at_all_costs_no_hash(
    make_propylon: MakePropylon, connect: Connect, content: bytes, status: int
) -> None:
    """A166: refused for its form before anything is looked up, and so alike for every account."""
    propylon = await make_propylon(store="memory", password_profile="owasp")
    client = connect(propylon)
    headers = {"content-type": "application/json"}
    started = time.process_time()
    await client.post("/v1/sessions", json=ATTEMPTS["wrong"])
    with_hash_s = time.process_time() - started
    answers = [await client.post("/v1/sessions", content=content, headers=headers) for _ in range(10)]
    assert time.process_time() - started < 6 * with_hash_s
    assert {answer.status_code for answer in answers} == {status}
