"""Everything in dictionaries of one process: for tests, demonstrations and trying things out.

A verb holds no ``await``, so on one event loop each is atomic. What it is given is immutable or encoded, so
nobody changes what is kept from outside.
"""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from propylon.core import refresh, throttle
from propylon.core.device import Kind
from propylon.core.limits import LimitReached, admit
from propylon.core.moving import Moved, MoveOutcome, move
from propylon.core.principal import SessionData, User
from propylon.core.revocation import FeedEntry, FeedSubject
from propylon.core.session import Ending, Mode, Session, confirmed, ended, refusal, touched
from propylon.core.throttle import Pace, Tally
from propylon.ports import AccountChange, History, Opened, Opening, Pulse, SignInVoid, StoredKey
from propylon.stores.news import BESIDE_ACCOUNTS, FEED_KEEP_S, announced_now_ms, kept_until, missed

# Entries held for a process that never asks for them. Beyond, it hears "forget everything" and who is dead.
MAX_UNREAD = 100_000


class _Feed:
    """What changed and was not read yet; this process is the only reader."""

    def __init__(self) -> None:
        self._position = self._taken = 0
        self._unread: list[FeedEntry] = []
        self._most_unread = MAX_UNREAD

    def announce(self, subject: FeedSubject, id_: str = "", reason: str = "", expires_at: int | None = None) -> None:
        self._position += 1
        until = kept_until() if expires_at is None else expires_at
        if len(self._unread) >= self._most_unread:
            self._condense()
        self._unread.append(FeedEntry(self._position, subject, id_, reason, until, announced_now_ms()))

    def news(self) -> Sequence[FeedEntry]:
        if not self._unread:
            return ()
        self._taken = self._position  # first: a thread that looks in between sees another bookmark
        entries, self._unread, self._most_unread = self._unread, [], MAX_UNREAD
        return entries

    def bookmark(self) -> int | None:
        return None if self._unread else self._taken

    def _condense(self) -> None:
        """Keep of what is unread the endings whose tokens live; there is one a session, and each is kept anyway."""
        over = time.time() - FEED_KEEP_S
        dead = [entry for entry in self._unread if entry.subject == "session_ended" and entry.expires_at > over]
        self._unread = [*missed((dead[0].position if dead else self._position) - 1), *dead]
        # Twice as much as is left, or a store full of the newly dead would condense at each announcement.
        self._most_unread = max(MAX_UNREAD, 2 * len(self._unread))


class _Sessions:
    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}  # in the order of opening
        self._ids_of_user: dict[str, dict[str, None]] = {}  # likewise
        self._data: dict[str, tuple[bytes, int]] = {}
        self._tallies: dict[str, tuple[Tally, int]] = {}
        self._feed = _Feed()

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """There is nothing to close; what is kept stays until the store itself goes."""

    async def ping(self) -> None:
        """Memory can always be written to."""

    def news(self) -> Sequence[FeedEntry]:
        return self._feed.news()

    async def catch_up(self) -> None:
        """There is nobody else."""

    def bookmark(self) -> int | None:
        return self._feed.bookmark()

    def pulse(self) -> Pulse:
        return Pulse()

    def history(self) -> History:
        return BESIDE_ACCOUNTS

    async def find_session(self, session_id: str) -> Session | None:
        return self._sessions.get(session_id)

    async def live_sessions(self, user_id: str, now: int) -> list[Session]:
        return self._live(user_id, now)

    async def all_live_sessions(self, now: int, limit: int) -> list[Session]:
        live = [session for session in self._sessions.values() if refusal(session, now) is None]
        return live[::-1][:limit]

    async def count_by_mode(self, now: int) -> dict[tuple[Mode, Kind], int]:
        live = (session for session in self._sessions.values() if refusal(session, now) is None)
        return dict(Counter((session.mode, session.device.kind) for session in live))

    async def open_session(self, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
        newcomer = opening.session
        if self._is_void(opening) or newcomer.id in self._sessions:
            return SignInVoid()
        made_room = self._make_room(opening, now)
        admission = admit(opening.limits, self._live(newcomer.user_id, now), newcomer, opening.roles)
        if isinstance(admission, LimitReached):
            return admission
        ending = Ending("evicted", now, newcomer.device)
        evicted = [self._end(session, ending, opening.feed_ttl_s) for session in admission.evicted]
        self._sessions[newcomer.id] = newcomer
        self._ids_of_user.setdefault(newcomer.user_id, {})[newcomer.id] = None
        return Opened(newcomer, tuple(evicted), made_room)

    async def rotate(
        self,
        session_id: str,
        presented: int,
        *,
        now: int,
        grace_s: int,
        origin: str,
        ip: str,
        feed_ttl_s: int,
    ) -> refresh.RefreshOutcome:
        held = self._sessions.get(session_id)
        outcome = refresh.rotate(held, presented, now=now, grace_s=grace_s, origin=origin, ip=ip)
        if outcome.session is not None:
            self._sessions[session_id] = outcome.session
        if isinstance(outcome, refresh.Reused):
            self._feed.announce("session_ended", session_id, "reused", now + feed_ttl_s)
        return outcome

    async def touch(self, session_id: str, *, now: int, ip: str) -> None:
        session = self._sessions.get(session_id)
        if session is not None and refusal(session, now) is None:
            self._sessions[session_id] = touched(session, now=now, ip=ip)

    async def confirm(self, session_id: str, *, now: int, origin: str, grace: bool) -> Session | None:
        session = self._sessions.get(session_id)
        if session is None or refusal(session, now) is not None:
            return None
        self._sessions[session_id] = confirmed(session, now=now, origin=origin, grace=grace)
        self._feed.announce("session_changed", session_id)
        return self._sessions[session_id]

    async def move_session(
        self, session_id: str, to: Mode, *, cookie: int | None, now: int, grace_s: int, origin: str
    ) -> MoveOutcome:
        held = self._sessions.get(session_id)
        outcome = move(held, to, cookie=cookie, now=now, grace_s=grace_s, origin=origin)
        if isinstance(outcome, Moved):
            self._sessions[session_id] = outcome.session
            self._feed.announce("session_changed", session_id)
        return outcome

    async def end_session(self, session_id: str, ending: Ending, *, user_id: str | None, feed_ttl_s: int) -> bool:
        session = self._sessions.get(session_id)
        if session is None or session.ending is not None or user_id not in (None, session.user_id):
            return False
        self._end(session, ending, feed_ttl_s)
        return refusal(session, ending.at) is None

    async def end_sessions(self, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> tuple[str, ...]:
        return self._end_all(user_id, ending, keep, feed_ttl_s)

    async def read_data(self, session_id: str) -> SessionData:
        value, version = self._data.get(session_id, (b"{}", 0))
        return SessionData(msgspec.json.decode(value), version)

    async def replace_data(self, session_id: str, value: dict[str, Any], expected: int | None) -> int | None:
        session = self._sessions.get(session_id)
        version = self._data.get(session_id, (b"", 0))[1]
        if session is None or session.ending is not None or expected not in (None, version):
            return None
        self._data[session_id] = (msgspec.json.encode(value), version + 1)
        return version + 1

    async def wait_s(self, keys: Sequence[tuple[str, Pace]], now: int) -> int:
        return max((throttle.wait_s(self._tally(key), pace, now) for key, pace in keys), default=0)

    async def add_failure(self, keys: Sequence[tuple[str, Pace]], now: int) -> None:
        for key, pace in keys:
            tally = throttle.failed(self._tally(key), pace, now)
            self._tallies[key] = (tally, throttle.forgotten_at(tally, pace))

    async def forget_failures(self, key: str) -> None:
        self._tallies.pop(key, None)

    async def purge(self, now: int, *, keep_ended_s: int) -> int:
        useless = [held for held in self._sessions.values() if _over_since(held) + keep_ended_s <= now]
        for session in useless:
            self._remove(session)
        self._tallies = {key: held for key, held in self._tallies.items() if held[1] > now}
        return len(useless)

    def _is_void(self, opening: Opening) -> bool:
        raise NotImplementedError

    def _tally(self, key: str) -> Tally:
        return self._tallies.get(key, (Tally(), 0))[0]

    def _of_user(self, user_id: str) -> Iterable[Session]:
        return [self._sessions[session_id] for session_id in self._ids_of_user.get(user_id, ())]

    def _live(self, user_id: str, now: int) -> list[Session]:
        return [session for session in self._of_user(user_id) if refusal(session, now) is None]

    def _make_room(self, opening: Opening, now: int) -> Session | None:
        chosen = self._sessions.get(opening.end) if opening.end is not None else None
        if chosen is None or chosen.user_id != opening.session.user_id or refusal(chosen, now) is not None:
            return None
        return self._end(chosen, Ending("ended_by_user", now, opening.session.device), opening.feed_ttl_s)

    def _end(self, session: Session, ending: Ending, feed_ttl_s: int) -> Session:
        self._sessions[session.id] = ended(session, ending)
        self._feed.announce("session_ended", session.id, ending.reason, ending.at + feed_ttl_s)
        return self._sessions[session.id]

    def _end_all(self, user_id: str, ending: Ending, keep: str | None, feed_ttl_s: int) -> tuple[str, ...]:
        going = [session for session in self._of_user(user_id) if session.ending is None and session.id != keep]
        for session in going:
            self._end(session, ending, feed_ttl_s)
        return tuple(session.id for session in going if refusal(session, ending.at) is None)

    def _remove(self, session: Session) -> None:
        del self._sessions[session.id]
        self._data.pop(session.id, None)
        ids = self._ids_of_user[session.user_id]
        del ids[session.id]
        if not ids:
            del self._ids_of_user[session.user_id]


class _Users(_Sessions):
    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, User] = {}
        self._ids_by_email: dict[str, str] = {}

    async def find_user(self, user_id: str) -> User | None:
        return self._users.get(user_id)

    async def find_user_by_email(self, email_key: str) -> User | None:
        return self._users.get(self._ids_by_email.get(email_key, ""))

    async def list_users(self, after: str, limit: int) -> list[User]:
        keys = sorted(key for key in self._ids_by_email if key > after)
        return [self._users[self._ids_by_email[key]] for key in keys[:limit]]

    async def add_user(self, user: User) -> bool:
        if user.email_key in self._ids_by_email or user.id in self._users:
            return False
        self._users[user.id] = user
        self._ids_by_email[user.email_key] = user.id
        return True

    async def rename_user(self, user_id: str, name: str) -> bool:
        user = self._users.get(user_id)
        if user is None:
            return False
        self._users[user_id] = msgspec.structs.replace(user, name=name)
        self._feed.announce("user_changed", user_id)
        return True

    async def rehash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        user = self._users.get(user_id)
        if user is None or user.password_hash != old_hash:
            return False
        self._users[user_id] = msgspec.structs.replace(user, password_hash=new_hash)
        return True

    async def replace_password(
        self, user: User, new_hash: str, ending: Ending, *, keep: str | None, feed_ttl_s: int
    ) -> bool:
        held = self._users.get(user.id)
        if held is None or held.security_version != user.security_version:
            return False
        version = held.security_version + 1
        self._users[user.id] = msgspec.structs.replace(held, password_hash=new_hash, security_version=version)
        self._feed.announce("user_changed", user.id)
        self._end_all(user.id, ending, keep, feed_ttl_s)
        return True

    async def enable_user(self, user_id: str, *, disabled: Ending | None, feed_ttl_s: int) -> bool:
        user = self._users.get(user_id)
        if user is None:
            return False
        self._users[user_id] = _disabled(user, disabled.at) if disabled else _enabled(user)
        self._feed.announce("user_changed", user_id)
        if disabled:
            self._end_all(user_id, disabled, None, feed_ttl_s)
        return True

    def _is_void(self, opening: Opening) -> bool:
        user = self._users.get(opening.session.user_id)
        return user is None or user.disabled_at is not None or user.security_version != opening.security_version


def _enabled(user: User) -> User:
    return msgspec.structs.replace(user, disabled_at=None)


def _disabled(user: User, at: int) -> User:
    since = at if user.disabled_at is None else user.disabled_at
    return msgspec.structs.replace(user, disabled_at=since, security_version=user.security_version + 1)


class MemoryStore(_Users):
    """A ``propylon.ports.Store`` that forgets everything when the process ends."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, StoredKey] = {}
        self._settings: dict[str, str] = {}

    async def signing_keys(self) -> list[StoredKey]:
        return list(self._keys.values())

    async def publish_key(self, key: StoredKey, *, replaces: str | None) -> bool:
        signing = next((held.kid for held in self._keys.values() if held.retired_at is None), None)
        if signing != replaces or key.kid in self._keys:
            return False
        if signing is not None:
            self._keys[signing] = msgspec.structs.replace(self._keys[signing], retired_at=key.created_at)
        self._keys[key.kid] = key
        self._feed.announce("keys_changed")
        return True

    async def drop_keys(self, retired_before: int) -> int:
        old = [key.kid for key in self._keys.values() if key.retired_at is not None and key.retired_at < retired_before]
        for kid in old:
            del self._keys[kid]
        if old:
            self._feed.announce("keys_changed")
        return len(old)

    async def read_setting(self, name: str) -> str | None:
        return self._settings.get(name)

    async def write_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        if self._settings.get(name) != expected:
            return False
        self._settings[name] = value
        self._feed.announce("mode_changed")
        return True


class MemorySessionStore(_Sessions):
    """A ``propylon.ports.SessionStore`` that forgets everything when the process ends, to try out two stores."""

    def __init__(self) -> None:
        super().__init__()
        self._history = History(secrets.token_hex(8))
        self._versions: dict[str, tuple[int, int]] = {}  # the highest known of each user, and since when

    def history(self) -> History:
        return self._history

    async def apply_change(self, change: AccountChange) -> None:
        self._feed.announce(change.subject, change.user_id)
        if change.ending is None or change.security_version <= self._version(change.user_id):
            return
        self._versions[change.user_id] = change.security_version, change.ending.at
        self._end_all(change.user_id, change.ending, change.keep, change.feed_ttl_s)

    async def purge(self, now: int, *, keep_ended_s: int) -> int:
        self._versions = {user: known for user, known in self._versions.items() if known[1] + keep_ended_s > now}
        return await super().purge(now, keep_ended_s=keep_ended_s)

    def _is_void(self, opening: Opening) -> bool:
        return opening.security_version < self._version(opening.session.user_id)

    def _version(self, user_id: str) -> int:
        return self._versions.get(user_id, (0, 0))[0]


def _over_since(session: Session) -> int:
    return session.ending.at if session.ending is not None else session.deadline
