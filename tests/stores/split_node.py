"""A process that dies between the two writes: ``python split_node.py ACCOUNTS.db WHAT``, "between" on stdout."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from propylon.core.session import Ending
from propylon.ports import AccountChange
from propylon.stores.memory import MemorySessionStore
from propylon.stores.split import SplitStore
from propylon.stores.sqlite import SqliteStore
from propylon.testing.records import NOW, a_user


class Stuck(MemorySessionStore):
    """A store of sessions that is asked and never answers."""

    async def apply_change(self, change: AccountChange) -> None:
        """Say so, and wait to be killed."""
        sys.stdout.write(f"between {change.position}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def start(accounts: Path, what: str) -> None:
    """Change the account."""
    store = SplitStore(SqliteStore(accounts, sessions_elsewhere=True), Stuck())
    await store.open()
    if what == "disable":
        await store.enable_user("user-1", disabled=Ending("user_disabled", NOW), feed_ttl_s=300)
    else:
        over = Ending("password_changed", NOW)
        await store.replace_password(a_user(), "$new", over, keep=None, feed_ttl_s=300)


if __name__ == "__main__":
    asyncio.run(start(Path(sys.argv[1]), sys.argv[2]))
