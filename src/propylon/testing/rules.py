"""What the rules of the contract share: how a store is made, and short words for long calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from propylon.core.limits import LimitReached
from propylon.core.session import Ending, EndReason, Session
from propylon.ports import Opened, SignInVoid, Store
from propylon.testing.records import NOW, a_session, a_user, an_opening

# ruff: noqa: S101 - these are tests

FEED_TTL_S = 300


class Rules:
    """The base of all rules."""

    async def make_store(self) -> Store:
        """Return an opened store. To be overridden."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def store(self) -> AsyncIterator[Store]:
        """Give a test its store, with one account in it."""
        store = await self.make_store()
        await store.add_user(a_user())
        yield store
        await store.close()


def ending(reason: EndReason = "signed_out", at: int = NOW) -> Ending:
    """Return an ending by nobody in particular."""
    return Ending(reason, at)


async def sign_in(
    store: Store,
    session: Session,
    *,
    now: int = NOW,
    **changes: Any,
) -> Opened | LimitReached | SignInVoid:
    """Open ``session``; ``changes`` are fields of the opening."""
    return await store.open_session(an_opening(session, **changes), now)


async def opened(store: Store, user_id: str = "user-1", **changes: Any) -> Session:
    """Open a session without limits and return it; ``changes`` are fields of the session."""
    session = a_session(user_id, **changes)
    assert isinstance(await sign_in(store, session), Opened)
    return session


async def end(store: Store, session_id: str, *, user_id: str | None = None, at: int = NOW) -> bool:
    """Sign one session out."""
    return await store.end_session(session_id, ending(at=at), user_id=user_id, feed_ttl_s=FEED_TTL_S)


async def end_all(store: Store, user_id: str, *, keep: str | None = None) -> tuple[str, ...]:
    """Sign all sessions of a user out."""
    return await store.end_sessions(user_id, ending(), keep=keep, feed_ttl_s=FEED_TTL_S)


async def live_ids(store: Store, user_id: str = "user-1", now: int = NOW) -> list[str]:
    """Return the ids of a user's live sessions, oldest first."""
    return [session.id for session in await store.live_sessions(user_id, now)]


async def heard_at(node: Store) -> list[tuple[str, str, str]]:
    """Return the news of another object on the same store, once it has asked for all that was acknowledged."""
    await node.catch_up()
    return heard(node)


def heard(store: Store) -> list[tuple[str, str, str]]:
    """Return the news as subject, id and reason."""
    return [(entry.subject, entry.id, entry.reason) for entry in store.news()]


def bookmarked(store: Store) -> bytes | int:
    """Read the news until nothing has come meanwhile, and return the bookmark."""
    while True:
        store.news()
        if (mark := store.bookmark()) is not None:
            return mark
