"""The systemd unit of ``deploy``: sound by systemd's own word where it is there, and in step with the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers.fronts import DEPLOY, replaced

from propylon.cli.serve import STOP_WITHIN_S

UNIT = DEPLOY / "propylon@.service"
PROGRAM = "/opt/propylon/bin/propylon"


@pytest.fixture
def keys() -> dict[str, str]:
    """What the unit says; none of its keys is there twice."""
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    pairs = [line.split("=", 1) for line in lines]
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    """No key is misspelt: systemd ignores what it does not know, and the service would be less closed than it reads."""
    here = tmp_path / UNIT.name
    here.write_text(replaced(UNIT.read_text(), (PROGRAM, str(Path(sys.executable).with_name("propylon")))))
    known = {"Unit", "Service", "Install"}
    assert {line.strip("[]") for line in here.read_text().splitlines() if line.startswith("[")} == known
    if analyse := shutil.which("systemd-analyze"):
        done = subprocess.run([analyse, "verify", here], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_lets_requests_in_flight_finish(keys: dict[str, str]) -> None:
    """The first process is told, once, and nobody is killed before its own patience is over."""
    assert (keys["KillSignal"], keys["KillMode"]) == ("SIGTERM", "mixed")
    assert STOP_WITHIN_S < int(keys["TimeoutStopSec"]) <= 60


def test_the_unit_starts_what_exists(keys: dict[str, str]) -> None:
    """Its command line is one of the program's, and a node that died is started again."""
    command = keys["ExecStart"].replace(PROGRAM, f"{sys.executable} -m propylon").replace("%i", "8000").split()
    shown = subprocess.run([*command, "--help"], capture_output=True, check=False, env=os.environ)
    assert shown.returncode == 0
    assert keys["Restart"] == "on-failure"
    assert keys["StartLimitIntervalSec"] == "0"


def test_the_unit_may_do_nothing_that_serving_does_not_need(keys: dict[str, str]) -> None:
    """No root, no capability, no new privilege, no writing but to its own directory."""
    assert keys["User"] == "propylon"
    assert keys["CapabilityBoundingSet"] == keys["AmbientCapabilities"] == ""
    closed = ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces")
    assert {keys[key] for key in closed} == {"yes"}
    assert (keys["ProtectSystem"], keys["UMask"], keys["LimitCORE"]) == ("strict", "0077", "0")
    assert "ReadWritePaths" not in keys
