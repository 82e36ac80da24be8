"""What an import reads: one account a line, as another system wrote it down. Nothing in it is believed yet."""

from __future__ import annotations

import msgspec

from propylon.core.discreet import Discreet
from propylon.errors import Unusable


class Record(Discreet, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account, as it stands in a file or a table.

    Attributes:
        password_hash: as the other system spelled it; none, and nobody signs in until there is a password.
        roles: names, which mean what the settings say that they mean.
        created_at: epoch seconds, or an ISO 8601 time; none is now.
        id: a UUID to keep as the account's id; none makes a new one.
    """

    email: str = ""
    password_hash: str | None = None
    name: str | None = None
    roles: tuple[str, ...] | None = None
    disabled: bool | None = None
    created_at: int | str | None = None
    id: str | None = None


class Line(msgspec.Struct, frozen=True):
    """One line of a source, counted from 1: an account, or why there is none to be read.

    Attributes:
        key: what the source calls the row, where it has such a thing; never a value of a file.
    """

    number: int
    record: Record | Unusable
    key: str = ""
