"""The program run inside this process, on a store of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from tests.cli.terminal import PASSWORD, Ran, Terminal

from propylon.cli.program import run

Run = Callable[..., Ran]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``propylon`` with arguments, in an empty directory; ``given`` is its standard input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROPYLON_PASSWORD_PROFILE", "unsafe_cheapest")

    def run_it(*arguments: str, given: bytes = b"") -> Ran:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(given)))
        capsys.readouterr()
        status = run(list(arguments))
        return Ran(status, *capsys.readouterr())

    return run_it


@pytest.fixture
def at_terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Run a command at a terminal of its own, in an empty directory."""
    opened: list[Terminal] = []

    def start(*arguments: str, **variables: str) -> Terminal:
        opened.append(Terminal(tmp_path, *arguments, **variables))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture
def add_user(program: Run) -> Callable[..., dict[str, Any]]:
    """Add an account; return it as ``--json`` shows it."""

    def add(email: str = "mina@example.com", *arguments: str) -> dict[str, Any]:
        ran = program("user", "add", email, *arguments, "--json", given=PASSWORD.encode())
        assert ran.status == 0, ran.err
        account: dict[str, Any] = json.loads(ran.out)
        return account

    return add
