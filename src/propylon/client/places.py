"""Where tokens are kept between two requests, two runs and two processes."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from propylon.client.forking import after_fork
from propylon.client.tokens import MAX_TEXT_CHARS
from propylon.errors import SetupError

# Whoever holds the lock asks the server once or twice; longer is a process that hangs.
LOCK_WITHIN_S = 30.0
_LOOK_AGAIN_S = 0.02


class Place(Protocol):
    """Keeps one text, which is secret. Everything here may block: it is never called on an event loop."""

    def load(self) -> str | None:
        """Return the text, None where there is none; raises ``OSError`` when it cannot be known."""

    def save(self, text: str) -> None:
        """Keep a text in place of the one before, whole or not at all; raises ``OSError``."""

    def remove(self) -> None:
        """Keep nothing; raises ``OSError``."""

    def lock(self) -> AbstractContextManager[None]:
        """Keep everybody else who shares the place from renewing meanwhile; raises ``OSError``."""


class MemoryPlace:
    """Keeps nothing beyond this process; a process that was forked off starts with nothing.

    A parent and its child that both went on with one refresh token would be taken for thief and victim.
    """

    def __init__(self) -> None:
        self._text: str | None = None
        self._lock = threading.Lock()
        after_fork(self, MemoryPlace._start_over)

    def load(self) -> str | None:
        """Return the text."""
        return self._text

    def save(self, text: str) -> None:
        """Keep a text."""
        self._text = text

    def remove(self) -> None:
        """Keep nothing."""
        self._text = None

    def lock(self) -> AbstractContextManager[None]:
        """Lock out the other threads."""
        return _entered(self._lock)

    def _start_over(self) -> None:
        self._text, self._lock = None, threading.Lock()


class FilePlace:
    """Keeps the tokens in a file that nobody but its owner may read, shared by any number of processes.

    The file is replaced whole, so no crash leaves half of it; ``<path>.lock`` beside it is what processes lock.

    Args:
        path: the file; its directory is made (mode 0700) where there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock_path = self._path.with_name(f"{self._path.name}.lock")

    def load(self) -> str | None:
        """Return what the file holds.

        Raises:
            OSError: it cannot be read.
            SetupError: it is no file, or others than its owner may use it: whoever read it is signed in by now.
        """
        try:
            # Without waiting: a pipe in its place would hold up everything.
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            return None
        try:
            _require_private(self._path, os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_TEXT_CHARS + 1).decode("utf-8", "replace")
        finally:
            os.close(descriptor)

    def save(self, text: str) -> None:
        """Replace the file."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # a name without its content would be a session lost to a power cut
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Delete the file."""
        self._path.unlink(missing_ok=True)

    def lock(self) -> AbstractContextManager[None]:
        """Lock out the other processes, and the other threads of this one."""
        return file_lock(self._lock_path)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file that is there for nothing else; raises ``OSError`` when nobody lets go of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, time.monotonic() + LOCK_WITHIN_S)
        try:
            yield
        finally:
            # Closing alone would not do where a process was forked off meanwhile: it has the descriptor too.
            _release(descriptor)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, deadline_s: float) -> None:
    while not _acquired(descriptor):
        if time.monotonic() > deadline_s:
            raise TimeoutError("another process does not let go of the tokens")
        time.sleep(_LOOK_AGAIN_S)


if sys.platform == "win32":
    import msvcrt

    def _acquired(descriptor: int) -> bool:
        with suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            return True
        return False

    def _release(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquired(descriptor: int) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _release(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def _entered(lock: threading.Lock) -> Iterator[None]:
    with lock:
        yield


def _require_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise SetupError("client_file_not_a_file", path=path)
    if os.name != "posix":  # where modes mean nothing
        return
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or found.st_uid != os.geteuid():
        raise SetupError("client_file_loose", path=path)
