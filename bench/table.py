"""Results, their budgets, and how they are shown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.table import Table

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """One measured figure beside its budget.

    Attributes:
        figure: the median of the rounds.
        spread: smallest and largest of the rounds.
        budget: the bound; ``at_most`` says on which side of it is good.
    """

    what: str
    figure: float
    spread: tuple[float, float]
    unit: str
    budget: float
    at_most: bool = True
    remark: str = ""

    @property
    def kept(self) -> bool:
        """Whether the budget is kept."""
        return self.figure <= self.budget if self.at_most else self.figure >= self.budget


def median_of(rounds: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Return the median, and the smallest and largest."""
    return statistics.median(rounds), (min(rounds), max(rounds))


def microseconds(call: Callable[[], object], calls: int = 20_000) -> float:
    """Return the time of one call in microseconds, over ``calls`` of them."""
    started = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - started) / calls * 1e6


def interleaved(rounds: int, *contestants: Callable[[], T]) -> list[list[T]]:
    """Run every contestant once a round, so that a drifting machine drifts for all of them."""
    measured: list[list[T]] = [[] for _ in contestants]
    for _ in range(rounds):
        for figures, contestant in zip(measured, contestants, strict=True):
            figures.append(contestant())
    return measured


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / other for one, other in zip(of, to, strict=True)]


def show(results: Sequence[Result]) -> None:
    """Print the table."""
    table = Table(title="Budgets", title_justify="left")
    for heading in ("what", "measured", "rounds", "budget", ""):
        table.add_column(heading, justify="left" if heading in ("what", "") else "right")
    for result in results:
        low, high = result.spread
        sign = "<=" if result.at_most else ">="
        table.add_row(
            f"{result.what}\n[dim]{result.remark}[/dim]" if result.remark else result.what,
            f"{result.figure:.2f} {result.unit}",
            f"{low:.2f} - {high:.2f}",
            f"{sign} {result.budget:g} {result.unit}",
            "[green]kept[/green]" if result.kept else "[red]missed[/red]",
        )
    Console().print(table)
