"""Who signs in, and where the password comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from propylon.client.exchange import Password
from propylon.core.discreet import Discreet
from propylon.errors import CredentialRefused, SetupError


class Account(Discreet):
    """Who signs in, and where the password comes from: a text, or somebody who is asked when it is needed."""

    shown: ClassVar[tuple[str, ...]] = ("email",)

    def __init__(self, email: str | None, password: str | Callable[[], str] | None, *, remember: bool) -> None:
        if password is not None and not email:
            raise SetupError("client_password_without_email")
        self.email, self.remember = email, remember
        self._ask: Callable[[], str] | None = password if callable(password) else None
        self._fixed = Password(password) if isinstance(password, str) else None
        self._wrong = False

    @property
    def has_password(self) -> bool:
        """Tell whether there is a password that has not turned out to be wrong."""
        return self._ask is not None or (self._fixed is not None and not self._wrong)

    def password(self) -> Password:
        """Return the password; asks for it where somebody has to be asked."""
        if self._ask is not None:
            return Password(self._ask())
        if self._fixed is None:
            raise CredentialRefused("credential_missing")
        return self._fixed

    def was_wrong(self) -> None:
        """Do not try a fixed password again by itself: it will not become right, and failures are slowed down."""
        self._wrong = True

    def try_again(self) -> None:
        """Somebody says so."""
        self._wrong = False
