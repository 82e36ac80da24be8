"""What has ended is refused on every thread at once: the fast way past the loop is as strict as the loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from tests.blocking.conftest import MakeBlocking, environ, inside

from propylon import CredentialRefused
from propylon.blocking import Blocking
from propylon.blocking.environ import Asked
from propylon.core.revocation import FeedEntry
from propylon.ports import Opened
from propylon.testing.records import a_session, a_user, an_opening

ROUNDS = 400
ASKERS = 3


@pytest.fixture(autouse=True)
def threads_switch_all_the_time() -> Iterator[None]:
    """Between any two steps another thread may run, and here it does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Held(NamedTuple):
    """A session, and a request with its cookie."""

    id: str
    environ: dict[str, Any]


def opened(blocking: Blocking, number: int = 1) -> list[Held]:
    """Open sessions of one user, without a password."""
    runtime = inside(blocking).runtime
    now, key_id = runtime.clock.now(), runtime.issuer._ring.current.id
    moments: Any = {"created_at": now, "auth_time": now, "last_seen_at": now, "expires_at": now + 86_400}
    sessions = [a_session(key_id=key_id, **moments) for _ in range(number)]

    async def work() -> None:
        await runtime.store.add_user(a_user())
        answers = await asyncio.gather(*(runtime.store.open_session(an_opening(each), now) for each in sessions))
        assert all(isinstance(answer, Opened) for answer in answers)

    blocking.run(work())
    cookies = [f"propylon={runtime.issuer.cookie(session)}" for session in sessions]
    return [Held(session.id, environ(COOKIE=cookie)) for session, cookie in zip(sessions, cookies, strict=True)]


def end(blocking: Blocking, held: Held) -> None:
    """End a session; when this returns, that is acknowledged."""
    blocking.run(inside(blocking).runtime.administration.end_session(held.id))


def passes(blocking: Blocking, held: Held) -> bool:
    """Ask who is calling."""
    try:
        return blocking.asking(held.environ).principal().session_id == held.id
    except CredentialRefused as refusal:
        assert refusal.code == "session_revoked"  # noqa: PT017 - or it was refused for something else
        return False


def remembered(blocking: Blocking, held: Held) -> bool:
    """Return whether this thread may answer without asking the loop."""
    gate = inside(blocking).runtime.gate
    credential = inside(blocking).runtime.transport.presented(Asked(held.environ).scope)
    return gate.recall_anywhere(credential) is not None


def warm(blocking: Blocking, held: Held) -> None:
    """Ask until it is answered without the loop."""
    while not remembered(blocking, held):
        assert passes(blocking, held)


class Story(NamedTuple):
    """One session at a time, asked for by all threads until its end was acknowledged and seen."""

    ended: list[threading.Event]
    wrong: list[int]
    by_memory: list[int]


def ask_through(blocking: Blocking, sessions: list[Held], story: Story) -> None:
    """Ask for each session until it is refused; note whatever passes after its end was acknowledged."""
    for number, held in enumerate(sessions):
        while True:
            acknowledged = story.ended[number].is_set()  # before the question, not after
            passed = passes(blocking, held)
            if passed and acknowledged:
                story.wrong.append(number)
            if acknowledged:
                break
            story.by_memory.append(remembered(blocking, held))


@pytest.mark.parametrize("where", ["here", "in another process' place"])
def test_nothing_passes_once_an_ending_is_acknowledged(make_blocking: MakeBlocking, where: str) -> None:
    """Threads ask without pause while sessions end one after the other, through this bridge or another one."""
    asked = make_blocking()
    ender = asked if where == "here" else make_blocking()
    sessions = opened(asked, ROUNDS)
    story = Story([threading.Event() for _ in sessions], [], [])
    with ThreadPoolExecutor(ASKERS) as threads:
        asking = [threads.submit(ask_through, asked, sessions, story) for _ in range(ASKERS)]
        for number, held in enumerate(sessions):
            end(ender, held)
            story.ended[number].set()
        for thread in asking:
            thread.result()
    assert story.wrong == []
    assert sum(story.by_memory) > ROUNDS  # or the fast way was not what was tested


def test_nothing_is_served_between_hearing_of_an_ending_and_forgetting(make_blocking: MakeBlocking) -> None:
    """The loop has read the news and not applied them: a thread that looks at this moment is sent to the loop."""
    asked, ender = make_blocking(), make_blocking()
    (held,) = opened(asked)
    warm(asked, held)
    gate = inside(asked).runtime.gate
    hear, served = gate._hear, list[bool]()

    def slowly(news: Sequence[FeedEntry]) -> None:
        served.append(remembered(asked, held))
        hear(news)

    gate._hear = slowly  # type: ignore[method-assign]
    end(ender, held)
    assert not remembered(asked, held)
    asked.run(gate.listen())
    assert served == [False]
    assert not passes(asked, held)


def test_a_thread_answers_by_itself_while_nothing_happens(make_blocking: MakeBlocking) -> None:
    """The loop is not asked: a hundred questions are a hundred answers from memory."""
    asked = make_blocking()
    (held,) = opened(asked)
    warm(asked, held)
    gate = inside(asked).runtime.gate
    before = gate.recalled_elsewhere
    while gate.recalled_elsewhere - before < 100:
        assert passes(asked, held)


def test_a_write_of_somebody_else_costs_one_way_to_the_loop(make_blocking: MakeBlocking) -> None:
    """It may have been an ending; once the loop has looked, threads answer by themselves again."""
    asked, writer = make_blocking(), make_blocking()
    (held,) = opened(asked)
    warm(asked, held)
    opened(writer)
    assert not remembered(asked, held)
    assert passes(asked, held)
    warm(asked, held)


def test_all_counted_answers_are_counted(make_blocking: MakeBlocking) -> None:
    """What threads count together is what they have answered: a metric never goes back."""
    asked = make_blocking()
    (held,) = opened(asked)
    warm(asked, held)
    gate = inside(asked).runtime.gate
    before, credential = gate.recalled_elsewhere, inside(asked).runtime.transport.presented(Asked(held.environ).scope)
    with ThreadPoolExecutor(4) as threads:
        counts = threads.map(lambda _: sum(bool(gate.recall_anywhere(credential)) for _ in range(500)), range(4))
    assert gate.recalled_elsewhere - before == sum(counts)
