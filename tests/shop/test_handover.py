"""``examples/handover.py`` as somebody runs it: whatever is in the way is one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from examples.shop.words import _WORDS
from tests.servers.ports import free_port

ROOT = Path(__file__).parents[2]
MODULE = """
import runpy, sys
sys.argv[1:] = {arguments}
{before}
runpy.run_module("examples.handover", run_name="__main__")
"""


def said(*arguments: str, before: str = "pass", language: str = "C.UTF-8") -> str:
    """Run it to its failure; return the one line that it says."""
    environ = {**os.environ, "LC_ALL": language}
    code = MODULE.format(arguments=list(arguments), before=before)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    return done.stderr


def test_without_its_package_it_says_what_to_install() -> None:
    """As after ``scripts/serve``, which needs no httpx."""
    told = said(before="sys.modules['httpx'] = None")
    assert "httpx" in told
    assert "'.[client]'" in told


@pytest.mark.parametrize("count", [1, 3])
def test_one_address_or_three_are_not_taken(count: int) -> None:
    """Both are needed, or none."""
    assert "Give both addresses" in said(*["http://localhost:8000"] * count)


@pytest.mark.parametrize("issuer", ["http://localhost:{port}", "http://localhost:{port}/auth"])
def test_where_no_server_runs_it_says_how_to_start_one(issuer: str) -> None:
    """With both addresses that it tried."""
    addresses = issuer.format(port=free_port()), f"http://localhost:{free_port()}"
    told = said(*addresses)
    assert "scripts/serve" in told
    assert all(address in told for address in addresses)


@pytest.mark.parametrize("issuer", ["localhost", "ftp://localhost", "http://id.example"])
def test_what_is_no_address_is_said_to_be_none(issuer: str) -> None:
    """By the client's own sentence."""
    assert issuer in said(issuer, "http://localhost:8001")


def test_it_speaks_korean_too() -> None:
    """Each of its sentences, and the launcher's."""
    assert "둘 다 적거나" in said("http://localhost:8000", language="ko_KR.UTF-8")
    assert _WORDS["en"].keys() == _WORDS["ko"].keys()
