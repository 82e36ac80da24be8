"""Many servers: the verdicts turn with who was signed out, and what the load says is read as it is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.agora.planting import NOISE, found, outcomes

from propylon.agora.experiments import scaleout
from propylon.agora.plots import Lines
from propylon.agora.results import Findings
from propylon.agora.stage import Answered


def served(**signed_out: Any) -> Findings:
    """Return what the experiment may find: by design, who was signed out, or whatever else it had."""
    usual = {"unanswered": 0.0, "p99_ms": 20.0, "busiest": 34.0, "memory": 80.0, "ended_after_s": 0.02}
    planted = {
        design: usual | (told if isinstance(told, dict) else {"signed_out": told})
        for design, told in signed_out.items()
    }
    facts = {design: {"people": 40, "slice_s": 0.5, "refused_share": [0.0, 12.5]} for design in planted}
    return found("scaleout", planted, facts)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (served(sticky=15.0, shared_postgres=0.0), ["holds", "partly"]),
        (served(sticky=0.0, shared_postgres=0.0), ["no_difference", "does_not_hold"]),
        (served(sticky=3.0, shared_redis=3.0), ["no_difference", "holds"]),
        (served(sticky=0.0, shared_redis=9.0), ["does_not_hold", "holds"]),
    ],
)
def test_who_is_signed_out_decides(findings: Findings, expected: list[str]) -> None:
    """A shared store that signs somebody out turns both."""
    assert outcomes(scaleout.EXPERIMENT, findings) == expected


def test_the_worse_of_the_shared_stores_counts() -> None:
    """One that is good does not hide one that is not."""
    findings = served(sticky=15.0, shared_postgres=0.0, shared_redis=20.0)
    assert outcomes(scaleout.EXPERIMENT, findings) == ["does_not_hold", "holds"]


def test_requests_lost_in_a_failover_are_a_cost() -> None:
    """Also where nobody was signed out."""
    failing = {"signed_out": 0.0, "unanswered": 25.0}
    findings = served(sticky=0.0, replicated=failing, shared_postgres=0.0)
    first = scaleout.judge(findings, NOISE)[0]
    assert first.outcome == "holds"
    assert "25 requests without an answer" in first.said.en


@pytest.mark.parametrize(("ended_after_s", "outcome"), [(290.0, "holds"), (0.5, "does_not_hold")])
def test_stateless_tokens_that_could_be_ended_would_turn_it(ended_after_s: float, outcome: str) -> None:
    """Until they expire, or at once."""
    stateless = {"signed_out": 0.0, "ended_after_s": ended_after_s}
    findings = served(sticky=15.0, shared_postgres=0.0, stateless=stateless)
    assert outcomes(scaleout.EXPERIMENT, findings)[2] == outcome


def test_signed_out_is_who_was_refused_and_not_who_got_no_answer() -> None:
    """A person with a single 401 counts, once; 5xx and silence count as requests."""
    answered = Answered(
        statuses={"200": 5, "401": 3, "503": 2, "0": 1},
        by_request=[{"200": 2, "401": 3}, {"200": 2, "503": 2}, {"200": 1, "0": 1}],
        p99_ms=7.0,
    )
    assert scaleout._reading(answered) == {"signed_out": 1, "unanswered": 3, "p99_ms": 7.0}


def test_a_slice_in_which_nobody_asked_is_no_failure() -> None:
    """A half that was refused is 50 %, silence is nothing."""
    answered = Answered(slices=[{"200": 4}, {"200": 1, "401": 1}, {}, {"503": 2}])
    assert scaleout._timeline(answered) == [0.0, 50.0, 0.0, 100.0]


def test_what_was_refused_is_shown_over_time() -> None:
    """One line a design."""
    plot = scaleout.plots(served(sticky=15.0, shared_postgres=0.0))[1]
    assert isinstance(plot, Lines)
    assert [line.xs for line in plot.lines] == [(0.0, 0.5)] * 2
    assert plot.lines[0].ys == (0.0, 12.5)
