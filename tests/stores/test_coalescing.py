"""Reads gathered into one question: fresh, bounded, and nobody's failure or hurry is anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from propylon.errors import StoreUnavailable
from propylon.stores import coalescing
from propylon.stores.coalescing import MAX_UNDER_WAY, Coalescer


class Source:
    """What is asked: remembers the questions, and answers when the test lets it."""

    def __init__(self, **held: str) -> None:
        self.held, self.questions = held, list[list[str]]()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: BaseException | None = None

    async def ask(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Answer what is held at this moment."""
        self.questions.append(list(keys))
        found = {key: self.held[key] for key in keys if key in self.held}
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return found


async def test_calls_of_one_turn_are_one_question() -> None:
    """Each gets its own answer, the same key is asked for once, and what is not there is None."""
    source = Source(a="1", b="2")
    reads = Coalescer(source.ask)
    answers = await asyncio.gather(*(reads.find(key) for key in ("a", "b", "nobody", "a")))
    assert answers == ["1", "2", None, "1"]
    assert source.questions == [["a", "b", "nobody"]]


async def test_an_answer_is_never_older_than_its_call() -> None:
    """Whoever calls while a question is under way gets none of it: the next one sees what was written meanwhile."""
    source = Source(a="old")
    reads = Coalescer(source.ask)
    source.gate.clear()
    first = asyncio.ensure_future(reads.find("a"))
    await asyncio.sleep(0.01)
    source.held["a"] = "new"
    second = asyncio.ensure_future(reads.find("a"))
    await asyncio.sleep(0.01)
    source.gate.set()
    assert (await first, await second) == ("old", "new")


async def test_few_questions_are_under_way_and_the_rest_gathers() -> None:
    """However many callers come, one by one; those who wait share the next question."""
    source = Source(**{f"k{number}": str(number) for number in range(50)})
    reads = Coalescer(source.ask)
    source.gate.clear()
    calls = []
    for number in range(50):
        calls.append(asyncio.ensure_future(reads.find(f"k{number}")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(source.questions) == MAX_UNDER_WAY
    source.gate.set()
    assert await asyncio.gather(*calls) == [str(number) for number in range(50)]
    assert len(source.questions) == MAX_UNDER_WAY + 1


async def test_a_question_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More keys than one question may carry become several, and all are answered."""
    monkeypatch.setattr(coalescing, "MAX_KEYS", 7)
    source = Source(**{f"k{number}": str(number) for number in range(50)})
    reads = Coalescer(source.ask)
    assert await asyncio.gather(*(reads.find(f"k{number}") for number in range(50))) == [str(n) for n in range(50)]
    assert [len(keys) for keys in source.questions] == [7] * 7 + [1]


async def test_callers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused at once, and there is room again when the others have their answers."""
    monkeypatch.setattr(coalescing, "MAX_WAITING", 3)
    reads = Coalescer(Source(a="1").ask)
    answers = await asyncio.gather(*(reads.find("a") for _ in range(4)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, str, str, StoreUnavailable]
    assert await reads.find("a") == "1"


@pytest.mark.parametrize("when", ["before it is sent", "while it is under way"])
async def test_a_caller_that_gives_up_disturbs_no_other(when: str) -> None:
    """Not those of the same key, not those of the same question, not those who come later."""
    source = Source(a="1", b="2")
    reads = Coalescer(source.ask)
    source.gate.clear()
    calls = [asyncio.ensure_future(reads.find(key)) for key in ("a", "a", "b")]
    await asyncio.sleep(0 if when == "before it is sent" else 0.01)
    calls[0].cancel()
    await asyncio.sleep(0)
    source.gate.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == ["1", "2"]
    assert await reads.find("a") == "1"


async def test_giving_up_frees_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers that left do not count against those who come."""
    monkeypatch.setattr(coalescing, "MAX_WAITING", 2)
    reads = Coalescer(Source(a="1").ask)
    for _ in range(5):
        call = asyncio.ensure_future(reads.find("a"))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert await reads.find("a") == "1"


@pytest.mark.parametrize("failure", [StoreUnavailable(), LookupError("ours"), asyncio.CancelledError()])
async def test_a_failure_is_heard_by_all_of_its_question_and_nobody_after(failure: BaseException) -> None:
    """A cancelled question is a failure of the system too; the next question is asked as if nothing had been."""
    source = Source(a="1")
    reads, source.failure = Coalescer(source.ask), failure
    answers = await asyncio.gather(*(reads.find(key) for key in ("a", "a", "b")), return_exceptions=True)
    expected = LookupError if isinstance(failure, LookupError) else StoreUnavailable
    assert [type(answer) for answer in answers] == [expected] * 3
    source.failure = None
    assert await reads.find("a") == "1"


async def test_a_failure_of_the_system_is_one_of_its_own_for_each_caller() -> None:
    """One error raised by many would gather the tracebacks of all."""
    source = Source()
    reads, source.failure = Coalescer(source.ask), StoreUnavailable()
    answers = await asyncio.gather(*(reads.find("a") for _ in range(3)), return_exceptions=True)
    assert len({id(answer) for answer in answers}) == 3


async def test_a_failed_question_lets_those_who_wait_be_asked_for() -> None:
    """The next question goes out by itself."""
    source = Source(a="1")
    reads = Coalescer(source.ask)
    source.gate.clear()
    source.failure = StoreUnavailable()
    failing = []
    for _ in range(MAX_UNDER_WAY):
        failing.append(asyncio.ensure_future(reads.find("a")))
        await asyncio.sleep(0.01)
    waiting = asyncio.ensure_future(reads.find("a"))
    await asyncio.sleep(0.01)
    assert len(source.questions) == MAX_UNDER_WAY
    source.gate.set()
    answers = await asyncio.gather(*failing, waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * (MAX_UNDER_WAY + 1)
    assert len(source.questions) == MAX_UNDER_WAY + 1
