"""One store in memory for the app under test and for the test beside it, each hearing the whole feed."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from propylon.core.revocation import FeedEntry
from propylon.stores.memory import MemoryStore

T = TypeVar("T")

# A type checker takes a view for the ``Store`` that it is, since every call is passed on.
_Anything: Any = object


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to wait for, and return what it returns.

    A store in memory never waits, so whatever asks it needs no event loop: tests call the same in ``def``, in
    ``async def`` and while the app runs in another thread.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        value: T = finished.value
        return value
    coroutine.close()
    raise RuntimeError("it waits for something, and a store in memory never does")


class SharedMemory:
    """What is kept, and everything that was ever announced: a test is short."""

    def __init__(self) -> None:
        self._kept = MemoryStore()
        self._announced: list[FeedEntry] = []
        self._lock = threading.Lock()

    def view(self) -> _View:
        """Return a ``Store`` on this memory that hears the feed from its beginning."""
        return _View(self._call, self._after)

    def _after(self, position: int) -> Sequence[FeedEntry]:
        with self._lock:
            self._announced += self._kept.news()
            return self._announced[position:]

    def _call(self, name: str) -> Any:
        verb = getattr(self._kept, name)
        if not inspect.iscoroutinefunction(verb):
            return verb

        async def locked(*values: Any, **named: Any) -> Any:
            with self._lock:  # a verb holds no ``await``: no other thread comes between, and nobody waits for long
                return await verb(*values, **named)

        return locked


class _View(_Anything):  # type: ignore[misc]  # Any, see above
    """One reader of the memory."""

    def __init__(self, call: Callable[[str], Any], after: Callable[[int], Sequence[FeedEntry]]) -> None:
        self._call, self._after = call, after
        self._heard = 0

    def __getattr__(self, name: str) -> Any:
        """Return the store's verb."""
        return self._call(name)

    def news(self) -> Sequence[FeedEntry]:
        """Return what this reader has not heard yet."""
        entries = self._after(self._heard)
        self._heard += len(entries)
        return entries

    def bookmark(self) -> int | None:
        """Return how far this reader is where it has heard everything, else None."""
        heard = self._heard  # once: should ``news`` move it meanwhile, there is another bookmark
        return None if self._after(heard) else heard
