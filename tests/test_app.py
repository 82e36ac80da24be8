"""What an app that holds a ``Propylon`` may call directly."""

from __future__ import annotations

from propylon import Propylon
from propylon.testing import NOW, a_session, a_user, an_opening


async def test_revoking_ends_what_lives_and_counts_it(in_memory: Propylon) -> None:
    """One session, then all that are left of the user."""
    store = in_memory.runtime.store
    await store.add_user(a_user())
    for session_id in ("a", "b", "c"):
        await store.open_session(an_opening(a_session(id=session_id)), NOW)
    assert await in_memory.revoke(session_id="a") == 1
    assert await in_memory.revoke(user_id="user-1") == 2


async def test_revoking_what_is_not_there_is_no_error(in_memory: Propylon) -> None:
    """It is as ended as was asked for: an app that revokes twice must not answer with a failure."""
    assert await in_memory.revoke(session_id="gone") == 0
    assert await in_memory.revoke(user_id="nobody") == 0
    assert await in_memory.revoke() == 0
