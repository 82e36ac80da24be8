"""Findings that a test makes up, to see what a judge makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from propylon.agora.experiment import Experiment
from propylon.agora.figures import Figure
from propylon.agora.results import SCHEMA, Findings, Machine, Results, Variant
from propylon.agora.said import Said

NOISE = 0.03
Planted = Mapping[str, Mapping[str, float | Sequence[float]]]


def found(name: str, planted: Planted, facts: Mapping[str, Mapping[str, Any]] | None = None) -> Findings:
    """Return findings: variant to quantity to the value of every round, or to one value that all rounds had."""
    variants = {}
    for variant, quantities in planted.items():
        figures = {
            quantity: Figure("", (value,) * 3 if isinstance(value, int | float) else tuple(value))
            for quantity, value in quantities.items()
        }
        told = dict((facts or {}).get(variant, {}))
        variants[variant] = Variant(variant, Said(variant, f"{variant} 한국어"), figures=figures, facts=told)
    return Findings(name, status="done", variants=variants)


def results(*findings: Findings, noise: float = NOISE) -> Results:
    """Return results of a machine that does not exist."""
    machine = Machine("a processor", 2, 2**31, "Linux", "3.11", {"granian": "2.0"})
    held = {one.name: one for one in findings}
    return Results(SCHEMA, "0.1.0", "quick", "2026-11-25T00:00:00Z", machine, noise, "2026-11-25T00:03:00Z", held)


def outcomes(experiment: Experiment, findings: Findings) -> list[str]:
    """Return what the judge makes of findings."""
    return [verdict.outcome for verdict in experiment.judge(findings, NOISE)]
