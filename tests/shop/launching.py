"""The launcher as ``scripts/serve`` starts it, in a directory and on ports of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
from tests.servers.ports import free_port

ROOT = Path(__file__).parent.parent.parent
WITHIN_S = 20.0


class Launched:
    """One run of the launcher; everything of it carries a mark in its environment."""

    def __init__(self, directory: Path, *arguments: str, port: int | None = None, environ: Mapping[str, str]) -> None:
        self.port = port or free_port()
        self._out = directory / f"launch-{self.port}.out"
        self._mark = f"SHOP_TEST_MARK={directory.name}-{self.port}-{time.monotonic_ns()}"
        name, _, mark = self._mark.partition("=")
        ours = {name: mark, "PYTHONPATH": str(ROOT), "PROPYLON_PASSWORD_PROFILE": "unsafe_cheapest", "LC_ALL": "C"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PROPYLON_")}
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.shop.launch", "--port", str(self.port), *arguments],
                cwd=directory,
                env={**kept, **ours, **environ},
                stdout=out,
                stderr=out,
            )

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._out.read_text()

    @property
    def url(self) -> str:
        """Propylon's address."""
        return f"http://localhost:{self.port}"

    def wait_said(self, text: str) -> str:
        """Wait until it has printed ``text``; return all that it said."""
        wait_until(lambda: text in self.said or self.process.poll() is not None)
        assert text in self.said, self.said
        return self.said

    def shop_url(self) -> str:
        """Wait until everything is ready; return the shop's address."""
        found = re.search(r"The shop\S* to try it all +(http://localhost:\d+)/", self.wait_said("Ctrl-C"))
        assert found is not None, self.said
        return found[1]

    def running(self) -> list[int]:
        """Return the processes of this run that live, the launcher and its grandchildren too."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if self._is_ours(path)]

    def end(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        wait_until(lambda: self.running() == [])

    def _is_ours(self, path: Path) -> bool:
        with suppress(OSError):  # it may end while it is looked at
            alive = (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            return alive and self._mark.encode() in (path / "environ").read_bytes().split(b"\0")
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when it holds, or after a while in which it should."""
    deadline = time.monotonic() + WITHIN_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Return whether anybody listens there."""
    try:
        return httpx.get(url).status_code < 500
    except httpx.TransportError:
        return False
