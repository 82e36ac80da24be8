"""One event loop on a thread of its own, for all other threads to ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from propylon.errors import Unavailable

T = TypeVar("T")


class LoopThread:
    """Runs from its construction until ``stop``; a daemon, so that a program which forgets it still ends."""

    def __init__(self) -> None:
        self._running = threading.Event()
        self._stopping: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=asyncio.run, args=(self._main(),), name="propylon", daemon=True)
        self._thread.start()
        self._running.wait()

    def run(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        """Run ``work`` on the loop and wait for its answer, on any other thread.

        Raises:
            Unavailable: there was none in time, or the loop was stopped meanwhile. The work is given up.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(within_s)
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise  # not ours: the work itself says so
            future.cancel()
            raise Unavailable from None
        except CancelledError:
            raise Unavailable from None

    async def run_async(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        """Do as ``run`` does for code on another event loop, which turns meanwhile."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Unavailable from None

    def stop(self) -> None:
        """Give up what runs and end the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _main(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._running.set()
        await self._stopping.wait()
