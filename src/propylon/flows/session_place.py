"""Whether the sessions of a store of accounts are kept in it or elsewhere: the store remembers.

A command that forgot PROPYLON_SESSION_STORE would disable an account and end none of its sessions, and a node
that forgot it would sign everybody out: both are refused instead.
"""

from __future__ import annotations

from propylon.errors import SetupError
from propylon.ports import SettingStore

SETTING = "sessions_kept"
HERE, ELSEWHERE = "here", "elsewhere"


async def agree_on_place(accounts: SettingStore, *, elsewhere: bool, said: bool) -> None:
    """Note where the sessions are kept, or refuse to look for them in the wrong place.

    Args:
        accounts: the store of accounts.
        elsewhere: whether this process looks for sessions in another store.
        said: whether somebody gave ``PROPYLON_SESSION_STORE``; giving it the store of accounts brings sessions back.

    Raises:
        SetupError: this process would look for sessions here, and they are elsewhere.
    """
    recorded = await accounts.read_setting(SETTING)
    place = ELSEWHERE if elsewhere else HERE
    if recorded == place or (recorded is None and not elsewhere):
        return
    if not elsewhere and not said:
        raise SetupError("session_store_left_out")
    if not await accounts.write_setting(SETTING, place, expected=recorded):  # another process was first
        await agree_on_place(accounts, elsewhere=elsewhere, said=said)
