"""What a look at the server of a store shows, for ``propylon doctor``: how it is reached, kept and set."""

from __future__ import annotations

from typing import Literal

import msgspec

from propylon.core.origin import is_loopback_host


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a commit that was answered is on the disk.

    Attributes:
        synchronous_commit: as the server has it for everybody.
        kept_on: whether Propylon's own connections could ask for it nevertheless.
    """

    fsync: bool = True
    full_page_writes: bool = True
    synchronous_commit: bool = True
    kept_on: bool = True


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of what a Redis holds: when its memory is full, when it stops, when another takes over.

    Attributes:
        kind: whether it is alone or a part of something.
        confirmed_by: how many replicas must have a write before Propylon acknowledges it.
        replicas: how many follow it now.
        appendonly: not 0 where writes are logged.
    """

    kind: Literal["single", "sentinel", "cluster"] = "single"
    confirmed_by: int = 0
    replicas: int | None = 0
    max_memory: int | None = 0
    policy: str | None = "noeviction"
    appendonly: int | None = 1
    appendfsync: str | None = "always"
    min_replicas: int | None = 0


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server that answers, as one of its clients sees it. What it keeps to itself is None.

    Attributes:
        place: its address, as it may be shown.
        local: whether no network lies between.
        encrypted: whether the connection is TLS.
        guarded: whether who comes has to prove who they are.
        version: of its protocol: a Valkey names the Redis that it is like.
        ahead_s: by how much its clock is ahead of this machine's.
        heard_after_ms: how long something harmless took from its announcement until it was heard here.
    """

    place: str
    local: bool = True
    encrypted: bool = False
    guarded: bool = False
    version: str | None
    ahead_s: float = 0.0
    heard_after_ms: float = 0.0
    postgres: PostgresSettings | None = None
    redis: RedisSettings | None = None


def is_local(host: str) -> bool:
    """Return whether a host is this machine: its loopback, or a socket in its file system."""
    return not host or host.startswith("/") or is_loopback_host(host)
