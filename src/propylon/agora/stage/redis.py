"""A Redis of the agora's own."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from propylon.agora.stage.processes import free_port, listens, program, running, wait_for


class RedisServer:
    """One server that keeps what it acknowledged; a context manager."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._folder, self._words, self._stack = folder, words, ExitStack()
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How a store finds it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        durable = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder))
        log = self._folder / "redis.log"
        command = [program("redis-server", "redis-server"), *place, *durable, *self._words]
        self.process = self._stack.enter_context(running(command, log))
        try:
            wait_for(lambda: listens(self.port), self.process, log)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop."""
        self._stack.close()
