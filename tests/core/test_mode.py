"""The operator's plan: what turning, pausing and finishing make of it, and what it says of a session."""

from __future__ import annotations

from itertools import product

import pytest

from propylon.core.device import Device
from propylon.core.mode import ModePlan, read_plan, spelled
from propylon.core.session import MODES, Mode
from propylon.testing import NOW, a_session

APP = Device("okhttp", "Android", "app")
SETTLE_S = 3600


def targets(plan: ModePlan) -> dict[Mode, Mode | None]:
    """Return where a browser's session of each mode is asked to move."""
    return {mode: plan.target(a_session(mode=mode)) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
def test_a_set_up_that_was_never_changed_moves_nobody(mode: Mode) -> None:
    """Sessions of other modes were opened by clients that wanted them."""
    plan = ModePlan.steady(mode)
    assert not plan.in_motion
    assert set(targets(plan).values()) == {None}


@pytest.mark.parametrize(("before", "after"), list(product(MODES, MODES)))
def test_a_change_moves_the_mode_before_and_no_other(before: Mode, after: Mode) -> None:
    """And a change to what it is already is none."""
    plan = ModePlan.steady(before).turned(after)
    moving = {before: after} if before != after else {}
    assert targets(plan) == {mode: moving.get(mode) for mode in MODES}
    assert (plan == ModePlan.steady(before)) is (before == after)


def test_turning_round_moves_back_who_has_moved() -> None:
    """And further changes gather all whom the server has ever left behind."""
    plan = ModePlan.steady("cookie").turned("bearer").turned("cookie")
    assert targets(plan) == {"cookie": None, "bearer": "cookie", "hybrid": None}
    assert (plan.browsers.mode, plan.browsers.previous, plan.change) == ("cookie", "bearer", 2)
    assert targets(plan.turned("hybrid")) == {"cookie": "hybrid", "bearer": "hybrid", "hybrid": None}


def test_browsers_and_apps_have_their_own_course() -> None:
    """The device of the session says which; one is changed and the other stays."""
    plan = ModePlan.steady("cookie").turned("bearer", ["apps"])
    assert plan.target(a_session(device=APP)) == "bearer"
    assert plan.target(a_session()) is None
    assert (plan.course("app").mode, plan.course("mobile").mode) == ("bearer", "cookie")


def test_a_pause_moves_nobody_and_a_change_ends_it() -> None:
    """While it lasts, what has moved is still looked after."""
    plan = ModePlan.steady("cookie").turned("bearer").held(paused=True)
    assert plan.target(a_session()) is None
    assert plan.in_motion
    assert plan.held(paused=False).target(a_session()) == "bearer"
    assert not plan.turned("hybrid").paused


def test_a_change_is_over_when_nobody_was_left_for_as_long_as_a_token_lives() -> None:
    """Somebody who is seen meanwhile begins the wait anew."""
    plan = ModePlan.steady("cookie").turned("bearer")
    assert plan.seen(3, NOW, settle_s=SETTLE_S) == plan
    empty = plan.seen(0, NOW, settle_s=SETTLE_S)
    assert empty.seen(0, NOW + SETTLE_S - 1, settle_s=SETTLE_S) == empty
    assert empty.seen(1, NOW + SETTLE_S, settle_s=SETTLE_S) == plan
    over = empty.seen(0, NOW + SETTLE_S, settle_s=SETTLE_S)
    assert not over.in_motion
    assert (over.browsers.mode, over.browsers.previous, over.change) == ("bearer", "cookie", 1)
    assert over.seen(5, NOW, settle_s=SETTLE_S) == over


def test_what_is_kept_is_what_is_read() -> None:
    """All of it, in one value."""
    plan = ModePlan.steady("cookie").turned("bearer", ["apps"]).seen(0, NOW, settle_s=SETTLE_S).held(paused=True)
    assert read_plan(spelled(plan), "hybrid") == plan


@pytest.mark.parametrize(
    ("kept", "mode"), [(None, "hybrid"), ("bearer", "bearer"), ("", "hybrid"), ("{}", "hybrid"), ("[1", "hybrid")]
)
def test_what_cannot_be_read_is_the_setting(kept: str | None, mode: Mode) -> None:
    """Nobody is kept from signing in because a value is of other hands."""
    assert read_plan(kept, "hybrid") == ModePlan.steady(mode)
