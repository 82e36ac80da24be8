"""``propylon agora``: what it lists, runs, keeps and recommends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import environment

from propylon.agora import experiments, results
from propylon.agora.experiments import ALL, expiry


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise of this machine is not what is tested."""
    monkeypatch.setattr("propylon.agora.running.noise_of", lambda _: 0.02)


def test_it_lists_every_experiment_with_its_question_and_claims(program: Run) -> None:
    """For people, and for programs."""
    for_people = program("agora", "list")
    assert for_people.status == 0
    listed = json.loads(program("agora", "list", "--json").out)
    assert [one["name"] for one in listed] == [one.name for one in ALL]
    assert set(listed[0]) == {"name", "question", "claims"}
    for one in ALL:
        assert one.name in for_people.out
        assert one.question.en in for_people.out


@pytest.mark.parametrize("missing", ["httpx", "matplotlib"])
@pytest.mark.parametrize(
    "arguments",
    [("list",), ("run", "--quick", "expiry"), ("run", "--compare", "old.json"), ("report",)],
    ids=" ".join,
)
def test_where_its_packages_are_not_installed_each_command_says_so(
    tmp_path: Path, arguments: tuple[str, ...], missing: str
) -> None:
    """As after ``scripts/serve``: which one is missing and what to install, before anything is measured."""
    code = f"import sys; sys.modules['{missing}'] = None; from propylon.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "agora", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    if (missing, arguments) == ("matplotlib", ("list",)):
        assert done.returncode == 0  # it draws nothing
        return
    assert (done.returncode, done.stdout) == (1, "")
    assert f"The agora needs '{missing}'" in done.stderr
    assert "'.[server,agora]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_told_and_the_nearest_suggested(program: Run) -> None:
    """Nothing is run for a slip of the pen."""
    refused = program("agora", "run", "expirry")
    assert refused.status == 2
    assert "Did you mean expiry?" in refused.err
    assert not Path("agora").exists()


def test_a_run_leaves_results_and_a_report(program: Run) -> None:
    """Where ``--out`` says; the verdicts are printed."""
    ran = program("agora", "run", "expiry", "--quick", "--out", "here")
    assert ran.status == 0, ran.err
    held = results.load(Path("here/results.json"))
    assert (held.effort, held.experiments["expiry"].status) == ("quick", "done")
    assert held.finished_at is not None
    assert "<!DOCTYPE html>" in Path("here/report.html").read_text()[:20]
    assert held.experiments["expiry"].verdicts[0].said.en[:40] in " ".join(ran.out.split())


def test_json_is_all_that_standard_output_holds(program: Run) -> None:
    """The whole of the results."""
    told = json.loads(program("agora", "run", "expiry", "--quick", "--json").out)
    assert told["schema"] == results.SCHEMA
    assert set(told["experiments"]) == {"expiry"}


def test_a_run_goes_on_with_what_is_there(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--resume`` runs nothing again that is done."""
    program("agora", "run", "expiry", "--quick")

    def never(_: object) -> None:
        raise AssertionError("it was done already")

    again = expiry.EXPERIMENT.__class__(
        **{field: getattr(expiry.EXPERIMENT, field) for field in expiry.EXPERIMENT.__dataclass_fields__}
        | {"measure": never}
    )
    monkeypatch.setattr(experiments, "ALL", (again,))
    assert program("agora", "run", "--quick", "--resume").status == 0


def test_a_new_run_loses_no_earlier_results(program: Run) -> None:
    """They are put aside and it is said where, also where they cannot be read; a run that goes on keeps its file."""
    program("agora", "run", "expiry", "--quick")
    first = Path("agora/results.json").read_bytes()
    again = program("agora", "run", "expiry", "--quick")
    (kept,) = Path("agora").glob("results-*.json")
    assert kept.read_bytes() == first
    assert str(kept) in again.err
    assert Path("agora/results.json").read_bytes() != first
    program("agora", "run", "expiry", "--quick", "--resume")
    assert list(Path("agora").glob("results-*.json")) == [kept]
    Path("agora/results.json").write_text("half of it", encoding="utf-8")
    assert program("agora", "run", "expiry", "--quick").status == 0
    assert "half of it" in [path.read_text(encoding="utf-8") for path in Path("agora").glob("results-*.json")]


def test_results_of_another_effort_are_not_gone_on_with(program: Run) -> None:
    """A quick run and a full one in the same file would compare what cannot be compared."""
    program("agora", "run", "expiry", "--quick")
    refused = program("agora", "run", "expiry", "--resume")
    assert refused.status == 1
    assert "--out" in refused.err


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": "other/1"}'])
def test_a_file_that_holds_no_results_is_told(program: Run, content: bytes) -> None:
    """Before anything is run."""
    Path("old.json").write_bytes(content)
    refused = program("agora", "run", "expiry", "--compare", "old.json")
    assert refused.status == 1
    assert "old.json" in refused.err
    assert "Traceback" not in refused.err


def test_results_of_another_schema_are_told(program: Run) -> None:
    """Which one it is, and which one is read."""
    program("agora", "run", "expiry", "--quick")
    path = Path("agora/results.json")
    path.write_text(path.read_text().replace(results.SCHEMA, "propylon-agora/0"))
    refused = program("agora", "report")
    assert refused.status == 1
    assert "propylon-agora/0" in refused.err


def test_a_report_is_written_anew_and_compared(program: Run) -> None:
    """From results alone, without running anything."""
    program("agora", "run", "expiry", "--quick")
    Path("agora/report.html").unlink()
    assert program("agora", "report", "--compare", "agora/results.json").status == 0
    assert "What has changed" in Path("agora/report.html").read_text()
    told = program("agora", "report", "--plots", "expiry").out.split()
    assert "agora/plots/expiry-1.ko.svg" in told
    assert "주문" in Path("agora/plots/expiry-1.ko.svg").read_text()
    unknown = program("agora", "report", "--plots", "expiri")
    assert (unknown.status, "expiry" in unknown.err) == (2, True)


def test_it_recommends_by_the_answers_that_are_given(program: Run) -> None:
    """And says when no figures stand behind it."""
    told = program("agora", "recommend", "clients=apps", "nodes=many", "traffic=busy")
    assert told.status == 0
    assert "PROPYLON_MODE=bearer" in told.out
    assert "redis" in told.out
    assert "propylon agora run" in told.out
    assert json.loads(program("agora", "recommend", "--json").out)["choices"] == ["cookie", "sqlite"]


def test_it_asks_where_nothing_is_said(program: Run) -> None:
    """One number a question; an empty line takes the first."""
    told = program("agora", "recommend", given=b"3\n\n\n\n\n\n")
    assert told.status == 0
    assert "PROPYLON_MODE=bearer" in told.out


@pytest.mark.parametrize("answer", ["clients=pigeons", "weather=fine", "clients", "clients="])
def test_what_is_no_answer_is_told(program: Run, answer: str) -> None:
    """With what the answers are."""
    refused = program("agora", "recommend", answer)
    assert refused.status == 1
    assert "clients=web|both|apps" in refused.err
