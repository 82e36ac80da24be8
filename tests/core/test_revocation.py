"""The set of sessions that ended lately: found at once, kept as long as it matters, and no longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.revocation import FeedEntry, RevokedSessions
from propylon.testing import NOW


def ending(session_id: str, expires_at: int = NOW + 300, reason: str = "signed_out") -> FeedEntry:
    """Return the entry of one ending."""
    return FeedEntry(position=1, subject="session_ended", id=session_id, reason=reason, expires_at=expires_at)


def holding(*entries: FeedEntry) -> RevokedSessions:
    """Return a set that has heard of ``entries``."""
    revoked = RevokedSessions()
    for entry in entries:
        revoked.add(entry)
    return revoked


def test_an_ended_session_is_known_with_its_reason() -> None:
    """Its holder is told why."""
    revoked = holding(ending("a", reason="evicted"))
    assert revoked.reason("a") == "evicted"


@pytest.mark.parametrize("other", ["", "A", "a ", "b", "aa"])
def test_no_other_session_is_touched(other: str) -> None:
    """An id is compared whole."""
    assert holding(ending("a")).reason(other) is None


def test_the_first_reason_stays() -> None:
    """An eviction that is later swept up by "sign out everywhere" stays an eviction."""
    revoked = holding(ending("a", reason="evicted"), ending("a", reason="signed_out"))
    assert revoked.reason("a") == "evicted"
    assert len(revoked) == 1


def test_it_is_forgotten_the_second_when_no_token_can_live() -> None:
    """Not one second earlier: the token's last second is still refused."""
    revoked = holding(ending("a", NOW + 10))
    assert (revoked.forget_expired(NOW + 9), revoked.reason("a")) == (0, "signed_out")
    assert (revoked.forget_expired(NOW + 10), revoked.reason("a")) == (1, None)


def test_forgetting_leaves_the_others() -> None:
    """Only what has expired goes."""
    revoked = holding(ending("old", NOW), ending("new", NOW + 1))
    assert revoked.forget_expired(NOW) == 1
    assert (revoked.reason("old"), revoked.reason("new"), len(revoked)) == (None, "signed_out", 1)


ENTRIES = st.lists(
    st.builds(
        ending, st.sampled_from("abcdef"), st.integers(NOW - 5, NOW + 5), st.sampled_from(["signed_out", "evicted"])
    ),
    max_size=30,
)


@given(entries=ENTRIES, now=st.integers(NOW - 6, NOW + 6))
def test_it_holds_exactly_what_can_still_matter(entries: list[FeedEntry], now: int) -> None:
    """Bounded by the life of tokens: the first entry of each session that has not expired, and nothing else."""
    revoked = holding(*entries)
    revoked.forget_expired(now)
    first = {entry.id: entry for entry in reversed(entries)}
    kept = {session_id: entry.reason for session_id, entry in first.items() if entry.expires_at > now}
    assert {session_id: revoked.reason(session_id) for session_id in "abcdef" if revoked.reason(session_id)} == kept
    assert len(revoked) == len(kept)
