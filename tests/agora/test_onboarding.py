"""From nothing: the verdicts turn with the steps, and the steps are those that were really taken."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from tests.agora.planting import Planted, found, outcomes

from propylon.agora.experiments import onboarding
from propylon.agora.plots import Matrix
from propylon.agora.stage import Stage


def begun(**more: dict[str, float]) -> Planted:
    """Return what the experiment may find: both modes alike, but for what is told."""
    one = {"commands": 1.0, "settings": 1.0, "servers": 0.0, "first_s": 2.0}
    several = {"commands": 6.0, "settings": 4.0, "servers": 1.0, "first_s": 5.0, "second_s": 6.0}
    planted = {f"{size}_{mode}": values for mode in ("cookie", "bearer") for size, values in
               (("one", one), ("postgres", several))}  # fmt: skip
    return {name: {**planted.get(name, several), **more.get(name, {})} for name in {**planted, **more}}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ["no_difference", "no_difference"]),
        ({"elsewhere_bearer": {}}, ["partly", "no_difference"]),
        ({"one_cookie": {"servers": 1.0}}, ["holds", "no_difference"]),
        ({"postgres_cookie": {"settings": 5.0}}, ["no_difference", "holds"]),
        ({"postgres_bearer": {"commands": 7.0}}, ["no_difference", "does_not_hold"]),
        ({"one_cookie": {"settings": 2.0}}, ["no_difference", "does_not_hold"]),
        ({"redis_cookie": {"settings": 6.0}, "redis_bearer": {}}, ["no_difference", "holds"]),
    ],
)
def test_one_step_more_turns_it(more: dict[str, dict[str, float]], expected: list[str]) -> None:
    """What counts is the way from one server to several; a longer beginning makes that way shorter."""
    assert outcomes(onboarding.EXPERIMENT, found("onboarding", begun(**more))) == expected


def test_what_was_left_out_is_not_counted_as_nothing() -> None:
    """The matrix says so."""
    plot = onboarding.plots(found("onboarding", begun()))[0]
    assert isinstance(plot, Matrix)
    shown = {label.en: [cell.said.en for cell in cells] for label, cells in plot.rows}
    assert shown["one server, SQLite"] == ["1 commands, 1 settings"] * 2 + ["not run"]
    assert shown["three servers, Redis and PostgreSQL"] == ["not run"] * 3


@pytest.fixture
def stage() -> Any:
    """A stage that is cleared away."""
    held = Stage()
    yield held
    held.close()


class Watched(onboarding.Operator):
    """One that shows the service elsewhere something else as well."""

    def verifies(self, issuer: str, secret: str, token: str) -> None:
        """Do as always, and then with what is no token."""
        super().verifies(issuer, secret, token)
        with pytest.raises(RuntimeError, match="elsewhere refused: credential_malformed"):
            onboarding.Operator(self._stage, self._stack).verifies(issuer, secret, "no token")


def test_a_service_elsewhere_is_reached_by_cookie_in_one_request_more(stage: Stage) -> None:
    """Real servers from an empty folder; every command and setting is in the list, and a refusal is no success."""
    with ExitStack() as stack:
        operator = Watched(stage, stack)
        operator.sets(mode="cookie")
        onboarding.STORIES["elsewhere"](operator, "cookie")
        reading = operator.reading()
    assert operator.steps == [
        "set mode", "run propylon serve", "run propylon verifiers add orders",
        "set issuer", "set audience", "set verifier_secret", "run the service",
    ]  # fmt: skip
    assert {name: reading[name] for name in ("commands", "settings", "servers", "requests")} == {
        "commands": 3, "settings": 4, "servers": 0, "requests": 4,
    }  # fmt: skip
    assert 0 < reading["first_s"] < reading["second_s"]
