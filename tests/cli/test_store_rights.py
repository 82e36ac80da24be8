"""A store that cannot be written to: ``doctor`` finds it, ``serve`` refuses it, and both say what is closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import ENDS_WITHIN_S, Ran, environment, run_program
from tests.servers.ports import free_port

# To root no file is closed, unless it gives that up.
AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
CLOSED = {"the file": ("propylon.db", 0o400, 0o600), "its directory": (".", 0o500, 0o700)}


# As where a file looks open to its user and is not: on a file system that goes by rules of its own.
BLINDLY = """
import sys
from propylon.stores.sqlite import rights
from propylon.cli import main
rights.refused = lambda _: []
sys.exit(main())
"""


def run_as_anybody(directory: Path, *arguments: str, blindly: bool = False, **variables: str) -> Ran:
    """Run the program as a user to whom modes apply."""
    done = subprocess.run(
        [*AS_ANYBODY, sys.executable, *(("-c", BLINDLY) if blindly else ("-m", "propylon")), *arguments],
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        timeout=ENDS_WITHIN_S,
        check=False,
        text=True,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(params=CLOSED)
def closed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """What of a store, made before in ``tmp_path``, cannot be written to; its mode is said by ``CLOSED``."""
    name, mode, usual = CLOSED[request.param]
    assert run_program(tmp_path, "user", "list").status == 0
    place = tmp_path / name
    place.chmod(mode)
    yield place
    place.chmod(usual)


def test_doctor_finds_a_store_that_cannot_be_written_to(tmp_path: Path, closed: Path) -> None:
    """It tries a write; of a file that may only be read, SQLite takes no lock and says nothing."""
    before = (tmp_path / "propylon.db").read_bytes()
    ran = run_as_anybody(tmp_path, "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(ran.out)["checks"]}
    assert (ran.status, checks["store"]["status"]) == (1, "fail")
    assert f"may not write to {closed.resolve()}." in checks["store"]["detail"]
    assert "no server can start" in checks["store"]["fix"]
    assert (tmp_path / "propylon.db").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"propylon.db", "propylon.key"}


@pytest.mark.parametrize("command", [("serve",), ("user", "list"), ("migrate",)], ids=" ".join)
def test_nothing_starts_on_a_store_that_cannot_be_written_to(
    tmp_path: Path, closed: Path, command: tuple[str, ...]
) -> None:
    """One sentence names what is closed, and owner and mode of the file and of its directory."""
    ran = run_as_anybody(tmp_path, *command, PROPYLON_PORT=str(free_port()), PROPYLON_PASSWORD_PROFILE="owasp")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert f"may not write to {closed.resolve()}." in ran.err
    assert {path.name for path in tmp_path.iterdir()} == {"propylon.db", "propylon.key"}
    for place in (tmp_path / "propylon.db", tmp_path):
        assert f"{place} ({place.owner()}, {place.stat().st_mode & 0o777:04o})" in ran.err


@pytest.mark.usefixtures("closed")
def test_a_write_is_tried_where_the_modes_say_nothing(tmp_path: Path) -> None:
    """By the doctor and at every start: SQLite begins a transaction on a file that it cannot write to."""
    checks = json.loads(run_as_anybody(tmp_path, "doctor", "--json", blindly=True).out)["checks"]
    assert [check["status"] for check in checks if check["name"] == "store"] == ["fail"]
    assert run_as_anybody(tmp_path, "user", "list", blindly=True).status == 1


def test_what_sqlite_left_beside_the_file_is_named_too(tmp_path: Path) -> None:
    """A log of mode 400 closes a store whose file and directory are open."""
    assert run_program(tmp_path, "user", "list").status == 0
    log = tmp_path / "propylon.db-wal"
    log.touch(0o400)
    assert f"may not write to {log}." in run_as_anybody(tmp_path, "user", "list").err


def test_a_closed_store_is_told_in_korean(tmp_path: Path, closed: Path) -> None:
    """With the same facts."""
    ran = run_as_anybody(tmp_path, "user", "list", LC_ALL="ko_KR.UTF-8")
    assert f"{closed.resolve()}에 쓸 권한이 없습니다." in ran.err


def test_a_file_that_is_no_database_has_the_right_owner_and_mode(tmp_path: Path) -> None:
    """So nobody is sent to correct them: it is to be restored, or another is to be named."""
    (tmp_path / "letters.db").write_text("not a database, but a long enough text to be taken for one" * 20)
    for command in ("user", "list"), ("migrate",), ("doctor",):
        ran = run_program(tmp_path, *command, "--store", "sqlite:///letters.db", COLUMNS="400")
        said = ran.out + ran.err
        assert "is no SQLite database" in " ".join(said.split())
        assert "mode of the file" not in said


def test_looking_at_a_store_writes_nothing(tmp_path: Path) -> None:
    """Whatever the doctor tries is taken back, in a file of any kind of journal and in one of nothing."""
    assert run_program(tmp_path, "user", "list").status == 0
    (tmp_path / "empty.db").touch()
    for name in ("propylon.db", "empty.db"):
        before = (tmp_path / name).read_bytes(), (tmp_path / name).stat().st_mtime_ns
        run_as_anybody(tmp_path, "doctor", "--store", f"sqlite:///{name}")
        assert ((tmp_path / name).read_bytes(), (tmp_path / name).stat().st_mtime_ns) == before
