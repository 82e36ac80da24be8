"""The set of sessions that ended lately: found at once, kept as long as it matters, and no longer."""

from __future__ import annotations

import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.revocation import SHRINK_ABOVE, FeedEntry, RevokedSessions
from propylon.testing import NOW

KEEP_S = 100


def ending(session_id: str, reason: str = "signed_out") -> FeedEntry:
    """Return the entry of one ending."""
    return FeedEntry(position=1, subject="session_ended", id=session_id, reason=reason, expires_at=NOW)


def holding(*entries: FeedEntry, heard_at: float = 0.0) -> RevokedSessions:
    """Return a set that has heard of ``entries``."""
    revoked = RevokedSessions(KEEP_S)
    for entry in entries:
        revoked.add(entry, heard_at)
    return revoked


def test_an_ended_session_is_known_with_its_reason() -> None:
    """Its holder is told why."""
    assert holding(ending("a", "evicted")).reason("a") == "evicted"


@pytest.mark.parametrize("other", ["", "A", "a ", "b", "aa"])
def test_no_other_session_is_touched(other: str) -> None:
    """An id is compared whole."""
    assert holding(ending("a")).reason(other) is None


def test_the_first_reason_stays() -> None:
    """An eviction that is later swept up by "sign out everywhere" stays an eviction."""
    revoked = holding(ending("a", "evicted"), ending("a", "signed_out"))
    assert revoked.reason("a") == "evicted"
    assert len(revoked) == 1


def test_it_is_forgotten_when_no_token_can_live_and_not_earlier() -> None:
    """Counted from when it was heard: it was written before, and no token lives for longer than that."""
    revoked = holding(ending("a"), heard_at=7.0)
    assert (revoked.forget_expired(7.0 + KEEP_S - 0.001), revoked.reason("a")) == (0, "signed_out")
    assert (revoked.forget_expired(7.0 + KEEP_S), revoked.reason("a")) == (1, None)


def test_hearing_it_again_does_not_keep_it_for_longer() -> None:
    """Memory is bounded by endings, not by how often they are told."""
    revoked = holding(ending("a"))
    revoked.add(ending("a"), KEEP_S - 1.0)
    assert revoked.forget_expired(KEEP_S) == 1


def test_an_entry_takes_little_memory() -> None:
    """At most 120 bytes, so that a million who are signed out at once fit in any process."""
    count = 100_000
    entries = [ending(f"{number:022}", ("signed_out", "evicted")[number % 2]) for number in range(count)]
    tracemalloc.start()
    try:
        revoked = RevokedSessions(KEEP_S)
        for number, entry in enumerate(entries):
            revoked.add(entry, number / 1_000)
        taken_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(revoked) == count
    assert taken_bytes / count <= 120


def test_much_is_forgotten_in_steps_and_the_memory_comes_back() -> None:
    """No step keeps requests waiting for long; what is left is still known."""
    revoked = holding(*(ending(f"old-{number}") for number in range(SHRINK_ABOVE + 5)))
    full_bytes = sys.getsizeof(revoked._held)
    revoked.add(ending("young"), 50.0)
    steps = [revoked.forget_expired(KEEP_S, at_most=SHRINK_ABOVE) for _ in range(3)]
    assert steps == [SHRINK_ABOVE, 5, 0]
    assert (len(revoked), revoked.reason("young")) == (1, "signed_out")
    assert sys.getsizeof(revoked._held) < full_bytes / 100


def test_an_ending_is_held_for_a_whole_token_life_and_at_most_a_second_more() -> None:
    """Endings of one second share one value, which is rounded up."""
    revoked = holding(ending("a"), heard_at=7.25)
    assert revoked.forget_expired(7.25 + KEEP_S) == 0
    assert revoked.forget_expired(8.0 + KEEP_S) == 1


@pytest.mark.parametrize("session_id", ["\ud800", "장바구니", "\x00"])
def test_any_text_may_be_an_id(session_id: str) -> None:
    """It is found again, and nothing breaks."""
    revoked = holding(ending(session_id, "evicted"))
    assert revoked.reason(session_id) == "evicted"
    assert [revoked.find(key) for key in revoked.ids()] == [("evicted", KEEP_S)]


ENDINGS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["signed_out", "evicted"]), st.integers(0, 2 * KEEP_S)),
    max_size=30,
).map(lambda heard: sorted(heard, key=lambda one: one[2]))


@given(heard=ENDINGS, monotonic=st.integers(0, 4 * KEEP_S))
def test_it_holds_exactly_what_can_still_matter(heard: list[tuple[str, str, int]], monotonic: int) -> None:
    """The first ending of each session, as long as a token may live, and nothing else."""
    revoked = RevokedSessions(KEEP_S)
    first: dict[str, tuple[str, int]] = {}
    for session_id, reason, at in heard:
        revoked.add(ending(session_id, reason), at)
        first.setdefault(session_id, (reason, at))
    revoked.forget_expired(monotonic)
    kept = {session_id: reason for session_id, (reason, at) in first.items() if monotonic < at + KEEP_S}
    assert {session_id: revoked.reason(session_id) for session_id in "abcdef" if revoked.reason(session_id)} == kept
    assert len(revoked) == len(kept)
