"""A store of sessions that is told of changes of accounts in another store: again and late is harmless."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from propylon.core.revocation import FeedSubject
from propylon.core.session import Session
from propylon.ports import AccountChange, Opened, SessionStore, SignInVoid
from propylon.testing.records import NOW, a_session, an_opening
from propylon.testing.rules import FEED_TTL_S, ending

# ruff: noqa: S101 - these are tests


class FollowerRules:
    """The port ``AccountFollower``."""

    async def make_session_store(self) -> SessionStore:
        """Return an opened store that holds no session. To be overridden."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def sessions(self) -> AsyncIterator[SessionStore]:
        """Give a test its store."""
        sessions = await self.make_session_store()
        yield sessions
        await sessions.close()

    async def test_a_change_with_an_ending_ends_all_but_the_kept_session(self, sessions: SessionStore) -> None:
        """Of that user alone, and all of it is announced."""
        kept, gone, other = await put(sessions), await put(sessions), await put(sessions, "user-2")
        sessions.news()
        await sessions.apply_change(a_change(1, keep=kept.id))
        assert await live(sessions) == [kept.id]
        assert await live(sessions, "user-2") == [other.id]
        over = await sessions.find_session(gone.id)
        assert over is not None
        assert over.ending == ending("password_changed")
        assert sorted(heard(sessions)) == [
            ("session_ended", gone.id, "password_changed"),
            ("user_changed", "user-1", ""),
        ]

    async def test_an_ending_is_announced_for_as_long_as_tokens_live(self, sessions: SessionStore) -> None:
        """Since the change happened, not since it was applied."""
        await put(sessions)
        await sessions.apply_change(a_change(1))
        (expires_at,) = (entry.expires_at for entry in sessions.news() if entry.subject == "session_ended")
        assert expires_at == NOW + FEED_TTL_S

    async def test_a_replayed_change_ends_nobody_who_signed_in_after_it(self, sessions: SessionStore) -> None:
        """Two nodes drain the same outbox; the slower one does no harm."""
        await put(sessions)
        await sessions.apply_change(a_change(1))
        session = await put(sessions, security_version=1)
        sessions.news()
        await sessions.apply_change(a_change(1))
        assert await live(sessions) == [session.id]
        assert [entry for entry in heard(sessions) if entry[0] == "session_ended"] == []

    async def test_an_older_change_after_a_newer_one_ends_nobody(self, sessions: SessionStore) -> None:
        """Whom it would have spared or ended is no longer the question."""
        await sessions.apply_change(a_change(5))
        session = await put(sessions, security_version=5)
        await sessions.apply_change(a_change(4))
        assert await live(sessions) == [session.id]

    async def test_a_sign_in_of_an_older_version_is_void(self, sessions: SessionStore) -> None:
        """Its password was checked before the change; nobody else ends for it."""
        session = await put(sessions)
        await sessions.apply_change(a_change(2, keep=session.id))
        opening = an_opening(a_session(), security_version=1, end=session.id)
        assert await sessions.open_session(opening, NOW) == SignInVoid()
        assert await live(sessions) == [session.id]

    async def test_a_sign_in_of_the_known_or_a_newer_version_is_let_in(self, sessions: SessionStore) -> None:
        """A change that has not come yet ends it when it comes, if it is older than that."""
        await sessions.apply_change(a_change(2))
        first, second = await put(sessions, security_version=2), await put(sessions, security_version=3)
        assert await live(sessions) == [first.id, second.id]

    async def test_changes_of_one_user_void_no_sign_in_of_another(self, sessions: SessionStore) -> None:
        """Versions belong to users."""
        await sessions.apply_change(a_change(9))
        session = await put(sessions, "user-2")
        assert await live(sessions, "user-2") == [session.id]

    @pytest.mark.parametrize("times", [1, 2])
    async def test_a_change_without_an_ending_is_only_announced(self, sessions: SessionStore, times: int) -> None:
        """A new name ends nobody and voids no sign-in, however high the version beside it."""
        session = await put(sessions)
        sessions.news()
        for _ in range(times):
            await sessions.apply_change(AccountChange(position=1, subject="user_changed", user_id="user-1"))
        await sessions.apply_change(
            AccountChange(position=2, subject="user_changed", user_id="user-1", security_version=7)
        )
        another = await put(sessions)
        assert await live(sessions) == [session.id, another.id]
        assert set(heard(sessions)) == {("user_changed", "user-1", "")}

    async def test_an_ending_counts_after_an_announcement_of_the_same_version(self, sessions: SessionStore) -> None:
        """Only changes with an ending make a version known: order between them is all that matters."""
        await put(sessions)
        await sessions.apply_change(
            AccountChange(position=2, subject="user_changed", user_id="user-1", security_version=1)
        )
        await sessions.apply_change(a_change(1))
        assert await live(sessions) == []

    @pytest.mark.parametrize("subject", ["keys_changed", "mode_changed"])
    async def test_what_all_nodes_agree_on_is_announced(self, sessions: SessionStore, subject: FeedSubject) -> None:
        """It has no id."""
        await sessions.apply_change(AccountChange(position=1, subject=subject))
        assert heard(sessions) == [(subject, "", "")]


def a_change(security_version: int, *, keep: str | None = None) -> AccountChange:
    """Return a new password of ``user-1``."""
    return AccountChange(
        position=security_version,
        subject="user_changed",
        user_id="user-1",
        security_version=security_version,
        ending=ending("password_changed"),
        keep=keep,
        feed_ttl_s=FEED_TTL_S,
    )


async def put(sessions: SessionStore, user_id: str = "user-1", **changes: Any) -> Session:
    """Open a session; ``changes`` are fields of the opening."""
    session = a_session(user_id)
    assert isinstance(await sessions.open_session(an_opening(session, **changes), NOW), Opened)
    return session


async def live(sessions: SessionStore, user_id: str = "user-1") -> list[str]:
    """Return the ids of a user's live sessions, oldest first."""
    return [session.id for session in await sessions.live_sessions(user_id, NOW)]


def heard(sessions: SessionStore) -> list[tuple[str, str, str]]:
    """Return the news as subject, id and reason."""
    return [(entry.subject, entry.id, entry.reason) for entry in sessions.news()]
