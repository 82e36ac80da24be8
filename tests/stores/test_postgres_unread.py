"""What was heard and not read yet: answers in any order, other histories, bounded memory."""

from __future__ import annotations

import math

import pytest

from propylon.core.revocation import FeedEntry
from propylon.stores.news import Lags
from propylon.stores.postgres import unread as module
from propylon.stores.postgres.unread import START, Place, Unread

FORGET = [("session_changed", ""), ("user_changed", ""), ("keys_changed", ""), ("mode_changed", "")]


def rows(first: int, last: int, history: int = 0) -> list[tuple[object, ...]]:
    """Return the rows of positions ``first`` to ``last``, as one history has them."""
    return [
        (position, "session_ended", f"s{position}", "evicted", 99, 7, 1000 * history + position)
        for position in range(first, last + 1)
    ]


def at(position: int, history: int = 0) -> Place:
    """Return the place of a position."""
    return Place(position, 1000 * history + position)


def heard(unread: Unread) -> list[tuple[str, str]]:
    """Take the entries."""
    return [(entry.subject, entry.id) for entry in unread.take()]


def ended(first: int, last: int) -> list[tuple[str, str]]:
    """Return what is heard of the rows."""
    return [("session_ended", f"s{position}") for position in range(first, last + 1)]


def test_nothing_was_heard_at_first() -> None:
    """Until the first answer it has been silent for ever."""
    unread = Unread(Lags())
    assert (unread.heard_at, unread.place, list(unread.take())) == (-math.inf, START, [])


def test_the_first_answer_is_all_that_is_kept() -> None:
    """Wherever it begins, and whatever is missing in the middle: nothing was remembered yet."""
    unread = Unread(Lags())
    assert unread.add(START, rows(5, 6) + rows(9, 9), 1.0)
    assert list(unread.take()) == [
        FeedEntry(position, "session_ended", f"s{position}", "evicted", 99, 7) for position in (5, 6, 9)
    ]
    assert (unread.heard_at, unread.place) == (1.0, at(9))


def test_each_entry_is_heard_once() -> None:
    """The next answer begins with the entry heard last, which is not heard again."""
    unread = Unread(Lags())
    unread.add(START, rows(1, 2), 1.0)
    assert unread.add(at(2), rows(2, 4), 2.0)
    assert unread.add(at(4), rows(4, 4), 3.0)
    assert heard(unread) == ended(1, 4)
    assert heard(unread) == []
    assert unread.heard_at == 3.0


@pytest.mark.parametrize("later_first", [True, False])
def test_two_answers_to_the_same_question_overlap(later_first: bool) -> None:  # noqa: FBT001 - a parameter
    """Whichever arrives first: no entry twice, none out of order, and the time never goes back."""
    unread = Unread(Lags())
    unread.add(START, rows(1, 2), 1.0)
    answers = [(rows(2, 4), 2.0), (rows(2, 6), 3.0)]
    for answer, asked_at in answers[::-1] if later_first else answers:
        assert unread.add(at(2), answer, asked_at)
    assert heard(unread) == ended(1, 6)
    assert (unread.heard_at, unread.place) == (3.0, at(6))


@pytest.mark.parametrize("kept", [rows(4, 6), rows(3, 3) + rows(5, 5)])
def test_a_gap_means_that_entries_were_removed_unread(kept: list[tuple[object, ...]]) -> None:
    """At the beginning or in the middle: everything remembered is forgotten, before what is left is heard."""
    unread = Unread(Lags())
    unread.add(START, rows(1, 2), 1.0)
    unread.take()
    assert unread.add(at(2), rows(2, 2) + kept, 2.0)
    assert heard(unread) == FORGET + [("session_ended", f"s{row[0]}") for row in kept]


@pytest.mark.parametrize(
    "answer",
    [[], rows(3, 5), rows(2, 5, history=1)],
    ids=["nothing there", "the entry is gone", "another entry in its place"],
)
def test_another_history_is_noticed_and_read_from_its_beginning(answer: list[tuple[object, ...]]) -> None:
    """A store that lost its last writes must not hide what it numbers anew from those who had heard further."""
    unread = Unread(Lags())
    unread.add(START, rows(1, 2), 1.0)
    unread.take()
    assert not unread.add(at(2), answer, 2.0)
    assert unread.heard_at == 1.0
    assert unread.place == START
    assert unread.add(START, rows(1, 3, history=1), 3.0)
    assert heard(unread) == FORGET + ended(1, 3)


def test_an_answer_from_before_another_history_was_noticed_is_void() -> None:
    """It is asked for again."""
    unread = Unread(Lags())
    unread.add(START, rows(1, 5), 1.0)
    unread.take()
    unread.add(at(5), [], 2.0)
    assert not unread.add(at(5), rows(5, 9), 3.0)
    assert heard(unread) == FORGET


def test_memory_is_bounded_and_nobody_dead_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody takes is let go, and read again from where it was taken by whoever asks."""
    monkeypatch.setattr(module, "MAX_UNREAD", 3)
    unread = Unread(Lags())
    unread.add(START, rows(1, 1), 1.0)
    unread.take()
    waits = []
    for first, last in ((1, 4), (4, 5)):
        unread.add(at(first), rows(first, last), float(last))
        waits.append(unread.waits)
    assert waits == [False, True]
    assert (list(unread.take()), unread.place) == ([], at(1))
    unread.add(at(1), rows(1, 7), 6.0, whatever_it_takes=True)
    unread.add(at(7), rows(7, 7), 7.0)
    assert (unread.waits, heard(unread)) == (False, ended(2, 7))
