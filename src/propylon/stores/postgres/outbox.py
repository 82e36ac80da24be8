"""The outbox on PostgreSQL: changes of accounts until the store of sessions has applied them.

Those of one account are numbered while its lock is held, so they stand in their order. Of two accounts the smaller
number may become visible later; nothing is skipped, since what was applied is removed and not counted past.
"""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

from collections.abc import Sequence

from propylon.ports import AccountChange
from propylon.stores.outbox import change_of
from propylon.stores.postgres.database import Database

_PENDING = "SELECT position, change FROM outbox ORDER BY position LIMIT $1"
_FORGET = "DELETE FROM outbox WHERE position = any($1::bigint[])"


class OutboxTable(Database):
    """``propylon.ports.Outbox``, on PostgreSQL."""

    async def pending_changes(self, limit: int) -> list[AccountChange]:
        return [change_of(*row) for row in await self._fetch(_PENDING, limit)]

    async def forget_changes(self, positions: Sequence[int]) -> None:
        await self._change(_FORGET, positions)
