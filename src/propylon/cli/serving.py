"""What each worker process of ``propylon serve`` runs."""

from __future__ import annotations

import asyncio
import os
from typing import Self

from starlette.types import ASGIApp

from propylon.app import Propylon
from propylon.cli.output import sentence_of
from propylon.cli.server import END_STREAMS
from propylon.errors import PropylonError


class Worker(Propylon):
    """A Propylon in front of which a person sits, at a terminal; it ends its streams when it is told to by signal."""

    async def open(self) -> Self:
        """Open, and listen for the signal: the server waits for requests, and a stream is one that does not end."""
        await super().open()
        asyncio.get_running_loop().add_signal_handler(END_STREAMS, self.runtime.end_streams)
        return self

    def said(self, error: PropylonError) -> str:
        """Return what the terminal shows where a worker cannot start, in its language."""
        return sentence_of(error)


def application() -> ASGIApp:
    """Return the application of one worker; its settings come by the environment, from the parent."""
    return Worker.from_env(workers=int(os.environ.get("PROPYLON_WORKERS", "1")))
