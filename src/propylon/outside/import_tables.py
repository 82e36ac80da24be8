"""Accounts in another system's tables: Django's ``auth_user`` and the ``user`` of fastapi-users.

They are read by pages of the primary key, so memory does not grow with the table.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from propylon.core.foreign_account import address_of_django_row
from propylon.core.import_record import Line, Record
from propylon.errors import SetupError, Unusable
from propylon.outside.foreign_ids import id_of_django_row
from propylon.outside.foreign_tables import Row, Tables, tables_of

PAGE: Final = 128


class Origin(msgspec.Struct, frozen=True):
    """Where a system keeps its accounts.

    Attributes:
        columns: those of the table that are read.
        record_of: what a row says, given the names of its groups.
        grouped: whether ``auth_user_groups`` says who is in which group.
    """

    table: str
    columns: tuple[str, ...]
    record_of: Callable[[Row, tuple[str, ...]], Record]
    grouped: bool = False


class TableSource:
    """The accounts of one system in one database.

    Attributes:
        total: rows of the table, and ``done`` how many of them were read.
    """

    def __init__(self, database: str, system: str) -> None:
        self._database, self._origin = database, ORIGINS[system]
        self.total = 0
        self.done = 0

    async def batches(self) -> AsyncIterator[Sequence[Line]]:
        """Yield the rows, a hundred or so at a time.

        Raises:
            SetupError: the database cannot be read, or has no such tables.
        """
        async with tables_of(self._database) as tables:
            await self._check(tables)
            (counted,) = await tables.rows(f'SELECT count(*) AS n FROM "{self._origin.table}"')  # noqa: S608 - ours
            self.total = counted["n"]
            page = await self._page(tables)
            while page:
                yield await self._lines(tables, page)
                page = await self._page(tables, after=page[-1]["id"])

    async def _check(self, tables: Tables) -> None:
        wanted = {self._origin.table: self._origin.columns, **(_GROUPS if self._origin.grouped else {})}
        for table, columns in wanted.items():
            if missing := set(columns) - await tables.columns(table):
                wanted_here, lacking = ", ".join(columns), ", ".join(sorted(missing))
                raise SetupError("import_table", table=table, columns=wanted_here, missing=lacking)

    async def _page(self, tables: Tables, after: object = None) -> Sequence[Row]:
        where, values = ("", ()) if after is None else ("WHERE id > $1", (after,))
        columns = ", ".join(self._origin.columns)
        query = f'SELECT {columns} FROM "{self._origin.table}" {where} ORDER BY id LIMIT {PAGE}'  # noqa: S608 - ours
        return await tables.rows(query, *values)

    async def _lines(self, tables: Tables, page: Sequence[Row]) -> list[Line]:
        groups = await self._groups(tables, page)
        first, self.done = self.done + 1, self.done + len(page)
        return [
            Line(number, _record(self._origin, row, tuple(groups.get(row["id"], ()))), str(row["id"])[:40])
            for number, row in enumerate(page, first)
        ]

    async def _groups(self, tables: Tables, page: Sequence[Row]) -> dict[Any, list[str]]:
        """Return the names of the groups of those on a page."""
        names: dict[Any, list[str]] = {}
        if self._origin.grouped:
            for row in await tables.rows(_MEMBERS, page[0]["id"], page[-1]["id"]):
                names.setdefault(row["user_id"], []).append(row["name"])
        return names


_GROUPS: Final = {"auth_user_groups": ("user_id", "group_id"), "auth_group": ("id", "name")}
_MEMBERS: Final = """
SELECT auth_user_groups.user_id, auth_group.name FROM auth_user_groups
JOIN auth_group ON auth_group.id = auth_user_groups.group_id
WHERE auth_user_groups.user_id BETWEEN $1 AND $2 ORDER BY auth_user_groups.user_id, auth_group.name
"""


def _record(origin: Origin, row: Row, groups: tuple[str, ...]) -> Record | Unusable:
    try:
        return origin.record_of(row, groups)
    except Unusable as reason:
        return reason


def _of_django(row: Row, groups: tuple[str, ...]) -> Record:
    """Read a row of ``auth_user``. The account's id is made of the row's: its sessions there find it by that alone."""
    number = row["id"]
    given = [("superuser", row["is_superuser"]), ("staff", row["is_staff"])]
    return Record(
        email=address_of_django_row(_text(row, "email"), _text(row, "username")),
        password_hash=_text(row, "password"),
        name=f"{_text(row, 'first_name')} {_text(row, 'last_name')}".strip(),
        roles=(*groups, *(role for role, granted in given if granted)),
        disabled=not row["is_active"],
        created_at=_when(row["date_joined"]),
        id=id_of_django_row(number) if isinstance(number, int) else None,
    )


def _of_fastapi_users(row: Row, groups: tuple[str, ...]) -> Record:
    """Read a row of ``user``. Its id is kept, so that what the app filed under it is still found."""
    return Record(
        email=_text(row, "email"),
        password_hash=_text(row, "hashed_password"),
        roles=(*groups, "superuser") if row["is_superuser"] else groups,
        disabled=not row["is_active"],
        id=_uuid(row["id"]),
    )


def _text(row: Row, column: str) -> str:
    """Return a text. SQLite keeps anything in any column."""
    value = row[column]
    if value is not None and not isinstance(value, str):
        raise Unusable("line_fields", fields=column)
    return value or ""


def _when(value: object) -> int | str | None:
    if isinstance(value, datetime):
        return int((value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp())
    return value if isinstance(value, int | str) else None


def _uuid(value: object) -> str | None:
    """Return the spelling of a UUID, however the database keeps it; None for the numbers that some choose."""
    try:
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))
    except ValueError:
        return None


ORIGINS: Final = MappingProxyType(
    {
        "django": Origin(
            "auth_user",
            ("id", "username", "email", "password", "first_name", "last_name", "is_active", "is_staff", "is_superuser",
             "date_joined"),
            _of_django,
            grouped=True,
        ),
        "fastapi-users": Origin(
            "user", ("id", "email", "hashed_password", "is_active", "is_superuser"), _of_fastapi_users
        ),
    }
)  # fmt: skip
