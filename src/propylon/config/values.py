"""What one setting may be: from text, or a value of TOML, to the value that the service works with.

Each reader raises ``Unusable``, whose clause ``config`` puts behind the setting's name. None repeats what may be
a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from propylon.core.limits import SessionLimits
from propylon.core.network import Networks
from propylon.core.origin import allowed_origin, service_url
from propylon.errors import Unusable

T = TypeVar("T")

DEVICE_KINDS = ("desktop", "mobile", "app")
MAX_SESSIONS = 10_000
# What is wrong is shown as far as anybody reads it; a wrong value may be of any length.
MAX_SHOWN_CHARS = 60
# A bearer token shorter than this can be tried out; every generator makes longer ones.
MIN_TOKEN_CHARS = 8
# The widest private networks are 10.0.0.0/8 and fc00::/7. Anything wider takes in strangers, and each of them
# could then say that a request came from whoever they like.
WIDEST_PROXY_BITS = {4: 8, 6: 7}

_ROLE = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# As a scope (RFC 6749 section 3.3), which a permission may become: no space, quote or backslash.
_PERMISSION = re.compile(r"[!#-\[\]-~]{1,64}")
_VISIBLE = re.compile(r"[!-~]+")


class Setting(NamedTuple):
    """How one setting is read.

    Attributes:
        read: from text or a TOML value to the value.
        bounds: what is allowed, as the documentation shows it in any language.
        secret: no message may repeat the value.
    """

    read: Callable[[Any], Any]
    bounds: str = ""
    secret: bool = False


def choice(*choices: str) -> Setting:
    """Return a setting that is one of ``choices``."""

    def read(value: Any) -> str:
        given = text(value)
        if given not in choices:
            raise Unusable("value_not_among", given=_shown(given), choices=", ".join(choices))
        return given

    return Setting(read, ", ".join(f"`{word}`" for word in choices))


def number(least: int, most: int, *, in_seconds: bool = False) -> Setting:
    """Return a setting that is a whole number from ``least`` to ``most``."""

    def read(value: Any) -> int:
        given = str(value).strip()
        if isinstance(value, bool) or not given.isascii() or not given.isdigit():
            raise Unusable("value_not_seconds" if in_seconds else "value_not_number", given=_shown(given))
        if len(given) > 12 or not least <= int(given) <= most:
            raise Unusable("value_out_of_range_s" if in_seconds else "value_out_of_range", least=least, most=most)
        return int(given)

    return Setting(read, f"{least} - {most}")


def seconds(least: int, most: int) -> Setting:
    """Return a setting that is a whole number of seconds."""
    return number(least, most, in_seconds=True)


def text(value: Any) -> str:
    """Read text, without the space around it."""
    if not isinstance(value, str):
        raise Unusable("value_not_text")
    return value.strip()


def label(most: int) -> Setting:
    """Return a setting that people or programs are shown: one line of visible text."""

    def read(value: Any) -> str:
        given = text(value)
        if len(given) > most or not given.isprintable():
            raise Unusable("value_not_a_line", limit=most)
        return given

    return Setting(read)


def required_label(most: int) -> Setting:
    """Return a setting like ``label`` that may not be empty."""
    optional = label(most).read

    def read(value: Any) -> str:
        given: str = optional(value)
        if not given:
            raise Unusable("value_empty")
        return given

    return Setting(read)


def flag(value: Any) -> bool:
    """Read yes or no, as people write it."""
    given = str(value).strip().lower()
    if given in ("true", "1", "yes", "on"):
        return True
    if given in ("false", "0", "no", "off", ""):
        return False
    raise Unusable("value_not_a_flag", given=_shown(given))


def url(value: Any) -> str:
    """Read the address of a service."""
    return service_url(text(value))


def origins(value: Any) -> tuple[str, ...]:
    """Read origins, by comma or as a list."""
    return tuple(dict.fromkeys(allowed_origin(item) for item in _list(value)))


def key_ring(value: Any) -> str:
    """Check the text of a server key ring, and return it as it is."""
    from propylon.core.secret import KeyRing  # noqa: PLC0415 - cryptography, not needed for --help

    given = text(value)
    if given:
        KeyRing.parse(given)
    return given


def bearer_token(value: Any) -> str:
    """Read a secret that travels in a header; empty is none."""
    given = text(value)
    if given and (len(given) < MIN_TOKEN_CHARS or not _VISIBLE.fullmatch(given)):
        raise Unusable("bearer_token_weak", least=MIN_TOKEN_CHARS)
    return given


def networks(value: Any) -> Networks:
    """Read the networks of trusted proxies, by comma or as a list."""
    parsed = Networks.parse(",".join(_list(value)))
    for network in parsed.networks:
        if network.prefixlen < WIDEST_PROXY_BITS[network.version]:
            raise Unusable("network_too_wide", network=network)
    return parsed


def session_limit(value: Any) -> SessionLimits:
    """Read ``5``, ``"5, desktop=2, mobile=1, role:admin=1"``, or a table with the same names."""
    if isinstance(value, dict):
        pairs = [(str(name), str(count)) for name, count in value.items()]
    else:
        pairs = [_count(item) for item in _list(value if isinstance(value, list) else str(value))]
    read = number(1, MAX_SESSIONS).read
    per_user: int | None = None
    per_kind: dict[str, int] = {}
    per_role: dict[str, int] = {}
    for name, count in _once_each(pairs):
        if name == "user":
            per_user = None if count == "0" else read(count)
        elif name in DEVICE_KINDS:
            per_kind[name] = read(count)
        elif name.startswith("role:"):
            role = name.removeprefix("role:")
            check_role_name(role)
            per_role[role] = read(count)
        else:
            choices = ", ".join(("user", *DEVICE_KINDS, "role:NAME"))
            raise Unusable("value_not_among", given=_shown(name), choices=choices)
    return SessionLimits(per_user=per_user, per_kind=per_kind, per_role=per_role)


def roles(value: Any) -> dict[str, tuple[str, ...]]:
    """Read ``"admin=users.read users.write, editor=posts.write"``, or a table of lists."""
    if isinstance(value, dict):
        pairs = [(str(role), _permissions(granted)) for role, granted in value.items()]
    else:
        pairs = [(role, granted.split()) for role, granted in map(_grant, _list(value))]
    for role, granted in _once_each(pairs):
        check_role_name(role)
        for permission in granted:
            if not _PERMISSION.fullmatch(permission):
                raise Unusable("permission_wrong", given=_shown(permission))
    return {role: tuple(granted) for role, granted in pairs}


def check_role_name(role: str) -> None:
    """Raise ``Unusable`` unless ``role`` may travel in a header and a token: letters, digits, ``._:-``."""
    if not _ROLE.fullmatch(role) or not any(map(str.isalnum, role)):
        raise Unusable("role_wrong", given=_shown(role))


def _list(value: Any) -> list[str]:
    items = value if isinstance(value, list) else text(value).split(",")
    return [text(item) for item in items if text(item)]


def _once_each(pairs: Iterable[tuple[str, T]]) -> list[tuple[str, T]]:
    listed = list(pairs)
    names = [name for name, _ in listed]
    for name in names:
        if names.count(name) > 1:
            raise Unusable("value_twice", given=_shown(name))
    return listed


def _count(item: str) -> tuple[str, str]:
    name, equals, count = item.partition("=")
    return (name.strip(), count.strip()) if equals else ("user", item)


def _grant(item: str) -> tuple[str, str]:
    role, _, granted = item.partition("=")
    return role.strip(), granted


def _permissions(granted: Any) -> list[str]:
    return [text(permission) for permission in granted] if isinstance(granted, list) else text(granted).split()


def _shown(given: str) -> str:
    return repr(given if len(given) <= MAX_SHOWN_CHARS else given[:MAX_SHOWN_CHARS] + "...")
