"""``propylon mode``: what an operator sees and does while sessions move."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run

from propylon import Propylon
from propylon.core.device import Device
from propylon.ports import Opened
from propylon.testing import NOW, a_session, a_user, an_opening

STEADY = {"mode": "cookie", "previous": None, "moved": 0, "left": 0, "errors": 0}
DESKTOP, APP = Device("Firefox", "Linux", "desktop"), Device("okhttp", "Android", "app")


def shown(program: Run, *arguments: str) -> dict[str, Any]:
    """Run ``propylon mode`` and return its JSON."""
    report: dict[str, Any] = json.loads(program("mode", *arguments, "--json").out)
    return report


@pytest.fixture
def sessions(program: Run) -> None:
    """Two sessions of browsers and one of an app, all by cookie, for longer than any clock here runs."""
    program("migrate")

    async def open_them() -> None:
        async with Propylon(store="sqlite:///propylon.db") as propylon:
            store = propylon.runtime.store
            await store.add_user(a_user())
            for device in (DESKTOP, DESKTOP, APP):
                session = a_session(expires_at=NOW * 2, idle_ttl_s=NOW, device=device)
                assert isinstance(await store.open_session(an_opening(session), NOW), Opened)

    asyncio.run(open_them())


@pytest.mark.usefixtures("sessions")
def test_sessions_of_the_mode_before_are_left(program: Run) -> None:
    """Nobody has moved yet; turned round, nobody has to."""
    assert shown(program, "set", "bearer") == {**STEADY, "mode": "bearer", "previous": "cookie", "left": 3}
    back = shown(program, "set", "cookie")
    assert back == {**STEADY, "previous": "bearer", "moved": 3}


@pytest.mark.usefixtures("sessions")
def test_browsers_and_apps_are_counted_apart_where_they_differ(program: Run) -> None:
    """``apps`` is there while they travel another way."""
    apps = {"mode": "bearer", "previous": "cookie", "moved": 0, "left": 1}
    assert shown(program, "set", "bearer", "--for", "apps") == {**STEADY, "moved": 2, "left": 1, "apps": apps}
    assert "bearer" in program("mode", "show").out
    assert "apps" not in shown(program, "set", "bearer", "--for", "browsers")


@pytest.mark.usefixtures("sessions")
def test_a_pause_is_shown_until_it_is_over(program: Run) -> None:
    """In words and in JSON; a pause of nothing is one all the same."""
    program("mode", "set", "bearer")
    assert shown(program, "pause")["paused"] is True
    assert "propylon mode resume" in program("mode", "show").out
    assert "paused" not in shown(program, "resume")
    assert "propylon mode resume" not in program("mode", "show").out


@pytest.mark.usefixtures("sessions")
def test_watching_ends_when_nobody_is_left_or_is_to_wait(program: Run) -> None:
    """Each step on a line of its own where the output is no terminal; with ``--json`` the end alone."""
    assert program("mode", "show", "--watch").out.splitlines()[0] == "Moved: 3, left: 0, failed: 0"
    program("mode", "set", "bearer")
    program("mode", "pause")
    assert program("mode", "show", "--watch").out.splitlines()[0] == "Moved: 0, left: 3, failed: 0"
    assert shown(program, "show", "--watch")["paused"] is True


@pytest.mark.parametrize(
    "arguments", [("set",), ("set", "cookies"), ("set", "bearer", "--for", "phones"), ("pause", "bearer"), ("stop",)]
)
def test_what_there_is_not_is_refused(program: Run, arguments: tuple[str, ...]) -> None:
    """And nothing has changed."""
    assert program("mode", *arguments).status == 2
    assert shown(program, "show") == STEADY
    assert Path("propylon.db").exists()
