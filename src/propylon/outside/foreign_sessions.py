"""Sessions of another system, looked up where that system keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from propylon.config.bridge import Bridge
from propylon.core import foreign_session
from propylon.core.foreign_account import AccountId, DjangoRow, Owner, UnprovedAddress, address_of_django_row
from propylon.core.foreign_session import ForeignSession, Signed
from propylon.errors import SetupError, StoreUnavailable
from propylon.outside.foreign_ids import id_of_django_row, uuid_in
from propylon.outside.foreign_tables import Row, Tables, tables_of

_SESSION = "SELECT session_data, expire_date FROM django_session WHERE session_key = $1"
_USER = "SELECT id, username, email, password, is_active, date_joined FROM auth_user WHERE id = $1"


class StarletteSessions:
    """Sessions of ``SessionMiddleware``: the signed cookie is all there is."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def find(self, cookie: str, now: int) -> ForeignSession | None:
        """Return the session, if it is good."""
        signed = foreign_session.starlette_signed(cookie, self._bridge.secrets)
        if signed is None or not _is_fresh(signed, self._bridge, now):
            return None
        owner = self._owner(signed)
        return None if owner is None else ForeignSession(signed.identity, owner)

    def _owner(self, signed: Signed) -> Owner | None:
        if self._bridge.unsafe_email_key:
            address = signed.content.get(self._bridge.unsafe_email_key)
            return UnprovedAddress(address) if isinstance(address, str) else None
        account = uuid_in(signed.content.get(self._bridge.user_key))
        return None if account is None else AccountId(account)


class DjangoSessions:
    """Sessions of ``django.contrib.sessions``, in the database or in signed cookies; accounts in ``auth_user``."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def find(self, cookie: str, now: int) -> ForeignSession | None:
        """Return the session, if it is good and its account has the password that it was made with.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if not self._may_be_one(cookie):  # a look at the database costs a connection
            return None
        try:
            async with tables_of(self._bridge.database) as tables:
                return await self._found(tables, cookie, now)
        except SetupError as error:
            raise StoreUnavailable from error

    def _may_be_one(self, cookie: str) -> bool:
        if self._bridge.sessions == "database":
            return foreign_session.DJANGO_SESSION_KEY.fullmatch(cookie) is not None
        return len(cookie) <= foreign_session.MAX_COOKIE_CHARS and self._signed_cookie(cookie) is not None

    async def _found(self, tables: Tables, cookie: str, now: int) -> ForeignSession | None:
        if self._bridge.sessions == "cookie":
            signed = self._signed_cookie(cookie)
            good = signed is not None and _is_fresh(signed, self._bridge, now)
        else:
            kept = next(iter(await tables.rows(_SESSION, cookie)), None)
            signed = None if kept is None else self._signed_row(kept)
            good = kept is not None and _seconds(kept["expire_date"]) > now
        if signed is None or not good:
            return None
        row = await self._row(tables, signed)
        identity = signed.identity if self._bridge.sessions == "cookie" else cookie
        return None if row is None else ForeignSession(identity, row)

    def _signed_cookie(self, cookie: str) -> Signed | None:
        return foreign_session.django_signed(cookie, self._bridge.secrets, foreign_session.DJANGO_COOKIE_SALT)

    def _signed_row(self, row: Row) -> Signed | None:
        data = str(row["session_data"])
        return foreign_session.django_signed(data, self._bridge.secrets, foreign_session.DJANGO_DATABASE_SALT)

    async def _row(self, tables: Tables, signed: Signed) -> DjangoRow | None:
        """Return the row of the account, unless Django would not let it in any more."""
        number = str(signed.content.get("_auth_user_id", ""))
        if not number.isdecimal() or len(number) > 18:
            return None
        for row in await tables.rows(_USER, int(number)):
            right = foreign_session.django_hash_matches(
                signed.content.get("_auth_user_hash"), str(row["password"]), self._bridge.secrets
            )
            if row["is_active"] and right:
                address = address_of_django_row(str(row["email"]), str(row["username"]))
                return DjangoRow(id_of_django_row(row["id"]), address, _seconds(row["date_joined"]))
        return None


def foreign_sessions(bridge: Bridge) -> DjangoSessions | StarletteSessions:
    """Return what finds the sessions of a bridge.

    Raises:
        SetupError: what reads them is not installed.
    """
    if bridge.system == "django":
        return DjangoSessions(bridge)
    try:
        import itsdangerous  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError as missing:
        raise SetupError("bridge_package", package=repr(missing.name), extra="bridge") from missing
    return StarletteSessions(bridge)


def _is_fresh(signed: Signed, bridge: Bridge, now: int) -> bool:
    return signed.signed_at + bridge.max_age_s > now


def _seconds(at: Any) -> int:
    """Return epoch seconds of a column of Django's; SQLite has it as text, in UTC."""
    try:
        moment = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
    except ValueError:
        return 0
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
