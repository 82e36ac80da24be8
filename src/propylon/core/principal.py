"""Who is asking: the one answer, whichever way the credential travelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Protocol

import msgspec

from propylon.core.discreet import Discreet
from propylon.errors import Forbidden, PropylonError

#: The ``security_version`` that every account begins with, imported or not.
NEVER_RESET: Final = 0

CredentialKind = Literal["cookie", "access_token", "refresh_token"]


class Credential(Discreet, msgspec.Struct, frozen=True):
    """What one request presents: exactly one, picked by its form.

    Attributes:
        ambient: the browser added it by itself (a cookie), so cross-site requests carry it too.
    """

    shown: ClassVar[tuple[str, ...]] = ("kind", "ambient")

    kind: CredentialKind
    value: str
    ambient: bool


class User(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with an account.

    Attributes:
        email: as it was written at sign-up; ``email_key`` is its canonical form, unique.
        security_version: rises with every change that ends sign-ins (new password, disabled).
    """

    shown: ClassVar[tuple[str, ...]] = ("id", "disabled_at")

    id: str
    email: str
    email_key: str
    name: str
    password_hash: str
    roles: tuple[str, ...] = ()
    created_at: int = 0
    disabled_at: int | None = None
    security_version: int = NEVER_RESET


class SessionData(msgspec.Struct, frozen=True):
    """What an app keeps with a session: a small JSON object, and the version to compare when writing."""

    value: dict[str, Any]
    version: int


class Home(Protocol):
    """Where a principal's own record can be asked for more; absent in a service that only verifies."""

    def read_data(self, session_id: str) -> Awaitable[SessionData]:
        """Return the app's data of this session."""

    def update_data(
        self, session_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Awaitable[SessionData]:
        """Apply ``change`` to the app's data by compare-and-swap, again if somebody else was first."""

    def read_user(self, user_id: str) -> Awaitable[User]:
        """Return the user behind this principal."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, after verification.

    Attributes:
        auth_time: when the user last proved who they are, epoch seconds.
        expires_at: when this credential (not the session) ends at the latest, epoch seconds.
        scopes: what an access token was narrowed to; empty means everything the user may do.
        moves_to: the mode that this session is asked to move to (``Propylon-Mode``); None where it is at home.
    """

    user_id: str
    session_id: str
    credential: CredentialKind
    roles: frozenset[str]
    permissions: frozenset[str]
    scopes: frozenset[str]
    auth_time: int
    expires_at: int
    home: Home | None = field(default=None, repr=False, compare=False)
    moves_to: str | None = field(default=None, repr=False, compare=False)

    def require_role(self, role: str) -> None:
        """Raise ``Forbidden`` unless the user holds ``role``."""
        if role not in self.roles:
            raise Forbidden

    def require_permission(self, permission: str) -> None:
        """Raise ``Forbidden`` unless one of the user's roles grants ``permission``."""
        if permission not in self.permissions:
            raise Forbidden

    def data(self) -> Awaitable[SessionData]:
        """Return the app's data of this session (awaitable)."""
        return self._at_home().read_data(self.session_id)

    def update_data(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Awaitable[SessionData]:
        """Replace the app's data by ``change(data)``, losing no concurrent write (awaitable).

        ``change`` may be called several times and must not keep or alter what it is given.
        """
        return self._at_home().update_data(self.session_id, change)

    def user(self) -> Awaitable[User]:
        """Return the user: name, e-mail and roles as they are now (awaitable)."""
        return self._at_home().read_user(self.user_id)

    def _at_home(self) -> Home:
        if self.home is None:
            raise PropylonError("not_at_hand")
        return self.home
