"""What each worker process of ``propylon serve`` runs."""

from __future__ import annotations

import asyncio
import os
from typing import Self

from starlette.types import ASGIApp

from propylon.app import Propylon
from propylon.cli.server import END_STREAMS


class Worker(Propylon):
    """A Propylon that is told by signal to end its streams, before its server waits for them."""

    async def open(self) -> Self:
        """Open, and listen for the signal."""
        await super().open()
        asyncio.get_running_loop().add_signal_handler(END_STREAMS, self.runtime.feed.stop)
        return self


def application() -> ASGIApp:
    """Return the application of one worker; its settings come by the environment, from the parent."""
    return Worker.from_env(workers=int(os.environ.get("PROPYLON_WORKERS", "1")))
