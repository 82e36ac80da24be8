"""Rows of the SQL stores to records and back. The order of the columns here is the order in every query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from propylon.core.device import Device
from propylon.core.principal import User
from propylon.core.session import Ending, Session

Row = Sequence[Any]

FIXED = (
    "id, user_id, salt, key_id, remember, created_at, expires_at, idle_ttl_s, "
    "device_browser, device_os, device_kind, sign_in_method"
)
CHANGING = (
    "mode, auth_time, last_seen_at, ip, cookie_generation, cookie_rotated_at, earlier_auth_time, "
    "refresh_generation, refresh_rotated_at, refresh_origin, late_generation, moved_at, refresh_floor, "
    "confirmed_from, ended_reason, ended_at, ended_by_browser, ended_by_os, ended_by_kind"
)
SESSION_COLUMNS = f"{FIXED}, {CHANGING}"
USER_COLUMNS = "id, email, email_key, name, password_hash, roles, created_at, disabled_at, security_version"


def session_of(row: Row) -> Session:
    """Return the session of a row of ``SESSION_COLUMNS``."""
    return Session(
        id=row[0],
        user_id=row[1],
        salt=row[2],
        key_id=row[3],
        remember=bool(row[4]),
        created_at=row[5],
        expires_at=row[6],
        idle_ttl_s=row[7],
        device=Device(row[8], row[9], row[10]),
        sign_in_method=row[11],
        mode=row[12],
        auth_time=row[13],
        last_seen_at=row[14],
        ip=row[15],
        cookie_generation=row[16],
        cookie_rotated_at=row[17],
        earlier_auth_time=row[18],
        refresh_generation=row[19],
        refresh_rotated_at=row[20],
        refresh_origin=row[21],
        late_generation=row[22],
        moved_at=row[23],
        refresh_floor=row[24],
        confirmed_from=row[25],
        ending=None if row[27] is None else _ending_of(row[26:]),
    )


def fixed_values(session: Session) -> tuple[Any, ...]:
    """Return what never changes of a session, in the order of the columns."""
    device = session.device
    return (
        session.id,
        session.user_id,
        session.salt,
        session.key_id,
        session.remember,
        session.created_at,
        session.expires_at,
        session.idle_ttl_s,
        device.browser,
        device.os,
        device.kind,
        session.sign_in_method,
    )


def changing_values(session: Session) -> tuple[Any, ...]:
    """Return what may change of a session, in the order of the columns."""
    return (
        session.mode,
        session.auth_time,
        session.last_seen_at,
        session.ip,
        session.cookie_generation,
        session.cookie_rotated_at,
        session.earlier_auth_time,
        session.refresh_generation,
        session.refresh_rotated_at,
        session.refresh_origin,
        session.late_generation,
        session.moved_at,
        session.refresh_floor,
        session.confirmed_from,
        *ending_values(session.ending),
    )


def user_of(row: Row) -> User:
    """Return the account of a row of ``USER_COLUMNS``."""
    return User(
        id=row[0],
        email=row[1],
        email_key=row[2],
        name=row[3],
        password_hash=row[4],
        roles=tuple(msgspec.json.decode(row[5])),
        created_at=row[6],
        disabled_at=row[7],
        security_version=row[8],
    )


def user_values(user: User) -> tuple[Any, ...]:
    """Return an account in the order of the columns."""
    return (
        user.id,
        user.email,
        user.email_key,
        user.name,
        user.password_hash,
        msgspec.json.encode(user.roles).decode(),
        user.created_at,
        user.disabled_at,
        user.security_version,
    )


def _ending_of(row: Row) -> Ending:
    reason, at, browser, os, kind = row
    return Ending(reason, at, None if kind is None else Device(browser, os, kind))


def ending_values(ending: Ending | None) -> tuple[Any, ...]:
    """Return an ending in the order of its columns."""
    if ending is None:
        return (None, None, None, None, None)
    by = ending.by
    return (ending.reason, ending.at, *((None, None, None) if by is None else (by.browser, by.os, by.kind)))
