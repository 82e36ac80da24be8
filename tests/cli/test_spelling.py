"""What is wrong is named as it was given: the option where there was one, the variable otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run

WRONG = [
    ("port", "foo", "--port is not usable", "PROPYLON_PORT is not usable"),
    ("workers", "0", "--workers is not usable", "PROPYLON_WORKERS is not usable"),
    ("public-url", "http://example.com", "--public-url is http://example.com", "PROPYLON_PUBLIC_URL is http://"),
    ("store", "foo", "--store names a kind of store", "PROPYLON_STORE names a kind of store"),
    ("store", "sqlite:////nowhere/p.db", "name another with --store,", "name another with PROPYLON_STORE,"),
    ("session-store", "foo", "--session-store takes sessions", "PROPYLON_SESSION_STORE takes sessions"),
]


@pytest.mark.parametrize(("name", "value", "of_option", "of_variable"), WRONG, ids=[f"{w[0]} {w[1]}" for w in WRONG])
def test_a_setting_is_called_what_it_was_given_as(
    program: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, of_option: str, of_variable: str
) -> None:
    """Nobody finds a variable that they never set, or an option that they never wrote."""
    by_option = program("serve", f"--{name}", value)
    assert by_option.status
    assert of_option in by_option.err
    monkeypatch.setenv(f"PROPYLON_{name.upper().replace('-', '_')}", value)
    by_variable = program("serve")
    assert by_variable.status
    assert of_variable in by_variable.err


def test_the_doctor_calls_it_so_too(program: Run) -> None:
    """Its sentences are the same."""
    assert "--store names a kind of store" in program("doctor", "--store", "foo").out
    assert "name another with --store" in program("doctor", "--json", "--store", f"sqlite:///{Path.cwd()}").out


def test_an_option_that_is_no_setting_stands_for_none(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``explain --mode`` asks about a mode; what is wrong is the variable."""
    monkeypatch.setenv("PROPYLON_MODE", "cookies")
    assert "PROPYLON_MODE is not usable" in program("explain", "--mode", "bearer").err


@pytest.mark.parametrize("wrong", ["--frob", "--zz", "-x"])
def test_nothing_is_suggested_that_is_like_it_in_its_dashes_alone(program: Run, wrong: str) -> None:
    """A guess that cannot be meant only distracts."""
    assert "Did you mean" not in program(wrong).err


def test_a_settings_file_without_quotes_is_told_of_them(program: Run) -> None:
    """What TOML itself says of it, a line and a column, helps who knows TOML."""
    Path("propylon.toml").write_text("mode = cookie\n")
    ran = program("user", "list")
    assert (ran.status, ran.out) == (1, "")
    assert 'text stands in quotes, as in mode = "cookie"' in ran.err
    assert "line 1" in ran.err
