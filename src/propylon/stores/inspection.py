"""What a look at a store from outside shows, for ``propylon doctor`` and ``propylon explain``."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from propylon.errors import SetupError
from propylon.ports import StoredKey


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """A store as it lies there.

    Attributes:
        exists: whether there is anything yet.
        unreadable: why it cannot be read, or None.
        unwritable: why it cannot be written to, or None.
        applied: version and checksum of every migration in it.
        server_keys: the fingerprints of the server keys it was made with, as recorded.
        mode: what ``propylon mode set`` said, as it is kept (``core.mode``), or None.
        signing_keys: oldest first, without their private parts.
    """

    exists: bool
    unreadable: SetupError | None = None
    unwritable: SetupError | None = None
    applied: Mapping[int, str] = {}
    server_keys: str | None = None
    mode: str | None = None
    signing_keys: tuple[StoredKey, ...] = ()
