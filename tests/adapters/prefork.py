"""How WSGI apps are served in tests: gunicorn, two processes of four threads, forked before the first request."""

from __future__ import annotations

import sys

from tests.adapters.serving import Command

WORKERS, THREADS = 2, 4


def gunicorn(app: str, *options: str) -> Command:
    """Return the command that serves a WSGI app."""
    how = ["-w", str(WORKERS), "-k", "gthread", "--threads", str(THREADS), "--graceful-timeout", "5", *options]
    return lambda port: [sys.executable, "-m", "gunicorn", *how, "-b", f"127.0.0.1:{port}", app]
