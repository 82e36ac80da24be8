"""The file that holds the server's key ring (design: it is never overwritten)."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

from propylon.core.secret import KEY_BYTES, MAX_RING_CHARS, KeyRing
from propylon.errors import SetupError

_HEAD: Final = (
    "# Propylon server keys, one a line: <id> <256 random bits>. The first one is current.\n"
    "# Keep this file secret and back it up: without it every session and every signing key is lost.\n"
)


def load_or_create(path: Path, *, may_create: bool) -> KeyRing:
    """Read the key ring; make the file first where there is none.

    Safe for any number of processes that start at once: all of them get the one ring that is in the file. An
    existing file is never written to, whatever is in it.

    Args:
        path: the key file.
        may_create: whether a missing file is made (mode 0600); otherwise it is refused.

    Raises:
        SetupError: it is missing and may not be made, cannot be read or written, or holds no key ring.
    """
    try:
        if may_create and not os.path.lexists(path):
            _create(path)
        return _load(path)
    except OSError as error:
        raise _refusal(path, error, may_create=may_create) from error


def permissions_loose(path: Path) -> bool:
    """Say whether others than its owner may use the file; False where modes mean nothing."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _load(path: Path) -> KeyRing:
    if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
        raise SetupError("key_file_not_a_file", path=path)
    with path.open("rb") as file:
        content = file.read(MAX_RING_CHARS + 1)
    try:
        return KeyRing.parse(content.decode("utf-8-sig"))  # an editor may have left a mark in front
    except UnicodeDecodeError:
        # The chained error would hold the file's bytes.
        raise SetupError("key_file_not_text", path=path) from None
    except SetupError as error:
        raise SetupError("key_file_unusable", path=path, why=error) from None


def _create(path: Path) -> None:
    """Give the path a file with a new key, unless another process is first.

    The content is complete on disk before its name appears, and a link, unlike a rename, never replaces a
    file: no process sees half a key, and none overwrites the key of another.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_HEAD}k{secrets.token_hex(4)} {secrets.token_urlsafe(KEY_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
        _sync_directory(path.parent)
    except FileExistsError:
        pass  # somebody was first: theirs is the key
    finally:
        Path(temporary).unlink()


def _sync_directory(directory: Path) -> None:
    """Make the new name survive a power cut, where directories can be synchronised."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(path: Path, error: OSError, *, may_create: bool) -> SetupError:
    if isinstance(error, FileNotFoundError) and not may_create:
        return SetupError("key_file_missing", path=path)
    if isinstance(error, FileNotFoundError):
        return SetupError("key_file_no_directory", path=path, directory=path.parent)
    return SetupError("key_file_refused", path=path, reason=error.strerror or type(error).__name__)
