"""Who may write to a file: to the database, to what SQLite keeps beside it, and to the directory of all three."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

BESIDE = ("-wal", "-shm")


def user() -> str:
    """Return the name of the user that this process runs as, or the number where there is none."""
    return _name(os.geteuid())


def refused(path: Path) -> list[Path]:
    """Return what this process may not write to, as far as it is there; ``path`` is no symbolic link."""
    if os.name != "posix":  # rights are another matter there
        return []
    files = [path, *(path.with_name(path.name + ending) for ending in BESIDE)]
    closed = [file for file in files if _is_there(file) and not os.access(file, os.R_OK | os.W_OK)]
    # SQLite makes and removes files beside the database.
    folder = path.parent
    return [*closed, folder] if _is_there(folder) and not os.access(folder, os.W_OK | os.X_OK) else closed


def check(path: Path) -> None:
    """Raise ``PermissionError`` where this process may not write to a database.

    Before SQLite opens it: that would leave a log and its index there, with the mode of the file, and so closed too.
    """
    if refused(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def standing(path: Path) -> str:
    """Return owner and mode of the file and of its directory, as far as they are there."""
    return ", ".join(f"{place} ({_owner_and_mode(place)})" for place in (path, path.parent) if _is_there(place))


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except PermissionError:
        return False


def _owner_and_mode(place: Path) -> str:
    status = place.stat()
    return f"{_name(status.st_uid)}, {stat.S_IMODE(status.st_mode):04o}"


def _name(number: int) -> str:
    import pwd  # noqa: PLC0415 - there is none but on POSIX

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
