"""What an app keeps with a session: read, and replaced by compare-and-swap so that no write is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from propylon.core.principal import SessionData, User
from propylon.errors import Conflict, CredentialRefused, RuleRefused
from propylon.ports import Store

MAX_DATA_BYTES = 16 * 1024
# What one call can just about parse, a call from deeper in an app cannot: far below the interpreter's limit.
MAX_DATA_DEPTH = 64
# Losing this many times in a row means that something writes without pause; the caller should know.
MAX_ATTEMPTS = 64


class AtHome:
    """Implements ``core.principal.Home`` on the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read_data(self, session_id: str) -> SessionData:
        """Return the app's data of this session."""
        return await self._store.read_data(session_id)

    async def replace_data(self, session_id: str, value: dict[str, Any], expected: int | None) -> SessionData:
        """Write ``value`` if the version is still ``expected`` (None: whatever it is).

        Raises:
            RuleRefused: it is larger than ``MAX_DATA_BYTES`` as JSON, or too deep.
            Conflict: ``data_changed``: somebody else was first.
        """
        check_depth(value)
        check_size(value)
        version = await self._store.replace_data(session_id, value, expected)
        if version is None:
            raise Conflict("data_changed")
        return SessionData(value, version)

    async def update_data(self, session_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> SessionData:
        """Apply ``change`` until nobody was in between."""
        for _ in range(MAX_ATTEMPTS):
            data = await self._store.read_data(session_id)
            try:
                return await self.replace_data(session_id, change(data.value), data.version)
            except Conflict:
                continue
        raise Conflict("data_changed")

    async def read_user(self, user_id: str) -> User:
        """Return the user."""
        user = await self._store.find_user(user_id)
        if user is None:
            raise CredentialRefused("user_disabled")
        return user


def check_depth(value: object) -> None:
    """Raise ``RuleRefused`` where ``value`` is nested deeper than ``MAX_DATA_DEPTH``."""
    if _is_deeper(value, MAX_DATA_DEPTH):
        raise RuleRefused(errors=(("", "too_deep", {"limit": MAX_DATA_DEPTH}),))


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list | tuple):
        return False
    within = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in within)


def check_size(value: dict[str, Any]) -> None:
    """Raise ``RuleRefused`` unless ``value`` is JSON and fits."""
    try:
        size = len(msgspec.json.encode(value))
    except (TypeError, OverflowError, RecursionError, UnicodeEncodeError):
        raise RuleRefused(errors=(("", "wrong_type", {}),)) from None
    if size > MAX_DATA_BYTES:
        raise RuleRefused(errors=(("", "data_too_large", {"max_bytes": MAX_DATA_BYTES}),))
