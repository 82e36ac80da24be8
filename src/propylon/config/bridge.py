"""The bridge for sessions of another system: a file of its own, since it holds that system's secrets and goes again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from propylon.core.discreet import Discreet
from propylon.errors import SetupError

#: Sessions that are over are kept for as long (``runtime.KEEP_ENDED_S``): until then none is exchanged twice.
MAX_AGE_S = 30 * 86_400


class Bridge(Discreet, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose sessions are honoured, and how they are read.

    Attributes:
        secrets: what the other system signs with, the current one first (Django's ``SECRET_KEY`` and its fallbacks).
        cookie: the name of its cookie; empty is ``sessionid`` for Django and ``session`` for Starlette.
        sessions: where Django keeps them: in its database, or in the signed cookie.
        database: Django's, where the accounts are looked up: ``sqlite:///`` or ``postgresql://``.
        user_key: the member of a Starlette session that holds the account's id, which nobody there can choose.
        unsafe_email_key: the member that holds an address, where the app keeps no id: whoever can put somebody's
            address into a session there is that person here.
        max_age_s: for how long such a session is good (``SESSION_COOKIE_AGE``, ``max_age``).
    """

    shown: ClassVar[tuple[str, ...]] = ("system", "sessions")

    system: Literal["django", "starlette"]
    secrets: tuple[str, ...]
    cookie: str = ""
    sessions: Literal["database", "cookie"] = "database"
    database: str = ""
    user_key: str = ""
    unsafe_email_key: str = ""
    max_age_s: int = 14 * 86_400

    @property
    def cookie_name(self) -> str:
        """The name of the cookie."""
        return self.cookie or {"django": "sessionid", "starlette": "session"}[self.system]


def load(path: str) -> Bridge | None:
    """Read the file that the setting ``bridge`` names; None where it names none.

    Raises:
        SetupError: it cannot be read, or something in it cannot be; no value of it is repeated.
    """
    if not path:
        return None
    try:
        said = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        bridge = msgspec.convert(said, Bridge)
    except OSError as error:
        raise SetupError("bridge_unreadable", path=path, reason=error.strerror) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError):
        raise SetupError("bridge_wrong", path=path, fields=", ".join(Bridge.__struct_fields__)) from None
    if not bridge.secrets or not all(bridge.secrets):
        raise SetupError("bridge_secrets", path=path)
    if bridge.system == "django" and not bridge.database:
        raise SetupError("bridge_database", path=path)
    if bool(bridge.user_key) + bool(bridge.unsafe_email_key) != (bridge.system == "starlette"):
        raise SetupError("bridge_user_key", path=path)
    if not 1 <= bridge.max_age_s <= MAX_AGE_S:
        raise SetupError("bridge_age", path=path, most=MAX_AGE_S)
    return bridge


def weakened(path: str) -> tuple[str, ...]:
    """Return what somebody weakened on purpose in that file, as ``setting=value``; every start warns of it.

    Raises:
        SetupError: as ``load``.
    """
    bridge = load(path)
    return (f"unsafe_email_key={bridge.unsafe_email_key!r}",) if bridge is not None and bridge.unsafe_email_key else ()
