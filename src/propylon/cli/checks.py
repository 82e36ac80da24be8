"""What ``propylon doctor`` concludes from what it saw. Values in, findings out: nothing here looks anywhere.

A check that has nothing to say (about the schema of a store that is not there) says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from propylon.cli.findings import Check, Finding, Seen
from propylon.cli.server_checks import SERVER_CHECKS
from propylon.config import DAY_S, Config
from propylon.core.origin import is_loopback_host
from propylon.core.site import same_site

# Upkeep rotates the signing key within a minute or two, as soon as a server runs.
ROTATION_SLACK_S = DAY_S
# A clock before this (2026-01-01) was never set: this code is newer.
EARLIEST_NOW = 1_767_225_600
# Clocks of healthy machines differ by less than this.
CLOCK_SLACK_S = 60
# A write needs a few kilobytes; SQLite's log alone may grow to 64 MiB before it is cut back.
FULL_BELOW_BYTES = 128 * 1024 * 1024
LOW_BELOW_BYTES = 1024 * 1024 * 1024
# 16 random bytes in base64 are 22 characters; whoever writes 16 by hand has not thought of "metrics".
MIN_TOKEN_CHARS = 16
GROUP_BITS, OTHER_BITS, OTHERS_WRITE, STICKY = 0o070, 0o007, 0o002, 0o1000


def examine(config: Config, seen: Seen) -> list[Finding]:
    """Return every finding, in the order in which a reader should mend things."""
    return [finding for check in CHECKS if (finding := check(config, seen)) is not None]


def fit(findings: Iterable[Finding]) -> bool:
    """Return whether nothing failed."""
    return all(finding.status != "fail" for finding in findings)


def _settings(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - whoever has a Config has read them
    return Finding("settings", "ok")


def _unsafe(config: Config, seen: Seen) -> Finding:
    if not (weakened := (*config.weakened, *seen.weakened)):
        return Finding("unsafe", "ok")
    return Finding("unsafe", "fail", "weakened", {"settings": ", ".join(weakened)})


def _variables(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    if not seen.strangers:
        return Finding("variables", "ok")
    return Finding("variables", "warn", "unknown", {"names": ", ".join(seen.strangers)})


def _store(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    where: dict[str, object] = {"store": seen.store_name}
    if seen.in_memory:
        return Finding("store", "fail", "memory")
    if seen.store_trouble is not None:
        return Finding("store", "fail", "unusable", {"sentence": seen.store_trouble})
    if not seen.store.exists and _on_a_server(seen):
        return Finding("store", "warn", "empty", where)
    if not seen.store.exists:
        return Finding("store", "warn", "missing", where) if seen.place_writable else _no_place(where)
    if seen.store.unreadable is not None:
        return Finding("store", "fail", "unreadable", {"sentence": seen.store.unreadable})
    if seen.store.unwritable is not None:
        return Finding("store", "fail", "unwritable", {"sentence": seen.store.unwritable})
    return Finding("store", "ok", facts=where)


def _on_a_server(seen: Seen) -> bool:
    return any(server.postgres is not None for server in seen.servers)


def _no_place(where: dict[str, object]) -> Finding:
    return Finding("store", "fail", "no_place", where)


def _schema(config: Config, seen: Seen) -> Finding | None:  # noqa: ARG001 - the shape of every check
    if seen.schema_trouble is not None:
        return Finding("schema", "fail", "unusable", {"sentence": seen.schema_trouble})
    if not seen.store.exists or seen.store.unreadable is not None:
        return None
    if seen.missing_migrations and _on_a_server(seen):
        # Nodes that are live would stand on a schema that somebody else just changed: none of them migrates.
        return Finding("schema", "fail", "waits", {"n": seen.missing_migrations})
    if seen.missing_migrations:
        return Finding("schema", "warn", "behind", {"n": seen.missing_migrations})
    return Finding("schema", "ok", facts={"version": max(seen.store.applied, default=0)})


def _server_key(config: Config, seen: Seen) -> Finding | None:  # noqa: ARG001 - the shape of every check
    place: dict[str, object] = {"place": seen.key_place}
    if seen.key == "unusable":
        return Finding("server_key", "fail", "unusable", {"sentence": seen.key_trouble})
    if seen.key == "differs":
        return Finding("server_key", "fail", "differs", place)
    if seen.key == "missing":
        lost = seen.store.server_keys is not None
        return Finding("server_key", "fail" if lost else "warn", "lost" if lost else "missing", place)
    return Finding("server_key", "ok", facts=place)


def _files(config: Config, seen: Seen) -> Finding | None:  # noqa: ARG001 - the shape of every check
    files = [file for file in seen.files if not file.directory]
    for variant, status, bits in (("exposed", "fail", OTHER_BITS), ("shared", "warn", GROUP_BITS)):
        if found := " ".join(file.path for file in files if file.mode & bits):
            return Finding("files", "fail" if status == "fail" else "warn", variant, {"files": found})
    for folder in seen.files:
        # Whoever may write in there may put another database or key in the place of ours.
        if folder.directory and folder.mode & OTHERS_WRITE and not folder.mode & STICKY:
            return Finding("files", "fail", "directory", {"directory": folder.path})
    return Finding("files", "ok") if files else None


def _disk(config: Config, seen: Seen) -> Finding | None:  # noqa: ARG001 - the shape of every check
    if seen.free_bytes is None or seen.in_memory:
        return None
    facts: dict[str, object] = {"free_bytes": seen.free_bytes}
    if seen.free_bytes < FULL_BELOW_BYTES:
        return Finding("disk", "fail", "full", facts)
    if seen.free_bytes < LOW_BELOW_BYTES:
        return Finding("disk", "warn", "low", facts)
    return Finding("disk", "ok", facts=facts)


def _clock(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    if seen.now < EARLIEST_NOW:
        return Finding("clock", "fail", "unset", {"now_at": seen.now})
    if seen.newest_at is not None and seen.newest_at - seen.now > CLOCK_SLACK_S:
        return Finding("clock", "fail", "behind", {"now_at": seen.now, "behind_s": seen.newest_at - seen.now})
    return Finding("clock", "ok", facts={"now_at": seen.now})


def _public_url(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    url: dict[str, object] = {"url": config.public_url}
    return Finding("public_url", "warn", "loopback", url) if config.loopback else Finding("public_url", "ok", facts=url)


def _cookies(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    return Finding("cookies", "ok") if config.secure else Finding("cookies", "warn", "plain")


def _trusted_proxies(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    # Networks that take in strangers are refused with the settings already.
    if networks := config.trusted_proxies.networks:
        return Finding("trusted_proxies", "ok", "some", {"networks": ", ".join(map(str, networks))})
    # `propylon serve` speaks plain http: where people use https, something stands in front of it.
    return Finding("trusted_proxies", "ok") if config.loopback else Finding("trusted_proxies", "warn", "none")


def _origins(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    local = [origin for origin in config.origins if is_loopback_host(urlsplit(origin).hostname or "")]
    if local and not config.loopback:
        return Finding("origins", "warn", "loopback", {"origins": ", ".join(local)})
    if config.mode != "bearer" and (apart := [one for one in config.origins if not same_site(one, config.public_url)]):
        # A page may still ask for tokens by itself; whoever did not mean that learns of it here and not from users.
        facts: dict[str, object] = {"origins": ", ".join(apart), "url": config.public_url, "mode": config.mode}
        return Finding("origins", "warn", "names" if local else "cross_site", facts)
    if config.origins:
        return Finding("origins", "ok", "some", {"origins": ", ".join(config.origins)})
    return Finding("origins", "ok")


def _sign_up(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    if config.sign_up != "open":
        return Finding("sign_up", "ok")
    return Finding("sign_up", "ok", "local") if config.loopback else Finding("sign_up", "warn", "open")


def _metrics(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    if 0 < len(config.metrics_token) < MIN_TOKEN_CHARS:
        return Finding("metrics", "warn", "short", {"least": MIN_TOKEN_CHARS})
    if config.metrics_token:
        return Finding("metrics", "ok")
    return Finding("metrics", "ok", "local") if config.loopback else Finding("metrics", "warn", "missing")


def _passwords(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    profile: dict[str, object] = {"profile": config.password_profile}
    if config.password_profile.startswith("unsafe_"):
        return Finding("passwords", "fail", "unsafe", profile)
    return Finding("passwords", "ok", facts=profile)


def _lives(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    lives: dict[str, object] = {
        "access_s": config.access_ttl_s,
        "idle_s": config.idle_ttl_s,
        "absolute_s": config.absolute_ttl_s,
    }
    # No life may exceed the absolute one: such a Config cannot be made.
    if config.access_ttl_s > config.idle_ttl_s:
        return Finding("lives", "fail", "token_longer", {"access_s": lives["access_s"], "idle_s": lives["idle_s"]})
    return Finding("lives", "ok", facts=lives)


def _session_limit(config: Config, seen: Seen) -> Finding:  # noqa: ARG001 - the shape of every check
    limits = config.session_limit
    unknown = sorted(limits.per_role.keys() - config.roles.keys()) if config.roles else []
    if unknown:
        return Finding("session_limit", "warn", "role", {"roles": ", ".join(unknown)})
    limited = limits.per_user is not None or limits.per_kind or limits.per_role
    return Finding("session_limit", "ok", "limited") if limited else Finding("session_limit", "ok")


def _signing_key(config: Config, seen: Seen) -> Finding | None:
    if not seen.store.applied:
        return None
    signing = [key for key in seen.store.signing_keys if key.retired_at is None]
    if not signing:
        return Finding("signing_key", "warn", "none")
    facts: dict[str, object] = {"alg": signing[-1].alg, "age_s": max(0, seen.now - signing[-1].created_at)}
    if config.algorithm == "HS256":
        # Whoever can verify such a token can also make one.
        return Finding("signing_key", "warn", "symmetric")
    if signing[-1].alg != config.algorithm:
        return Finding("signing_key", "warn", "other", {"alg": signing[-1].alg, "wanted": config.algorithm})
    if seen.now - signing[-1].created_at > config.signing_key_ttl_s + ROTATION_SLACK_S:
        return Finding("signing_key", "warn", "old", facts)
    return Finding("signing_key", "ok", facts=facts)


CHECKS: tuple[Check, ...] = (
    _settings,
    _unsafe,
    _variables,
    _store,
    _schema,
    *SERVER_CHECKS,
    _server_key,
    _files,
    _disk,
    _clock,
    _public_url,
    _cookies,
    _trusted_proxies,
    _origins,
    _sign_up,
    _metrics,
    _passwords,
    _lives,
    _session_limit,
    _signing_key,
)
