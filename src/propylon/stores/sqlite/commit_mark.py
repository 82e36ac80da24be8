"""Has anybody committed anything? Asked of the WAL index in a tenth of a microsecond.

The first 48 bytes of ``FILE-shm`` are the WAL-index header (https://sqlite.org/walformat.html, 2.1): it
changes with every commit and checkpoint of any process. ``PRAGMA data_version`` tells the same and costs
as much as reading a row.

Closing any descriptor of a file drops all locks that the process holds on it (POSIX advisory locks), and
SQLite keeps its own on this one. So there is one mapping a file and process, kept until the last store of it
has closed its connections.
"""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path

HEADER_BYTES = 48

_lock = threading.Lock()
_mapped: dict[tuple[int, int], CommitMark] = {}


class CommitMark:
    """The header of one file's WAL index, with the number of stores that use it."""

    def __init__(self, path: Path, identity: tuple[int, int]) -> None:
        self._identity = identity
        self.users = 0
        # Should the mapping fail, the descriptor stays open all the same: closing it would drop locks.
        self._file = os.open(path, os.O_RDONLY)
        self.header = mmap.mmap(self._file, HEADER_BYTES, access=mmap.ACCESS_READ)

    @classmethod
    def acquire(cls, database: Path) -> CommitMark | None:
        """Return the mark of a database to which the caller holds an open connection that has read.

        None when the WAL index cannot be mapped (some network file systems).
        """
        path = database.with_name(f"{database.name}-shm")
        with _lock:
            try:
                status = path.stat()
                # By what the name stands for now: an index that was replaced under it is another one.
                identity = status.st_dev, status.st_ino
                mark = _mapped.get(identity) or cls(path, identity)
            except (OSError, ValueError):
                return None
            mark.users += 1
            return _mapped.setdefault(identity, mark)

    def release(self) -> None:
        """Let go, after the caller's connections are closed."""
        with _lock:
            self.users -= 1
            if self.users == 0:
                del _mapped[self._identity]
                self.header.close()
                os.close(self._file)
