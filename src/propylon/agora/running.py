"""Runs experiments: one after the other, each on a stage of its own, keeping what it has after every one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from propylon.agora.experiment import Experiment, Study, judged, status_of
from propylon.agora.figures import busy_loop, noise_of
from propylon.agora.machine import this_machine
from propylon.agora.results import SCHEMA, Effort, Findings, Results, save
from propylon.agora.said import Said
from propylon.agora.stage import Stage

Told = Callable[[Experiment, float], None]
"""Hears of progress: the experiment, and which share of it is done."""


def begun(effort: Effort) -> Results:
    """Return empty results of this machine; measures its noise, which takes some seconds."""
    return Results(
        schema=SCHEMA,
        propylon=metadata.version("propylon"),
        effort=effort,
        started_at=_now(),
        machine=this_machine(),
        noise=noise_of(busy_loop),
    )


def run(experiments: Sequence[Experiment], results: Results, path: Path, told: Told) -> Results:
    """Run experiments into ``results``, which are written to ``path`` after each.

    Those that are in there already and done are not run again, so an interrupted run goes on where it was.
    """
    for experiment in experiments:
        before = results.experiments.get(experiment.name)
        if before is not None and before.status == "done":
            continue
        results.experiments[experiment.name] = _run_one(experiment, results, told)
        save(results, path)
    results.finished_at = _now()
    save(results, path)
    return results


def left_s(experiments: Sequence[Experiment], effort: Effort) -> int:
    """Return how many seconds these are going to take, about."""
    return sum(experiment.takes_s[effort] for experiment in experiments)


def _run_one(experiment: Experiment, results: Results, told: Told) -> Findings:
    findings, stage = Findings(experiment.name), Stage()
    study = Study(results.effort, stage, experiment.quantities, findings, lambda share: told(experiment, share))
    started = time.perf_counter()
    told(experiment, 0.0)
    try:
        experiment.measure(study)
    except Exception as error:  # noqa: BLE001 - one that fails as a whole must not end the others
        findings.reason = Said(str(error) or type(error).__name__, str(error) or type(error).__name__)
        findings.status = "failed"
    else:
        findings.status = status_of(findings)
    finally:
        stage.close()
    findings.took_s = round(time.perf_counter() - started, 1)
    findings.verdicts = judged(experiment, findings, results.noise)
    told(experiment, 1.0)
    return findings


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
