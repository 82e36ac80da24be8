"""Disables an account and never reaches its sessions: ``python killed_between.py STORE EMAIL``."""

from __future__ import annotations

import asyncio
import sys
import time

from propylon.core.session import Ending
from propylon.stores import account_store


async def start(url: str, email: str) -> None:
    """Write the account, say so, and wait to be killed where the sessions would come next."""
    accounts = account_store(url)
    await accounts.open()
    user = await accounts.find_user_by_email(email)
    assert user is not None
    await accounts.enable_user(user.id, disabled=Ending("user_disabled", int(time.time())), feed_ttl_s=360)
    sys.stdout.write("between\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(start(*sys.argv[1:3]))
