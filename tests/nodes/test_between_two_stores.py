"""Accounts in one database and sessions in Redis, for real: a process is killed between the two writes."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from tests.http.driving import EMAIL, bearer, sign_in, sign_up
from tests.nodes.conftest import MakeNode
from tests.nodes.test_several_nodes import FINISHED_WITHIN_S, client_of

KILLED = str(Path(__file__).with_name("killed_between.py"))


@pytest.mark.parametrize("stores", ["redis beside sqlite", "redis beside postgresql"], indirect=True)
async def test_a_command_killed_between_two_stores_is_finished_by_a_node(
    make_node: MakeNode, stores: dict[str, str]
) -> None:
    """The account is written, the sessions are not: within a second and a half they end all the same."""
    node = make_node()
    client = client_of(node)
    await sign_up(client)
    token = bearer((await sign_in(client, "bearer"))["access_token"])
    assert (await client.get("/v1/verify", headers=token)).status_code == 204
    command = await asyncio.create_subprocess_exec(sys.executable, KILLED, stores["store"], EMAIL, stdout=PIPE)
    assert command.stdout is not None
    assert await command.stdout.readline() == b"between\n"
    command.send_signal(signal.SIGKILL)
    await command.wait()
    began = time.monotonic()
    while (await client.get("/v1/verify", headers=token)).status_code == 204:
        assert time.monotonic() - began < FINISHED_WITHIN_S
        await asyncio.sleep(0.01)
    answer = await client.get("/v1/verify", headers=token)
    assert answer.json()["code"] == "user_disabled"
    await client.aclose()
