"""All nodes of one set-up must hold the same server keys; the store remembers public fingerprints of them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from propylon.core.secret import KeyRing, fingerprint
from propylon.errors import SetupError
from propylon.ports import SettingStore

SETTING = "server_keys"


class LoadRing(Protocol):
    """Reads this node's key ring."""

    def __call__(self, *, may_create: bool) -> tuple[KeyRing, str]:
        """Return the ring and where it came from; make a new one only where ``may_create``."""


async def agree_on_keys(store: SettingStore, load: LoadRing) -> KeyRing:
    """Return this node's ring if it is the store's; note its keys in the store.

    A new ring is made only for a new store: for an old one it would be the wrong one, and every session
    would be lost without a word.

    Raises:
        SetupError: the sentence names the file that differs.
    """
    recorded = await store.read_setting(SETTING)
    ring, origin = load(may_create=recorded is None)
    ours, known = _marks(ring), _known(recorded)
    if not belongs(ring, recorded):
        raise SetupError("server_key_differs", place=origin)
    together = known | ours
    if together != known:
        written = await store.write_setting(SETTING, msgspec.json.encode(together).decode(), expected=recorded)
        if not written:  # another node was first: compare with what it wrote
            return await agree_on_keys(store, load)
    return ring


def belongs(ring: KeyRing, recorded: str | None) -> bool:
    """Return whether the ring is that of the store which has ``recorded``; every ring is, of a new store."""
    ours, known = _marks(ring), _known(recorded)
    if any(known.get(key_id, mark) != mark for key_id, mark in ours.items()):
        return False
    return not known or bool(known.keys() & ours.keys())


def _marks(ring: KeyRing) -> dict[str, str]:
    return {key.id: fingerprint(key) for key in ring.keys}


def _known(recorded: str | None) -> dict[str, str]:
    return msgspec.json.decode(recorded or "{}", type=dict[str, str])
