"""What fails in an experiment fails alone, says why, and leaves the rest as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import cast

import pytest
from tests.agora.planting import NOISE, found, results

from propylon.agora import running
from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Study, judged, status_of
from propylon.agora.experiments import load
from propylon.agora.results import Findings
from propylon.agora.results import load as loaded
from propylon.agora.said import Said
from propylon.agora.stage import Absent, Stage

QUANTITIES = {"us": Quantity(Said("time", "시간"), "us", "less")}
NOWHERE = cast("Stage", None)


def study(findings: Findings) -> Study:
    """Return a study that needs no stage."""
    return Study("quick", NOWHERE, QUANTITIES, findings)


def contestant(name: str, values: Sequence[float | BaseException], *, ended: list[str] | None = None) -> Contestant:
    """Return one that reads these values, the first of them to warm up, and tells when it is ended."""
    rest = iter(values)

    def prepare(_: Stage, stack: ExitStack) -> object:
        stack.callback((ended if ended is not None else []).append, name)

        def measure() -> dict[str, float]:
            value = next(rest)
            if isinstance(value, BaseException):
                raise value
            return {"us": value}

        return measure

    return Contestant(name, Said(name, name), cast("Prepare", prepare))


def test_everyone_is_measured_once_a_round_after_a_warm_up() -> None:
    """The first reading does not count."""
    findings = Findings("x")
    study(findings).compare([contestant("a", [99, 1, 2, 3]), contestant("b", [99, 4, 5, 6])])
    assert findings.figure("a", "us").values == (1, 2, 3)
    assert findings.figure("b", "us").values == (4, 5, 6)
    assert status_of(findings) == "done"


def test_what_begins_from_nothing_every_time_is_not_warmed_up() -> None:
    """Its first reading counts."""
    findings = Findings("x")
    study(findings).compare([contestant("a", [1, 2])], rounds=2, warm_up=False)
    assert findings.figure("a", "us").values == (1, 2)


def test_one_that_breaks_in_the_middle_keeps_what_it_had() -> None:
    """The others go on, and everything that was started is ended."""
    findings = Findings("x")
    ended: list[str] = []
    broken = contestant("a", [99, 1, RuntimeError("the server is gone")], ended=ended)
    study(findings).compare([broken, contestant("b", [99, 4, 5, 6], ended=ended)])
    assert findings.variants["a"].status == "failed"
    assert findings.variants["a"].reason == Said("the server is gone", "the server is gone")
    assert findings.figure("a", "us").values == (1,)
    assert findings.figure("b", "us").values == (4, 5, 6)
    assert sorted(ended) == ["a", "b"]
    assert status_of(findings) == "partly"


def test_one_that_breaks_while_it_starts_is_ended_at_once() -> None:
    """What it had started until then too."""
    findings = Findings("x")
    ended: list[str] = []
    study(findings).compare([contestant("a", [RuntimeError("no")], ended=ended)])
    assert (ended, status_of(findings)) == (["a"], "failed")


def test_what_is_missing_on_a_machine_is_not_run_and_says_what_to_install() -> None:
    """It is no failure."""
    findings = Findings("x")
    missing = contestant("a", [Absent("redis-server", "redis-server")])
    study(findings).compare([missing, contestant("b", [9, 1, 2, 3])])
    variant = findings.variants["a"]
    assert variant.status == "not_run"
    assert variant.reason is not None
    assert "apt install redis-server" in variant.reason.en
    assert "apt install redis-server" in variant.reason.ko


def test_two_start_at_the_same_time() -> None:
    """Each waits for the other, and both are measured."""
    findings, both = Findings("x"), Barrier(2, timeout=30)

    def meets(one: Contestant) -> Contestant:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            both.wait()
            return one.prepare(stage, stack)

        return replace(one, prepare=prepare)

    study(findings).compare([meets(contestant(name, [9, 1, 2, 3])) for name in "ab"])
    assert [variant.figures["us"].values for variant in findings.variants.values()] == [(1, 2, 3)] * 2


def test_what_does_not_count_is_short() -> None:
    """A warm-up goes on for less than a round, and never for longer than one."""
    one, spans = study(Findings("x")), list[tuple[float, float]]()

    def notes() -> dict[str, float]:
        spans.append((one.span_s(0.6, 3.0), one.span_s(0.1, 3.0)))
        return {"us": 1}

    one.compare([Contestant("a", Said("a", "a"), lambda *_: notes)], rounds=1)
    assert spans == [(0.2, 0.1), (0.6, 0.1)]


def test_an_interruption_is_passed_on_and_ends_what_was_started() -> None:
    """Ctrl-C is not the failure of a variant."""
    findings = Findings("x")
    ended: list[str] = []
    stopped = contestant("a", [9, 1, KeyboardInterrupt()], ended=ended)
    with pytest.raises(KeyboardInterrupt):
        study(findings).compare([stopped])
    assert ended == ["a"]


def test_a_verdict_that_lacks_its_figures_stays_open() -> None:
    """It names what is missing."""
    verdicts = judged(load.EXPERIMENT, found("load", {"cookie": {"processor_us": 1}}), NOISE)
    assert [verdict.outcome for verdict in verdicts] == ["open"]
    assert "token" in verdicts[0].said.en


def experiment(name: str, measure: Callable[[Study], None]) -> Experiment:
    """Return an experiment that claims nothing."""
    nothing = Said("", "")
    return Experiment(
        name,
        (),
        nothing,
        (),
        nothing,
        nothing,
        QUANTITIES,
        {"quick": 1, "full": 1},
        measure,
        lambda *_: (),
        lambda _: (),
    )


def test_an_experiment_that_breaks_as_a_whole_ends_no_other(tmp_path: Path) -> None:
    """Its reason is kept, and what came after it is there."""

    def breaks(_: Study) -> None:
        raise RuntimeError("as a whole")

    def works(one: Study) -> None:
        one.once("a", Said("a", "a"), lambda _: {"us": 1})

    held = results()
    running.run([experiment("one", breaks), experiment("two", works)], held, tmp_path / "r.json", lambda *_: None)
    again = loaded(tmp_path / "r.json")
    assert (again.experiments["one"].status, again.experiments["two"].status) == ("failed", "done")
    assert again.experiments["one"].reason == Said("as a whole", "as a whole")
    assert again.finished_at is not None


def test_a_run_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was done is not done again; what had failed is."""
    ran: list[str] = []

    def noting(name: str) -> Experiment:
        def measure(one: Study) -> None:
            ran.append(name)
            one.once("a", Said("a", "a"), lambda _: {"us": 1})

        return experiment(name, measure)

    def interrupts(_: Study) -> None:
        raise KeyboardInterrupt

    path, held = tmp_path / "r.json", results()
    with pytest.raises(KeyboardInterrupt):
        running.run([noting("one"), experiment("two", interrupts)], held, path, lambda *_: None)
    held = loaded(path)
    assert held.finished_at is not None or list(held.experiments) == ["one"]
    running.run([noting("one"), noting("two")], held, path, lambda *_: None)
    assert ran == ["one", "two"]
