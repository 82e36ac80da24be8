"""A real server on SQLite, killed at any moment under load: what it had answered holds."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from random import Random

import pytest
from tests.durability.people import Person, acknowledged, until
from tests.http.serving import Served

ROUNDS, ENOUGH = 3, 70


async def live_until_killed(served: Served, people: list[Person], seconds: float) -> None:
    """Let everybody use the service, and kill it after so long, or when they have done something on a slow machine."""
    before = acknowledged(people)
    living = [asyncio.create_task(person.live()) for person in people]
    await asyncio.sleep(seconds)
    await until(lambda: acknowledged(people) - before >= ENOUGH)
    served.kill()
    await asyncio.gather(*living)


def check_file(served: Served) -> None:
    """Check that the database is sound, as the next process finds it."""
    with closing(sqlite3.connect(served.database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_what_a_killed_server_had_answered_holds(serve: Callable[..., Served], workers: str) -> None:
    """S99: no ended session comes back, no signed-in device is out, no data, password or account is lost."""
    served = serve(workers=workers)
    chance = Random(int(workers))  # noqa: S311 - no secret
    people: list[Person] = []
    for round_number in range(ROUNDS):
        people += [Person(served.url, f"person-{round_number}-{n}", chance) for n in range(5)]
        await live_until_killed(served, people, chance.uniform(0.3, 1.2))
        check_file(served)
        served.start()
        await asyncio.gather(*(person.check() for person in people))
    for person in people:
        await person.close()
    assert acknowledged(people) > 200
    assert "unexpected error" not in served.log.read_text()
