"""Settings: one ``propylon.toml``, overridden by ``PROPYLON_*``. The only reader of either.

A ``Config`` is frozen and was checked as a whole: whoever holds one needs no further checks. What is wrong
stops the start with one sentence that says what to change.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from propylon.core.limits import SessionLimits
from propylon.core.network import Networks
from propylon.core.origin import allowed_origin, is_loopback_host, service_url
from propylon.core.session import MAX_ACCESS_TTL_S, MODES, Mode, SessionPolicy
from propylon.errors import SetupError

SignUp = Literal["open", "verified", "closed"]
Algorithm = Literal["ES256", "EdDSA", "RS256", "HS256"]

PREFIX = "PROPYLON_"
DAY_S = 86_400
# Browsers cap the life of a cookie at 400 days (6265bis 5.5); a session may not outlive its cookie.
MAX_ABSOLUTE_TTL_S = 400 * DAY_S
DEVICE_KINDS = ("desktop", "mobile", "app")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of Propylon; each is a line in ``docs/settings.md``.

    Durations end in ``_s`` and are whole seconds.
    """

    public_url: str = "http://localhost:8000"
    store: str = "sqlite:///propylon.db"
    key: str = ""
    key_file: str = ""
    mode: Mode = "cookie"
    sign_up: SignUp = "closed"
    audience: str = ""
    algorithm: Algorithm = "ES256"
    access_ttl_s: int = 300
    idle_ttl_s: int = 7 * DAY_S
    absolute_ttl_s: int = 30 * DAY_S
    refresh_grace_s: int = 30
    activity_interval_s: int = 60
    signing_key_ttl_s: int = 30 * DAY_S
    session_limit: SessionLimits = SessionLimits()
    roles: dict[str, tuple[str, ...]] = {}
    origins: tuple[str, ...] = ()
    trusted_proxies: Networks = Networks()
    csrf_strict: bool = False
    metrics_token: str = ""
    password_profile: str = "owasp"  # noqa: S105 - a name
    hash_threads: int = 0
    hash_queue: int = 64
    site_name: str = "Propylon"
    log_level: str = "info"

    def __repr__(self) -> str:
        """Show where this set-up lives; some settings are secrets."""
        return f"Config(public_url={self.public_url!r}, store={_without_password(self.store)!r})"

    @property
    def issuer(self) -> str:
        """The ``iss`` of access tokens."""
        return self.public_url

    @property
    def token_audience(self) -> str:
        """The ``aud`` of access tokens: the public URL unless set."""
        return self.audience or self.public_url

    @property
    def policy(self) -> SessionPolicy:
        """The life-times in one value."""
        return SessionPolicy(
            access_ttl_s=self.access_ttl_s,
            idle_ttl_s=self.idle_ttl_s,
            absolute_ttl_s=self.absolute_ttl_s,
            refresh_grace_s=self.refresh_grace_s,
            # A session that may idle for only a few seconds must be touched more often than that.
            activity_interval_s=min(self.activity_interval_s, self.idle_ttl_s // 4),
        )

    @property
    def secure(self) -> bool:
        """Whether the public URL is https, and cookies therefore ``Secure``."""
        return self.public_url.startswith("https://")

    @property
    def public_origin(self) -> str:
        """Scheme, host and port of the public URL."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def public_host(self) -> str:
        """Host and port of the public URL."""
        return urlsplit(self.public_url).netloc

    @property
    def loopback(self) -> bool:
        """Whether the public URL is one of this machine only."""
        return is_loopback_host(urlsplit(self.public_url).hostname or "")


def load(
    environ: Mapping[str, str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    file: Path | None = None,
) -> Config:
    """Read ``propylon.toml``, the environment and ``overrides`` (command line), later ones winning.

    Args:
        environ: the environment; ``os.environ`` when None.
        overrides: settings by field name; None values are ignored.
        file: the settings file; ``PROPYLON_CONFIG``, or ``propylon.toml`` in the working directory.

    Raises:
        SetupError: one sentence that says what to change.
    """
    environ = os.environ if environ is None else environ
    raw: dict[str, tuple[str, Any]] = {}
    for name, value in _from_file(file, environ).items():
        raw[name] = (name, value)
    for name in _PARSERS:
        if (value := environ.get(PREFIX + name.upper())) is not None:
            raw[name] = (PREFIX + name.upper(), value)
    for name, value in (overrides or {}).items():
        if name not in _PARSERS:
            raise SetupError(f"There is no setting {name!r}.{_hint(name)}")
        if value is not None:
            raw[name] = (f"--{name.replace('_', '-')}", value)
    return _assemble({name: _parsed(name, said_as, value) for name, (said_as, value) in raw.items()})


def is_set(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Return whether ``propylon.toml`` or the environment gives the setting ``name``.

    Raises:
        SetupError: the settings file cannot be read.
    """
    environ = os.environ if environ is None else environ
    return PREFIX + name.upper() in environ or name in _from_file(None, environ)


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[tuple[str, str | None]]:
    """Return ``PROPYLON_*`` variables that nothing reads, each with the nearest name that something does."""
    environ = os.environ if environ is None else environ
    known = {PREFIX + name.upper() for name in _PARSERS} | _OTHER_VARIABLES
    strangers = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [(name, _nearest(name, known)) for name in strangers]


# Read by the command line and the scripts, not settings of the service itself.
_OTHER_VARIABLES = {
    PREFIX + name
    for name in ("CONFIG", "HOST", "PORT", "WORKERS", "SESSION_STORE", "SESSION_LIMIT_POLICY", "FEED_MAX_SILENCE_S")
}


def _from_file(file: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    configured = environ.get(PREFIX + "CONFIG")
    named = file or (Path(configured) if configured else None)
    path = named or Path("propylon.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is not None:
            raise SetupError(f"There is no settings file {path}: correct {PREFIX}CONFIG or remove it.") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"The settings file {path} cannot be read: {error}.") from None
    for name in content:
        if name not in _PARSERS:
            raise SetupError(f"{path} has a setting {name!r} that does not exist.{_hint(name)}")
    return content


def _hint(name: str) -> str:
    nearest = _nearest(name, _PARSERS)
    return f" Did you mean {nearest}?" if nearest else " See docs/settings.md for those that exist."


def _nearest(name: str, known: Any) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return close[0] if close else None


def _parsed(name: str, said_as: str, value: Any) -> Any:
    try:
        return _PARSERS[name](value)
    except (ValueError, SetupError) as error:
        raise SetupError(f"{said_as} is not usable: {str(error).rstrip('.')}.") from None


def _assemble(values: dict[str, Any]) -> Config:
    policy = values.pop("session_limit_policy", None)
    if policy is not None:
        limits = values.get("session_limit", SessionLimits())
        values["session_limit"] = msgspec.structs.replace(limits, policy=policy)
    config = Config(**values)
    if "sign_up" not in values and config.loopback:
        config = msgspec.structs.replace(config, sign_up="open")
    _check_together(config)
    return config


def _check_together(config: Config) -> None:
    if not config.secure and not config.loopback:
        raise SetupError(
            f"PROPYLON_PUBLIC_URL is {config.public_url}: cookies and tokens may not travel over plain http"
            " except on this machine, so give the https:// address that people use."
        )
    if config.sign_up == "verified":
        raise SetupError("PROPYLON_SIGN_UP=verified needs mail, which this version cannot send: choose open or closed.")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it has to be text")  # noqa: TRY004 - all parsers say ValueError
    return value.strip()


def _choice(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        text = _text(value)
        if text not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return parse


def _seconds(least: int, most: int) -> Callable[[Any], int]:
    return _number(least, most, "seconds")


def _number(least: int, most: int, unit: str = "") -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        text = str(value).strip()
        if isinstance(value, bool) or not text.isascii() or not text.isdigit():
            raise ValueError(f"{text!r} is not a whole number{f' of {unit}' if unit else ''}")
        if len(text) > 12 or not least <= int(text) <= most:
            raise ValueError(f"it has to be from {least} to {most}{f' {unit}' if unit else ''}")
        return int(text)

    return parse


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off", ""):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _list(value: Any) -> list[str]:
    items = value if isinstance(value, list) else _text(value).split(",")
    return [_text(item) for item in items if _text(item)]


def _url(value: Any) -> str:
    return service_url(_text(value))


def _origins(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(allowed_origin(item) for item in _list(value)))


def _session_limit(value: Any) -> SessionLimits:
    """Read ``5``, ``"5, desktop=2, mobile=1, role:admin=1"``, or a table with the same names."""
    pairs = (
        [(str(name), str(count)) for name, count in value.items()]
        if isinstance(value, dict)
        else [_pair(item) for item in _list(str(value))]
    )
    read = _number(1, 10_000)
    per_user: int | None = None
    per_kind: dict[str, int] = {}
    per_role: dict[str, int] = {}
    for name, count in pairs:
        if name == "user":
            per_user = None if count == "0" else read(count)
        elif name in DEVICE_KINDS:
            per_kind[name] = read(count)
        elif name.startswith("role:"):
            role = name.removeprefix("role:")
            check_role_name(role)
            per_role[role] = read(count)
        else:
            raise ValueError(f"{name!r} is none of user, {', '.join(DEVICE_KINDS)}, role:NAME")
    return SessionLimits(per_user=per_user, per_kind=per_kind, per_role=per_role)


def _pair(item: str) -> tuple[str, str]:
    name, equals, count = item.partition("=")
    return (name.strip(), count.strip()) if equals else ("user", item)


def _roles(value: Any) -> dict[str, tuple[str, ...]]:
    """Read ``"admin=users.read users.write, editor=posts.write"``, or a table of lists."""
    if isinstance(value, dict):
        pairs = [(str(role), _permissions(granted)) for role, granted in value.items()]
    else:
        pairs = [(role, granted.split()) for role, granted in map(_pair_of_role, _list(value))]
    for role, _ in pairs:
        check_role_name(role)
    return {role: tuple(granted) for role, granted in pairs}


def _permissions(granted: Any) -> list[str]:
    return [_text(permission) for permission in granted] if isinstance(granted, list) else _text(granted).split()


def _pair_of_role(item: str) -> tuple[str, str]:
    role, _, granted = item.partition("=")
    return role.strip(), granted


def check_role_name(role: str) -> None:
    """Raise ``ValueError`` unless ``role`` may travel in a header and a token: letters, digits, ``._:-``."""
    if (
        not 0 < len(role) <= 64
        or not role.isascii()
        or not role.replace(".", "").replace("_", "").replace(":", "").replace("-", "").isalnum()
    ):
        raise ValueError(f"{role!r} is not a role: up to 64 letters, digits and the characters . _ : -")


def _networks(value: Any) -> Networks:
    return Networks.parse(",".join(_list(value)))


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@") if parts.password else url


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "public_url": _url,
    "store": _text,
    "key": _text,
    "key_file": _text,
    "mode": _choice(*MODES),
    "sign_up": _choice("open", "verified", "closed"),
    "audience": _text,
    "algorithm": _choice("ES256", "EdDSA", "RS256", "HS256"),
    "access_ttl_s": _seconds(1, MAX_ACCESS_TTL_S),
    "idle_ttl_s": _seconds(1, MAX_ABSOLUTE_TTL_S),
    "absolute_ttl_s": _seconds(1, MAX_ABSOLUTE_TTL_S),
    "refresh_grace_s": _seconds(0, 300),
    "activity_interval_s": _seconds(1, 3_600),
    "signing_key_ttl_s": _seconds(3_600, 3_650 * DAY_S),
    "session_limit": _session_limit,
    "session_limit_policy": _choice("evict_oldest", "refuse_newest"),
    "roles": _roles,
    "origins": _origins,
    "trusted_proxies": _networks,
    "csrf_strict": _flag,
    "metrics_token": _text,
    "password_profile": _choice("owasp", "rfc9106_low_memory", "unsafe_cheapest"),
    "hash_threads": _number(0, 64),
    "hash_queue": _number(1, 10_000),
    "site_name": _text,
    "log_level": _choice("debug", "info", "warning", "error"),
}
