"""Refresh tokens: who gets a successor, who is a thief, and what never happens to anybody honest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from propylon.core.refresh import (
    GivenUp,
    Late,
    Missing,
    Overtaken,
    RefreshOutcome,
    Repeated,
    Reused,
    Rotated,
    auth_time_after,
    origin,
    rotate,
)
from propylon.core.session import Ending, Mode, Session, confirmed, ended
from propylon.testing import NOW, a_session

GRACE_S = 30
HOME = origin("192.0.2.1", "Firefox")
NEXT_DOOR = origin("192.0.2.99", "Firefox")
ELSEWHERE = origin("198.51.100.1", "Firefox")


def present(session: Session | None, generation: int, *, after_s: int = 0, at: str = HOME) -> RefreshOutcome:
    """Present a generation some seconds after ``NOW``."""
    return rotate(session, generation, now=NOW + after_s, grace_s=GRACE_S, origin=at, ip="192.0.2.1")


def at_generation(generation: int, **changes: Any) -> Session:
    """Return a session whose newest token is ``generation``, made at home at ``NOW``."""
    return a_session(refresh_generation=generation, refresh_rotated_at=NOW, refresh_origin=HOME, **changes)


TABLE: list[tuple[str, int, int, int, str, type[RefreshOutcome], int]] = [
    # story, presented (the newest is 5), seconds later, last late one, from where, outcome, newest afterwards
    ("the newest", 5, 0, -1, HOME, Rotated, 6),
    ("the newest, from another network", 5, 9_999, -1, ELSEWHERE, Rotated, 6),
    ("newer than the record: a failover lost writes", 8, 0, -1, HOME, Rotated, 9),
    ("the one just rotated, at once", 4, 0, -1, HOME, Repeated, 5),
    ("the one just rotated, from another network", 4, 0, -1, ELSEWHERE, Repeated, 5),
    ("the last second of the window", 4, GRACE_S, -1, HOME, Repeated, 5),
    ("a clock that was set back", 4, -3_600, -1, HOME, Repeated, 5),
    ("a lost answer, at home", 4, GRACE_S + 1, -1, HOME, Late, 5),
    ("a lost answer asked for again", 4, 9_999, 4, HOME, Late, 5),
    ("late before, but on time in between", 4, 9_999, 2, HOME, Late, 5),
    ("the thief next door, first time", 4, 9_999, -1, NEXT_DOOR, Late, 5),
    ("late twice in a row", 4, 9_999, 3, HOME, Reused, 5),
    ("the thief elsewhere", 4, GRACE_S + 1, -1, ELSEWHERE, Reused, 5),
    ("old", 3, 0, -1, HOME, Reused, 5),
    ("the first of all", 0, 0, -1, HOME, Reused, 5),
]


@pytest.mark.parametrize(
    ("presented", "after_s", "late", "at", "outcome", "newest"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_each_generation_gets_its_outcome(
    presented: int, after_s: int, late: int, at: str, outcome: type[RefreshOutcome], newest: int
) -> None:
    """The table of the module, line by line."""
    found = present(at_generation(5, late_generation=late), presented, after_s=after_s, at=at)
    assert type(found) is outcome
    assert found.session is not None
    assert found.session.refresh_generation == newest
    assert (found.session.ending is not None) == (outcome is Reused)


def test_reuse_says_so_in_the_record() -> None:
    """The next request of the session's other credentials is told, and the log has a reason."""
    found = present(at_generation(5), 1, after_s=7)
    assert found.session is not None
    assert found.session.ending == Ending("reused", NOW + 7)


DEAD: list[tuple[str, Session | None]] = [
    ("never known", None),
    ("signed out", ended(at_generation(5), Ending("signed_out", NOW))),
    ("given away before", ended(at_generation(5), Ending("reused", NOW))),
    ("expired", at_generation(5, expires_at=NOW)),
    ("idle for too long", at_generation(5, last_seen_at=NOW - 100, idle_ttl_s=100)),
]


@pytest.mark.parametrize("presented", [0, 4, 5, 6])
@pytest.mark.parametrize("session", [row[1] for row in DEAD], ids=[row[0] for row in DEAD])
def test_no_token_of_any_age_revives_a_dead_session(session: Session | None, presented: int) -> None:
    """Not even the one that would be reuse: there is nothing left to end."""
    assert present(session, presented) == Missing(session)


@pytest.mark.parametrize("mode", ["bearer", "hybrid"])
@pytest.mark.parametrize("after_s", [5, 100, 100_000])
def test_an_honest_client_survives_step_ups(mode: Mode, after_s: int) -> None:
    """A client that confirmed, and did not or could not take a new token from the answer, is still at home."""
    session = confirmed(at_generation(5, mode=mode), now=NOW + 5, origin=HOME, grace=True)
    assert isinstance(present(session, 5, after_s=after_s), Rotated | Overtaken)


def test_a_client_with_tokens_survives_two_step_ups_and_a_journey() -> None:
    """The answer to a confirmation is 204: it holds the same token as before, wherever it is by then."""
    session = at_generation(5, mode="bearer")
    for later_s in (5, 50):
        session = confirmed(session, now=NOW + later_s, origin=HOME, grace=True)
    assert isinstance(present(session, 5, after_s=500, at=ELSEWHERE), Rotated)


BEFORE = NOW - 3_600


def proved(outcome: RefreshOutcome, at: str = HOME) -> int:
    """Return what an access token of this outcome claims."""
    assert isinstance(outcome, Rotated | Repeated | Late | Overtaken)
    return auth_time_after(outcome, at)


@pytest.mark.parametrize("at", [HOME, ELSEWHERE])
def test_a_copy_from_before_a_step_up_gets_neither_it_nor_the_token_that_has_seen_it(at: str) -> None:
    """Hybrid: the answer to the confirmation carries the successor, and whoever did not get it shows that it waits."""
    session = confirmed(at_generation(5, mode="hybrid", auth_time=BEFORE), now=NOW, origin=HOME, grace=True)
    outcome = present(session, 5, after_s=5, at=at)
    assert isinstance(outcome, Overtaken)
    assert (proved(outcome, at), outcome.session.refresh_generation) == (BEFORE, 6)
    newest = present(session, 6, after_s=5, at=at)
    assert isinstance(newest, Rotated)
    assert proved(newest, at) == NOW
    assert isinstance(present(newest.session, 5, after_s=6, at=at), GivenUp)
    assert isinstance(present(newest.session, 6, after_s=6, at=at), Repeated)  # a tab, or an answer that was lost


def test_a_copy_elsewhere_is_refused_after_the_window_and_ends_nothing() -> None:
    """The person who has just proved who they are is not signed out for it."""
    session = confirmed(at_generation(5, mode="hybrid", auth_time=BEFORE), now=NOW, origin=HOME, grace=True)
    assert present(session, 5, after_s=100, at=ELSEWHERE) == GivenUp(session)


def test_a_step_up_by_tokens_is_for_where_it_came_from() -> None:
    """Bearer: the answer carries nothing, so the same token is good for it, at home."""
    session = confirmed(at_generation(5, mode="bearer", auth_time=BEFORE), now=NOW, origin=HOME, grace=True)
    at_home = present(session, 5, after_s=5)
    assert proved(at_home) == NOW
    assert at_home.session is not None
    assert proved(present(at_home.session, 6, after_s=500, at=ELSEWHERE), ELSEWHERE) == NOW  # it has been taken up


def test_an_app_profits_from_a_step_up_in_its_web_view() -> None:
    """It calls itself differently, on the same device."""
    session = confirmed(at_generation(5, mode="bearer", auth_time=BEFORE), now=NOW, origin=HOME, grace=True)
    app = origin("192.0.2.1", "ShopApp/3.1")
    assert proved(present(session, 5, after_s=5, at=app), app) == NOW


def test_a_copy_elsewhere_gets_nothing_of_a_step_up() -> None:
    """Nor do its next tokens, however often it renews; at home it waits."""
    session = confirmed(at_generation(5, mode="bearer", auth_time=BEFORE), now=NOW, origin=HOME, grace=True)
    outcome = present(session, 5, after_s=5, at=ELSEWHERE)
    assert proved(outcome, ELSEWHERE) == BEFORE
    assert outcome.session is not None
    assert proved(present(outcome.session, 6, after_s=6, at=ELSEWHERE), ELSEWHERE) == BEFORE
    assert proved(present(outcome.session, 5, after_s=6)) == NOW


@pytest.mark.parametrize("after_s", [0, 1, 29])
@pytest.mark.parametrize("home", [HOME, origin("", "Firefox")])
def test_an_answer_lost_after_a_new_password_is_given_again(after_s: int, home: str) -> None:
    """Bearer: also where the password was changed and the token renewed within one second, or by an unknown address."""
    session = confirmed(at_generation(5, mode="bearer", auth_time=BEFORE), now=NOW, origin=home, grace=False)
    renewed = present(session, 5, after_s=after_s, at=home)
    assert isinstance(renewed, Rotated)
    assert isinstance(present(renewed.session, 5, after_s=after_s, at=home), Repeated)


def test_a_copy_is_shut_out_also_while_a_lost_answer_is_given_again() -> None:
    """Whoever is elsewhere gets nothing of it."""
    session = confirmed(at_generation(5, mode="bearer", auth_time=BEFORE), now=NOW, origin=HOME, grace=False)
    renewed = present(session, 5)
    assert renewed.session is not None
    assert present(renewed.session, 5, at=ELSEWHERE) == GivenUp(renewed.session)


def test_two_step_ups_in_a_row_give_a_copy_neither() -> None:
    """What nobody has taken up yet is no earlier time to fall back to."""
    session = at_generation(5, mode="bearer", auth_time=BEFORE)
    for later_s in (0, 10):
        session = confirmed(session, now=NOW + later_s, origin=HOME, grace=True)
    assert proved(present(session, 5, after_s=20, at=ELSEWHERE), ELSEWHERE) == BEFORE


@pytest.mark.parametrize("mode", ["bearer", "hybrid"])
@pytest.mark.parametrize("after_s", [0, 5, 100])
def test_a_new_password_shuts_out_every_copy(mode: Mode, after_s: int) -> None:
    """Elsewhere at once, before and after its owner has renewed; the owner's session goes on."""
    session = confirmed(at_generation(5, mode=mode, auth_time=BEFORE), now=NOW, origin=HOME, grace=False)
    assert present(session, 5, after_s=after_s, at=ELSEWHERE) == GivenUp(session)
    owner = present(session, 5 if mode == "bearer" else 6, after_s=after_s)
    assert isinstance(owner, Rotated)
    assert proved(owner) == NOW
    assert present(owner.session, 5, after_s=after_s, at=ELSEWHERE) == GivenUp(owner.session)


SAME_HOME = [
    ("192.0.2.1", "192.0.2.254", True),
    ("192.0.2.1", "192.0.3.1", False),
    ("2001:db8:0:ff00::1", "2001:db8:0:ff42::9", True),
    ("2001:db8:0:ff00::1", "2001:db8:0:fe00::1", False),
    ("::ffff:192.0.2.1", "192.0.2.7", True),
    ("192.0.2.1", "2001:db8::1", False),
]


@pytest.mark.parametrize(("one", "other", "same"), SAME_HOME)
def test_home_is_a_neighbourhood(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a column of the table
    """IPv4 /24, IPv6 /56."""
    assert (origin(one, "Firefox") == origin(other, "Firefox")) is same


def test_another_program_is_not_home() -> None:
    """A thief's script next door rarely calls itself what the browser does."""
    assert origin("192.0.2.1", "Firefox") != origin("192.0.2.1", "curl/8") != origin("192.0.2.1", None)


def test_an_origin_takes_constant_space_whatever_is_sent() -> None:
    """It is written at every rotation, and the user agent is the caller's to choose."""
    assert len(origin("2001:db8::1", "x" * 100_000)) < 60
    assert origin("not an address", "\udcff") == origin("", "\udcff")


class Refreshing(RuleBasedStateMachine):
    """An honest client at home with several tabs and a bad network, and thieves who copy its tokens.

    The client's tabs share one token, as a browser's do; an answer may be lost, or come after a later one.
    """

    @initialize()
    def sign_in(self) -> None:
        """Open the session."""
        self.session = a_session(mode="hybrid", refresh_origin=HOME, idle_ttl_s=10**9, expires_at=NOW + 10**9)
        self.first = self.session
        self.now = NOW
        self.held = 0
        self.on_the_way: list[int] = []
        self.stolen: list[int] = []
        self.rotated: dict[int, tuple[int, str]] = {}  # when and from where, by generation
        self.interfered = False
        self.losses = 0
        self.size = len(msgspec.msgpack.encode(self.session))

    def _present(self, generation: int, at: str) -> RefreshOutcome:
        before = self.session
        outcome = rotate(before, generation, now=self.now, grace_s=GRACE_S, origin=at, ip="192.0.2.1")
        assert outcome.session is not None
        self.session = outcome.session
        if isinstance(outcome, Rotated):
            self.rotated[generation] = (self.now, at)
            self.losses = 0 if generation == before.refresh_generation else self.losses
        return outcome

    @property
    def lives(self) -> bool:
        """Whether the session has not ended."""
        return self.session.ending is None

    @rule(seconds=st.integers(0, 3 * GRACE_S))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    @precondition(lambda self: self.lives)
    @rule(tabs=st.integers(1, 3))
    def tabs_renew(self, tabs: int) -> None:
        """Several tabs present the same token in one instant; all get the same successor."""
        answers = [self._present(self.held, HOME) for _ in range(tabs)]
        successors = {answer.session.refresh_generation for answer in answers if answer.session is not None}
        assert len(successors) == 1
        self.on_the_way += successors

    @precondition(lambda self: self.lives and self.on_the_way)
    @rule(data=st.data())
    def answer_arrives(self, data: st.DataObject) -> None:
        """Any of the answers on the way comes next; a browser keeps the newest by the client's own lock."""
        arrived = data.draw(st.sampled_from(sorted(self.on_the_way)))
        self.on_the_way.remove(arrived)
        self.held = max(self.held, arrived)

    @precondition(lambda self: self.on_the_way)
    @rule()
    def answers_are_lost(self) -> None:
        """A tunnel."""
        self.on_the_way.clear()

    @rule()
    def thief_copies(self) -> None:
        """The token that the client holds leaks."""
        self.stolen.append(self.held)

    @precondition(lambda self: self.lives and self.stolen)
    @rule(at=st.sampled_from([ELSEWHERE, NEXT_DOOR]), data=st.data())
    def thief_presents(self, at: str, data: st.DataObject) -> None:
        """A thief tries one of the copies; whatever it gains is stolen too."""
        generation = data.draw(st.sampled_from(self.stolen))
        self.interfered = True
        rotated_at, rotated_from = self.rotated.get(generation, (self.now, HOME))
        outcome = self._present(generation, at)
        if at == ELSEWHERE and rotated_from == HOME and self.now - rotated_at > GRACE_S:
            assert isinstance(outcome, Reused), "a rotated token got a successor elsewhere"
        if outcome.session is not None and not isinstance(outcome, Reused):
            self.stolen.append(outcome.session.refresh_generation)

    @invariant()
    def an_honest_client_is_never_signed_out(self) -> None:
        """Whatever its network does, unless it loses two answers in a row for long, or a thief was there."""
        if hasattr(self, "session") and not self.lives:
            late_twice = self.session.late_generation >= 0
            assert self.interfered or late_twice

    @invariant()
    def the_record_stays_small_and_its_end_fixed(self) -> None:
        """Constant space, and the absolute life never moves; salt and owner stay."""
        if hasattr(self, "session"):
            assert len(msgspec.msgpack.encode(self.session)) <= self.size + 60
            same = ("id", "user_id", "salt", "expires_at", "created_at", "auth_time", "cookie_generation")
            assert all(getattr(self.session, name) == getattr(self.first, name) for name in same)

    @invariant()
    def the_client_never_holds_what_was_not_issued(self) -> None:
        """The generation of the record is never behind a token that is out."""
        if hasattr(self, "session"):
            assert self.session.refresh_generation >= max([self.held, *self.on_the_way, *self.stolen])


TestRefreshing = Refreshing.TestCase
TestRefreshing.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("pause_s", [0, GRACE_S, GRACE_S + 1, 600, 5 * 86_400])
def test_losing_one_answer_signs_nobody_out(pause_s: int) -> None:
    """However long the tunnel was, and again and again, as long as one answer came between."""
    session, held, now = at_generation(0), 0, NOW
    for _ in range(20):
        for lost in (True, False):
            outcome = rotate(session, held, now=now, grace_s=GRACE_S, origin=HOME, ip="192.0.2.1")
            assert outcome.session is not None
            assert outcome.session.ending is None
            session = msgspec.structs.replace(outcome.session, last_seen_at=now, expires_at=now + 10**9)
            held = held if lost else session.refresh_generation
            now += pause_s
        outcome = rotate(session, held, now=now, grace_s=GRACE_S, origin=HOME, ip="192.0.2.1")
        assert isinstance(outcome, Rotated)
        session, held = outcome.session, outcome.session.refresh_generation


def test_a_thief_next_door_taking_turns_with_the_victim_is_caught_at_the_second_word() -> None:
    """One late answer is a lost one; the next in a row is two people with one session."""
    session, first = at_generation(5), 4
    stolen = present(session, first, after_s=60)
    assert isinstance(stolen, Late)
    onward = present(stolen.session, 5, after_s=61)
    assert isinstance(onward, Rotated)
    victim = present(onward.session, 5, after_s=200)
    assert isinstance(victim, Reused)


def test_the_victim_notices_a_thief_who_was_first() -> None:
    """Whoever rotates twice before the owner comes back ends the session, for both."""
    session = at_generation(5)
    for generation in (5, 6):
        outcome = present(session, generation, at=ELSEWHERE)
        assert isinstance(outcome, Rotated)
        session = outcome.session
    assert isinstance(present(session, 5), Reused)


def test_a_reused_token_ends_exactly_its_own_session() -> None:
    """The verdict holds one session, and changes nothing in it but the ending."""
    session = at_generation(5)
    outcome = present(session, 2)
    assert isinstance(outcome, Reused)
    assert msgspec.structs.replace(outcome.session, ending=None) == session
