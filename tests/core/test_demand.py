"""``core.demand``: what a route asks of whoever calls it."""

from __future__ import annotations

from typing import Any

import pytest

from propylon import CredentialRefused, Demand, Forbidden, Principal
from propylon.core.demand import SIGNED_IN

NOW = 1_800_000_000


def principal(**said: Any) -> Principal:
    """Return somebody who signed in ten minutes ago, with a token that is good for one more."""
    facts: dict[str, Any] = {
        "user_id": "u",
        "session_id": "s",
        "credential": "access_token",
        "roles": frozenset({"editor"}),
        "permissions": frozenset({"read", "write"}),
        "scopes": frozenset(),
        "auth_time": NOW - 600,
        "expires_at": NOW + 60,
    }
    return Principal(**{**facts, **said})


def refusal(who: Principal, **asked: Any) -> CredentialRefused | Forbidden | None:
    """Return what a demand says to somebody."""
    try:
        Demand.of(**asked).check(who, NOW)
    except (CredentialRefused, Forbidden) as refused:
        return refused
    return None


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"roles": "editor"},
        {"roles": ["editor"], "permissions": ["read", "write"]},
        {"scopes": "orders"},
        {"fresh_s": 600},
        {"left_s": 60},
    ],
)
def test_who_meets_a_demand_passes(asked: dict[str, Any]) -> None:
    """All of it is met, to the second; a token that names no scope covers what its user may do."""
    assert refusal(principal(), **asked) is None


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"roles": "admin"}, "forbidden"),
        ({"roles": ["editor", "admin"]}, "forbidden"),
        ({"permissions": ["read", "delete"]}, "forbidden"),
        ({"fresh_s": 599}, "reauthentication_required"),
        ({"left_s": 61}, "token_expiring"),
        ({"roles": "admin", "fresh_s": 1, "left_s": 3_600}, "forbidden"),
        ({"fresh_s": 1, "left_s": 3_600}, "reauthentication_required"),
    ],
)
def test_who_lacks_anything_is_refused(asked: dict[str, Any], code: str) -> None:
    """Every part counts, and nobody is asked for a password who would then be turned away."""
    refused = refusal(principal(), **asked)
    assert refused is not None
    assert refused.code == code


@pytest.mark.parametrize("scopes", [{"invoices"}, {"orders", "invoices"}])
def test_a_narrowed_token_covers_its_scopes_alone(scopes: set[str]) -> None:
    """A token that was narrowed to one scope opens nothing that needs another, whatever its user may do."""
    narrowed = principal(scopes=frozenset({"orders"}))
    assert refusal(narrowed, scopes="orders") is None
    refused = refusal(narrowed, scopes=scopes)
    assert isinstance(refused, Forbidden)
    assert (refused.code, refused.facts["scope"]) == ("insufficient_scope", " ".join(sorted(scopes)))


def test_a_cookie_needs_no_time_left() -> None:
    """Every request renews a cookie session, so it does not end in the middle of an order."""
    assert refusal(principal(credential="cookie", expires_at=NOW + 1), left_s=60) is None


@pytest.mark.parametrize("asked", [{"fresh_s": 0}, {"fresh_s": -1}, {"left_s": -1}])
def test_what_nobody_can_meet_is_refused_when_it_is_written(asked: dict[str, Any]) -> None:
    """A slip of the pen shows at the start of the app, not as a route that refuses everybody."""
    with pytest.raises(ValueError, match="nobody can meet"):
        Demand.of(**asked)


@pytest.mark.parametrize("asked", [{}, {"roles": ()}, {"roles": [], "scopes": frozenset(), "left_s": 0}])
def test_a_demand_of_nothing_is_that_somebody_is_signed_in(asked: dict[str, Any]) -> None:
    """It is one object, by which a route knows that there is nothing more to check."""
    assert Demand.of(**asked) is SIGNED_IN


@pytest.mark.parametrize(
    "asked",
    [{"roles": "a"}, {"permissions": "a"}, {"scopes": "a"}, {"fresh_s": 1}, {"left_s": 1}, {"roles": ""}],
)
def test_a_demand_of_anything_is_checked(asked: dict[str, Any]) -> None:
    """Nothing that a route names is taken for nothing."""
    assert Demand.of(**asked) is not SIGNED_IN
