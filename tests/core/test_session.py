"""What a moment in time makes of a session: life, ending, confirmation, and the age of its cookie."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.device import Device
from propylon.core.session import (
    MAX_ACCESS_TTL_S,
    MODES,
    Ending,
    EndReason,
    Mode,
    SessionPolicy,
    confirmed,
    cookie_auth_time,
    ended,
    refusal,
    touched,
)
from propylon.testing import NOW, a_session

GRACE_S = 30
DAY_S = 86_400

MOMENTS: list[tuple[int, int, int, str | None]] = [
    # idle life, absolute life, seconds since the last use (and the start), refusal
    (60, 600, 0, None),
    (60, 600, 59, None),
    (60, 600, 60, "session_expired"),
    (60, 600, 61, "session_expired"),
    (600, 60, 59, None),
    (600, 60, 60, "session_expired"),
    (1, 1, 0, None),
    (1, 1, 1, "session_expired"),
    (60, 600, -20, None),
]

ENDINGS: list[tuple[EndReason, str]] = [
    ("signed_out", "session_revoked"),
    ("ended_by_user", "session_revoked"),
    ("ended_by_administrator", "session_revoked"),
    ("password_changed", "session_revoked"),
    ("reused", "session_revoked"),
    ("evicted", "session_evicted"),
    ("user_disabled", "user_disabled"),
]


@pytest.mark.parametrize(("idle_ttl_s", "absolute_ttl_s", "later_s", "code"), MOMENTS)
def test_a_session_lives_until_the_exact_second_of_its_deadline(
    idle_ttl_s: int, absolute_ttl_s: int, later_s: int, code: str | None
) -> None:
    """The earlier of both lives counts, and its last second is over when it begins."""
    session = a_session(idle_ttl_s=idle_ttl_s, expires_at=NOW + absolute_ttl_s)
    assert refusal(session, NOW + later_s) == code


@pytest.mark.parametrize(("reason", "code"), ENDINGS)
def test_the_holder_of_an_ended_session_is_told_why(reason: EndReason, code: str) -> None:
    """The code depends on the reason alone, also long after the session would have expired."""
    session = ended(a_session(), Ending(reason, NOW))
    assert [refusal(session, now) for now in (NOW, NOW + 400 * DAY_S)] == [code, code]


def test_the_first_ending_stays() -> None:
    """A session that was evicted is not signed out later: its owner must read the truth."""
    first = Ending("evicted", NOW, Device("Safari", "iOS", "mobile"))
    assert ended(ended(a_session(), first), Ending("signed_out", NOW + 1)).ending == first


def test_use_moves_the_idle_deadline_and_never_the_absolute_one() -> None:
    """However often it is used, a session ends when it was said to at its start."""
    session = a_session(idle_ttl_s=100, expires_at=NOW + 250)
    for later_s in (90, 180, 240):
        session = touched(session, now=NOW + later_s, ip="192.0.2.2")
    assert (session.expires_at, session.deadline, session.ip) == (NOW + 250, NOW + 250, "192.0.2.2")
    assert refusal(session, NOW + 250) == "session_expired"


def test_a_clock_set_back_takes_no_life_from_a_session() -> None:
    """A node whose clock is behind must not make a session look unused for longer."""
    session = touched(a_session(), now=NOW + 50, ip="192.0.2.1")
    assert touched(session, now=NOW - 50, ip="192.0.2.1").last_seen_at == NOW + 50
    assert confirmed(session, now=NOW - 50, origin="", grace=True).last_seen_at == NOW + 50


COOKIES: list[tuple[int, int, int | None]] = [
    # generation (the newest is 3), seconds after the confirmation, what it may claim relative to NOW
    (3, 0, 0),
    (3, DAY_S, 0),
    (4, 0, 0),  # a store that lost its last writes; the secret proves that we issued it
    (2, 0, -500),
    (2, GRACE_S, -500),
    (2, GRACE_S + 1, None),
    (1, 0, None),
    (0, 0, None),
]


@pytest.mark.parametrize(("generation", "later_s", "claims"), COOKIES)
def test_a_cookie_claims_only_the_confirmation_it_has_seen(generation: int, later_s: int, claims: int | None) -> None:
    """Session fixation: whoever planted a cookie before the step-up has the earlier time, and not for long."""
    before = a_session(cookie_generation=2, auth_time=NOW - 500)
    session = confirmed(before, now=NOW, origin="", grace=True)
    auth_time = cookie_auth_time(session, generation, now=NOW + later_s, grace_s=GRACE_S)
    assert auth_time == (None if claims is None else NOW + claims)


def test_a_new_password_knows_no_grace_for_an_older_cookie() -> None:
    """It is chosen because somebody may hold a copy."""
    session = confirmed(a_session(cookie_generation=2), now=NOW, origin="", grace=False)
    assert cookie_auth_time(session, 2, now=NOW, grace_s=GRACE_S) is None
    assert cookie_auth_time(session, 3, now=NOW, grace_s=GRACE_S) == NOW


@pytest.mark.parametrize("mode", ["cookie", "hybrid"])
def test_a_confirmation_renews_every_secret_that_its_answer_carries(mode: Mode) -> None:
    """OWASP: a new session id at every change of privilege."""
    session = confirmed(a_session(mode=mode), now=NOW + 9, origin="home", grace=True)
    assert (session.cookie_generation, session.refresh_generation) == (1, 1)
    assert (session.refresh_rotated_at, session.refresh_origin) == (NOW + 9, "home")


def test_a_confirmation_leaves_a_refresh_token_alone_that_its_answer_cannot_replace() -> None:
    """A client that holds tokens gets no body: two step-ups in a row must not make a thief of it."""
    session = a_session(mode="bearer")
    for now, origin in ((NOW + 9, "a"), (NOW + 10, "b")):
        session = confirmed(session, now=now, origin=origin, grace=True)
    assert (session.auth_time, session.cookie_generation, session.refresh_generation) == (NOW + 10, 2, 0)


@given(steps=st.lists(st.tuples(st.integers(-40, 400), st.sampled_from(["touch", "confirm"])), max_size=20))
def test_nothing_that_a_user_does_moves_the_absolute_end(steps: list[tuple[int, str]]) -> None:
    """Touching and confirming, at any time and in any order."""
    session, now = a_session(), NOW
    for later_s, step in steps:
        now += later_s
        confirms = step == "confirm"
        moved = confirmed(session, now=now, origin="", grace=True) if confirms else touched(session, now=now, ip="")
        assert moved.expires_at == session.expires_at
        assert moved.last_seen_at >= session.last_seen_at
        assert moved.cookie_generation >= session.cookie_generation
        session = moved


def test_a_session_shows_no_salt() -> None:
    """The salt derives every secret of it, with a key that lies elsewhere."""
    session = a_session(salt=b"pepper" * 6)
    assert "pepper" not in repr(session)
    assert "pepper" not in str([session])


def test_the_feed_remembers_an_ending_as_long_as_any_setting_lets_a_token_live() -> None:
    """An operator may shorten the life of tokens while longer ones are still out."""
    policy = SessionPolicy(access_ttl_s=5, idle_ttl_s=60, absolute_ttl_s=60, refresh_grace_s=30, activity_interval_s=10)
    assert policy.feed_ttl_s > MAX_ACCESS_TTL_S


def test_a_record_takes_constant_space() -> None:
    """However often it rotated: no list grows in it."""
    session = a_session()
    for mode in MODES:
        grown = confirmed(msgspec.structs.replace(session, mode=mode), now=NOW, origin="x" * 40, grace=True)
        again = confirmed(grown, now=NOW + 5, origin="x" * 40, grace=False)
        assert len(msgspec.msgpack.encode(again)) - len(msgspec.msgpack.encode(session)) < 60
