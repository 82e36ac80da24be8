"""Processes that send, so that the sender's work is not the server's. They are kept: starting one takes half a shot."""

from __future__ import annotations

import select
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from propylon.agora.stage import generator
from propylon.agora.stage.generator import Answered, Shot
from propylon.agora.stage.processes import Broke, running

_COMMAND = (sys.executable, "-m", generator.__name__)
# Beyond what it is told to take: answers that are waited for, and a machine that does much else.
_LATE_S = 60


class Senders:
    """As many as send at the same time."""

    def __init__(self, folder: Path) -> None:
        self._log, self._stack = folder / "senders.log", ExitStack()
        self._idle: list[subprocess.Popen[bytes]] = []

    def fire(self, shot: Shot) -> Answered:
        """Send requests and return what came back; raises ``Broke`` where the sender does, which is not used again."""
        sender = self._idle.pop() if self._idle else self._another()
        assert sender.stdin is not None and sender.stdout is not None, "started with pipes"  # noqa: S101, PT018 - types
        with suppress(BrokenPipeError):
            sender.stdin.write(msgspec.json.encode(shot) + b"\n")
            sender.stdin.flush()
        in_time, _, _ = select.select([sender.stdout], [], [], shot.warm_up_s + shot.for_s + _LATE_S)
        line = sender.stdout.readline() if in_time else b""
        if not line:
            with suppress(BrokenPipeError):
                sender.stdin.close()  # or what it did not take would be sent once more in the end
            raise Broke(f"the load generator failed: {self._log.read_text(errors='replace')[-500:].strip()}")
        self._idle.append(sender)
        return msgspec.json.decode(line, type=Answered)

    def close(self) -> None:
        """End them."""
        self._idle.clear()
        self._stack.close()

    def _another(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return self._stack.enter_context(running(_COMMAND, self._log, stdin=pipe, stdout=pipe))
