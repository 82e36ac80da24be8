"""Where tokens live: the verdict turns with what had success, and a real browser finds open what is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.agora.planting import NOISE, found, outcomes

from propylon.agora.experiment import Study
from propylon.agora.experiments import storage
from propylon.agora.plots import Bars, Matrix
from propylon.agora.results import Findings
from propylon.agora.stage import Stage, Visitor

ACTS, TAKES, LATER, STAYS = "script.acts", "script.takes", "script.later", "script.stays"


def attacked(**succeeded: list[str]) -> Findings:
    """Return what the experiment may find: by place, the attacks that had success there."""
    planted = {
        choice: {place: float(sum(f"{place}." in one for one in attacks)) for place in storage.PLACES}
        | {"works_for_s": 299.6}
        for choice, attacks in succeeded.items()
    }
    return found("storage", planted, {choice: {"succeeded": attacks} for choice, attacks in succeeded.items()})


@pytest.mark.parametrize(
    ("claimed", "outcome"),
    [
        ([], "holds"),
        ([ACTS], "partly"),
        ([ACTS, TAKES, LATER], "partly"),
        ([ACTS, "elsewhere.form"], "does_not_hold"),
        (["next_door.read"], "does_not_hold"),
        (["elsewhere.link"], "does_not_hold"),
    ],
)
def test_the_claim_is_of_two_parts(claimed: list[str], outcome: str) -> None:
    """A hostile page that gets through refutes it; a script that gets through leaves half of it."""
    assert outcomes(storage.EXPERIMENT, attacked(claimed=claimed))[0] == outcome


@pytest.mark.parametrize(
    ("claimed", "told"),
    [
        ([], "Nor had an injected script any success"),
        ([ACTS], "took nothing away that worked elsewhere"),
        ([ACTS, LATER], "worked elsewhere for 5 min"),
        ([ACTS, LATER, STAYS], "worked elsewhere until the session ends"),
        (["elsewhere.form", "next_door.form"], "2 of 12 attacks"),
    ],
)
def test_the_verdict_says_what_the_script_got_and_for_how_long(claimed: list[str], told: str) -> None:
    """In the words of the figures."""
    assert told in storage.judge(attacked(claimed=claimed), NOISE)[0].said.en


@pytest.mark.parametrize(
    ("without", "by_us", "outcome"),
    [
        (["elsewhere.form", "elsewhere.fetch"], ["elsewhere.link"], "holds"),
        (["elsewhere.form"], ["next_door.form"], "no_difference"),
        ([], ["next_door.socket"], "does_not_hold"),
    ],
)
def test_a_check_that_lets_forged_requests_through_is_worth_nothing(
    without: list[str], by_us: list[str], outcome: str
) -> None:
    """What a GET does is told apart, for no check of a cookie is made there."""
    findings = attacked(claimed=[], open=without, cookie=by_us)
    assert outcomes(storage.EXPERIMENT, findings)[1] == outcome


def test_gets_that_change_something_are_told() -> None:
    """An image from next door and two links: the app's own hole, and nobody's check."""
    findings = attacked(claimed=[], open=[], cookie=["elsewhere.link", "next_door.link", "next_door.image"])
    assert "3 of 4 got through" in storage.judge(findings, NOISE)[1].said.en


@pytest.mark.parametrize(("memory", "outcome"), [([ACTS, STAYS], "holds"), ([], "partly")])
def test_a_place_where_no_script_can_act_would_be_told(memory: list[str], outcome: str) -> None:
    """There is none so far."""
    verdict = storage.judge(attacked(claimed=[ACTS], memory=memory), NOISE)[-1]
    assert verdict.outcome == outcome
    assert ("1 of 2 (memory)" in verdict.said.en) == (STAYS in memory)


def test_the_matrix_shows_what_worked_and_for_how_long() -> None:
    """One for each place that attacks come from, and the sum of the hostile pages beside."""
    script, *_, bars = storage.plots(attacked(claimed=[ACTS, LATER, "elsewhere.form", "next_door.link"]))
    assert isinstance(script, Matrix)
    assert [cell.said.en for cell in script.rows[0][1]] == ["no", "yes", "yes, for 5 min", "no"]
    assert isinstance(bars, Bars)
    assert bars.bars[0].value == 2


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage that is cleared away."""
    held = Stage()
    yield held
    held.close()


def attacks(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Findings:
    """Attack two places for real."""
    monkeypatch.setattr(storage, "CHOICES", {name: storage.CHOICES[name] for name in ("open", "cookie")})
    findings = Findings("storage")
    storage.measure(Study("quick", stage, storage.EXPERIMENT.quantities, findings))
    return findings


def test_a_real_browser_finds_open_what_is_open(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a check every forged request arrives; with it none does, and a script takes no more than a token."""
    findings = attacks(stage, monkeypatch)
    assert [variant.reason for variant in findings.variants.values()] == [None, None]
    without, by_us = (set(findings.variants[name].facts["succeeded"]) for name in ("open", "cookie"))
    forged = {f"{place}.{attack}" for place in ("elsewhere", "next_door") for attack in ("form", "fetch", "socket")}
    assert forged <= without
    assert not forged & by_us
    assert {TAKES, ACTS, LATER} <= by_us
    assert STAYS not in by_us
    assert 0 < findings.median("cookie", "works_for_s") <= 300


def test_a_page_that_never_answers_fails_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its browser is ended, the reason is told, and the next place is attacked in another browser."""
    sign_in, visit = storage._sign_in, Visitor.visit

    def hang(scene: storage.Scene, page: Any, choice: str) -> None:
        sign_in(scene, page, choice)
        if choice == "open":
            page.evaluate("() => { for (;;); }")

    def impatient(visitor: Visitor) -> Any:
        return visit(visitor, within_s=next(patience))

    patience = iter((3.0, 60.0))
    monkeypatch.setattr(storage, "_sign_in", hang)
    monkeypatch.setattr(Visitor, "visit", impatient)
    findings = attacks(stage, monkeypatch)
    hung, after = (findings.variants[name] for name in ("open", "cookie"))
    assert hung.status == "failed"
    assert hung.reason is not None
    assert hung.reason.en == "the browser did not answer within 3 s"
    assert after.status == "done"
