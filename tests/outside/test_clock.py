"""The machine's clocks."""

from __future__ import annotations

import time

from propylon.outside.clock import SystemClock


def test_now_is_whole_seconds_of_the_system_time() -> None:
    """Rounded down, and neither early nor late."""
    before = int(time.time())
    now = SystemClock().now()
    assert isinstance(now, int)
    assert before <= now <= time.time()


def test_the_monotonic_clock_never_goes_back() -> None:
    """Durations are measured with it."""
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
