"""Accounts of another system, taken over: every line is imported, skipped because it is here, or refused and why.

It can be stopped at any moment and started again: the address is the key, each account is one atomic write,
and what is here already is left as it is, whoever made it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import msgspec

from propylon.core.email import checked
from propylon.core.import_record import Line, Record
from propylon.core.password import NO_PASSWORD, imported
from propylon.core.principal import User
from propylon.errors import RuleRefused, SetupError, Unavailable, Unusable
from propylon.flows.account import checked_name, checked_roles
from propylon.flows.randomness import Randomness
from propylon.ports import Clock, SecurityLog, Store

#: 9999-12-31: what comes later is milliseconds, taken for seconds.
LAST_SECOND: Final = 253_402_300_799


class Refusal(msgspec.Struct, frozen=True):
    """A line that made no account, and why; never a value of it, which could be a hash in the wrong column."""

    line: int
    reason: Unusable
    key: str = ""


class Tally(msgspec.Struct):
    """What became of the lines so far.

    Attributes:
        without_password: how many of the imported have no hash.
    """

    imported: int = 0
    skipped: int = 0
    without_password: int = 0
    refused: list[Refusal] = msgspec.field(default_factory=list)


class Import:
    """Takes accounts over.

    Args:
        dry_run: look and say, and write nothing.
    """

    def __init__(
        self, store: Store, clock: Clock, random: Randomness, log: SecurityLog, *, dry_run: bool = False
    ) -> None:
        self._store, self._clock, self._random, self._log = store, clock, random, log
        self._dry_run = dry_run
        self._lines_of: dict[bytes, int] = {}

    async def __call__(self, batches: AsyncIterator[Sequence[Line]], seen: Callable[[Tally], None]) -> Tally:
        """Take over what the source yields, batch by batch; ``seen`` is told after each.

        Raises:
            SetupError: the source cannot be read, or the store stopped answering; what was imported stays.
        """
        tally = Tally()
        try:
            async for batch in batches:
                await self._take(batch, tally)
                seen(tally)
        except Unavailable:
            raise SetupError("import_stopped", imported=tally.imported) from None
        finally:
            if tally.imported and not self._dry_run:
                self._log.record("users_imported", count=tally.imported)
        return tally

    async def _take(self, batch: Sequence[Line], tally: Tally) -> None:
        accounts: list[tuple[Line, User]] = []
        for line in batch:
            try:
                accounts.append((line, self._account(line)))
            except Unusable as reason:
                tally.refused.append(Refusal(line.number, reason, line.key))
        added = await asyncio.gather(*(self._added(line, user) for line, user in accounts))
        for (line, user), outcome in zip(accounts, added, strict=True):
            if isinstance(outcome, Unusable):
                tally.refused.append(Refusal(line.number, outcome, line.key))
            elif outcome:
                tally.imported += 1
                tally.without_password += user.password_hash == NO_PASSWORD
            else:
                tally.skipped += 1
        tally.refused.sort(key=lambda refusal: refusal.line)

    async def _added(self, line: Line, user: User) -> bool | Unusable:
        """Add an account; False where its address has one already."""
        if not self._dry_run and await self._store.add_user(user):
            return True
        if await self._store.find_user_by_email(user.email_key) is not None:
            return False
        if self._dry_run and await self._store.find_user(user.id) is None:
            return True
        return Unusable("row_taken" if line.key else "id_taken")

    def _account(self, line: Line) -> User:
        """Return the account of a line; raises ``Unusable`` with the reason why it can be none."""
        if isinstance(line.record, Unusable):
            raise line.record
        record = line.record
        email, key = _address(record)
        now = self._clock.now()
        user = User(
            id=self._id(record),
            email=email,
            email_key=key,
            name=_name(record),
            password_hash=imported(record.password_hash or ""),
            roles=_roles(record),
            created_at=now if record.created_at is None else _time(record.created_at),
            disabled_at=now if record.disabled else None,
        )
        self._refuse_second(key, line.number)  # last: a line that was refused takes the address from nobody
        return user

    def _refuse_second(self, key: str, number: int) -> None:
        # A digest, since a million addresses would take a hundred megabytes.
        first = self._lines_of.setdefault(blake2b(key.encode(), digest_size=16).digest(), number)
        if first != number:
            raise Unusable("email_twice", line=first)

    def _id(self, record: Record) -> str:
        if record.id is None:
            return str(uuid.UUID(bytes=self._random(16), version=4))
        try:
            return str(uuid.UUID(record.id))
        except ValueError:
            raise Unusable("id_wrong") from None


def _address(record: Record) -> tuple[str, str]:
    if not record.email.strip():
        raise Unusable("email_missing")
    try:
        return checked(record.email)
    except RuleRefused:
        raise Unusable("email_wrong") from None


def _name(record: Record) -> str:
    try:
        return checked_name(record.name or "")
    except RuleRefused:
        raise Unusable("name_wrong") from None


def _roles(record: Record) -> tuple[str, ...]:
    try:
        return checked_roles(record.roles or ())
    except RuleRefused:
        raise Unusable("roles_wrong") from None


def _time(created_at: int | str) -> int:
    """Return epoch seconds; a time without a zone is UTC, as Django stores it."""
    try:
        if isinstance(created_at, str):
            created_at = int(created_at) if created_at.isdecimal() else _moment(created_at)
    except (ValueError, OverflowError):
        raise Unusable("created_at_wrong") from None
    if not 0 <= created_at <= LAST_SECOND:
        raise Unusable("created_at_wrong")
    return created_at


def _moment(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())
