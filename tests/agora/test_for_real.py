"""Real servers with something planted in them: the verdicts turn, and what dies is told."""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from propylon.agora.experiment import Study, judged
from propylon.agora.experiments import multilogin, payload, stores, tokens
from propylon.agora.results import Findings
from propylon.agora.said import Said
from propylon.agora.stage import Stage
from propylon.agora.stage.generator import Request, Shot


@pytest.fixture
def stage() -> Any:
    """A stage that is cleared away."""
    held = Stage()
    yield held
    held.close()
    assert not held.folder.exists()


def studied(stage: Stage, experiment: Any) -> Findings:
    """Run an experiment with the least effort."""
    findings = Findings(experiment.name)
    experiment.measure(Study("quick", stage, experiment.quantities, findings))
    findings.verdicts = judged(experiment, findings, 0.03)
    return findings


def test_a_limit_that_leaks_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same experiment on servers without a limit says that it does not hold."""
    only = {"bearer_sqlite": multilogin.OURS["bearer_sqlite"]}
    monkeypatch.setattr(multilogin, "OURS", only)
    monkeypatch.setattr(multilogin, "NODES", 2)
    monkeypatch.setattr(Study, "pick", lambda _, quick, __: 24 if quick == 90 else 1)
    leaky = {name: value for name, value in multilogin.FAST.items() if name != "session_limit"}
    monkeypatch.setattr(multilogin, "FAST", leaky)
    assert studied(stage, multilogin.EXPERIMENT).verdicts[0].outcome == "does_not_hold"


class Slowed(NamedTuple):
    """A server behind a wire that takes its time."""

    url: str


@contextmanager
def slowed(port: int, by_s: float) -> Iterator[int]:
    """Yield a port from which everything goes on to another one and comes back later."""
    loop = asyncio.new_event_loop()
    under_way: set[asyncio.Task[None]] = set()

    async def go_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, wait_s: float) -> None:
        try:
            while data := await source.read(65_536):
                await asyncio.sleep(wait_s)
                target.write(data)
        finally:
            target.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection("127.0.0.1", port)
        for one in (go_on(reader, there, 0.0), go_on(back, writer, by_s)):
            task = asyncio.create_task(one)
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    async def end() -> None:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await asyncio.sleep(0.1)  # what was closed is let go of in the loop's next rounds
        gc.collect()  # here, where a line that was left open is this test's, and not another one's
        await asyncio.sleep(0)

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(end())
    loop.close()


def test_a_store_that_is_slow_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same experiment with a Redis whose answers take a tenth of a second says that it is the slower one."""
    quick = Stage.redis

    @contextmanager
    def slow(held: Stage) -> Iterator[Slowed]:
        with quick(held) as server, slowed(server.port, 0.1) as port:
            yield Slowed(f"redis://127.0.0.1:{port}/0")

    monkeypatch.setattr(Stage, "redis", slow)
    monkeypatch.setattr(stores, "STORES", {name: stores.STORES[name] for name in ("redis", "postgres")})
    monkeypatch.setattr(Study, "rounds", 1)
    findings = studied(stage, stores.EXPERIMENT)
    assert findings.verdicts[0].outcome == "does_not_hold"


def test_the_hard_cases_come_out_right_on_a_real_server(stage: Stage) -> None:
    """All of them; and the first try fails at three of its four."""
    findings = studied(stage, tokens.EXPERIMENT)
    assert findings.variants["propylon"].facts["held"] == dict.fromkeys([one[0] for one in tokens.CASES], True)
    assert findings.median("first_try", "held") == 1


def test_nobody_can_be_read_in_a_token_of_ours(stage: Stage) -> None:
    """The token of a real server, after it has expired."""
    findings = studied(stage, payload.EXPERIMENT)
    assert [verdict.outcome for verdict in findings.verdicts] == ["does_not_hold", "holds"]


def test_a_server_that_does_not_start_says_why(stage: Stage) -> None:
    """With its own last words, as the reason of that variant alone."""
    findings = Findings("x")
    study = Study("quick", stage, {}, findings)

    def start(on: Stage) -> dict[str, float]:
        with on.propylon({"mode": "pigeon"}):
            return {}

    study.once("a", Said("a", "a"), start)
    reason = findings.variants["a"].reason
    assert findings.variants["a"].status == "failed"
    assert reason is not None
    assert "pigeon" in reason.en


def test_requests_without_an_answer_are_counted(stage: Stage) -> None:
    """A server that dies under load shows as errors, not as a pause."""
    with stage.propylon() as site:
        answered = stage.fire(Shot(site.url, (Request("/lazy"),) * 20, connections=4))
        refused = stage.fire(Shot(site.url, (Request("/me"),) * 20, connections=4))
    gone = stage.fire(Shot(site.url, (Request("/lazy"),) * 5))
    assert (answered.statuses, answered.errors) == ({"200": 20}, 0)
    assert (refused.statuses, refused.errors) == ({"401": 20}, 20)
    assert (gone.statuses, gone.errors) == ({"0": 5}, 5)


def test_nothing_is_left_running(stage: Stage) -> None:
    """Neither the server nor its workers, also when the experiment breaks."""
    ran: list[int] = []

    def breaks() -> None:
        with stage.propylon(workers=2) as site:
            children = Path(f"/proc/{site.pid}/task/{site.pid}/children").read_text().split()
            ran.extend((site.pid, *map(int, children)))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        breaks()
    assert len(ran) > 1
    _all_end(ran)


EVERYTHING = """
import sys
from propylon.agora.stage import Shot, Stage
from propylon.agora.stage.generator import Request

stage = Stage()
postgres, redis, browser = stage.postgres(), stage.redis(), stage.lenient_visitor()
with postgres, redis, browser, stage.propylon(workers=2) as site, stage.nginx([site.port]):
    print(stage.folder, flush=True)
    stage.fire(Shot(site.url, (Request("/lazy"),), for_s=600, pause_s=0.1))
"""


def test_nothing_outlives_an_agora_that_is_killed() -> None:
    """Not the servers, not their workers, not the browser's processes, and not the load that is being sent."""
    with subprocess.Popen([sys.executable, "-c", EVERYTHING], stdout=subprocess.PIPE, text=True) as agora:
        assert agora.stdout is not None
        folder = agora.stdout.readline().strip()
        deadline = time.monotonic() + 60
        while b"stage.generator" not in (commands := b" ".join(map(_command, started := _descendants(agora.pid)))):
            assert time.monotonic() < deadline, "nothing is sent"
            time.sleep(0.05)
        agora.kill()
    try:
        assert all(name in commands for name in (b"granian", b"nginx", b"postgres", b"redis", b"chromium"))
        _all_end(started)
    finally:
        shutil.rmtree(folder)


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [
        one for path in found for child in path.read_text().split() for one in (int(child), *_descendants(int(child)))
    ]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _all_end(pids: Sequence[int]) -> None:
    deadline = time.monotonic() + 30
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, f"left running: {[_command(pid) for pid in left]}"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended and that nobody has asked after does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
