"""Granian, as ``propylon serve`` runs it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Any

from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server.mp import MPServer

# Whoever sends a signal to a process and to its group (coreutils' timeout does) has still asked once.
ASKED_ONCE_WITHIN_S = 0.3
# Tells a worker to end what would never end by itself. Granian waits for all requests before the application hears
# that it is to stop, and a stream of the feed is a request that lasts.
END_STREAMS = signal.SIGUSR1


class Server(MPServer):
    """A server that finishes requests in flight when it is told to stop, and stops at once when told twice."""

    def __init__(self, host: str, port: int, *, workers: int, stop_within_s: int, log_settings: dict[str, Any]) -> None:
        super().__init__(
            "propylon.cli.serving:application",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            loop=Loops.uvloop,
            factory=True,
            websockets=False,
            log_level=LogLevels.warning,
            log_dictconfig=log_settings,
            respawn_failed_workers=True,
            workers_kill_timeout=stop_within_s,
        )
        self.cut_off = False
        self._asked_at = 0.0

    @property
    def told_to_stop(self) -> bool:
        """Whether somebody asked it to stop (rather than its workers failing)."""
        return bool(self.interrupt_signal)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Begin to stop; the second time, cut off whatever is still in flight."""
        now = time.monotonic()
        if not self.told_to_stop:
            self._asked_at = now
            self._end_streams()
        elif now - self._asked_at > ASKED_ONCE_WITHIN_S:
            self.cut_off = True
            for worker in self.wrks:
                worker.kill()  # type: ignore[no-untyped-call]  # as Granian wrote it
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    def startup(self, *args: Any, **kwargs: Any) -> Any:
        """Start the workers."""
        signal.signal(END_STREAMS, signal.SIG_IGN)  # inherited: one that is not yet up must not die of it
        return super().startup(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _end_streams(self) -> None:
        for worker in self.wrks:
            with suppress(ProcessLookupError):
                os.kill(worker._id(), END_STREAMS)  # type: ignore[no-untyped-call]  # noqa: SLF001 - no other name
