"""Reads that are asked for in the same turn of the event loop become one question to the store.

Across a network the round trip is the price, whatever it carries: 64 callers that each wait for an answer of their
own cost 64 of them, and starve each other for connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

from propylon.errors import StoreUnavailable

K = TypeVar("K")
V = TypeVar("V")

# So many keys share one question at most: an answer that large is still parsed within a few milliseconds.
MAX_KEYS = 500

# So many questions are under way at a time; what comes meanwhile gathers for the next, which is larger for it.
MAX_UNDER_WAY = 2

# So many callers wait at most; beyond that the store does not keep up, and saying so at once is kinder.
MAX_WAITING = 20_000


class Coalescer(Generic[K, V]):
    """Gathers keys and asks for them together.

    A question is sent after every call that it answers, so each answer is as fresh as one asked for alone.
    """

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        """Remember how to ask: keys in, what was found of them out. Its failures are ``StoreUnavailable``."""
        self._ask = ask
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._callers = 0
        self._questions: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def find(self, key: K) -> V | None:
        """Return what the store has under ``key``, or None. A caller that gives up disturbs no other.

        Raises:
            StoreUnavailable: the store did not answer, or too many wait for it.
        """
        if self._callers >= MAX_WAITING:
            raise StoreUnavailable
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        if not self._scheduled and len(self._questions) < MAX_UNDER_WAY:
            # Whoever else calls in this turn of the loop is in time for the same question.
            self._scheduled = True
            loop.call_soon(self._send)
        self._callers += 1
        try:
            return await future
        finally:
            self._callers -= 1

    def _send(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._questions) < MAX_UNDER_WAY:
            keys = list(islice(self._waiting, MAX_KEYS))
            batch = {key: self._waiting.pop(key) for key in keys}
            question = asyncio.get_running_loop().create_task(self._answer(batch))
            self._questions.add(question)
            question.add_done_callback(self._answered)

    def _answered(self, question: asyncio.Task[None]) -> None:
        self._questions.discard(question)
        if self._waiting and not self._scheduled:
            self._send()

    async def _answer(self, batch: Mapping[K, list[asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._ask(list(batch))
        except BaseException as error:
            for future in (future for futures in batch.values() for future in futures if not future.done()):
                # One for each: raised by many, a single error would gather all their tracebacks.
                future.set_exception(_told(error))
            if not isinstance(error, Exception):
                raise
            return
        for key, futures in batch.items():
            for future in futures:
                if not future.done():  # given up
                    future.set_result(found.get(key))


def _told(error: BaseException) -> Exception:
    """Return what a caller hears: a failure of the system as such, a mistake of ours as it is."""
    known = isinstance(error, StoreUnavailable) or not isinstance(error, Exception)
    return StoreUnavailable() if known else error  # type: ignore[return-value]  # an Exception, by the line above
