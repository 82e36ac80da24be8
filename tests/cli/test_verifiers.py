"""``propylon verifiers``: a secret shown once, and never kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run


def test_a_new_verifier_is_shown_with_its_secret_once(program: Run, tmp_path: Path) -> None:
    """``{id, name, secret}``; the list has no secret, and neither has any file of the store."""
    ran = program("verifiers", "add", "shop", "--json")
    assert ran.status == 0, ran.err
    added = json.loads(ran.out)
    assert set(added) == {"id", "name", "secret"}
    listed = json.loads(program("verifiers", "list", "--json").out)
    assert [(one["id"], one["name"]) for one in listed] == [(added["id"], "shop")]
    assert set(listed[0]) == {"id", "name", "created_at"}
    for file in tmp_path.iterdir():
        assert added["secret"].encode() not in file.read_bytes()
        assert added["secret"].removeprefix("propylon_verifier_").encode() not in file.read_bytes()


def test_for_a_person_the_secret_alone_is_the_output(program: Run) -> None:
    """``SECRET=$(propylon verifiers add shop)`` works; what is said about it goes to standard error."""
    ran = program("verifiers", "add", "shop")
    assert ran.out.startswith("propylon_verifier_")
    assert len(ran.out.splitlines()) == 1
    assert "shop" in ran.err


def test_secrets_differ(program: Run) -> None:
    """Each verifier has one of its own."""
    first, second = program("verifiers", "add", "a").out, program("verifiers", "add", "b").out
    assert first != second


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_verifier_is_removed_by_name_or_id(program: Run, by: str) -> None:
    """And is gone; a second time there is nothing to remove."""
    added = json.loads(program("verifiers", "add", "shop", "--json").out)
    kept = json.loads(program("verifiers", "add", "kept", "--json").out)
    ran = program("verifiers", "remove", added[by], "--json")
    assert (ran.status, json.loads(ran.out)["id"]) == (0, added["id"])
    assert [one["id"] for one in json.loads(program("verifiers", "list", "--json").out)] == [kept["id"]]
    again = program("verifiers", "remove", added[by])
    assert again.status == 1
    assert "propylon verifiers list" in again.err


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", ".", "é", "x" * 65, "a/b", "a\x1b[31m", "$(x)"])
def test_a_name_is_plain(program: Run, name: str) -> None:
    """It stands in logs and tables; one sentence says what it may be."""
    ran = program("verifiers", "add", "--", name)
    assert ran.status == 1
    assert "64" in ran.err
    assert program("verifiers", "list", "--json").out.strip() == "[]"


def test_a_name_is_taken_once(program: Run) -> None:
    """Whoever adds it again by mistake replaces nobody's secret."""
    program("verifiers", "add", "shop")
    ran = program("verifiers", "add", "shop")
    assert (ran.status, ran.out) == (1, "")
    assert "shop" in ran.err


def test_there_are_not_too_many(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are one setting, read whole."""
    monkeypatch.setattr("propylon.flows.verifiers.MAX_VERIFIERS", 1)
    program("verifiers", "add", "a")
    ran = program("verifiers", "add", "b")
    assert (ran.status, ran.out) == (1, "")


def test_nobody_yet_is_told_with_what_to_do(program: Run) -> None:
    """An empty list says how to fill it."""
    assert "propylon verifiers add" in program("verifiers", "list").out
