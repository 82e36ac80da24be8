"""What an experiment is, and the study in which it measures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from propylon.agora.figures import Figure
from propylon.agora.plots import Plot
from propylon.agora.results import Effort, Findings, NotMeasured, Status, Variant, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Absent, Stage

# Connections are open by then, and what is asked for again and again has been asked for some hundred times.
WARM_UP_S = 0.2
# As many as the smallest machine has processors that the agora is made for.
AT_ONCE = 2

logger = logging.getLogger("propylon.agora")

Reading = Mapping[str, float]
"""Quantity to value, of one round."""

Measure = Callable[[], Reading]
Prepare = Callable[[Stage, ExitStack], Measure]
"""Starts what a variant needs (whatever it starts is ended by the stack) and returns what one round measures.

Others are started at the same time, from other threads.
"""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that is measured.

    Attributes:
        label: for tables and axes.
        unit: as ``Figure.unit``.
        better: which way is good; empty where neither is.
    """

    label: Said
    unit: str = ""
    better: str = ""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One variant before it is measured."""

    name: str
    label: Said
    prepare: Prepare


@dataclass(frozen=True, slots=True)
class Experiment:
    """One question of the debate.

    Attributes:
        rows: of the mission that it answers, such as ``Q2``.
        claims: as they were made, in order; verdicts refer to them.
        method: three sentences.
        would_change: what would change the verdict.
        quantities: what the variants' figures mean.
        takes_s: seconds by effort, for the time that is left.
        measure: measures into a study.
        judge: computes the verdicts; ``NotMeasured`` leaves them open.
        plots: draws the findings.
    """

    name: str
    rows: tuple[str, ...]
    question: Said
    claims: tuple[Said, ...]
    method: Said
    would_change: Said
    quantities: Mapping[str, Quantity]
    takes_s: Mapping[Effort, int]
    measure: Callable[[Study], None]
    judge: Callable[[Findings, float], Sequence[Verdict]]
    plots: Callable[[Findings], Sequence[Plot]]


@dataclass(slots=True)
class Study:
    """Where an experiment measures. What fails here fails alone: the rest goes on, and says why.

    Attributes:
        effort: ``quick`` or ``full``; an experiment scales by it.
        stage: the servers and programs of this machine.
        findings: what was found so far.
        progress: told of each step, a share between 0 and 1.
        warming: whether what is measured now does not count.
    """

    effort: Effort
    stage: Stage
    quantities: Mapping[str, Quantity]
    findings: Findings
    progress: Callable[[float], None] = field(default=lambda _: None)
    warming: bool = False

    @property
    def rounds(self) -> int:
        """How often each variant is measured."""
        return 3 if self.effort == "quick" else 5

    def pick(self, quick: Any, full: Any) -> Any:
        """Return what fits the effort."""
        return quick if self.effort == "quick" else full

    def span_s(self, quick: float, full: float) -> float:
        """Return how long to go on: as ``pick``, and no longer than it takes to get warm where it does not count."""
        return min(WARM_UP_S, quick) if self.warming else float(self.pick(quick, full))

    def compare(self, contestants: Sequence[Contestant], *, rounds: int | None = None, warm_up: bool = True) -> None:
        """Measure all of them once a round, so that a machine that drifts drifts for all.

        Each is warmed up by one reading that does not count, unless every reading starts from nothing anyway.
        """
        rounds = rounds or self.rounds
        with ExitStack() as stack:
            running = self._prepared(contestants, stack)
            if warm_up:
                self._warm_up(running)
            for number in range(rounds):
                for name in tuple(running):
                    reading = self._read(name, running[name])
                    if reading is None:
                        del running[name]
                    else:
                        self._keep(name, reading)
                self.progress((number + 1) / rounds)

    def once(self, name: str, label: Said, action: Callable[[Stage], Reading], **facts: Any) -> None:
        """Measure something that is measured a single time, without a warm-up."""
        self.findings.variants[name] = Variant(name, label, facts=facts)
        reading = self._read(name, lambda: action(self.stage))
        if reading is not None:
            self._keep(name, reading)

    def note(self, name: str, **facts: Any) -> None:
        """Keep what is no figure with a variant."""
        self.findings.variants[name].facts.update(facts)

    def _prepared(self, contestants: Sequence[Contestant], stack: ExitStack) -> dict[str, Measure]:
        """Start what they need, some at the same time, for starting is work of one processor each."""
        running = {}
        own = [stack.enter_context(ExitStack()) for _ in contestants]
        with _threads() as threads:
            starting = [threads.submit(one.prepare, self.stage, its) for one, its in zip(contestants, own, strict=True)]
            for one, its, started in zip(contestants, own, starting, strict=True):
                self.findings.variants[one.name] = Variant(one.name, one.label)
                try:
                    running[one.name] = started.result()
                except BaseException as error:  # noqa: BLE001 - as below
                    its.close()
                    self._fell(one.name, error)
        return running

    def _warm_up(self, running: dict[str, Measure]) -> None:
        self.warming = True
        for name in tuple(running):
            if self._read(name, running[name]) is None:
                del running[name]
        self.warming = False

    def _read(self, name: str, measure: Measure) -> Reading | None:
        try:
            return measure()
        except BaseException as error:  # noqa: BLE001 - told by ``_fell``, which lets an interruption through
            self._fell(name, error)
            return None

    def _fell(self, name: str, error: BaseException) -> None:
        """Note why a variant has no figures, or no more of them; an interruption is passed on."""
        if not isinstance(error, Exception):
            raise error
        variant = self.findings.variants[name]
        if isinstance(error, Absent):
            variant.status, variant.reason = "not_run", error.said
            return
        logger.debug("%s failed", name, exc_info=error)
        variant.status, variant.reason = "failed", Said(str(error) or type(error).__name__, str(error) or "오류")

    def _keep(self, name: str, reading: Reading) -> None:
        figures = self.findings.variants[name].figures
        for quantity, value in reading.items():
            before = figures[quantity].values if quantity in figures else ()
            figures[quantity] = Figure(self.quantities[quantity].unit, (*before, float(value)))


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    threads = ThreadPoolExecutor(AT_ONCE)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)  # an interruption does not wait for what has not begun


def judged(experiment: Experiment, findings: Findings, noise: float) -> list[Verdict]:
    """Return the verdicts; open ones where too little was measured."""
    try:
        return list(experiment.judge(findings, noise))
    except NotMeasured as missing:
        said = Said("Too little was measured: {variant} is missing.", "측정이 부족합니다: {variant} 결과가 없습니다.")
        variant = findings.variants.get(missing.variant)
        label = variant.label if variant is not None else Said(missing.variant, missing.variant)
        return [Verdict(None, "open", said.filled(variant=label))]


def status_of(findings: Findings) -> Status:
    """Return the status of a whole from those of its variants."""
    states = {variant.status for variant in findings.variants.values()}
    if states <= {"done"}:
        return "done" if states else "not_run"
    if "done" in states or any(variant.figures for variant in findings.variants.values()):
        return "partly"
    return "failed" if "failed" in states else "not_run"
