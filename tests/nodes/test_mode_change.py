"""The mode changes there and back under load, by commands that are killed, on nodes that are killed: nobody notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.http.serving import Served
from tests.nodes.conftest import MakeNode

from propylon.agora.stage.travellers import Crowd

PEOPLE = 200
AT_ONCE = 20
MOVED_WITHIN_S = 120.0


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
    crowd = Crowd([node.url for node in nodes], people=PEOPLE, at_once=AT_ONCE, host="localhost:8000")
    await crowd.enter()
    living = asyncio.create_task(crowd.live())
    run: Callable[..., Any] = asyncio.to_thread
    # However far it came, the change is made or it is not, and the next one goes on from there.
    for after_s in (0.4, 0.8):
        await run(killed_while_changing, nodes[0], after_s)
        report = await run(shown, nodes[0])
        assert (report["mode"], report["previous"]) in [("cookie", None), ("bearer", "cookie")]
    await run(nodes[0].run, "mode", "set", "bearer")
    nodes[2].kill()
    await crowd.until("bearer", MOVED_WITHIN_S)
    report = await run(shown, nodes[0])
    assert (report["mode"], report["moved"], report["left"], report["errors"]) == ("bearer", PEOPLE, 0, 0)
    await run(nodes[0].run, "mode", "set", "cookie")
    await crowd.until("cookie", MOVED_WITHIN_S)
    report = await run(shown, nodes[1])
    assert (report["mode"], report["moved"], report["left"], report["errors"]) == ("cookie", PEOPLE, 0, 0)
    crowd.end()
    await living
    await crowd.aclose()
    assert crowd.trouble == []
    assert crowd.counted["moved"] == 2 * PEOPLE
    assert set(crowd.counted) == {"answered", "moved"}
