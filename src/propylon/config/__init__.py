"""Settings: one ``propylon.toml``, overridden by ``PROPYLON_*``. The only reader of either.

A ``Config`` is frozen and was checked as a whole: whoever holds one needs no further checks. What is wrong
stops the start with one sentence that says what to change.
"""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from propylon.config import values
from propylon.config.values import Setting, check_role_name, choice, number, seconds
from propylon.core.discreet import Discreet
from propylon.core.limits import SessionLimits
from propylon.core.network import Networks
from propylon.core.origin import is_loopback_host
from propylon.core.session import MAX_ACCESS_TTL_S, MODES, Mode, SessionPolicy
from propylon.errors import SetupError, Unusable

__all__ = [
    "DAY_S",
    "OTHER_VARIABLES",
    "PREFIX",
    "SETTINGS",
    "Config",
    "check_role_name",
    "is_set",
    "load",
    "made_of",
    "unknown_variables",
    "without_password",
]

SignUp = Literal["open", "verified", "closed"]
Algorithm = Literal["ES256", "EdDSA", "RS256", "HS256"]

PREFIX = "PROPYLON_"
# What begins like this weakens the service, so that nobody sets it without noticing.
UNSAFE = "unsafe_"
DAY_S = 86_400
# Browsers cap the life of a cookie at 400 days (6265bis 5.5); a session may not outlive its cookie.
MAX_ABSOLUTE_TTL_S = 400 * DAY_S
MAX_AUDIENCE_CHARS = 255
MAX_SITE_NAME_CHARS = 100
MAX_REASON_CHARS = 200


class Config(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of Propylon; each is a line in ``docs/settings.md``.

    Durations end in ``_s`` and are whole seconds. Settings that contradict each other make no ``Config``.
    """

    public_url: str = "http://localhost:8000"
    store: str = "sqlite:///propylon.db"
    session_store: str = ""
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
    feed_max_silence_s: int = 5
    unsafe_feed_silence: str = ""
    session_limit: SessionLimits = SessionLimits()
    roles: dict[str, tuple[str, ...]] = {}
    origins: tuple[str, ...] = ()
    trusted_proxies: Networks = Networks()
    bridge: str = ""
    csrf_strict: bool = False
    metrics_token: str = ""
    password_profile: str = "owasp"  # noqa: S105 - a name
    hash_threads: int = 0
    hash_queue: int = 64
    site_name: str = "Propylon"
    log_level: str = "info"

    def __post_init__(self) -> None:
        _check_together(self)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show where this set-up lives; some settings are secrets."""
        stores = (self.store, self.session_store) if self.session_store else (self.store,)
        names = ("store", "session_store")
        return [("public_url", self.public_url), *zip(names, map(without_password, stores), strict=False)]

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
    def max_silence_s(self) -> float:
        """For how long a process that hears nothing of revocations believes what it remembers."""
        return math.inf if self.unsafe_feed_silence else self.feed_max_silence_s

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
    def prefix(self) -> str:
        """The path of the public URL: where Propylon is mounted in an app, empty where it is served by itself."""
        return urlsplit(self.public_url).path

    @property
    def session_cookie(self) -> str:
        """The name of the session cookie.

        The prefix makes browsers refuse one that was planted by a sibling domain or over http (6265bis 4.1.3); the
        plain name is for this machine only.
        """
        return "__Host-propylon" if self.secure else "propylon"

    @property
    def public_host(self) -> str:
        """Host and port of the public URL."""
        return urlsplit(self.public_url).netloc

    @property
    def loopback(self) -> bool:
        """Whether the public URL is one of this machine only."""
        return is_loopback_host(urlsplit(self.public_url).hostname or "")

    @property
    def weakened(self) -> tuple[str, ...]:
        """What somebody weakened on purpose, as ``setting=value``; every start warns of each."""
        profile, silence = self.password_profile, self.unsafe_feed_silence
        weakened = (
            (f"password_profile={profile}", profile.startswith(UNSAFE)),
            (f"unsafe_feed_silence={silence!r}", bool(silence)),
        )
        return tuple(setting for setting, is_weak in weakened if is_weak)


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
    _refuse_misspelt(environ)
    raw: dict[str, tuple[str, Any]] = {}
    for name, value in _from_file(file, environ).items():
        raw[name] = (name, value)
    for name in SETTINGS:
        if (value := environ.get(PREFIX + name.upper())) is not None:
            raw[name] = (PREFIX + name.upper(), value)
    for name, value in (overrides or {}).items():
        if value is not None:
            raw[_known(name)] = (f"--{name.replace('_', '-')}", value)
    return _assemble(raw)


def made_of(named: Mapping[str, Any]) -> Config:
    """Make a ``Config`` of ``named`` settings over the defaults; no file and no environment is read.

    Raises:
        SetupError: one sentence that says what to change.
    """
    return _assemble({_known(name): (name, value) for name, value in named.items()})


def is_set(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Return whether ``propylon.toml`` or the environment gives the setting ``name``.

    Raises:
        SetupError: the settings file cannot be read.
    """
    environ = os.environ if environ is None else environ
    return PREFIX + name.upper() in environ or name in _from_file(None, environ)


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return ``PROPYLON_*`` variables that nothing reads: of other software, as they are like none that something does.

    One that is nearly the name of another stops every start; see `load`.
    """
    environ = os.environ if environ is None else environ
    known = {PREFIX + name.upper() for name in SETTINGS}.union(OTHER_VARIABLES)
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


# Read by the command line and the scripts, not settings of the service itself.
OTHER_VARIABLES = tuple(PREFIX + name for name in ("CONFIG", "HOST", "PORT", "WORKERS"))


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    """Refuse a variable that is nearly one of ours: what it was to set is not set."""
    # By what follows the prefix, which all of them share; else PROPYLON_SERVICE_HOST of Kubernetes were like ours.
    known = [*SETTINGS, *(name.removeprefix(PREFIX).lower() for name in OTHER_VARIABLES)]
    for name in unknown_variables(environ):
        if nearest := _nearest(name.removeprefix(PREFIX).lower(), known):
            raise SetupError("variable_misspelt", name=repr(name[:60]), nearest=PREFIX + nearest.upper())


def _from_file(file: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    configured = environ.get(PREFIX + "CONFIG")
    named = file or (Path(configured) if configured else None)
    path = named or Path("propylon.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is not None:
            raise SetupError("settings_file_missing", path=path) from None
        return {}
    except tomllib.TOMLDecodeError as error:
        raise SetupError("settings_file_no_toml", path=path, reason=error) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError("settings_file_unreadable", path=path, reason=error) from None
    for name in content:
        if name not in SETTINGS:
            raise _unknown(name, path)
    return content


def _known(name: str) -> str:
    if name not in SETTINGS:
        raise _unknown(name)
    return name


def _unknown(name: str, path: Path | None = None) -> SetupError:
    shown = repr(name[:60])
    nearest = _nearest(name.lower().removeprefix(PREFIX.lower()), SETTINGS)
    if path is None:
        key = "setting_misspelt" if nearest else "setting_unknown"
    else:
        key = "file_setting_misspelt" if nearest else "file_setting_unknown"
    return SetupError(key, name=shown, path=path, nearest=nearest)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return close[0] if close else None


def _read(name: str, said_as: str, value: Any) -> Any:
    try:
        return SETTINGS[name].read(value)
    except (Unusable, SetupError) as error:
        raise SetupError("setting_unusable", name=said_as, why=error) from None


def _assemble(raw: Mapping[str, tuple[str, Any]]) -> Config:
    """Read each setting, which ``raw`` gives as it is called and as it was given, and put them together."""
    given = {name: _read(name, said_as, value) for name, (said_as, value) in raw.items()}
    policy = given.pop("session_limit_policy", None)
    if policy is not None:
        limits = given.get("session_limit", SessionLimits())
        given["session_limit"] = msgspec.structs.replace(limits, policy=policy)
    # Where only the absolute life was set, the defaults give way to it; what somebody set does not.
    defaults = Config()
    longest_s = given.get("absolute_ttl_s", defaults.absolute_ttl_s)
    for name in ("idle_ttl_s", "access_ttl_s"):
        given.setdefault(name, min(getattr(defaults, name), longest_s))
    config = Config(**given)
    if "sign_up" not in given and config.loopback:
        config = msgspec.structs.replace(config, sign_up="open")
    return config


def _check_together(config: Config) -> None:
    if not config.secure and not config.loopback:
        raise SetupError("public_url_plain", url=config.public_url)
    if config.sign_up == "verified":
        raise SetupError("sign_up_needs_mail")
    for name in ("idle_ttl_s", "access_ttl_s"):
        if (life_s := getattr(config, name)) > config.absolute_ttl_s:
            raise SetupError(
                "life_too_long", name=PREFIX + name.upper(), life_s=life_s, absolute_ttl_s=config.absolute_ttl_s
            )


def without_password(url: str) -> str:
    """Return a store's URL as it may be shown: without what stands before an ``@``, and without options."""
    kind, separator, rest = url.partition("://")
    _, at, place = rest.partition("?")[0].rpartition("@")
    return f"{kind}{separator}{'***@' if at else ''}{place}"


SETTINGS: Mapping[str, Setting] = {
    "public_url": Setting(values.url, "`https://`"),
    "store": Setting(values.text, "`memory://`, `sqlite:///`, `postgresql://`"),
    "session_store": Setting(
        values.text, "`redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`"
    ),
    "key": Setting(values.key_ring, secret=True),
    "key_file": Setting(values.text),
    "mode": choice(*MODES),
    "sign_up": choice("open", "verified", "closed"),
    "audience": values.label(MAX_AUDIENCE_CHARS),
    "algorithm": choice("ES256", "EdDSA", "RS256", "HS256"),
    "access_ttl_s": seconds(1, MAX_ACCESS_TTL_S),
    "idle_ttl_s": seconds(1, MAX_ABSOLUTE_TTL_S),
    "absolute_ttl_s": seconds(1, MAX_ABSOLUTE_TTL_S),
    "refresh_grace_s": seconds(0, 300),
    "activity_interval_s": seconds(1, 3_600),
    "signing_key_ttl_s": seconds(3_600, 3_650 * DAY_S),
    "feed_max_silence_s": seconds(1, 300),
    "unsafe_feed_silence": values.label(MAX_REASON_CHARS),
    "session_limit": Setting(values.session_limit, f"1 - {values.MAX_SESSIONS}"),
    "session_limit_policy": choice("evict_oldest", "refuse_newest"),
    "roles": Setting(values.roles),
    "origins": Setting(values.origins, "`https://`"),
    "trusted_proxies": Setting(values.networks),
    "bridge": Setting(values.text),
    "csrf_strict": Setting(values.flag, "`true`, `false`"),
    "metrics_token": Setting(values.bearer_token, secret=True),
    "password_profile": choice("owasp", "rfc9106_low_memory", "unsafe_cheapest"),
    "hash_threads": number(0, 64),
    "hash_queue": number(1, 10_000),
    "site_name": values.required_label(MAX_SITE_NAME_CHARS),
    "log_level": choice("debug", "info", "warning", "error"),
}
