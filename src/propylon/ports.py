"""What the flows need from outside, in words: small protocols, cut by use.

Rules for every method: a missing, expired or malformed thing is an answer (``None``, ``False``, an
outcome), never an exception. An exception is a ``StoreUnavailable``: the system failed and **nothing was
acknowledged**. Verbs that decide are atomic: whoever implements them runs the pure function named in their
description inside one transaction. ``propylon.testing.StoreContract`` is the same text as tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from propylon.core.device import Kind
from propylon.core.limits import LimitReached, SessionLimits
from propylon.core.moving import MoveOutcome
from propylon.core.principal import SessionData, User
from propylon.core.refresh import RefreshOutcome
from propylon.core.revocation import FeedEntry, FeedSubject
from propylon.core.session import Ending, Mode, Session
from propylon.core.throttle import Pace


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> int:
        """Return the epoch seconds of the wall clock."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards, for deadlines of what is remembered."""


class PasswordHashing(Protocol):
    """The slow part of passwords, bounded and off the loop. Full means ``Overloaded``, at once."""

    async def hash(self, prepared: bytes) -> str:
        """Return a hash to store."""

    async def verify(self, stored: str, prepared: bytes) -> bool:
        """Return whether the password is the one that was hashed."""

    async def decoy_verify(self, prepared: bytes) -> bool:
        """Cost as much as ``verify`` and return False: for accounts that do not exist."""

    def needs_rehash(self, stored: str) -> bool:
        """Return whether today's profile is stronger than the one of ``stored``."""


class SecurityLog(Protocol):
    """One structured line for each event that matters to security; never a secret in it."""

    def record(self, event: str, /, **facts: str | int | None) -> None:
        """Record ``event`` (fixed vocabulary, OWASP logging names)."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What opening a session depends on.

    Attributes:
        session: its id is made by ``core.secret.new_session_id`` for its user: a store may find its way by it.
        security_version: of the user whose password was checked; the sign-in is void when it has risen.
        end: a session of the same user to end first, chosen by the user to make room.
        feed_ttl_s: how long an access token of an evicted session could still live.
    """

    session: Session
    limits: SessionLimits
    roles: tuple[str, ...]
    security_version: int
    end: str | None
    feed_ttl_s: int


class Opened(msgspec.Struct, frozen=True):
    """The session is in; ``evicted`` have ended for it, and ``made_room`` (``Opening.end``) where it lived."""

    session: Session
    evicted: tuple[Session, ...]
    made_room: Session | None = None


class SignInVoid(msgspec.Struct, frozen=True):
    """The account was disabled, removed or changed since it was checked; or a session of this id was opened before."""


class SessionReader(Protocol):
    """Sessions, looked at."""

    async def find_session(self, session_id: str) -> Session | None:
        """Return the session, also one that has ended or expired, or None when it is not known (any more)."""

    async def live_sessions(self, user_id: str, now: int) -> list[Session]:
        """Return the user's live sessions, oldest first."""

    async def all_live_sessions(self, now: int, limit: int) -> list[Session]:
        """Return live sessions of everyone, newest first, at most ``limit``."""

    async def count_by_mode(self, now: int) -> dict[tuple[Mode, Kind], int]:
        """Return the number of live sessions for each mode and kind of device that has any."""


class SessionWriter(Protocol):
    """Sessions, moved on. Each verb is one atomic step."""

    async def open_session(self, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
        """Add a session, deciding by ``core.limits.admit`` who has to go for it.

        The ending of the evicted names the newcomer's device, and is announced in the feed. The session that
        the user chose (``opening.end``) ends first and stays ended also when the limit is still reached; a void
        sign-in ends nobody.
        """

    async def rotate(
        self, session_id: str, presented: int, *, now: int, grace_s: int, origin: str, ip: str, feed_ttl_s: int
    ) -> RefreshOutcome:
        """Decide by ``core.refresh.rotate`` and keep the outcome's session. Reuse is announced in the feed."""

    async def touch(self, session_id: str, *, now: int, ip: str) -> None:
        """Note that a live session was used. Never revives one that has ended."""

    async def confirm(self, session_id: str, *, now: int, origin: str, grace: bool) -> Session | None:
        """Apply ``core.session.confirmed`` to a live session and announce the change; None when it is not."""

    async def move_session(
        self, session_id: str, to: Mode, *, cookie: int | None, now: int, grace_s: int, origin: str
    ) -> MoveOutcome:
        """Decide by ``core.moving.move``; keep and announce the outcome's session when it has moved."""


class SessionEnder(Protocol):
    """Sessions, ended. What these verbs have returned holds for ever, and the feed has announced it."""

    async def end_session(self, session_id: str, ending: Ending, *, user_id: str | None, feed_ttl_s: int) -> bool:
        """End one session, of ``user_id`` only where given. False when there is no such live one.

        One that has expired by ``ending.at`` is ended too, so that no node whose clock is behind keeps it alive,
        and the answer is still False.
        """

    async def end_sessions(self, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> tuple[str, ...]:
        """End all sessions of a user but ``keep``; return the ids of those that lived until now."""


class SessionDataStore(Protocol):
    """What apps keep with a session."""

    async def read_data(self, session_id: str) -> SessionData:
        """Return the data; an empty object of version 0 where nothing was written."""

    async def replace_data(self, session_id: str, value: dict[str, Any], expected: int | None) -> int | None:
        """Write if the version is still ``expected`` (None: whatever it is); return the new version.

        None when somebody else was first, or when there is no such session.
        """


class UserReader(Protocol):
    """Accounts, looked at."""

    async def find_user(self, user_id: str) -> User | None:
        """Return the account."""

    async def find_user_by_email(self, email_key: str) -> User | None:
        """Return the account with this canonical address."""

    async def list_users(self, after: str, limit: int) -> list[User]:
        """Return accounts in the order of their canonical address, those after ``after``."""


class UserWriter(Protocol):
    """Accounts, changed. What concerns sessions too happens in one step with it."""

    async def add_user(self, user: User) -> bool:
        """Add an account; False when the address is taken. Of many at once exactly one wins."""

    async def rename_user(self, user_id: str, name: str) -> bool:
        """Change the name that is shown."""

    async def rehash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """Replace a stored hash by a stronger one of the same password, if it is still ``old_hash``."""

    async def replace_password(
        self, user: User, new_hash: str, ending: Ending, *, keep: str | None, feed_ttl_s: int
    ) -> bool:
        """Store a new password and end all sessions but ``keep``.

        False when the account has changed since ``user`` was read: of two changes at once one wins.
        """

    async def enable_user(self, user_id: str, *, disabled: Ending | None, feed_ttl_s: int) -> bool:
        """Let the account sign in again, or with an ending stop it and end all its sessions."""


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key at rest: the private part sealed with the server's key.

    Attributes:
        retired_at: epoch seconds since when it signs no more; it still verifies for the overlap.
    """

    kid: str
    alg: str
    sealed: bytes
    sealed_with: str
    created_at: int
    retired_at: int | None = None


class SigningKeyStore(Protocol):
    """Signing keys, sealed."""

    async def signing_keys(self) -> list[StoredKey]:
        """Return all keys, oldest first."""

    async def publish_key(self, key: StoredKey, *, replaces: str | None) -> bool:
        """Add ``key`` and retire all others, if the one that signs is still ``replaces``; announce it."""

    async def drop_keys(self, retired_before: int) -> int:
        """Remove keys retired before that time, announcing it if there were any; return how many."""


class SettingStore(Protocol):
    """The few facts that all nodes of one set-up must agree on."""

    async def read_setting(self, name: str) -> str | None:
        """Return the value, or None."""

    async def write_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        """Write if the value is still ``expected`` (None: not there yet); announces ``mode_changed``."""


class Throttle(Protocol):
    """Failures, counted for all nodes together."""

    async def wait_s(self, keys: Sequence[tuple[str, Pace]], now: int) -> int:
        """Return the longest wait that ``core.throttle.wait_s`` asks for any of the keys."""

    async def add_failure(self, keys: Sequence[tuple[str, Pace]], now: int) -> None:
        """Count one failure for each key (atomic)."""

    async def forget_failures(self, key: str) -> None:
        """Start afresh for one key."""


class Pulse(msgspec.Struct, frozen=True):
    """How a feed is doing.

    Attributes:
        silence_s: for how long nothing was heard, not even that nothing happened; 0 where asking is free.
        lags_s: how long the entries that were heard since the last look had been under way; none where every ``news``
            asks the store itself.
    """

    silence_s: float = 0.0
    lags_s: Sequence[float] = ()


class History(msgspec.Struct, frozen=True):
    """Which history a feed tells.

    Attributes:
        name: the same for all who follow it, and another one once the feed was lost with all that was in it. Empty
            where the feed lies beside the accounts: nothing loses the one without the other.
        one_order: whether every process hears the entries in the same order, that of their positions.
    """

    name: str = ""
    one_order: bool = True


class RevocationFeed(Protocol):
    """The ordered stream of what changed."""

    def news(self) -> Sequence[FeedEntry]:
        """Return the entries that came since the last call, in order; at once and nearly free when none did.

        Everything that any process had acknowledged before this call is in it. The first call after ``open``
        returns all that is kept, so a node that restarts knows the dead. Where entries were removed unread (the
        process slept for longer than they are kept), one of each subject that drops what is remembered comes
        first, its ``id`` empty: forget all sessions, all users, the keys, the mode.

        A store across a network cannot promise this without asking. There the entries of this process' own verbs
        are in it as soon as the verb has returned, those of others within the lag of the network.

        Raises:
            FeedSilent: nothing was heard for longer than the set-up allows; ``catch_up`` asks.
        """

    async def catch_up(self) -> None:
        """Ask the store, so that the next ``news`` holds everything acknowledged anywhere before this call.

        Raises ``StoreUnavailable``.
        """

    def bookmark(self) -> bytes | int | None:
        """Return how far ``news`` was read where nothing has come since, and None where something has, or may have.

        Nearly free, and from any thread, where all else is for one event loop. The same bookmark again means that
        ``news`` would have returned nothing all the while: what was true of everything acknowledged then still is.
        """

    def pulse(self) -> Pulse:
        """Return how the feed is doing, for metrics."""

    def history(self) -> History:
        """Return which history was heard until now, at once.

        When its name changes, the next ``news`` says to forget everything, as where entries were removed unread.
        """


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of an account means for sessions that are kept in another store.

    Attributes:
        position: its place in the outbox.
        subject: what to announce there: ``user_changed``, ``keys_changed`` or ``mode_changed``.
        user_id: whose account; empty for keys and mode.
        security_version: the account's, after the change.
        ending: how the user's sessions end; None where they live on (a new name, an enabled account).
        keep: the one session that does not end.
    """

    position: int
    subject: FeedSubject
    user_id: str = ""
    security_version: int = 0
    ending: Ending | None = None
    keep: str | None = None
    feed_ttl_s: int = 0


class Outbox(Protocol):
    """Changes of accounts, written in the transaction of the change, until the sessions' store has them."""

    async def pending_changes(self, limit: int) -> list[AccountChange]:
        """Return the oldest changes that were not forgotten yet, in order."""

    async def forget_changes(self, positions: Sequence[int]) -> None:
        """Remove changes that the sessions' store has applied."""


class AccountFollower(Protocol):
    """The sessions' store, told of changes in another store."""

    async def apply_change(self, change: AccountChange) -> None:
        """Announce the change; with an ending, end the user's sessions in the same step. Again is harmless.

        A change with an ending counts once: from then on the user's ``security_version`` is known here, a change
        that does not raise it ends nobody, and a sign-in with an older one is void.
        """


class Upkeep(Protocol):
    """The store's own life."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date where that is automatic. Raises ``SetupError``."""

    async def close(self) -> None:
        """Let go of everything. Writes under way are finished first."""

    async def ping(self) -> None:
        """Prove that the store can be written to; raises ``StoreUnavailable``."""

    async def purge(self, now: int, *, keep_ended_s: int) -> int:
        """Remove what has no use any more, in small steps; return the number of sessions removed."""


class SessionHalf(SessionReader, SessionWriter, SessionEnder, SessionDataStore, Throttle, RevocationFeed, Protocol):
    """What moves with every request: sessions, their data, failures, the feed."""


class AccountHalf(UserReader, UserWriter, SigningKeyStore, SettingStore, Protocol):
    """What changes rarely and must never be lost: accounts, keys, settings."""


class Store(SessionHalf, AccountHalf, Upkeep, Protocol):
    """Everything that the embedded default keeps in one place."""


class SessionStore(SessionHalf, AccountFollower, Upkeep, Protocol):
    """A store for sessions alone, beside an ``AccountStore``."""


class AccountStore(AccountHalf, Outbox, Upkeep, Protocol):
    """A store for accounts alone, beside a ``SessionStore``."""
