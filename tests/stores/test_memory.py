"""The store in memory keeps the contract."""

from __future__ import annotations

import time

import pytest

from propylon.core.session import Ending
from propylon.ports import Store
from propylon.stores import make_store, memory
from propylon.testing import StoreContract, a_session, a_user, an_opening


class TestMemoryStore(StoreContract):
    """``memory://``."""

    async def make_store(self) -> Store:
        """Return an opened store."""
        store = make_store("memory://")
        await store.open()
        return store


async def test_however_much_is_unread_nobody_dead_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a reader is told to forget everything, and still hears of each token that must be refused."""
    monkeypatch.setattr(memory, "MAX_UNREAD", 10)
    store = memory.MemoryStore()
    now = int(time.time())
    user = a_user()
    await store.add_user(user)
    sessions = [a_session(user.id, created_at=now, last_seen_at=now, expires_at=now + 3_600) for _ in range(30)]
    for session in sessions:
        await store.open_session(an_opening(session), now)
    for session in sessions:
        await store.rename_user(user.id, session.id)
        await store.end_session(session.id, Ending("signed_out", now), user_id=None, feed_ttl_s=300)
    news = store.news()
    assert {entry.id for entry in news if entry.subject == "session_ended"} == {session.id for session in sessions}
    assert [entry.subject for entry in news if not entry.id][:4] == [
        "session_changed",
        "user_changed",
        "keys_changed",
        "mode_changed",
    ]
    assert [entry.position for entry in news] == sorted(entry.position for entry in news)
    assert store.news() == ()


async def test_what_is_unread_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that never asks holds no change of an account, and no ending whose tokens are over, for ever."""
    monkeypatch.setattr(memory, "MAX_UNREAD", 10)
    store = memory.MemoryStore()
    user = a_user()
    await store.add_user(user)
    for number in range(1_000):
        session = a_session(user.id, created_at=1_000, last_seen_at=1_000, expires_at=5_000)
        await store.open_session(an_opening(session), 1_000 + number)
        await store.rename_user(user.id, str(number))
        await store.end_session(session.id, Ending("signed_out", 1_000 + number), user_id=None, feed_ttl_s=300)
    assert len(store.news()) <= 20
