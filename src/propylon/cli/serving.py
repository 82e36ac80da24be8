"""What each worker process of ``propylon serve`` runs."""

from __future__ import annotations

import os

from starlette.types import ASGIApp

from propylon.app import Propylon


def application() -> ASGIApp:
    """Return the application of one worker; its settings come by the environment, from the parent."""
    return Propylon.from_env(workers=int(os.environ.get("PROPYLON_WORKERS", "1")))
