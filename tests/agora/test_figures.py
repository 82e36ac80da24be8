"""Figures that admit how far they can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from propylon.agora.figures import Figure, compare, noise_of, percentile


def figure(*values: float) -> Figure:
    """Return a figure."""
    return Figure("us", values)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((20, 21, 22), (10, 10, 10), "more"),
        ((5, 5, 5), (10, 10, 10), "less"),
        ((10.1, 10.2, 10.1), (10, 10, 10), "none"),
        ((9, 12, 13), (10, 10, 10), "none"),
        ((10, 10, 10), (10, 10, 10), "none"),
        ((), (10, 10), "none"),
        ((5, 5), (0, 0), "none"),
    ],
)
def test_only_what_goes_beyond_noise_and_spread_differs(
    one: Sequence[float], other: Sequence[float], difference: str
) -> None:
    """Ratios on both sides of 1 say nothing, nor does one that is nearer to 1 than the noise."""
    assert compare(figure(*one), figure(*other), 0.03).difference == difference


def test_a_comparison_is_made_round_by_round() -> None:
    """A machine that got twice as slow in the middle got so for both."""
    seen = compare(figure(20, 40, 20), figure(10, 20, 10), 0.03)
    assert (seen.ratio, seen.low, seen.high, seen.difference) == (2, 2, 2, "more")


def test_a_figure_shows_its_spread() -> None:
    """The median, and the smallest and largest of the rounds."""
    one = figure(3, 1, 2)
    assert (one.median, one.low, one.high) == (2, 1, 3)


def test_noise_is_what_two_measurements_of_the_same_differ_by() -> None:
    """None where every measurement is the same; about a half where every second one takes twice as long."""
    assert noise_of(lambda: 1.0) == 0
    turns: Iterator[float] = iter([1.0, 2.0] * 20)
    assert noise_of(lambda: next(turns)) == pytest.approx(0.5)


def test_a_percentile_of_nothing_is_nothing() -> None:
    """And of something, a value that is there."""
    assert percentile((), 0.99) == 0
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(100), 0.99) == 99
