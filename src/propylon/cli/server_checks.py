"""What ``propylon doctor`` concludes about the servers of a store across a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from propylon.cli.findings import Check, Finding, Seen
from propylon.config import Config
from propylon.stores.server import RedisSettings, Server

# Scripts that may write what they have not named before, and streams as the feed uses them.
OLDEST_REDIS, OLDEST_POSTGRES = 7, 13
# Sessions and tokens are measured by the clock of each node; tokens of a node far ahead are from the future.
CLOCKS_DIFFER_S, CLOCKS_APART_S = 2.0, 20.0
# A revocation is to be heard within this time; beyond the second one nobody would call it at once.
FEED_SLOW_MS, FEED_STUCK_MS = 50.0, 1000.0

OneCheck = Callable[[Server], Finding | None]


def _sessions(config: Config, seen: Seen) -> Finding | None:  # noqa: ARG001 - the shape of every check
    if not seen.sessions_name:
        return None
    if seen.sessions_trouble is not None:
        return Finding("sessions", "fail", "unusable", {"sentence": seen.sessions_trouble})
    return Finding("sessions", "ok", facts={"store": seen.sessions_name})


def _worst(name: str, check: OneCheck) -> Check:
    """Return a check of all servers, which says the worst of what there is to say of one."""

    def of_all(config: Config, seen: Seen) -> Finding | None:  # noqa: ARG001 - the shape of every check
        findings = [finding for server in seen.servers if (finding := check(server)) is not None]
        for status in ("fail", "warn"):
            for finding in findings:
                if finding.status == status:
                    return finding
        return Finding(name, "ok") if findings else None

    return of_all


def _version(server: Server) -> Finding:
    if server.version is None:
        return Finding("version", "warn", "hidden", {"place": server.place})
    kind, oldest = ("PostgreSQL", OLDEST_POSTGRES) if server.postgres is not None else ("Redis", OLDEST_REDIS)
    if int(server.version.partition(".")[0]) < oldest:
        facts: dict[str, object] = {"place": server.place, "version": f"{kind} {server.version}", "oldest": oldest}
        return Finding("version", "fail", "old", facts)
    return Finding("version", "ok")


def _network(server: Server) -> Finding:
    place: dict[str, object] = {"place": server.place}
    if server.local or (server.encrypted and server.guarded):
        return Finding("network", "ok")
    if server.encrypted:
        return Finding("network", "warn", "open", place)
    # Whoever listens there reads the salts of sessions and addresses, and may change what is answered.
    return Finding("network", "fail", "plain" if server.guarded else "bare", place)


def _durability(server: Server) -> Finding | None:
    return next(_losses(server), Finding("durability", "ok"))


def _losses(server: Server) -> Iterator[Finding]:
    """Yield what a crash would lose, the worst first."""
    place: dict[str, object] = {"place": server.place}
    if server.postgres is not None:
        if not server.postgres.fsync or not server.postgres.full_page_writes:
            off = "full_page_writes" if server.postgres.fsync else "fsync"
            yield Finding("durability", "fail", "no_fsync", {**place, "setting": off})
        if not server.postgres.synchronous_commit:
            kept_on = server.postgres.kept_on
            yield Finding("durability", "warn" if kept_on else "fail", "kept_on" if kept_on else "no_commit", place)
    if server.redis is not None:
        yield from _losses_of_redis(server.redis, place)


def _losses_of_redis(redis: RedisSettings, place: dict[str, object]) -> Iterator[Finding]:
    if redis.appendonly == 0:
        yield Finding("durability", "fail", "no_log", place)
    elif redis.appendfsync == "no":
        yield Finding("durability", "fail", "log_late", place)
    elif redis.appendonly is None or redis.appendfsync is None:
        yield Finding("durability", "warn", "hidden", place)
    elif redis.appendfsync != "always" and not redis.confirmed_by:
        yield Finding("durability", "warn", "log_second", place)


def _eviction(server: Server) -> Finding | None:
    redis = server.redis
    if redis is None:
        return None
    facts: dict[str, object] = {"place": server.place, "policy": redis.policy or ""}
    if redis.policy is None or redis.max_memory is None:
        return Finding("eviction", "warn", "hidden", facts)
    if redis.policy == "noeviction":
        return Finding("eviction", "ok")
    return (
        Finding("eviction", "fail", "drops", facts) if redis.max_memory else Finding("eviction", "warn", "may", facts)
    )


def _replicas(server: Server) -> Finding | None:
    redis = server.redis
    if redis is None or redis.kind == "single":
        return None
    place: dict[str, object] = {"place": server.place}
    if not redis.confirmed_by:
        return Finding("replicas", "fail", "unconfirmed", place)
    if redis.replicas is not None and redis.replicas > redis.confirmed_by:
        facts = {**place, "replicas": redis.replicas, "confirmed_by": redis.confirmed_by}
        return Finding("replicas", "warn", "some", facts)
    if redis.min_replicas is None:
        return Finding("replicas", "warn", "hidden", place)
    if redis.min_replicas == 0:
        return Finding("replicas", "warn", "alone", place)
    return Finding("replicas", "ok")


def _clocks(server: Server) -> Finding:
    apart_s = abs(server.ahead_s)
    facts: dict[str, object] = {"place": server.place, "seconds": f"{apart_s:.1f}"}
    if apart_s > CLOCKS_APART_S:
        return Finding("clocks", "fail", "apart", facts)
    return Finding("clocks", "warn", "differ", facts) if apart_s > CLOCKS_DIFFER_S else Finding("clocks", "ok")


def _feed(config: Config, seen: Seen) -> Finding | None:  # noqa: ARG001 - the shape of every check
    if not seen.servers:
        return None
    # Sessions and feed lie together: on the last server, where they have one of their own.
    server = seen.servers[-1]
    facts: dict[str, object] = {"place": server.place, "ms": f"{server.heard_after_ms:.1f}"}
    if server.heard_after_ms > FEED_STUCK_MS:
        return Finding("feed", "fail", "stuck", facts)
    if server.heard_after_ms > FEED_SLOW_MS:
        return Finding("feed", "warn", "slow", facts)
    return Finding("feed", "ok", facts=facts)


def _silence(config: Config, seen: Seen) -> Finding | None:
    if not seen.servers:
        return None
    if config.unsafe_feed_silence:
        return Finding("silence", "fail", "borne", {"reason": config.unsafe_feed_silence})
    return Finding("silence", "ok", facts={"silence_s": config.feed_max_silence_s})


SERVER_CHECKS: tuple[Check, ...] = (
    _sessions,
    _worst("version", _version),
    _worst("network", _network),
    _worst("durability", _durability),
    _worst("eviction", _eviction),
    _worst("replicas", _replicas),
    _worst("clocks", _clocks),
    _feed,
    _silence,
)
