"""What ``propylon doctor`` sees and what it says: values alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from propylon.config import Config
from propylon.stores.inspection import Inspection
from propylon.stores.server import Server

Status = Literal["ok", "warn", "fail"]
KeyState = Literal["good", "missing", "unusable", "differs"]


class Finding(msgspec.Struct, frozen=True):
    """What one check says.

    Attributes:
        variant: which of its sentences; ``cli.doctor.<name>.<variant>`` and, unless ok, ``..._fix``.
        facts: what the sentences are filled with.
    """

    name: str
    status: Status
    variant: str = "ok"
    facts: dict[str, object] = {}


class FileMode(msgspec.Struct, frozen=True):
    """A file of ours and its permission bits, or the directory that it lies in."""

    path: str
    mode: int
    directory: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was there to be seen, beside the settings.

    Attributes:
        now: the machine's clock, epoch seconds.
        weakened: what the file of the bridge weakens, as ``setting=value``.
        strangers: ``PROPYLON_*`` variables that nothing reads.
        store_name: the store as it may be shown.
        in_memory: whether the store lives in the server process alone.
        store: the store as it lies there.
        place_writable: whether a store could be made where none is.
        missing_migrations: how many are to be applied.
        schema_trouble: why the schema cannot be used, or None.
        files: the files of this set-up that exist.
        key_place: the file or variable that holds the server key.
        key: how that key stands to the store.
        key_trouble: why it cannot be read, where it is ``unusable``.
        free_bytes: on the disk of the store, or None.
        newest_at: the latest time that the store remembers of schema and keys, or None.
        sessions_name: the store of sessions as it may be shown, where they have one of their own.
        servers: those of the stores, as far as they could be used.
        store_trouble: why the server of the store cannot be used, or None.
        sessions_trouble: why the store of sessions cannot be used, or None.
    """

    now: int
    store_name: str
    key_place: str
    weakened: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    in_memory: bool = False
    store: Inspection = Inspection(exists=True)
    place_writable: bool = True
    missing_migrations: int = 0
    schema_trouble: str | None = None
    files: tuple[FileMode, ...] = ()
    key: KeyState = "good"
    key_trouble: str = ""
    free_bytes: int | None = None
    newest_at: int | None = None
    sessions_name: str = ""
    servers: tuple[Server, ...] = ()
    store_trouble: str | None = None
    sessions_trouble: str | None = None


Check = Callable[[Config, Seen], Finding | None]
