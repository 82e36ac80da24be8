"""How many sessions one user may hold, and who has to go for one more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.device import Device, Kind
from propylon.core.limits import Admitted, LimitPolicy, LimitReached, SessionLimits, admit
from propylon.core.session import Session
from propylon.testing import a_session

KINDS: tuple[Kind, ...] = ("desktop", "mobile", "app")


def signed_in(*kinds: Kind) -> list[Session]:
    """Return live sessions, oldest first, named by place and kind: ``0 desktop``, ``1 mobile``, ..."""
    return [
        a_session(id=f"{place} {kind}", created_at=place, device=Device("", "", kind))
        for place, kind in enumerate(kinds)
    ]


NEWCOMER = signed_in("desktop")[0]
PHONE = signed_in("mobile")[0]


def evicted(limits: SessionLimits, live: Sequence[Session], newcomer: Session = NEWCOMER, *roles: str) -> list[str]:
    """Return who has to go; fail where the newcomer is refused."""
    admission = admit(limits, live, newcomer, roles)
    assert isinstance(admission, Admitted), admission
    return [session.id for session in admission.evicted]


def refused(limits: SessionLimits, live: Sequence[Session], newcomer: Session = NEWCOMER, *roles: str) -> list[str]:
    """Return the sessions that could be ended for the newcomer; fail where it is admitted."""
    admission = admit(limits, live, newcomer, roles)
    assert isinstance(admission, LimitReached), admission
    return [session.id for session in admission.sessions]


@pytest.mark.parametrize("policy", ["evict_oldest", "refuse_newest"])
def test_without_limits_everybody_comes_in(policy: LimitPolicy) -> None:
    """However many there are."""
    assert evicted(SessionLimits(policy=policy), [NEWCOMER] * 200) == []


@pytest.mark.parametrize("policy", ["evict_oldest", "refuse_newest"])
def test_the_last_place_is_free_for_all(policy: LimitPolicy) -> None:
    """A limit of three means three: the third comes in without any consequence."""
    assert evicted(SessionLimits(per_user=3, policy=policy), signed_in("desktop", "mobile")) == []


def test_one_more_than_the_limit_takes_the_place_of_the_oldest() -> None:
    """Of whatever kind it is."""
    assert evicted(SessionLimits(per_user=2), signed_in("mobile", "desktop")) == ["0 mobile"]


def test_a_limit_of_one_leaves_the_newcomer_alone() -> None:
    """The single sign-in that some services want."""
    assert evicted(SessionLimits(per_user=1), signed_in("mobile")) == ["0 mobile"]


def test_a_lowered_limit_takes_hold_with_the_next_sign_in() -> None:
    """All that are too many go, oldest first."""
    live = signed_in("desktop", "mobile", "app", "desktop")
    assert evicted(SessionLimits(per_user=2), live) == ["0 desktop", "1 mobile", "2 app"]


def test_a_full_user_is_refused_and_told_what_to_end() -> None:
    """The list is complete and oldest first, the number the one in force."""
    limits = SessionLimits(per_user=2, policy="refuse_newest")
    live = signed_in("mobile", "app")
    assert admit(limits, live, NEWCOMER, ()) == LimitReached(tuple(live), 2)


def test_a_limit_of_a_kind_counts_that_kind_alone() -> None:
    """A second phone takes the place of the first, and no computer's."""
    limits = SessionLimits(per_kind={"mobile": 1})
    assert evicted(limits, signed_in("desktop", "mobile", "desktop"), PHONE) == ["1 mobile"]


def test_a_limit_of_another_kind_does_not_concern_the_newcomer() -> None:
    """Also where that kind is over its limit already: who comes with a computer ends no phone."""
    limits = SessionLimits(per_kind={"mobile": 1})
    assert evicted(limits, signed_in("mobile", "mobile")) == []


def test_a_full_kind_is_refused_with_the_sessions_of_that_kind() -> None:
    """Ending a computer would make no room for a phone, so none is offered."""
    limits = SessionLimits(per_kind={"mobile": 1}, policy="refuse_newest")
    assert refused(limits, signed_in("desktop", "mobile"), PHONE) == ["1 mobile"]


def test_who_goes_for_the_kind_makes_room_for_the_whole() -> None:
    """Nobody is ended twice over: one newcomer, one place."""
    limits = SessionLimits(per_user=3, per_kind={"mobile": 1})
    assert evicted(limits, signed_in("desktop", "mobile", "desktop"), PHONE) == ["1 mobile"]


def test_the_kind_goes_first_and_then_the_oldest_of_all() -> None:
    """Where both limits are exceeded by more than one."""
    limits = SessionLimits(per_user=2, per_kind={"mobile": 1})
    live = signed_in("desktop", "mobile", "desktop", "app")
    assert evicted(limits, live, PHONE) == ["1 mobile", "0 desktop", "2 desktop"]


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ((), 5),
        (("customer",), 5),
        (("admin",), 1),
        (("support",), 10),
        (("support", "admin"), 1),
        (("admin", "support"), 1),
        (("customer", "support"), 10),
        (("Admin",), 5),
    ],
)
def test_a_role_replaces_the_limit_and_of_several_the_smallest_counts(roles: tuple[str, ...], expected: int) -> None:
    """An administrator who is also in support is held as an administrator; roles are compared exactly."""
    assert SessionLimits(per_user=5, per_role={"admin": 1, "support": 10}).of(roles) == expected


def test_a_role_can_be_limited_where_nobody_else_is() -> None:
    """And its holders alone feel it."""
    limits = SessionLimits(per_role={"admin": 1})
    assert evicted(limits, signed_in("desktop"), NEWCOMER, "admin") == ["0 desktop"]
    assert evicted(limits, signed_in("desktop"), NEWCOMER, "customer") == []


def test_a_role_with_more_room_is_given_it() -> None:
    """The number replaces the general one upwards too."""
    limits = SessionLimits(per_user=1, per_role={"support": 3}, policy="refuse_newest")
    assert evicted(limits, signed_in("desktop", "desktop"), NEWCOMER, "support") == []
    assert refused(limits, signed_in("desktop"), NEWCOMER) == ["0 desktop"]


COUNTS = st.none() | st.integers(1, 6)
LIMITS = st.builds(
    SessionLimits,
    per_user=COUNTS,
    per_kind=st.dictionaries(st.sampled_from(KINDS), st.integers(1, 6)),
    per_role=st.dictionaries(st.sampled_from(["admin", "support"]), st.integers(1, 6)),
    policy=st.sampled_from(["evict_oldest", "refuse_newest"]),
)
CROWDS = st.lists(st.sampled_from(KINDS), max_size=12).map(lambda kinds: signed_in(*kinds))
ROLES = st.sets(st.sampled_from(["admin", "support", "customer"]))


def fits(limits: SessionLimits, live: Sequence[Session], newcomer: Session, roles: set[str]) -> bool:
    """Count naively whether the newcomer fits beside ``live``."""
    of_kind = sum(session.device.kind == newcomer.device.kind for session in live)
    kind_limit, whole_limit = limits.per_kind.get(newcomer.device.kind), limits.of(roles)
    return (kind_limit is None or of_kind < kind_limit) and (whole_limit is None or len(live) < whole_limit)


@given(limits=LIMITS, live=CROWDS, newcomer=st.sampled_from([NEWCOMER, PHONE]), roles=ROLES)
def test_after_every_decision_the_limits_hold(
    limits: SessionLimits, live: list[Session], newcomer: Session, roles: set[str]
) -> None:
    """Admitted: what remains has room for the newcomer, and nobody left in vain. Refused: there was no room."""
    admission = admit(limits, live, newcomer, roles)
    if isinstance(admission, LimitReached):
        assert limits.policy == "refuse_newest"
        assert not fits(limits, live, newcomer, roles)
        assert admission.sessions
        assert set(admission.sessions) <= set(live)
        return
    staying = [session for session in live if session not in admission.evicted]
    assert fits(limits, staying, newcomer, roles)
    assert len(staying) + len(admission.evicted) == len(live)
    assert not admission.evicted or limits.policy == "evict_oldest"
    for gone in admission.evicted:
        assert not fits(limits, [*staying, gone], newcomer, roles)


@given(limits=LIMITS, live=CROWDS, newcomer=st.sampled_from([NEWCOMER, PHONE]), roles=ROLES)
def test_within_a_kind_the_older_always_goes_first(
    limits: SessionLimits, live: list[Session], newcomer: Session, roles: set[str]
) -> None:
    """No session outlives an older one of its own kind."""
    admission = admit(limits, live, newcomer, roles)
    gone = admission.evicted if isinstance(admission, Admitted) else ()
    for kind in KINDS:
        of_kind = [session for session in live if session.device.kind == kind]
        assert [session in gone for session in of_kind] == sorted(
            (session in gone for session in of_kind), reverse=True
        )
