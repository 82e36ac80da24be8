"""What has changed between two runs, beyond the noise of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from propylon.agora.experiment import Experiment
from propylon.agora.results import Findings, Results
from propylon.agora.said import Said


@dataclass(frozen=True, slots=True)
class Change:
    """One figure that is another one now.

    Attributes:
        ratio: now over then.
        better: None where neither way is good.
    """

    experiment: str
    variant: Said
    quantity: Said
    unit: str
    before: float
    after: float
    ratio: float
    better: bool | None


def changes(experiments: Sequence[Experiment], now: Results, then: Results) -> list[Change]:
    """Return the figures whose spreads do not meet and whose medians differ by more than the larger noise."""
    noise = max(now.noise, then.noise)
    return [
        change
        for experiment in experiments
        if (new := now.experiments.get(experiment.name)) and (old := then.experiments.get(experiment.name))
        for change in _of_one(experiment, new, old, noise)
    ]


def _of_one(experiment: Experiment, now: Findings, then: Findings, noise: float) -> list[Change]:
    told = []
    for name, variant in now.variants.items():
        for key, figure in variant.figures.items():
            old = then.variants[name].figures.get(key) if name in then.variants else None
            quantity = experiment.quantities.get(key)
            if old is None or quantity is None or not old.median:
                continue
            apart = figure.low > old.high or figure.high < old.low
            ratio = figure.median / old.median
            if apart and abs(ratio - 1) > noise:
                better = None if not quantity.better else (ratio > 1) == (quantity.better == "more")
                told.append(
                    Change(experiment.name, variant.label, quantity.label, quantity.unit, old.median, figure.median,
                           ratio, better)
                )  # fmt: skip
    return told
