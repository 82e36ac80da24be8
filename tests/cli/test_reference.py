"""``docs/cli.md`` and ``docs/cli.ko.md``: every command, as the program itself tells it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from tests.cli.terminal import run_program

from propylon.cli.program import propylon

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("page", "language"), [("cli.md", "C.UTF-8"), ("cli.ko.md", "ko_KR.UTF-8")])
def test_the_page_is_what_the_program_says(tmp_path: Path, page: str, language: str) -> None:
    """Where it differs: ``LC_ALL=... propylon --help-all > docs/...``."""
    ran = run_program(tmp_path, "--help-all", LC_ALL=language)
    assert ran.status == 0
    assert ran.out == (DOCS / page).read_text(encoding="utf-8")


def test_no_command_is_left_out() -> None:
    """Every command of the tree has its chapter, with all of its options."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")

    def check(command: click.Command, path: str) -> None:
        assert f"# `{path}`\n" in page
        assert command.help
        assert command.help in page
        for option in (parameter for parameter in command.params if isinstance(parameter, click.Option)):
            assert option.help
            assert option.help in page
        for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
            check(inner, f"{path} {name}")

    check(propylon, "propylon")
