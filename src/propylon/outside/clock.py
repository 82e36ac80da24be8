"""The clocks of the machine."""

from __future__ import annotations

import time


class SystemClock:
    """The time as the operating system tells it."""

    def now(self) -> int:
        """Return the whole seconds since the epoch, rounded down; may jump when somebody sets the clock."""
        return int(time.time())

    monotonic = staticmethod(time.monotonic)
    """Return seconds since an arbitrary point; never goes back, so durations are measured with it."""
