"""One renewal at a time, for any number of threads and tasks: the first one flies, all others wait for its landing."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future

from propylon.client.tokens import Held
from propylon.errors import Unavailable

Flight = Future[Held | None]
Work = Callable[[], Held | None]


class Flights:
    """Hands out the one flight that may be in the air.

    What flies is plain blocking code on a thread: on that of the caller, or on one of its own where the caller is a
    task. So no event loop waits for a thread that waits for that loop, the file or keyring that keeps the tokens
    holds up no loop either, and a task that is cancelled does not take the new refresh token with it.
    The lock is held for a few instructions and across nothing that waits.
    """

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Forget the flight of a thread that was not forked off with this process."""
        self._lock = threading.Lock()
        self._in_the_air: Flight | None = None

    def board(self) -> tuple[Flight, bool]:
        """Return the flight in the air, or a new one, and whether it is the caller's to fly."""
        with self._lock:
            if self._in_the_air is not None:
                return self._in_the_air, False
            flight = self._in_the_air = Flight()
            flight.set_running_or_notify_cancel()  # from here on, no waiting task can cancel it for the others
            return flight, True

    def fly(self, flight: Flight, work: Work) -> None:
        """Do the work here; whoever waits gets what it returns, or the error that it raises."""
        try:
            done = work()
        except Exception as error:  # noqa: BLE001 - all of it belongs to whoever waits, the pilot too
            self._landed()
            flight.set_exception(error)
        except BaseException:  # Ctrl-C is for this thread alone
            self._landed()
            flight.set_exception(Unavailable(reason="interrupted"))
            raise
        else:
            self._landed()
            flight.set_result(done)

    def fly_elsewhere(self, flight: Flight, work: Work) -> None:
        """Do the work on a thread of its own, and return at once."""
        context = contextvars.copy_context()
        try:
            # Nothing waits for it at the end of the process: it may be asking somebody for a password.
            threading.Thread(
                target=context.run, args=(self.fly, flight, work), name="propylon-client", daemon=True
            ).start()
        except RuntimeError as error:  # no more threads
            self._landed()
            flight.set_exception(Unavailable(reason=str(error)))

    def _landed(self) -> None:
        with self._lock:
            self._in_the_air = None
