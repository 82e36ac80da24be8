"""Whose session of another system it is: found by what its holder cannot choose.

Django's addresses and usernames are for its users to choose. They are not unique, not verified, and told apart by
case, so whoever has any account there could name anybody's. What stays is the row: its primary key makes the id of the
account that is imported from it, and nothing else leads to that account.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from propylon.core.discreet import Discreet
from propylon.core.email import canonical
from propylon.core.principal import User


def address_of_django_row(email: str, username: str) -> str:
    """Return the address of a row. Django asks for none: where people sign in with one, it is the username."""
    return email.strip() or (username if "@" in username else "")


class DjangoRow(Discreet, msgspec.Struct, frozen=True):
    """A row of ``auth_user``, as it is now.

    Attributes:
        account: the id of the account that is imported from it.
        joined_at: ``date_joined``, epoch seconds.
    """

    shown: ClassVar[tuple[str, ...]] = ("account",)

    account: str
    address: str
    joined_at: int

    def became(self, user: User) -> bool:
        """Say whether the account is the one of this row.

        Another database, or one that was set up anew, has other people under the same numbers, and they may take the
        address too; the second they joined in they do not choose.
        """
        return canonical(self.address) == user.email_key and self.joined_at == user.created_at


class AccountId(Discreet, msgspec.Struct, frozen=True):
    """The id of an account, which an app keeps in its sessions."""

    shown: ClassVar[tuple[str, ...]] = ("account",)

    account: str


class UnprovedAddress(Discreet, msgspec.Struct, frozen=True):
    """An address that an app keeps in its sessions, and that nobody has proved to be theirs."""

    shown: ClassVar[tuple[str, ...]] = ()

    address: str


Owner = DjangoRow | AccountId | UnprovedAddress
