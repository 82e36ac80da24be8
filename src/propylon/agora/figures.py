"""Figures that admit how far they can be trusted: medians with their spread, and what differs beyond the noise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Annotated, Literal

import msgspec

Difference = Literal["more", "less", "none"]


class Figure(msgspec.Struct, frozen=True):
    """One quantity, measured once a round.

    Attributes:
        unit: such as ``req/s``, ``us``, ``bytes``; empty for a count or a ratio.
        values: of the rounds, in order; never none.
    """

    unit: str
    values: Annotated[tuple[float, ...], msgspec.Meta(min_length=1)]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest of the rounds."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest of the rounds."""
        return max(self.values)


class Comparison(msgspec.Struct, frozen=True):
    """One figure over another, round by round.

    Attributes:
        ratio: the median of the rounds' ratios.
        difference: ``none`` while the ratios lie on both sides of 1, or nearer to it than the noise.
    """

    ratio: float
    low: float
    high: float
    difference: Difference


def compare(figure: Figure, baseline: Figure, noise: float) -> Comparison:
    """Compare two figures that were measured in the same rounds.

    Args:
        figure: what is compared.
        baseline: what it is compared to.
        noise: by how much two measurements of the same thing differ on this machine, as a share.
    """
    ratios = [one / other for one, other in zip(figure.values, baseline.values, strict=False) if other]
    if not ratios:
        return Comparison(0.0, 0.0, 0.0, "none")
    ratio, low, high = statistics.median(ratios), min(ratios), max(ratios)
    return Comparison(ratio, low, high, _difference(ratio, low, high, noise))


def _difference(ratio: float, low: float, high: float, noise: float) -> Difference:
    if low <= 1 <= high or abs(ratio - 1) <= noise:
        return "none"
    return "more" if ratio > 1 else "less"


def noise_of(work: Callable[[], float], rounds: int = 7) -> float:
    """Return by what share two measurements of the same work differ here: the largest of pairs, one after the other."""
    pairs = [(work(), work()) for _ in range(rounds)]
    return statistics.quantiles([abs(one - other) / max(one, other) for one, other in pairs], n=10)[-1]


def busy_loop(iterations: int = 300_000) -> float:
    """Return the seconds that a fixed piece of work takes."""
    started, total = perf_counter(), 0
    for number in range(iterations):
        total += number & 7
    return perf_counter() - started


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of all values lie; 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spelled(value: float) -> str:
    """Return a figure as people read it: three digits that count, thousands with commas."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"
