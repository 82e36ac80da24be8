"""A clock that stands still until it is told to move."""

from __future__ import annotations

from collections.abc import Callable

from propylon.testing.records import NOW


class FakeClock:
    """A ``propylon.ports.Clock`` under the test's control."""

    def __init__(self, now: int = NOW) -> None:
        self._now = now
        self._passed_s = 0.0
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> int:
        """Return the epoch seconds it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that have passed since it was made, however the wall clock was set."""
        return self._passed_s

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self._now += seconds
        self._passed_s += seconds
        for listener in self._listeners:
            listener()

    def set_wall_clock(self, now: int) -> None:
        """Set the wall clock, as an administrator or NTP does; no time passes."""
        self._now = now

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever time has passed."""
        self._listeners.append(listener)
