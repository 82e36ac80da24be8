"""Real processes on one SQLite file: together, at the same instant, and killed."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import closing
from pathlib import Path

from propylon.ports import Store
from propylon.stores import make_store
from propylon.stores.migrations import released

NODE = str(Path(__file__).with_name("node.py"))
NODES = 8


async def start(url: str, work: str) -> Process:
    """Start a process that works on the store."""
    return await asyncio.create_subprocess_exec(sys.executable, NODE, url, work, stdout=PIPE, stderr=PIPE)


async def finish(node: Process) -> list[str]:
    """Wait for a process and return the lines it wrote."""
    out, err = await node.communicate()
    assert (node.returncode, err.decode()) == (0, "")
    return out.decode().split()


async def reopened(url: str) -> Store:
    """Open the store as a process does that starts now."""
    store = make_store(url)
    await store.open()
    return store


def whole_lines(output: bytes) -> list[str]:
    """Return the lines that were written to their end before the process was killed."""
    return output.decode().rpartition("\n")[0].split()


async def test_eight_processes_share_one_file(tmp_path: Path) -> None:
    """They start at once on an empty file, one migrates; every ending of all is heard by a ninth, live."""
    path = tmp_path / "propylon.db"
    url = f"sqlite:///{path}"
    nodes = [await start(url, "work") for _ in range(NODES)]
    listener = await reopened(url)
    heard: list[str] = []
    waiting = asyncio.gather(*(finish(node) for node in nodes))
    while not waiting.done():
        heard += [entry.id for entry in listener.news()]
        await asyncio.sleep(0.001)
    heard += [entry.id for entry in listener.news()]
    told = [session_id for lines in await waiting for session_id in lines]
    assert sorted(heard) == sorted(told)
    assert len(set(told)) == len(told) == NODES * 200
    await listener.close()
    with closing(sqlite3.connect(path)) as db:
        versions = db.execute("SELECT version FROM migrations ORDER BY version").fetchall()
        assert versions == [(migration.version,) for migration in released()]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_what_a_killed_process_acknowledged_holds(tmp_path: Path) -> None:
    """Killed at any moment, again and again: every ending it told of holds, and the file is sound."""
    path = tmp_path / "propylon.db"
    url = f"sqlite:///{path}"
    told: list[str] = []
    for attempt in range(6):
        node = await start(url, "for-ever")
        assert node.stdout is not None
        first = await node.stdout.readline()
        await asyncio.sleep(0.03 * attempt)
        node.kill()
        out, _ = await node.communicate()
        told += whole_lines(first + out)
        store = await reopened(url)
        endings = [found.ending for session_id in told if (found := await store.find_session(session_id))]
        assert len(endings) == len(told)
        assert None not in endings
        assert set(told) <= {entry.id for entry in store.news()}
        await store.close()
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_full_disk_acknowledges_nothing_and_is_survived(tmp_path: Path) -> None:
    """Where the file system refuses to let the log grow, the last answered write is the last one kept."""
    node = await start(f"sqlite:///{tmp_path}/propylon.db", "fill-up")
    out, err = await node.communicate()
    assert out.decode().splitlines() == ["full after True", "again True"], err.decode()
