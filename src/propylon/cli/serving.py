"""What each worker process of ``propylon serve`` runs."""

from __future__ import annotations

import os

from starlette.types import ASGIApp

from propylon.app import Propylon
from propylon.cli.output import sentence_of
from propylon.errors import PropylonError


class Worker(Propylon):
    """Propylon in front of which a person sits, at a terminal."""

    def said(self, error: PropylonError) -> str:
        """Return what the terminal shows where a worker cannot start, in its language."""
        return sentence_of(error)


def application() -> ASGIApp:
    """Return the application of one worker; its settings come by the environment, from the parent."""
    return Worker.from_env(workers=int(os.environ.get("PROPYLON_WORKERS", "1")))
