"""Processes: what a fork takes along, and what is left when one ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Asks in the parent (or not), then in a child, then in the parent again; prints what each is told.
STORY = """
import os, sys
from propylon import Propylon, PropylonError
from propylon.blocking import Blocking

before, store = sys.argv[1] == "opened", sys.argv[2]
blocking = Blocking(Propylon(store=store, password_profile="unsafe_cheapest"))

def told():
    environ = {"REQUEST_METHOD": "GET", "HTTP_COOKIE": "propylon=nonsense", "HTTP_HOST": "localhost:8000"}
    try:
        return blocking.asking(environ).principal().user_id
    except PropylonError as error:
        return str(error)

said = [told()] if before else []
read, write = os.pipe()
child = os.fork()
if not child:
    os.write(write, told().encode())
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
said += [os.read(read, 9_000).decode(), told()]
print("\\n".join(said))
"""


def run(directory: Path, *arguments: str) -> list[str]:
    """Run the story in a process of its own; return what it prints."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", STORY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("store", ["sqlite:///propylon.db", "memory://"])
def test_a_process_forked_before_the_first_question_opens_its_own(tmp_path: Path, store: str) -> None:
    """So it is under every server that forks its workers, also where it has loaded the app before."""
    assert run(tmp_path, "not opened", store) == ["credential_malformed"] * 2


def test_a_process_forked_later_begins_anew(tmp_path: Path) -> None:
    """It has no thread, and locks in whatever state they were."""
    assert run(tmp_path, "opened", "memory://") == ["credential_malformed"] * 3


def test_sqlite_that_was_open_before_a_fork_is_not_used_after_it(tmp_path: Path) -> None:
    """SQLite would believe that the child holds the parent's locks: the child refuses, the parent goes on."""
    parent, child, later = run(tmp_path, "opened", "sqlite:///propylon.db")
    assert (parent, later) == ("credential_malformed", "credential_malformed")
    assert "before this process was forked" in child


def test_a_process_that_ends_closes_its_store(tmp_path: Path) -> None:
    """SQLite's journal is gone then: everything is in the one file, which can be copied."""
    run(tmp_path, "not opened", "sqlite:///propylon.db")
    assert (tmp_path / "propylon.db").exists()
    assert not (tmp_path / "propylon.db-wal").exists()
