"""Which servers a URL names, and a client for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff

from propylon.core.discreet import Discreet
from propylon.errors import SetupError

Kind = Literal["single", "sentinel", "cluster"]

# An answer from a healthy server takes less than a millisecond; one that takes this long is not coming.
ANSWER_TIMEOUT_S = 0.8

# So many commands of one process are under way at most; the others wait for their turn.
MAX_UNDER_WAY = 16

# A cluster's followers wait on connections of their own, one for each shard.
MAX_CONNECTIONS = 2 * MAX_UNDER_WAY + 4

_KINDS: dict[str, tuple[Kind, bool]] = {
    "redis": ("single", False),
    "valkey": ("single", False),
    "rediss": ("single", True),
    "valkeys": ("single", True),
    "unix": ("single", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_PORTS: dict[Kind, int] = {"single": 6379, "sentinel": 26379, "cluster": 6379}
_OPTIONS = {"db", "replicas", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "sentinel_username", "sentinel_password"}


class Place(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """Where the sessions are.

    Attributes:
        service: what the sentinels call it.
        socket: path of a unix socket, or empty.
        replicas: how many replicas must have received a write before it is acknowledged.
    """

    shown = ("kind", "hosts", "socket", "service", "db", "replicas")

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    service: str = ""
    db: int = 0
    replicas: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    options: dict[str, str] = {}

    def __str__(self) -> str:
        """Name the servers, for people; never a password."""
        return self.socket or ", ".join(f"{host}:{port}" for host, port in self.hosts)

    @classmethod
    def parse(cls, url: str) -> Place:
        """Read a URL.

        Raises:
            SetupError: it is none of the forms; the sentence repeats nothing behind the scheme.
        """
        try:
            return _parsed(urlsplit(url))
        except ValueError:
            scheme = url.partition(":")[0][:20]
            raise SetupError("redis_url", scheme=scheme) from None


class Client:
    """A client of redis-py, and how to close it."""

    def __init__(self, commands: Any, *closing: Callable[[], Awaitable[Any]]) -> None:
        self.commands = commands
        self._closing = closing

    async def close(self) -> None:
        """Let go of all connections."""
        for close in (self.commands.aclose, *self._closing):
            await close()


def connect(place: Place) -> Client:
    """Return a client; it connects when it is used first."""
    how = _how(place)
    if place.kind == "single":
        return Client(_single(place, how))
    if place.kind == "sentinel":
        return _by_sentinel(place, how)
    nodes = [ClusterNode(host, port) for host, port in place.hosts]
    # One that does not answer may have been replaced: ask the others who is master now, and try again.
    retry = Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.02), 3)
    return Client(RedisCluster(startup_nodes=nodes, require_full_coverage=False, retry=retry, **how))


def _single(place: Place, how: dict[str, Any]) -> Redis:
    never = Retry(NoBackoff(), 0)  # what was sent may have been done: whoever asked decides by what is there
    if place.socket:
        return Redis(unix_socket_path=place.socket, db=place.db, retry=never, **how)
    host, port = place.hosts[0]
    return Redis(host=host, port=port, db=place.db, retry=never, **how)


def _by_sentinel(place: Place, how: dict[str, Any]) -> Client:
    never = Retry(NoBackoff(), 0)
    ask = {name: value for name, value in how.items() if name not in ("username", "password")}
    ask |= {name: place.options.get(f"sentinel_{name}") for name in ("username", "password")}
    # A frozen sentinel must leave time to ask another one.
    ask |= {"socket_timeout": ANSWER_TIMEOUT_S / 4, "socket_connect_timeout": ANSWER_TIMEOUT_S / 4, "retry": never}
    sentinel: Any = Sentinel(list(place.hosts), sentinel_kwargs=ask)  # type: ignore[no-untyped-call]
    master = sentinel.master_for(place.service, db=place.db, retry=never, **how)
    return Client(master, *(one.aclose for one in sentinel.sentinels))


def _how(place: Place) -> dict[str, Any]:
    tls = {name: value for name, value in place.options.items() if name.startswith("ssl_")}
    return {
        "username": place.username,
        "password": place.password,
        "max_connections": MAX_CONNECTIONS,
        "socket_timeout": ANSWER_TIMEOUT_S,
        "socket_connect_timeout": ANSWER_TIMEOUT_S,
        "protocol": 2,
        **({"ssl": True, **tls} if place.tls else {}),
    }


def _parsed(parts: SplitResult) -> Place:
    if parts.scheme not in _KINDS:
        raise ValueError
    kind, tls = _KINDS[parts.scheme]
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    if parts.fragment or not _OPTIONS.issuperset(options):
        raise ValueError
    secret, _, hosts = parts.netloc.rpartition("@")
    username, _, password = secret.partition(":")
    place = Place(
        kind=kind,
        hosts=tuple(_host(host, _PORTS[kind]) for host in hosts.split(",")) if parts.scheme != "unix" else (),
        replicas=_count(options.pop("replicas", "0" if kind == "single" else "1")),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=tls,
    )
    db = options.pop("db", None)
    path = unquote(parts.path)
    if parts.scheme == "unix":
        place = msgspec.structs.replace(place, socket=_given(path), db=_count(db or "0"))
    elif kind == "single":
        _exactly_one(place.hosts)
        place = msgspec.structs.replace(place, db=_count(path.strip("/") or db or "0"))
    elif kind == "sentinel":
        place = msgspec.structs.replace(place, service=_given(path.strip("/")), db=_count(db or "0"))
    elif path.strip("/") not in ("", "0") or db not in (None, "0"):
        raise ValueError  # a cluster has no numbered databases
    return msgspec.structs.replace(place, options=options)


def _host(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or default_port


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)


def _given(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _exactly_one(hosts: tuple[tuple[str, int], ...]) -> None:
    if len(hosts) != 1:
        raise ValueError
