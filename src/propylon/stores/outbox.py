"""How the stores of accounts write down a change for the store of sessions."""

from __future__ import annotations

import msgspec

from propylon.ports import AccountChange


def spelled(change: AccountChange) -> str:
    """Return a change as the text that is kept; its position is where it stands."""
    return msgspec.json.encode(change).decode()


def change_of(position: int, text: str) -> AccountChange:
    """Return the change that stands at a position."""
    return msgspec.structs.replace(msgspec.json.decode(text, type=AccountChange), position=position)
