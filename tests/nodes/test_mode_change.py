"""The mode changes there and back under load, by commands that are killed, on nodes that are killed: nobody notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from random import Random
from typing import Any

import httpx
import pytest
from tests.http.serving import Served
from tests.nodes.conftest import MakeNode
from tests.nodes.traveller import Traveller

PEOPLE = 200
AT_ONCE = 20
MOVED_WITHIN_S = 120.0


class Crowd:
    """People who go on and on, so many at once."""

    def __init__(self, people: list[Traveller]) -> None:
        self._people = people
        self._over = False

    async def live(self) -> None:
        """Use the service until it is over."""
        await asyncio.gather(*(self._use(self._people[number::AT_ONCE]) for number in range(AT_ONCE)))

    async def until(self, mode: str) -> None:
        """Wait until everybody travels in a mode."""
        async with asyncio.timeout(MOVED_WITHIN_S):
            while any(one.mode != mode for one in self._people):
                assert self.trouble == []
                await asyncio.sleep(0.05)

    @property
    def trouble(self) -> list[str]:
        """What went wrong for anybody."""
        return [line for one in self._people for line in one.trouble]

    def end(self) -> None:
        """Let everybody finish what they are at."""
        self._over = True

    async def _use(self, people: list[Traveller]) -> None:
        while not self._over:
            for one in people:
                await one.use()


def shown(node: Served) -> dict[str, Any]:
    """Return what ``propylon mode show`` says."""
    report: dict[str, Any] = json.loads(node.run("mode", "show", "--json"))
    return report


def killed_while_changing(node: Served, after_s: float) -> None:
    """Run ``propylon mode set bearer`` and kill it (SIGKILL) after a moment."""
    command = node.command("mode", "set", "bearer")
    try:
        command.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(command.pid, signal.SIGKILL)
        command.wait()


@pytest.mark.parametrize("stores", ["redis beside postgresql"], indirect=True)
async def test_there_and_back_under_load_signs_nobody_out(make_node: MakeNode) -> None:
    """Cookie to tokens and back, two hundred people over three nodes, of which one is killed half way."""
    nodes = [make_node(refresh_grace_s="60") for _ in range(3)]
    chance = Random(11)  # noqa: S311 - no secret
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=AT_ONCE)) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # each holds their own
        urls = [node.url for node in nodes]
        people = [Traveller(urls, client, f"traveller-{number}@example.com", chance) for number in range(PEOPLE)]
        for start in range(0, PEOPLE, AT_ONCE):
            await asyncio.gather(*(one.enter() for one in people[start : start + AT_ONCE]))
        crowd = Crowd(people)
        living = asyncio.create_task(crowd.live())
        run: Callable[..., Any] = asyncio.to_thread
        # However far it came, the change is made or it is not, and the next one goes on from there.
        for after_s in (0.4, 0.8):
            await run(killed_while_changing, nodes[0], after_s)
            report = await run(shown, nodes[0])
            assert (report["mode"], report["previous"]) in [("cookie", None), ("bearer", "cookie")]
        await run(nodes[0].run, "mode", "set", "bearer")
        nodes[2].kill()
        await crowd.until("bearer")
        report = await run(shown, nodes[0])
        assert (report["mode"], report["moved"], report["left"], report["errors"]) == ("bearer", PEOPLE, 0, 0)
        await run(nodes[0].run, "mode", "set", "cookie")
        await crowd.until("cookie")
        report = await run(shown, nodes[1])
        assert (report["mode"], report["moved"], report["left"], report["errors"]) == ("cookie", PEOPLE, 0, 0)
        crowd.end()
        await living
    total = sum((one.counted for one in people), Counter())
    assert crowd.trouble == []
    assert total["moved"] == 2 * PEOPLE
    assert set(total) == {"answered", "moved"}
