"""Rising delay after failures: how long, never too long, and how it is forgiven."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.throttle import Pace, Tally, failed, forgotten_at, standing, wait_s
from propylon.testing import NOW

PACE = Pace(free=5, forgive_s=300, longest_wait_s=900)

PACES = st.builds(
    Pace, free=st.integers(0, 100), forgive_s=st.integers(1, 10_000), longest_wait_s=st.integers(1, 100_000)
)
TIMES = st.integers(0, 4_000_000_000)
TALLIES = st.builds(Tally, failures=st.integers(0, 10**9), last_at=TIMES)


def after(failures: int, pace: Pace = PACE, now: int = NOW) -> Tally:
    """Return the tally after that many failures in one second."""
    tally = Tally()
    for _ in range(failures):
        tally = failed(tally, pace, now)
    return tally


def test_nobody_waits_before_the_first_failure() -> None:
    """An empty tally asks for nothing, at any time."""
    assert [wait_s(Tally(), PACE, now) for now in (0, NOW, 2**40)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("failures", "delay_s"),
    [(0, 0), (1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (8, 8), (14, 512), (15, 900), (16, 900), (1_000, 900)],
)
def test_the_delay_doubles_after_the_free_tries(failures: int, delay_s: int) -> None:
    """Five tries cost nothing; then one second, two, four, up to the bound."""
    assert wait_s(after(failures), PACE, NOW) == delay_s


def test_without_free_tries_the_first_failure_costs_twice_the_first_delay() -> None:
    """Nobody waits before any failure, so the delay of one second never shows where nothing is free."""
    strict = Pace(free=0, forgive_s=300, longest_wait_s=900)
    assert [wait_s(after(failures, strict), strict, NOW) for failures in (0, 1, 2)] == [0, 2, 4]


def test_the_delay_runs_from_the_last_failure_to_the_second() -> None:
    """Eight seconds after eight failures: the last second still waits, the next does not."""
    tally = after(8)
    assert [wait_s(tally, PACE, NOW + later_s) for later_s in (0, 1, 7, 8, 9)] == [8, 7, 1, 0, 0]


def test_waiting_forgives_one_failure_at_a_time() -> None:
    """Every five minutes, and not a second earlier."""
    tally = after(3)
    assert [standing(tally, PACE, NOW + later_s) for later_s in (0, 299, 300, 599, 600, 900, 10**9)] == [
        3, 3, 2, 2, 1, 0, 0
    ]  # fmt: skip


def test_a_failure_counts_on_what_is_still_standing() -> None:
    """What was forgiven does not come back with the next failure."""
    assert failed(after(6), PACE, NOW + 600) == Tally(5, NOW + 600)
    assert failed(after(6), PACE, NOW + 10**6) == Tally(1, NOW + 10**6)


def test_a_tally_may_be_dropped_the_second_when_nothing_of_it_counts() -> None:
    """A store keeps it until then, and not longer than that."""
    tally = after(7)
    end = forgotten_at(tally, PACE)
    assert (standing(tally, PACE, end - 1), standing(tally, PACE, end)) == (1, 0)


def test_a_clock_a_little_behind_still_sees_the_failures() -> None:
    """Nodes differ by seconds; asking the one that is behind must not be a way around the wait."""
    tally = after(8)
    assert wait_s(tally, PACE, NOW - 20) == 8
    assert failed(tally, PACE, NOW - 20) == Tally(9, NOW)


def test_a_clock_set_back_locks_nobody_out() -> None:
    """A failure from a time that has not come yet was counted by a wrong clock; nobody waits until then."""
    tally = after(1_000, now=NOW + 10 * 365 * 86_400)
    assert (standing(tally, PACE, NOW), wait_s(tally, PACE, NOW)) == (0, 0)
    assert failed(tally, PACE, NOW) == Tally(1, NOW)


def test_the_step_between_a_little_and_much_is_the_longest_wait() -> None:
    """Up to 900 s ahead counts, one more does not."""
    tally = after(8, now=NOW + 900)
    assert (wait_s(tally, PACE, NOW), wait_s(tally, PACE, NOW - 1)) == (8, 0)


@given(tally=TALLIES, pace=PACES, now=TIMES)
def test_no_wait_is_longer_than_its_bound(tally: Tally, pace: Pace, now: int) -> None:
    """However many failures, however wrong the clock, however it was stored."""
    assert 0 <= wait_s(tally, pace, now) <= pace.longest_wait_s


@given(tally=TALLIES, pace=PACES, now=TIMES)
def test_after_the_asked_wait_there_is_none(tally: Tally, pace: Pace, now: int) -> None:
    """Who waits as told is admitted, unless the clock was behind the failure, which then came later."""
    asked_s = wait_s(tally, pace, now)
    assert now < tally.last_at or wait_s(tally, pace, now + asked_s) == 0


@given(tally=TALLIES, pace=PACES, now=TIMES, earlier_s=st.integers(0, 10**6))
def test_waiting_never_adds_failures(tally: Tally, pace: Pace, now: int, earlier_s: int) -> None:
    """As time passes after a failure, what stands only falls."""
    start = max(now, tally.last_at)
    assert standing(tally, pace, start + earlier_s) <= standing(tally, pace, start)


@given(tally=TALLIES, pace=PACES, now=TIMES)
def test_a_failure_never_shortens_what_stands(tally: Tally, pace: Pace, now: int) -> None:
    """One more is exactly one more, and it is not in the past."""
    more = failed(tally, pace, now)
    assert standing(more, pace, max(now, more.last_at)) == standing(tally, pace, now) + 1
    assert more.last_at >= now


@given(pace=PACES, failures=st.integers(0, 60))
def test_more_failures_never_wait_less(pace: Pace, failures: int) -> None:
    """The delay only rises."""
    assert wait_s(after(failures, pace), pace, NOW) <= wait_s(after(failures + 1, pace), pace, NOW)
