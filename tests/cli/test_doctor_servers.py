"""``propylon doctor`` for many nodes: each check of a server over values, and misconfigured servers for real."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from string import Formatter
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import Run
from tests.cli.test_doctor import SERVERS, found, seen, settings
from tests.servers.postgres import PASSWORD, PostgresServer
from tests.servers.redis import RedisServer, Sentinels

from propylon.cli.findings import Seen
from propylon.cli.server_checks import CLOCKS_APART_S, CLOCKS_DIFFER_S, FEED_SLOW_MS, FEED_STUCK_MS
from propylon.language import LANGUAGES, catalogue
from propylon.stores.inspection import Inspection
from propylon.stores.server import PostgresSettings, RedisSettings, Server, is_local

POSTGRES, REDIS = SERVERS
REMOTE = {"local": False, "encrypted": True, "guarded": True}


def on(*servers: Server, **more: Any) -> Seen:
    """Return a sound set-up on these servers."""
    return seen(servers=servers, sessions_name="redis://10.0.0.5/0", **more)


def changed(server: Server, **changes: Any) -> Server:
    """Return a server with changes."""
    return msgspec.structs.replace(server, **changes)


def redis(**changes: Any) -> Seen:
    """Return a set-up whose Redis is set differently."""
    assert REDIS.redis is not None
    return on(POSTGRES, changed(REDIS, redis=msgspec.structs.replace(REDIS.redis, **changes)))


def alone(**changes: Any) -> Seen:
    """Return a set-up whose Redis has no replicas and is set differently."""
    return on(changed(REDIS, redis=RedisSettings(**changes)))


def postgres(**changes: Any) -> Seen:
    """Return a set-up whose PostgreSQL is set differently."""
    return on(changed(POSTGRES, postgres=PostgresSettings(**changes)), REDIS)


AT_FAULT = [
    ("store", "fail", "unusable", on(REDIS, store_trouble="No.")),
    ("store", "warn", "empty", on(POSTGRES, store=Inspection(exists=False))),
    ("schema", "fail", "waits", on(POSTGRES, missing_migrations=1)),
    ("sessions", "fail", "unusable", on(POSTGRES, sessions_trouble="No Redis server answers.")),
    ("version", "fail", "old", on(changed(REDIS, version="6.2.14"))),
    ("version", "fail", "old", on(changed(POSTGRES, version="12.22 (Debian 12.22-1)"))),
    ("version", "warn", "hidden", on(changed(REDIS, version=None))),
    ("network", "fail", "plain", on(changed(POSTGRES, **{**REMOTE, "encrypted": False}))),
    ("network", "fail", "plain", on(POSTGRES, changed(REDIS, **{**REMOTE, "encrypted": False}))),
    ("network", "fail", "bare", on(changed(REDIS, local=False))),
    ("network", "warn", "open", on(changed(REDIS, **{**REMOTE, "guarded": False}))),
    ("durability", "fail", "no_fsync", postgres(fsync=False)),
    ("durability", "fail", "no_fsync", postgres(full_page_writes=False)),
    ("durability", "fail", "no_commit", postgres(synchronous_commit=False, kept_on=False)),
    ("durability", "warn", "kept_on", postgres(synchronous_commit=False)),
    ("durability", "fail", "no_log", redis(appendonly=0)),
    ("durability", "fail", "log_late", redis(appendfsync="no")),
    ("durability", "warn", "log_second", alone(appendfsync="everysec")),
    ("durability", "warn", "hidden", redis(appendfsync=None)),
    ("durability", "warn", "hidden", redis(appendonly=None)),
    ("durability", "fail", "no_log", redis(appendonly=0, appendfsync=None)),
    ("eviction", "fail", "drops", redis(max_memory=1, policy="allkeys-lru")),
    ("eviction", "fail", "drops", redis(max_memory=1, policy="volatile-ttl")),
    ("eviction", "warn", "may", redis(policy="allkeys-lru")),
    ("eviction", "warn", "hidden", redis(policy=None)),
    ("replicas", "fail", "unconfirmed", redis(confirmed_by=0)),
    ("replicas", "warn", "some", redis(replicas=2)),
    ("replicas", "warn", "alone", redis(min_replicas=0)),
    ("replicas", "warn", "hidden", redis(min_replicas=None)),
    ("clocks", "warn", "differ", on(changed(REDIS, ahead_s=CLOCKS_DIFFER_S + 0.1))),
    ("clocks", "warn", "differ", on(changed(REDIS, ahead_s=-CLOCKS_DIFFER_S - 0.1), POSTGRES)),
    ("clocks", "fail", "apart", on(POSTGRES, changed(REDIS, ahead_s=CLOCKS_APART_S + 0.1))),
    ("clocks", "fail", "apart", on(changed(REDIS, ahead_s=-CLOCKS_APART_S - 0.1))),
    ("feed", "warn", "slow", on(POSTGRES, changed(REDIS, heard_after_ms=FEED_SLOW_MS + 1))),
    ("feed", "fail", "stuck", on(changed(POSTGRES, heard_after_ms=FEED_STUCK_MS + 1))),
]


@pytest.mark.parametrize(("name", "status", "variant", "sight"), AT_FAULT, ids=str)
def test_what_is_not_fit_on_a_server_is_found(name: str, status: str, variant: str, sight: Seen) -> None:
    """Each is caught by the check of that name, whichever of the servers it is."""
    finding = found(settings(), sight, name)
    assert finding is not None
    assert (finding.status, finding.variant) == (status, variant)


def test_the_worst_of_several_servers_is_what_is_said() -> None:
    """One that is merely to be looked at hides none that fails."""
    late, off = changed(REDIS, ahead_s=3.0), changed(POSTGRES, ahead_s=30.0)
    for servers in ((late, off), (off, late)):
        finding = found(settings(), on(*servers), "clocks")
        assert finding is not None
        assert finding.status == "fail"


def test_a_feed_that_may_be_silent_fails_with_the_reason_that_was_given() -> None:
    """What somebody accepted on purpose is still nothing to go live with."""
    finding = found(settings(unsafe_feed_silence="one day of moving"), on(*SERVERS), "silence")
    assert finding is not None
    assert (finding.status, finding.facts) == ("fail", {"reason": "one day of moving"})


@pytest.mark.parametrize(
    ("name", "sight"),
    [
        ("network", on(changed(REDIS, **REMOTE), changed(POSTGRES, **REMOTE))),
        ("durability", redis(appendfsync="everysec")),
        ("durability", alone()),
        ("eviction", redis(max_memory=2**30)),
        ("replicas", redis(replicas=1)),
        ("replicas", redis(replicas=2, confirmed_by=2)),
        ("clocks", on(changed(REDIS, ahead_s=-CLOCKS_DIFFER_S))),
        ("feed", on(changed(REDIS, heard_after_ms=FEED_SLOW_MS))),
        ("version", on(changed(REDIS, version="7.0.0"), changed(POSTGRES, version="13.0"))),
    ],
    ids=str,
)
def test_a_server_that_is_fit_raises_no_alarm(name: str, sight: Seen) -> None:
    """The bounds are exact."""
    finding = found(settings(), sight, name)
    assert finding is not None
    assert finding.status == "ok"


def test_nothing_is_said_of_servers_where_there_are_none() -> None:
    """A file on this machine has no network, no replicas and no clock of its own."""
    for name in ("sessions", "version", "network", "durability", "eviction", "replicas", "clocks", "feed", "silence"):
        assert found(settings(), seen(), name) is None
    assert found(settings(), alone(), "replicas") is None
    assert found(settings(), on(POSTGRES), "eviction") is None


@pytest.mark.parametrize("host", ["", "127.0.0.1", "::1", "localhost", "/run/redis.sock"])
def test_this_machine_is_no_network(host: str) -> None:
    """Nobody can listen on the way."""
    assert is_local(host)
    assert not is_local("10.0.0.5")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_about_a_server_has_its_sentences(language: str) -> None:
    """A detail, a fix and a title, filled with just the facts that the check gives."""
    texts = catalogue(language)
    for name, _, variant, sight in AT_FAULT:
        finding = found(settings(), sight, name)
        assert finding is not None
        for key in (f"cli.doctor.{name}.{variant}", f"cli.doctor.{name}.{variant}_fix"):
            assert {fact for _, fact, _, _ in Formatter().parse(texts[key]) if fact} <= set(finding.facts)
        assert f"cli.doctor.title.{name}" in texts


Diagnosed = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture
def diagnosed(program: Run, monkeypatch: pytest.MonkeyPatch) -> Diagnosed:
    """The findings of ``propylon doctor --json``, by name, on settings by field name."""

    def run(**changes: str) -> dict[str, dict[str, str]]:
        for name, value in changes.items():
            monkeypatch.setenv(f"PROPYLON_{name.upper()}", value)
        ran = program("doctor", "--json")
        assert ran.err == ""
        return {check["name"]: check for check in json.loads(ran.out)["checks"]}

    return run


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """A factory of Redis servers with options of their own."""
    servers: list[RedisServer] = []

    def start(*words: str) -> RedisServer:
        servers.append(RedisServer(*words))
        return servers[-1].start()

    yield start
    for server in servers:
        server.remove()


SOUND = ("--appendonly", "yes", "--appendfsync", "always")


def test_a_sound_redis_passes(start_redis: Callable[..., RedisServer], diagnosed: Diagnosed) -> None:
    """Against a real server each check of it says ok, and nothing is left in it but the sign of life."""
    server = start_redis(*SOUND)
    said = diagnosed(session_store=server.url)
    for name in ("sessions", "version", "network", "durability", "eviction", "clocks", "feed", "silence"):
        assert said[name]["status"] == "ok", said[name]
    assert server.admin.keys() == [b"p{0}b"]


def no_log(server: RedisServer) -> str:
    """Plant a Redis that forgets when it stops."""
    server.admin.config_set("appendonly", "no")
    return "durability fail"


def eviction(server: RedisServer) -> str:
    """Plant one that drops sessions when it is full."""
    server.admin.config_set("maxmemory", "50mb")
    server.admin.config_set("maxmemory-policy", "allkeys-lru")
    return "eviction fail"


def no_config(server: RedisServer) -> str:
    """Plant one that tells nobody how it is set."""
    server.admin.execute_command("ACL", "SETUSER", "default", "-config")
    return "durability warn"


def no_writes(server: RedisServer) -> str:
    """Plant one that is full."""
    server.admin.config_set("maxmemory", 1)
    return "sessions fail"


def gone(server: RedisServer) -> str:
    """Plant none at all."""
    server.kill()
    return "sessions fail"


@pytest.mark.parametrize("plant", [no_log, eviction, no_config, no_writes, gone])
def test_each_planted_fault_of_a_redis_is_found(
    start_redis: Callable[..., RedisServer], diagnosed: Diagnosed, plant: Callable[[RedisServer], str]
) -> None:
    """By the real command against the real server, which passed before."""
    server = start_redis(*SOUND)
    before = diagnosed(session_store=server.url)
    name, status = plant(server).split()
    after = diagnosed()
    assert before[name]["status"] == "ok"
    assert after[name]["status"] == status, after[name]


@pytest.mark.parametrize(("ahead_s", "status"), [(5.0, "warn"), (-25.0, "fail")])
def test_a_clock_of_this_machine_that_differs_is_found(
    start_redis: Callable[..., RedisServer],
    diagnosed: Diagnosed,
    monkeypatch: pytest.MonkeyPatch,
    ahead_s: float,
    status: str,
) -> None:
    """Measured against the server's own, in both directions."""
    server, right = start_redis(*SOUND), time.time
    monkeypatch.setattr("time.time", lambda: right() + ahead_s)
    assert diagnosed(session_store=server.url)["clocks"]["status"] == status


def test_a_master_that_writes_without_its_replicas_is_found(diagnosed: Diagnosed) -> None:
    """Behind Sentinel: its clients are told of it before the network is cut in two."""
    servers = Sentinels()
    try:
        servers.start()
        assert diagnosed(session_store=servers.url)["replicas"]["status"] == "warn"
        servers.master().admin.config_set("min-replicas-to-write", 1)
        assert diagnosed()["replicas"]["status"] == "ok"
        assert diagnosed(session_store=f"{servers.url}&replicas=0")["replicas"]["status"] == "fail"
    finally:
        servers.remove()


def test_a_postgres_that_may_lose_its_files_is_found(postgres_url: str, diagnosed: Diagnosed) -> None:
    """The server of these tests runs without fsync: nothing to go live with."""
    said = diagnosed(store=postgres_url)
    assert (said["durability"]["status"], "fsync" in said["durability"]["detail"]) == ("fail", True)
    for name in ("store", "schema", "version", "network", "clocks", "feed", "silence"):
        assert said[name]["status"] == "ok", said[name]


def test_a_sound_postgres_passes_and_one_that_commits_later_is_seen(diagnosed: Diagnosed) -> None:
    """Propylon asks for its own commits to be waited for; that the server does not is still said."""
    server = PostgresServer()
    try:
        server.start(fsync="on", full_page_writes="on")
        server.prepare()
        with server.database() as name:
            assert diagnosed(store=server.url(name))["durability"]["status"] == "ok"
            server.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
            assert diagnosed()["durability"]["status"] == "warn"
    finally:
        server.remove()


def test_a_database_without_the_schema_is_found(postgres: PostgresServer, diagnosed: Diagnosed) -> None:
    """Nodes will not start on it, and looking does not make it."""
    with postgres.database("template0") as name:
        for _ in range(2):
            said = diagnosed(store=postgres.url(name))
            assert (said["store"]["status"], "propylon migrate" in said["store"]["fix"]) == ("warn", True)
        assert postgres.sql("SELECT to_regnamespace('propylon') IS NULL", name) == "t"


@pytest.mark.parametrize("trouble", ["password", "port", "rights"])
def test_a_postgres_that_cannot_be_used_is_found(postgres: PostgresServer, diagnosed: Diagnosed, trouble: str) -> None:
    """With a sentence that holds no password."""
    with postgres.database() as name:
        url = {
            "password": postgres.url(name, user="guarded", password="hunter3"),
            "port": postgres.url(name, port=1),
            "rights": postgres.url(name, user="guarded", password=PASSWORD),
        }[trouble]
        said = diagnosed(store=url)["store"]
        assert said["status"] == "fail"
        assert "hunter" not in f"{said}"
