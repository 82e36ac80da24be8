"""``propylon sessions end --everyone``: all of them, and never by a slip of the hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import Terminal

from propylon.stores import make_store
from propylon.testing import a_session, a_user, an_opening

EVERYONE = ("sessions", "end", "--everyone")


@pytest.fixture
def three_sessions(tmp_path: Path) -> Callable[[], int]:
    """Open three sessions of two accounts; return a function that says how many live."""

    async def fill() -> None:
        store = make_store(f"sqlite:///{tmp_path}/propylon.db")
        await store.open()
        for user_id, times in (("user-1", 2), ("user-2", 1)):
            await store.add_user(a_user(user_id))
            for _ in range(times):
                await store.open_session(an_opening(a_session(user_id, expires_at=2**40, idle_ttl_s=2**40)), 0)
        await store.close()

    async def living() -> int:
        store = make_store(f"sqlite:///{tmp_path}/propylon.db")
        await store.open()
        found = await store.all_live_sessions(2**31, 10)
        await store.close()
        return len(found)

    asyncio.run(fill())
    return lambda: asyncio.run(living())


def test_a_script_has_to_say_that_it_is_meant(program: Run, three_sessions: Callable[[], int]) -> None:
    """Nobody is there to be asked."""
    ran = program(*EVERYONE)
    assert (ran.status, ran.out) == (2, "")
    assert "--yes" in ran.err
    assert three_sessions() == 3


def test_everyone_is_signed_out(program: Run, three_sessions: Callable[[], int]) -> None:
    """Sessions of every account; the second time there is nothing to do."""
    assert json.loads(program(*EVERYONE, "--yes", "--json").out) == {"ended": 3}
    assert three_sessions() == 0
    assert program(*EVERYONE, "--yes").out == "0 sessions ended.\n"


@pytest.mark.parametrize(("answer", "left", "status"), [("y", 0, 0), ("n", 3, 1), ("", 3, 1)])
def test_a_person_is_asked(
    at_terminal: Callable[..., Terminal], three_sessions: Callable[[], int], answer: str, left: int, status: int
) -> None:
    """Whoever just presses return has not said yes."""
    terminal = at_terminal(*EVERYONE)
    terminal.wait_for("everybody out")
    terminal.type(answer)
    assert terminal.end() == status
    assert three_sessions() == left
