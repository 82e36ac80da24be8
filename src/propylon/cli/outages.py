"""What ``propylon explain`` says of stores: when one is away, and how long until an ending is heard everywhere.

Held by tests that take the stores away (``tests/nodes/test_explained_outages.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from propylon.cli.sentences import Sentence
from propylon.config import Config
from propylon.core.revocation import FRESH_FOR_S, MAX_SILENCE_S
from propylon.core.session import Mode
from propylon.stores import check_urls, kind_of

Kind = Literal["memory", "sqlite", "postgres", "redis"]
NAMES: Mapping[Kind, str] = {"memory": "memory", "sqlite": "SQLite", "postgres": "PostgreSQL", "redis": "Redis"}


class Stores(msgspec.Struct, frozen=True):
    """Which kinds of store are configured."""

    accounts: Kind
    sessions: Kind

    @property
    def apart(self) -> bool:
        """Whether accounts and sessions are in different ones."""
        return self.accounts != self.sessions

    @property
    def across_network(self) -> bool:
        """Whether endings have to be heard, instead of being asked for at every request."""
        return self.sessions in ("postgres", "redis")


def stores_of(config: Config) -> Stores:
    """Return what is configured.

    Raises:
        SetupError: there is no such store, or the two do not go together.
    """
    check_urls(config.store, config.session_store)
    return Stores(kind_of(config.store), kind_of(config.session_store or config.store))


class Bounds(msgspec.Struct, frozen=True):
    """How long, at most, in seconds.

    Attributes:
        cookie_s: a cookie goes on where the store of sessions does not answer, or is not heard.
        token_s: likewise an access token.
        everywhere_s: from the answered ending until every server refuses.
        elsewhere_s: likewise a service elsewhere that follows the feed, or has lost it.
        signature_s: likewise one that checks signatures alone.
    """

    cookie_s: int
    token_s: int
    everywhere_s: int
    elsewhere_s: int
    signature_s: int


def bounds_of(config: Config) -> Bounds:
    """Return what follows from the settings."""
    activity_s, access_s = config.policy.activity_interval_s, config.access_ttl_s
    if not stores_of(config).across_network:
        return Bounds(0, 0, 0, min(access_s, _unheard_elsewhere_s(0)), access_s)
    if config.unsafe_feed_silence:
        # Nothing but its own end takes a credential out of a memory that no silence makes doubtful. Services
        # elsewhere are told all the while that nothing has happened.
        return Bounds(activity_s, access_s, max(activity_s, access_s), access_s, access_s)
    silence_s = config.feed_max_silence_s
    cookie_s, token_s = min(silence_s, activity_s), min(silence_s, access_s)
    elsewhere_s = min(access_s, _unheard_elsewhere_s(silence_s))
    return Bounds(cookie_s, token_s, max(cookie_s, token_s), elsewhere_s, access_s)


def _unheard_elsewhere_s(silence_s: int) -> int:
    """Return how long a follower may believe a server that has itself heard nothing for ``silence_s`` already."""
    return silence_s + FRESH_FOR_S + MAX_SILENCE_S


def when_away(config: Config, mode: Mode) -> Iterator[Sentence]:
    """Say where everything is kept, and what happens when that does not answer."""
    stores = stores_of(config)
    names: dict[str, object] = {"accounts": NAMES[stores.accounts], "sessions": NAMES[stores.sessions]}
    if stores.apart:
        yield Sentence("kept_apart", names)
    else:
        yield Sentence(f"kept_{stores.accounts}")
    if stores.sessions == "sqlite":
        yield Sentence("file_unwritable")
        yield from _refresh(mode)
        yield Sentence("file_gone")
    if stores.across_network:
        yield from _sessions_away(config, mode, stores)
    if stores.apart and stores.accounts == "sqlite":
        yield Sentence("accounts_unwritable")
    elif stores.apart:
        yield from _accounts_away(config, mode, stores)
    if stores.accounts != "memory":
        yield Sentence("away_ready")


def _sessions_away(config: Config, mode: Mode, stores: Stores) -> Iterator[Sentence]:
    bounds = bounds_of(config)
    store: dict[str, object] = {"store": NAMES[stores.sessions]}
    yield Sentence("away_sign_in", store)
    yield from _refresh(mode)
    if config.unsafe_feed_silence:
        yield Sentence("away_unsafe", store)
    if mode != "bearer":
        facts: dict[str, object] = {"activity_s": config.policy.activity_interval_s, "most_s": bounds.cookie_s}
        yield Sentence("away_cookie", facts)
    if mode != "cookie":
        yield Sentence("away_token", {"most_s": bounds.token_s})
    if not config.unsafe_feed_silence:
        yield Sentence("away_after", {"silence_s": config.feed_max_silence_s})
    if config.algorithm != "HS256":
        key = "away_elsewhere_unsafe" if config.unsafe_feed_silence else "away_elsewhere"
        yield Sentence(key, {"most_s": bounds.elsewhere_s})
    yield Sentence("away_commands")
    yield Sentence("away_back", store)
    if stores.sessions == "redis":
        yield Sentence("redis_lost", {"feed_ttl_s": config.policy.feed_ttl_s})


def _accounts_away(config: Config, mode: Mode, stores: Stores) -> Iterator[Sentence]:
    yield Sentence("accounts_away", {"accounts": NAMES[stores.accounts]})
    if mode != "bearer":
        yield Sentence("accounts_away_cookie", {"most_s": config.policy.activity_interval_s})
    if mode != "cookie":
        yield Sentence("accounts_away_token", {"access_s": config.access_ttl_s, "accounts": NAMES[stores.accounts]})


def _refresh(mode: Mode) -> Iterator[Sentence]:
    if mode != "cookie":
        yield Sentence("away_refresh")


def until_out(config: Config) -> Iterator[Sentence]:
    """Say from when on somebody who was signed out is out: here, at the other servers, at services elsewhere."""
    stores, bounds = stores_of(config), bounds_of(config)
    if not stores.across_network:
        yield Sentence("ending")
    elif config.unsafe_feed_silence:
        yield Sentence("ending_heard", {"store": NAMES[stores.sessions]})
        yield Sentence("ending_unsafe", {"cookie_s": bounds.cookie_s, "token_s": bounds.token_s})
    else:
        yield Sentence("ending_heard", {"store": NAMES[stores.sessions]})
        yield Sentence("ending_unheard", {"silence_s": config.feed_max_silence_s, "most_s": bounds.everywhere_s})
    yield Sentence("ending_password")
    if config.algorithm == "HS256":  # whoever could check it could make it: there is no key to give away
        return
    facts: dict[str, object] = {"silence_s": MAX_SILENCE_S, "most_s": bounds.elsewhere_s}
    yield Sentence("ending_elsewhere", facts)
    yield Sentence("ending_signature", {"most_s": bounds.signature_s})


def facts(config: Config) -> dict[str, object]:
    """Return the same for programs."""
    stores, bounds = stores_of(config), bounds_of(config)
    by_key = config.algorithm != "HS256"
    return {
        "stores": {"accounts": stores.accounts, "sessions": stores.sessions},
        "feed_max_silence_s": config.feed_max_silence_s,
        "unsafe_feed_silence": bool(config.unsafe_feed_silence),
        "until_out": {
            "server_that_answered_s": 0,
            "every_server_s": bounds.everywhere_s,
            "service_with_feed_s": bounds.elsewhere_s if by_key else None,
            "service_without_feed_s": bounds.signature_s if by_key else None,
        },
        "session_store_away": {"cookie_s": bounds.cookie_s, "token_s": bounds.token_s}
        if stores.across_network
        else None,
    }
