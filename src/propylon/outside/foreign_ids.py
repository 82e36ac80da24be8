"""Ids of accounts that come from elsewhere: UUIDs that another system has, or that a row of it makes."""

from __future__ import annotations

import uuid
from typing import Final

# Never changed: the ids of all that was imported are made with it.
_DJANGO: Final = uuid.UUID("7ac7548f-42d8-4417-bac8-9764de3bfc8d")


def id_of_django_row(number: int) -> str:
    """Return the id of the account that is imported from the row of ``auth_user`` with this primary key.

    It can be computed by anybody, as ids may be: what counts is that no other row makes the same.
    """
    return str(uuid.uuid5(_DJANGO, f"django:{number}"))


def uuid_in(value: object) -> str | None:
    """Return a UUID in our spelling; None for what is none: a username or an address names nobody."""
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None
