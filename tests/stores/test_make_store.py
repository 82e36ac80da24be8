"""Stores by URL."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from propylon.errors import SetupError
from propylon.stores import bring_up_to_date, check_urls, inspect, is_shared, make_store, sqlite_path
from propylon.stores.memory import MAX_UNREAD, MemoryStore
from propylon.stores.sqlite import SqliteStore
from propylon.stores.urls import account_kind
from propylon.testing import CountingStore, a_user


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///relative.db", "relative.db"), ("sqlite:////var/lib/p.db", "/var/lib/p.db"), ("memory://", None)],
)
def test_a_url_names_a_file_or_none(url: str, path: str | None) -> None:
    """Three slashes are relative, four absolute."""
    assert sqlite_path(url) == (None if path is None else Path(path))


def test_a_url_names_a_store() -> None:
    """It is not opened yet."""
    assert isinstance(make_store("memory://"), MemoryStore)
    assert isinstance(make_store("sqlite:///x.db"), SqliteStore)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite:////",
        "sqlite:///.",
        "sqlite://x.db",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
    ],
)
def test_an_sqlite_url_without_a_file_is_refused(url: str) -> None:
    """One sentence says how it is written."""
    with pytest.raises(SetupError, match=r"sqlite:///relative\.db"):
        make_store(url)


@pytest.mark.parametrize(
    "url", ["", "memory", "memory://x", "mysql://u:hunter2@host", "mysql://hunter2", "SQLITE:///x.db"]
)
def test_an_unknown_store_is_refused_without_repeating_secrets(url: str) -> None:
    """One sentence names the setting, what exists, and nothing behind the scheme."""
    with pytest.raises(SetupError, match=r"^PROPYLON_STORE .*memory://, sqlite:///") as caught:
        make_store(url)
    assert "hunter2" not in str(caught.value)


REDIS = [
    "redis://:hunter2@host",
    "rediss://:hunter2@host/1",
    "unix://:hunter2@/run/redis.sock",
    "redis+sentinel://:hunter2@a:26379,b/main",
    "redis+cluster://:hunter2@a:6379",
]


@pytest.mark.parametrize("url", [*REDIS, "valkey://:hunter2@host"])
@pytest.mark.parametrize("ask", [make_store, inspect, bring_up_to_date, account_kind])
def test_accounts_are_never_kept_in_redis(ask: Callable[[str], object], url: str) -> None:
    """The sentence names both settings, since it was the other one that was meant."""
    with pytest.raises(SetupError, match=r"PROPYLON_STORE .*PROPYLON_SESSION_STORE") as caught:
        ask(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", REDIS)
def test_accounts_and_sessions_may_be_kept_in_two_stores(url: str) -> None:
    """Sessions in Redis or Valkey, beside a file or a PostgreSQL database."""
    check_urls("sqlite:///x.db", url)
    check_urls("postgresql://host/x", url)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///x.db", "postgresql://u:hunter2@host/x"])
def test_sessions_are_with_the_accounts_where_nothing_else_is_said(url: str) -> None:
    """Nothing, or the same again."""
    check_urls(url, "")
    check_urls(url, url)


APART = [
    ("sqlite:///x.db", "memory://", "PROPYLON_SESSION_STORE takes sessions to Redis"),
    ("sqlite:///x.db", "sqlite:///y.db", "PROPYLON_SESSION_STORE takes sessions to Redis"),
    ("sqlite:///x.db", "postgresql://u:hunter2@host/x", "PROPYLON_SESSION_STORE takes sessions to Redis"),
    ("sqlite:///x.db", "valkey://:hunter2@host", "PROPYLON_SESSION_STORE takes sessions to Redis"),
    ("sqlite:///x.db", "hunter2", "PROPYLON_SESSION_STORE takes sessions to Redis"),
    ("memory://", "redis://:hunter2@host", "PROPYLON_STORE=memory:// forgets the accounts"),
    ("redis://:hunter2@host", "redis://:hunter2@host", "Accounts are never kept in Redis"),
    ("redis://:hunter2@host", "", "Accounts are never kept in Redis"),
    ("mysql://hunter2", "redis://:hunter2@host", "PROPYLON_STORE names a kind of store that does not exist"),
]


@pytest.mark.parametrize(("store", "session_store", "said"), APART)
def test_two_stores_that_do_not_go_together_are_refused(store: str, session_store: str, said: str) -> None:
    """One sentence says what to change, and repeats no password."""
    for ask in (check_urls, make_store):
        with pytest.raises(SetupError, match=f"^{re.escape(said)}") as caught:
            ask(store, session_store)
        assert "hunter2" not in str(caught.value)


def test_only_memory_belongs_to_one_process() -> None:
    """Several workers need a shared store."""
    assert not is_shared("memory://")
    assert is_shared("sqlite:///x.db")


def test_no_driver_is_imported_before_it_is_used() -> None:
    """``propylon.stores`` alone loads neither sqlite3 nor the store in memory."""
    code = "import sys, propylon.stores; print([m for m in sys.modules if 'sqlite' in m or 'stores.memory' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_memory_that_nobody_reads_stays_bounded() -> None:
    """A feed without a listener forgets what it held and says so."""
    store = MemoryStore()
    await store.add_user(a_user())
    for _ in range(MAX_UNREAD + 1):
        await store.rename_user("user-1", "Lee")
    subjects = [entry.subject for entry in store.news()]
    assert subjects == ["session_changed", "user_changed", "keys_changed", "mode_changed", "user_changed"]


async def test_a_counting_store_counts_by_name() -> None:
    """Answers pass through; the counts can be cleared."""
    store = CountingStore(make_store("memory://"))
    assert await store.add_user(a_user())
    assert await store.find_user("user-1") == await store.find_user("user-1") == a_user()
    assert store.calls == {"add_user": 1, "find_user": 2}
    store.calls.clear()
    store.news()
    assert store.calls == {"news": 1}
