"""What ``propylon explain`` says: the settings as sentences about people. Values in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from propylon.cli import outages
from propylon.cli.sentences import Section, Sentence
from propylon.config import Config
from propylon.core.password import PasswordPolicy
from propylon.core.session import Mode


def explain(config: Config, mode: Mode) -> list[Section]:
    """Return what the settings mean for people whose sessions travel by ``mode``."""
    return [
        Section("travel", tuple(_travel(config, mode))),
        Section("staying", tuple(_staying(config, mode))),
        Section("tokens", tuple(_tokens(config, mode))),
        Section("stolen", tuple(_stolen(config, mode))),
        Section("ending", tuple(outages.until_out(config))),
        Section("away", tuple(outages.when_away(config, mode))),
        Section("devices", tuple(_devices(config))),
        Section("accounts", tuple(_accounts(config))),
        Section("sites", tuple(_sites(config))),
        Section("roles", tuple(_roles(config))),
    ]


def facts(config: Config, mode: Mode) -> dict[str, Any]:
    """Return the same for programs; durations are seconds."""
    passwords, limits = PasswordPolicy(), config.session_limit
    return {
        "mode": mode,
        "public_url": config.public_url,
        "cookies_secure": config.secure,
        "access_ttl_s": config.access_ttl_s,
        "idle_ttl_s": config.idle_ttl_s,
        "absolute_ttl_s": config.absolute_ttl_s,
        "refresh_grace_s": config.refresh_grace_s,
        "activity_interval_s": config.policy.activity_interval_s,
        **outages.facts(config),
        "stolen": {"cookie_s": config.absolute_ttl_s, "token_s": config.access_ttl_s},
        "session_limit": {
            "per_user": limits.per_user,
            "per_kind": limits.per_kind,
            "per_role": limits.per_role,
            "policy": limits.policy,
        },
        "sign_up": config.sign_up,
        "password": {"least": passwords.min_code_points, "most": passwords.max_code_points},
        "csrf_strict": config.csrf_strict,
        "origins": list(config.origins),
        "roles": {role: list(permissions) for role, permissions in config.roles.items()},
    }


def _travel(config: Config, mode: Mode) -> Iterator[Sentence]:
    yield Sentence(f"travel_{mode}")
    if mode != "bearer":
        yield Sentence("cookie_secure" if config.secure else "cookie_plain")


def _staying(config: Config, mode: Mode) -> Iterator[Sentence]:
    lives: dict[str, object] = {"idle_s": config.idle_ttl_s, "absolute_s": config.absolute_ttl_s}
    if config.idle_ttl_s < config.absolute_ttl_s:
        yield Sentence("staying", lives)
    else:
        yield Sentence("staying_absolute", {"absolute_s": config.absolute_ttl_s})
    if mode != "bearer":
        yield Sentence("remember")


def _tokens(config: Config, mode: Mode) -> Iterator[Sentence]:
    access: dict[str, object] = {"access_s": config.access_ttl_s}
    if mode == "cookie":
        yield Sentence("access_by_cookie", access)
        return
    yield Sentence("access", access)
    yield Sentence("refresh")
    yield Sentence("grace", {"grace_s": config.refresh_grace_s}) if config.refresh_grace_s else Sentence("no_grace")


def _stolen(config: Config, mode: Mode) -> Iterator[Sentence]:
    if mode == "cookie":
        yield Sentence("stolen_cookie", {"absolute_s": config.absolute_ttl_s})
    yield Sentence("stolen_access", {"access_s": config.access_ttl_s})
    if mode != "cookie":
        yield Sentence("stolen_refresh", {"absolute_s": config.absolute_ttl_s})
    yield Sentence("stolen_store")


def _devices(config: Config) -> Iterator[Sentence]:
    limits = config.session_limit
    if limits.per_user is not None:
        yield Sentence("limit_user", {"limit": limits.per_user})
    for kind, limit in limits.per_kind.items():
        yield Sentence(f"limit_{kind}", {"limit": limit})
    for role, limit in limits.per_role.items():
        yield Sentence("limit_role", {"role": role, "limit": limit})
    limited = limits.per_user is not None or limits.per_kind or limits.per_role
    yield Sentence(limits.policy if limited else "no_limit")


def _accounts(config: Config) -> Iterator[Sentence]:
    passwords = PasswordPolicy()
    yield Sentence(f"sign_up_{config.sign_up}")
    yield Sentence("passwords", {"least": passwords.min_code_points, "most": passwords.max_code_points})
    yield Sentence("attempts")


def _sites(config: Config) -> Iterator[Sentence]:
    yield Sentence("csrf_strict" if config.csrf_strict else "csrf")
    yield Sentence("origins", {"origins": ", ".join(config.origins)}) if config.origins else Sentence("no_origins")


def _roles(config: Config) -> Iterator[Sentence]:
    if not config.roles:
        yield Sentence("no_roles")
    for role, permissions in config.roles.items():
        if permissions:
            yield Sentence("role", {"role": role, "permissions": ", ".join(permissions)})
        else:
            yield Sentence("role_bare", {"role": role})
