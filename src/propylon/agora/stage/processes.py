"""Programs of this machine: found, started so that none outlives the agora, and waited for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from propylon.agora.said import Said

START_WITHIN_S, STOP_WITHIN_S = 20.0, 10.0
# Debian keeps programs where the paths of people do not lead, PostgreSQL's in a directory for each version.
_ELSEWHERE = ("/usr/sbin", "/usr/local/sbin")
# Told the process group, it waits until the pipe is closed, which the kernel sees to when the agora is killed.
_GUARD = ("/bin/sh", "-c", 'if read -r group; then read -r _; kill -s KILL -- "-$group"; fi')


class Absent(Exception):
    """A component is not on this machine."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(what)
        self.said = Said(
            "{what} is not on this machine (Debian, Ubuntu: apt install {package}).",
            "이 컴퓨터에 {what}이(가) 없습니다(Debian·Ubuntu: apt install {package}).",
        ).filled(what=what, package=package)


class Broke(RuntimeError):
    """A program ended or did not answer; with the last of what it said."""


def program(name: str, package: str) -> str:
    """Return the path of a program; raises ``Absent`` where there is none."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_ELSEWHERE))
    if found is None and not versions:
        raise Absent(name, package)
    return str(versions[-1]) if versions else str(found)


@contextmanager
def running(command: Sequence[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its children in a group of its own, and end all of them."""
    with log.open("ab") as output, guarded() as group:
        options = {"stdout": output, "stderr": output, "stdin": subprocess.DEVNULL, **options, **group}
        with subprocess.Popen(command, **options) as process:  # noqa: S603 - our own words
            try:
                yield process
            finally:
                stop(process)


@contextmanager
def guarded() -> Iterator[dict[str, Any]]:
    """Return options for a program whose group is killed with the block, also when the agora itself is killed in it.

    A signal that the kernel sends at the parent's death reaches the program alone and none of its workers. So a guard
    beside it holds one end of a pipe. The program names itself there before it begins: no moment is left between.
    """
    nothing = subprocess.DEVNULL
    with subprocess.Popen(  # noqa: S603 - our own words
        _GUARD, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, start_new_session=True
    ) as guard:
        pipe = guard.stdin.fileno()  # type: ignore[union-attr]
        # What the child runs before anything else takes no lock, which another thread could have held at the fork.
        yield {"start_new_session": True, "preexec_fn": lambda: os.write(pipe, b"%d\n" % os.getpid())}


def done(command: Sequence[str], folder: Path, **options: Any) -> bytes:
    """Run a program to its end and return what it printed; raises ``Broke`` with the last of what it complained."""
    with guarded() as group:
        finished: subprocess.CompletedProcess[bytes] = subprocess.run(  # noqa: S603 - our own words
            command, check=False, capture_output=True, cwd=folder, timeout=60, **options, **group
        )
    if finished.returncode != 0:
        raise Broke(f"{Path(command[0]).name}: {finished.stderr.decode(errors='replace')[-500:].strip()}")
    return finished.stdout


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program: asked first, and after a while no longer asked."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_S)
            break


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children at once, as a power cut does, and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_WITHIN_S)


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a program does what it was started for; raises ``Broke`` with its last words."""
    deadline = time.monotonic() + START_WITHIN_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Broke(f"{Path(str(process.args[0])).name}: {log.read_text(errors='replace')[-500:].strip()}")  # type: ignore[index]
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Return whether somebody takes connections on a loopback port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def processor_s(pid: int) -> float:
    """Return the seconds of processor time that a process and its children have used (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _own_processor_s(pid) + sum(processor_s(int(child)) for child in children)


def memory_bytes(pid: int) -> int:
    """Return the memory that a process and its children hold for themselves and share, proportionally (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return own + sum(memory_bytes(int(child)) for child in children)


def _own_processor_s(pid: int) -> float:
    # proc_pid_stat(5): utime and stime are fields 14 and 15; the name before them may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
