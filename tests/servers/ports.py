"""Ports of this machine for the servers of tests: none is given twice, whoever else runs tests here meanwhile."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import suppress

# Below those that outgoing connections take by themselves: a server that is started again finds its port free.
FIRST, END = 10_000, 30_000
BLOCK, STEP = 100, 4  # the launcher of the shop takes one of the next ports by itself


def free_port() -> int:
    """Return a port that nobody listens on, and that no process which tests has been given before."""
    return next(port for port in _PORTS if _is_free(port))


def _blocks() -> Iterator[int]:
    """Claim blocks for this process, as long as it lives: a name in Linux's abstract namespace has one owner."""
    starts = list(range(FIRST, END, BLOCK))
    random.shuffle(starts)
    for start in starts:
        with socket.socket(socket.AF_UNIX) as claim, suppress(OSError):
            claim.bind(f"\0propylon-tests-{start}")
            claim.detach()
            yield start


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


_PORTS = (port for start in _blocks() for port in range(start, start + BLOCK, STEP))
