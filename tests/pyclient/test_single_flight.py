"""Many threads, tasks and loops that need a new token at the same moment make one renewal, and nobody waits in vain."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.pyclient.stage import (
    PATIENCE_S,
    RENEW,
    SIGN_IN,
    WHO,
    Stage,
    eventually,
    eventually_async,
    failing,
)

from propylon import PropylonError
from propylon.client import PropylonAuth

LIFE_S, MANY = 300, 50


def signed_in(stage: Stage) -> PropylonAuth:
    """Return an auth whose token has just ended, with the next renewal held up until the event is set."""
    auth = stage.auth()
    with stage.client(auth) as client:
        client.get("/v1/session")
    stage.advance(LIFE_S + 1)
    stage.network.held[RENEW] = threading.Event()
    return auth


def who(stage: Stage, auth: PropylonAuth) -> int:
    """Ask with a plain client; return the status."""
    with stage.client(auth) as client:
        return client.get("/v1/session").status_code


async def who_async(stage: Stage, auth: PropylonAuth) -> int:
    """Ask with an async client; return the status."""
    async with stage.async_client(auth) as client:
        return (await client.get("/v1/session")).status_code


def test_fifty_threads_make_one_renewal(stage: Stage) -> None:
    """All of them wait for it, and all of them are served."""
    auth, begun = signed_in(stage), threading.Semaphore(0)

    def ask(_: int) -> int:
        begun.release()
        return who(stage, auth)

    with ThreadPoolExecutor(MANY) as threads:
        asked = [threads.submit(ask, number) for number in range(MANY)]
        assert all(begun.acquire(timeout=PATIENCE_S) for _ in range(MANY))
        stage.network.held[RENEW].set()
        assert [answer.result() for answer in asked] == [200] * MANY
    assert (stage.network.count(RENEW), stage.network.count(SIGN_IN)) == (1, 1)


async def test_fifty_tasks_make_one_renewal_and_the_loop_turns_meanwhile(stage: Stage) -> None:
    """Whoever renews holds up nobody else in the process."""
    auth = signed_in(stage)
    asked = [asyncio.create_task(who_async(stage, auth)) for _ in range(MANY)]
    await eventually_async(lambda: stage.network.count(RENEW) > 0)
    for _ in range(100):
        await asyncio.sleep(0.001)
    assert not any(task.done() for task in asked)
    stage.network.held[RENEW].set()
    assert await asyncio.gather(*asked) == [200] * MANY
    assert (stage.network.count(RENEW), stage.network.count(SIGN_IN)) == (1, 1)


@pytest.mark.parametrize("first", ["thread", "task"])
async def test_threads_and_tasks_together_make_one_renewal(stage: Stage, first: str) -> None:
    """Whichever of them was first; the loop turns while a thread has it."""
    auth = signed_in(stage)
    with ThreadPoolExecutor(MANY) as threads:

        def ask_by_thread() -> asyncio.Future[int]:
            return asyncio.wrap_future(threads.submit(who, stage, auth))

        def ask_by_task() -> asyncio.Future[int]:
            return asyncio.ensure_future(who_async(stage, auth))

        askers: list[Callable[[], asyncio.Future[int]]] = [ask_by_thread, ask_by_task]
        asked = [askers[first == "task"]()]
        await eventually_async(lambda: stage.network.count(RENEW) > 0)
        asked += [ask() for ask in askers * (MANY // 2)]
        for _ in range(50):
            await asyncio.sleep(0.001)
        stage.network.held[RENEW].set()
        assert set(await asyncio.gather(*asked)) == {200}
    assert stage.network.count(RENEW) == 1


async def test_a_plain_client_on_the_thread_of_a_loop_does_not_wait_for_itself(stage: Stage) -> None:
    """A task renews, and then somebody blocks the loop with a plain client: the renewal does not need that loop."""
    auth = signed_in(stage)
    task = asyncio.create_task(who_async(stage, auth))
    await eventually_async(lambda: stage.network.count(RENEW) > 0)
    threading.Timer(0.05, stage.network.held[RENEW].set).start()
    assert who(stage, auth) == 200
    assert await task == 200
    assert stage.network.count(RENEW) == 1


async def test_a_task_that_is_cancelled_does_not_lose_the_new_token(stage: Stage) -> None:
    """The renewal that it began is finished for all others, and kept."""
    auth = signed_in(stage)
    first = asyncio.create_task(who_async(stage, auth))
    await eventually_async(lambda: stage.network.count(RENEW) > 0)
    second = asyncio.create_task(who_async(stage, auth))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    stage.network.held[RENEW].set()
    assert await second == 200
    assert (stage.network.count(RENEW), stage.network.count(SIGN_IN)) == (1, 1)


async def test_when_all_are_cancelled_the_renewal_still_counts(stage: Stage) -> None:
    """The next request uses it and makes none of its own."""
    auth = signed_in(stage)
    only = asyncio.create_task(who_async(stage, auth))
    await eventually_async(lambda: stage.network.count(RENEW) > 0)
    only.cancel()
    stage.network.held[RENEW].set()
    assert await who_async(stage, auth) == 200
    assert stage.network.count(RENEW) == 1


def test_several_event_loops_share_one_renewal(stage: Stage) -> None:
    """One object, a loop a thread."""
    auth = signed_in(stage)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(lambda: asyncio.run(who_async(stage, auth))) for _ in range(4)]
        eventually(lambda: stage.network.count(RENEW) > 0)
        stage.network.held[RENEW].set()
        assert [answer.result() for answer in asked] == [200] * 4
    assert stage.network.count(RENEW) == 1


def test_a_failed_renewal_fails_everybody_who_waits_and_is_made_once(stage: Stage) -> None:
    """Fifty time-outs one after the other would be minutes."""
    auth, begun = signed_in(stage), threading.Semaphore(0)
    held = stage.network.held.pop(RENEW)

    def time_out(request: httpx.Request) -> httpx.Response | None:
        held.wait(PATIENCE_S)
        return failing(httpx.ReadTimeout)(request)

    stage.network.faults[RENEW] = [time_out] * MANY

    def ask(_: int) -> str:
        begun.release()
        try:
            who(stage, auth)
        except PropylonError as error:
            return error.code
        return ""

    with ThreadPoolExecutor(MANY) as threads:
        asked = [threads.submit(ask, number) for number in range(MANY)]
        assert all(begun.acquire(timeout=PATIENCE_S) for _ in range(MANY))
        held.set()
        assert [answer.result() for answer in asked] == ["unavailable"] * MANY
    assert stage.network.count(RENEW) == 1


def test_while_one_renews_ahead_of_time_nobody_else_waits(stage: Stage) -> None:
    """The token in the hand is still good."""
    auth = stage.auth()
    assert who(stage, auth) == 200
    stage.advance(LIFE_S - 40)
    stage.network.held[RENEW] = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(who, stage, auth)
        eventually(lambda: stage.network.count(RENEW) == 1)
        assert who(stage, auth) == 200
        assert not first.done()
        stage.network.held[RENEW].set()
        assert first.result() == 200
    assert stage.network.sent == [SIGN_IN, WHO, RENEW, WHO, WHO]


def test_somebody_who_interrupts_the_renewal_interrupts_nobody_else(stage: Stage) -> None:
    """Ctrl-C belongs to the thread that got it; the others are told to come back, and the next one renews."""
    auth = signed_in(stage)
    arrived, interrupt = threading.Event(), stage.network.held.pop(RENEW)

    def interrupted(_: httpx.Request) -> httpx.Response:
        arrived.set()
        interrupt.wait(PATIENCE_S)
        raise KeyboardInterrupt

    stage.network.faults[RENEW] = [interrupted]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(who, stage, auth)
        assert arrived.wait(PATIENCE_S)
        second = threads.submit(who, stage, auth)
        interrupt.set()
        with pytest.raises(KeyboardInterrupt):
            first.result()
        try:
            assert second.result() == 200  # it came after the landing
        except PropylonError as error:
            assert error.facts == {"reason": "interrupted"}  # noqa: PT017 - either is right, and nothing else
    assert who(stage, auth) == 200


FORKS = """
import os
from propylon.client import MemoryPlace, PropylonAuth

place = MemoryPlace()
auth = PropylonAuth("http://localhost:1", place=place)
place.save("a secret")
auth._flights.board()
with place.lock():
    child = os.fork()
    if child == 0:
        mine = auth._flights.board()[1]
        with place.lock():
            os._exit(0 if mine and place.load() is None else 1)
assert place.load() == "a secret"
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_process_that_was_forked_off_starts_over() -> None:
    """It waits for no thread that it does not have, and does not use the refresh token of its parent."""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS], check=True, timeout=60)
