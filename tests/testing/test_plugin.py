"""The plugin as pytest finds it: in a project of its own, under the strictest settings."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

CONFTEST = """
import pytest
from propylon.verifier import Verifier

@pytest.fixture
def propylon_verifier():
    return Verifier(issuer="http://localhost:8000", audience="https://api.example", secret="s")
"""
TESTS = """
import pytest
from propylon import Propylon
from propylon.testing import Rehearsal

class TestWithItsOwn:
    @pytest.fixture
    def propylon(self):
        return Propylon()

    def test_users(self, propylon_users, propylon_clock, propylon_events):
        minji = propylon_users.sign_in(roles=["admin"])
        propylon_clock.advance(60)
        propylon_events.assert_recorded("authn_login_success", user=minji.user)
        assert isinstance(propylon_users, Rehearsal)

    def test_nobody_is_left(self, propylon_users):
        assert len(propylon_users.events) == 0

def test_issuer(propylon_issuer, propylon_clock):
    assert propylon_issuer.clock is propylon_clock
    assert propylon_issuer.sign_in("minji").principal.user_id == "minji"

def test_without_saying_which(propylon_users):
    raise AssertionError("never reached")
"""
IMPORTED = """
import sys
import pytest
import propylon
before = set(sys.modules)
import propylon.testing.plugin
print(sorted(name for name in set(sys.modules) - before))
"""


def test_it_serves_a_strict_project_without_asyncio(tmp_path: Path) -> None:
    """Fixtures work in plain tests; where nobody says which Propylon, one sentence does."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    strict = ["-W", "error", "--strict-config", "--strict-markers", "-p", "no:asyncio", "-p", "no:cacheprovider"]
    plugin = ["-p", "no:propylon", "-p", "propylon.testing.plugin"]  # by its module, however this tree was installed
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *strict, *plugin],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "say which Propylon the app uses: define a fixture `propylon` in conftest.py" in done.stdout
    assert "never reached" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == [
        "conftest.py", "pytest.ini", "test_it.py",
    ]  # fmt: skip


def test_who_does_not_use_it_loads_nothing_but_its_names() -> None:
    """It is imported by pytest wherever Propylon is installed."""
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['propylon.testing', 'propylon.testing.plugin']"


def test_pytest_finds_it_by_its_entry_point() -> None:
    """Under the name by which ``-p no:propylon`` leaves it out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"propylon": "propylon.testing.plugin"}
