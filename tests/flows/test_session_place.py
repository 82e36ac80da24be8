"""Nobody looks for sessions where they are not: the store of accounts remembers where they are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from propylon.app import Propylon
from propylon.errors import SetupError
from propylon.flows.session_place import ELSEWHERE, HERE, SETTING, agree_on_place
from propylon.stores.memory import MemoryStore


@pytest.fixture
def accounts() -> MemoryStore:
    """A store of accounts."""
    return MemoryStore()


async def test_sessions_beside_their_accounts_need_no_word(accounts: MemoryStore) -> None:
    """Nothing is written where nothing was ever elsewhere."""
    await agree_on_place(accounts, elsewhere=False, said=False)
    await agree_on_place(accounts, elsewhere=False, said=True)
    assert await accounts.read_setting(SETTING) is None


async def test_sessions_that_are_elsewhere_are_not_looked_for_here(accounts: MemoryStore) -> None:
    """A command without PROPYLON_SESSION_STORE would disable an account and end none of its sessions."""
    await agree_on_place(accounts, elsewhere=True, said=True)
    await agree_on_place(accounts, elsewhere=True, said=True)
    with pytest.raises(SetupError, match="give PROPYLON_SESSION_STORE"):
        await agree_on_place(accounts, elsewhere=False, said=False)
    assert await accounts.read_setting(SETTING) == ELSEWHERE


async def test_sessions_come_back_where_somebody_says_so(accounts: MemoryStore) -> None:
    """From then on nothing needs to be said, and they can leave again."""
    await agree_on_place(accounts, elsewhere=True, said=True)
    await agree_on_place(accounts, elsewhere=False, said=True)
    assert await accounts.read_setting(SETTING) == HERE
    await agree_on_place(accounts, elsewhere=False, said=False)
    await agree_on_place(accounts, elsewhere=True, said=True)
    assert await accounts.read_setting(SETTING) == ELSEWHERE


async def test_nodes_that_start_together_agree(accounts: MemoryStore) -> None:
    """Whoever writes it first."""
    await asyncio.gather(*(agree_on_place(accounts, elsewhere=True, said=True) for _ in range(5)))
    assert await accounts.read_setting(SETTING) == ELSEWHERE


async def test_a_service_that_forgot_the_store_of_sessions_does_not_start(tmp_path: Path) -> None:
    """And one that names the store of accounts does."""
    store = f"sqlite:///{tmp_path}/propylon.db"
    async with Propylon(store=store) as propylon:
        await agree_on_place(propylon.runtime.store, elsewhere=True, said=True)
    with pytest.raises(SetupError, match="PROPYLON_SESSION_STORE"):
        await Propylon(store=store).open()
    async with Propylon(store=store, session_store=store):
        pass
    async with Propylon(store=store):
        pass
