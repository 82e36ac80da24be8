"""The program as people run it: in a process of its own, at a terminal or not."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ENDS_WITHIN_S = 30.0
PASSWORD = "correct horse battery"


class Ran(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def environment(**variables: str) -> dict[str, str]:
    """Return this process' environment without settings of Propylon or a language, and ``variables``."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PROPYLON_", "LC_", "LANG"))}
    return {**ours, "PROPYLON_PASSWORD_PROFILE": "unsafe_cheapest", "LC_ALL": "C.UTF-8", **variables}


def run_program(directory: Path, *arguments: str, given: str = "", **variables: str) -> Ran:
    """Run ``python -m propylon`` to its end, with ``given`` on standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "propylon", *arguments],
        cwd=directory,
        env=environment(**variables),
        input=given.encode(),
        capture_output=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


# What a shell does for a job: the terminal is the one whose Control-C reaches the program, and it is not ignored, as
# it is where the tests run in the background.
AT_A_TERMINAL = """
import fcntl, signal, sys, termios
from propylon.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(main())
"""


class Terminal:
    """A command that a person sits in front of."""

    def __init__(self, directory: Path, *arguments: str, **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, *arguments],
            cwd=directory,
            env=environment(**variables),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def wait_for(self, text: str) -> None:
        """Return once ``text`` has been shown since the last call."""
        before = len(self.shown)
        deadline = time.monotonic() + ENDS_WITHIN_S
        while text not in self.shown[before:]:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._ours, line.encode() + b"\n")

    def end(self) -> int:
        """Return the exit status, after everything has been shown."""
        while self._read():
            pass
        return self.process.wait(ENDS_WITHIN_S)

    def close(self) -> None:
        """Hang up, and end what is left."""
        os.close(self._ours)
        self.process.kill()
        self.process.wait()

    def _read(self) -> bool:
        readable, _, _ = select.select([self._ours], [], [], ENDS_WITHIN_S)
        assert readable, self.shown
        try:
            chunk = os.read(self._ours, 65_536)
        except OSError:  # Linux says so when the other side has closed
            return False
        self.shown += chunk.decode()
        return bool(chunk)
