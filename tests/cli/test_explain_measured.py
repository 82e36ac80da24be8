"""What ``propylon explain`` says of costs: figures of this machine that fit the settings, or what measures them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agora.planting import found, results
from tests.cli.conftest import Run
from tests.cli.terminal import Ran

from propylon.agora.machine import this_machine
from propylon.agora.results import SCHEMA, Results, save
from propylon.language import LANGUAGES, catalogue

DEFAULT = Path("agora/results.json")
REDIS = ("--session-store", "redis://h")
WHEN = "25 November 2026"


def a_run() -> Results:
    """Return results of this machine in which every figure is another number."""
    held = results(
        found(
            "load",
            {
                "cookie": {"processor_us": (31.0, 33.0, 32.0)},
                "cookie_postgres": {"processor_us": 41},
                "cookie_redis": {"processor_us": 51},
                "token": {"processor_us": 61},
            },
        ),
        found("crypto", {"es256": {"verify_us": 67}, "eddsa": {"verify_us": 92}}),
        found(
            "traffic",
            {
                "cookie": {"request_1": 496, "request_2": 22},
                "es256": {"request_1": 883, "request_2": 23, "never_indexed_2": 394},
            },
        ),
        found("stores", {"sqlite": {"look_ups_per_second": 13_001}, "redis": {"look_ups_per_second": 13_901}}),
        found("revocation", {"sqlite": {"p99_ms": 0.11}, "postgres": {"p99_ms": 0.22}, "redis": {"p99_ms": 0.33}}),
    )
    held.machine = this_machine()
    return held


@pytest.fixture
def explained(program: Run) -> Callable[..., str]:
    """What is said of costs, in one line, after a run was kept (or not)."""

    def explain(*arguments: str, held: Results | None = None, at: Path = DEFAULT) -> str:
        if held is not None:
            at.parent.mkdir(exist_ok=True)
            save(held, at)
        ran = program("explain", *arguments)
        assert (ran.status, ran.err) == (0, ""), ran.err
        return " ".join(ran.out.partition("What it costs")[2].split())

    return explain


def test_figures_of_a_cookie_are_those_of_its_store(explained: Callable[..., str]) -> None:
    """With the lowest and the highest round; tokens and other stores cost something else."""
    said = explained(held=a_run())
    for figure in ("32 us", "31 to 33", "13,001 look-ups", "496 bytes", "22 bytes", "0.11 ms"):
        assert figure in said
    for other in ("41", "51", "61", "67", "883", "13,901", "0.22", "0.33"):
        assert other not in said.replace(WHEN, "")
    assert "propylon agora run" not in said


def test_figures_of_a_token_are_those_of_its_algorithm(explained: Callable[..., str]) -> None:
    """And of its store."""
    said = explained("--mode", "bearer", held=a_run())
    for figure in ("61 us", "ES256 token takes 67 us", "883 bytes", "23 bytes", "394 bytes"):
        assert figure in said
    assert "496" not in said
    assert "look-ups" not in said


def test_another_store_takes_none_of_these_figures(explained: Callable[..., str]) -> None:
    """Tokens beside Redis were not measured, and a quick run would not either."""
    said = explained("--mode", "bearer", *REDIS, held=a_run())
    assert said.endswith("propylon agora run load crypto traffic revocation")
    assert "0.33 ms" in said
    assert "61 us" not in said
    assert "0.11" not in said


def test_another_algorithm_takes_none_of_these_figures(
    explained: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks is named, with the command."""
    monkeypatch.setenv("PROPYLON_ALGORITHM", "EdDSA")
    said = explained("--mode", "hybrid", held=a_run())
    assert "EdDSA token takes 92 us" in said
    assert "883" not in said
    assert "61 us" not in said
    # ``traffic`` counts as done, so only a run from the beginning measures what it lacks.
    assert said.endswith("propylon agora run load crypto traffic revocation")


def test_what_no_experiment_measures_is_said(explained: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Other figures stand for nothing."""
    monkeypatch.setenv("PROPYLON_ALGORITHM", "RS256")
    said = explained("--mode", "bearer", *REDIS, held=a_run())
    assert "no experiment measures" in said
    assert "61 us" not in said


@pytest.mark.parametrize("effort", ["quick", "full"])
@pytest.mark.parametrize("mode", ["cookie", "bearer", "hybrid"])
def test_every_figure_is_said_with_when_and_at_what_effort(
    explained: Callable[..., str], program: Run, mode: str, effort: Any
) -> None:
    """Also one that is quoted alone, and to programs."""
    held = a_run()
    held.effort = effort
    explained("--mode", mode, held=held)
    told = json.loads(program("explain", "--mode", mode, "--json").out)
    figures = told["measured"]["figures"]
    assert len(figures) >= 5
    assert {(one["started_at"], one["effort"]) for one in figures} == {("2026-11-25T00:00:00Z", effort)}
    assert all(one["low"] <= one["median"] <= one["high"] and one["rounds"] == 3 for one in figures)
    said = [sentence for sentence in told["sentences"] if f"{effort} run, {WHEN}" in sentence]
    assert len(said) == len(figures)


def test_without_results_it_says_what_measures_what(explained: Callable[..., str], program: Run) -> None:
    """Nothing was measured, and no figure of ours stands in for it."""
    said = explained()
    assert "There are no results of the agora at agora/results.json." in said
    assert said.endswith("propylon agora run --quick load stores traffic revocation")
    elsewhere = explained("--mode", "bearer", "--out", "there")
    assert elsewhere.endswith("propylon agora run --quick --out there load crypto traffic revocation")
    told = json.loads(program("explain", "--json").out)["measured"]
    assert told == {
        "path": "agora/results.json",
        "propylon": None,
        "noise": None,
        "figures": [],
        "missing": ["load", "stores", "traffic", "revocation"],
        "not_covered": [],
    }


@pytest.mark.parametrize("effort", ["quick", "full"])
def test_what_failed_is_measured_anew_beside_what_is_there(explained: Callable[..., str], effort: Any) -> None:
    """At the same effort, and only that; the results that are there stay."""
    held = a_run()
    held.effort = effort
    held.experiments["load"] = found("load", {})
    held.experiments["load"].status = "failed"
    del held.experiments["revocation"]
    said = explained(held=held)
    assert "Not measured here: load, revocation." in said
    quick = "--quick " if effort == "quick" else ""
    assert said.endswith(f"propylon agora run {quick}--resume load revocation")
    assert "496 bytes" in said


def test_results_of_another_machine_are_none(explained: Callable[..., str], program: Run) -> None:
    """Nobody's results are overwritten by what is proposed instead."""
    held = a_run()
    held.machine = results().machine
    said = explained(held=held)
    assert "another machine (a processor, 2 cores)" in said
    assert "32 us" not in said
    assert said.endswith("propylon agora run --quick --out agora-here load stores traffic revocation")
    assert json.loads(program("explain", "--json").out)["measured"]["figures"] == []


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"schema": 3}',
    b'{"schema": "propylon-agora/1"}',
    json.dumps({"schema": "propylon-agora/0", "of": "another shape"}).encode(),
]


def damaged(change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return results that somebody has edited."""
    path = Path("whole.json")
    save(a_run(), path)
    told = json.loads(path.read_bytes())
    change(told)
    return json.dumps(told).encode()


def _no_rounds(told: dict[str, Any]) -> None:
    told["experiments"]["load"]["variants"]["cookie"]["figures"]["processor_us"]["values"] = []


def _no_time(told: dict[str, Any]) -> None:
    told["started_at"] = "yesterday"


def _no_effort(told: dict[str, Any]) -> None:
    told["effort"] = "some"


def _named(content: Any) -> str:
    return content.__name__ if callable(content) else str(content)


@pytest.mark.parametrize("content", [*BROKEN, _no_rounds, _no_time, _no_effort], ids=_named)
def test_broken_results_are_said_and_settings_explained_all_the_same(program: Run, content: Any) -> None:
    """A file that happens to lie there, perhaps of an older version, is no reason to say nothing."""
    DEFAULT.parent.mkdir()
    DEFAULT.write_bytes(damaged(content) if callable(content) else content)
    ran = program("explain")
    said = " ".join(ran.out.split())
    assert (ran.status, ran.err) == (0, "")
    assert "agora/results.json" in said.partition("What it costs")[2]
    assert "No figure is taken from it." in said
    assert "propylon agora run --quick load" in said


@pytest.mark.parametrize("content", [*BROKEN, _no_rounds, _no_time, _no_effort], ids=_named)
def test_broken_results_that_were_asked_for_are_refused(program: Run, content: Any) -> None:
    """Whoever names them expects figures; the reason says which file."""
    Path("mine").mkdir()
    Path("mine/results.json").write_bytes(damaged(content) if callable(content) else content)
    ran = program("explain", "--out", "mine")
    assert (ran.status, ran.out) == (1, "")
    assert "mine/results.json" in ran.err
    assert "Traceback" not in ran.err


def test_results_of_another_schema_are_told_apart_from_broken_ones(program: Run) -> None:
    """Also where its shape is another one: it was right for the version that wrote it."""
    Path("mine").mkdir()
    Path("mine/results.json").write_bytes(BROKEN[-1])
    refused: Ran = program("explain", "--out", "mine")
    assert f"schema propylon-agora/0, this version reads {SCHEMA}" in refused.err


def test_a_file_where_a_directory_should_be_is_refused(program: Run) -> None:
    """By the option itself."""
    Path("mine").write_text("")
    assert program("explain", "--out", "mine").status == 2


@pytest.mark.parametrize(
    "stores",
    [
        ("--store", "redis://h"),
        ("--store", "mysql://h"),
        ("--session-store", "postgresql://h/p"),
        ("--store", "memory://", *REDIS),
    ],
    ids=" ".join,
)
def test_stores_that_serve_refuses_are_not_explained(program: Run, stores: tuple[str, ...]) -> None:
    """What they would do when they are away is nothing."""
    refused = program("explain", "--mode", "cookie", *stores)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("Error: ")


def test_figures_are_read_where_the_agora_cannot_run(tmp_path: Path) -> None:
    """Its packages are an extra; nor is the server loaded, so that it stays fast."""
    (tmp_path / "agora").mkdir()
    save(a_run(), tmp_path / DEFAULT)
    script = (
        "import sys\n"
        "extra = ('matplotlib', 'httpx', 'h2', 'playwright', 'starlette', 'asyncpg', 'redis')\n"
        "sys.modules.update(dict.fromkeys(extra))\n"
        "from propylon.cli.program import run\n"
        "sys.exit(run(['explain', '--session-store', 'redis://h']))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "51 us" in " ".join(ran.stdout.split())


def test_no_sentence_is_there_for_nothing() -> None:
    """Each sentence about costs belongs to a figure, or says why there is none."""
    measured = {"cookie", "token", "first_check", "look_ups", "bytes", "bytes_again", "bytes_never_indexed", "lag"}
    uncovered = {f"not_covered_{name}" for name in ("cookie", "token", "look_ups")}
    reasons = {"source", "no_results", "unreadable", "another_machine", "nothing", "missing"}
    for language in LANGUAGES:
        told = {key.removeprefix("cli.explain.cost_") for key in catalogue(language) if ".explain.cost_" in key}
        assert told == measured | uncovered | reasons
