"""The layers are held by a machine, and the machine notices: a fault is seeded into a copy for each contract."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/propylon"
LINTER = Path(sys.executable).with_name("lint-imports")

LAYERS = "layers: an import may only point down"
PURE = "core decides, it does not act"
NO_STORE = "http never sees a store"
LIGHT = "a verifier is light"
LIGHT_CLIENT = "a client is light"
ONLY_ASGI = "only http and app know ASGI"
STRANGERS = "adapters are strangers to each other"
PUBLIC = "an adapter stands on what is public"
STARLETTE = "the adapters of Starlette and FastAPI know no other"
LITESTAR = "the adapter of Litestar knows no other"
WSGI = "the adapters of WSGI frameworks know no ASGI"
ADAPTERS = (STRANGERS, PUBLIC, STARLETTE, LITESTAR, WSGI)
CONTRACTS = (LAYERS, PURE, NO_STORE, LIGHT, LIGHT_CLIENT, ONLY_ASGI, *ADAPTERS)

# What http reaches through others counts as seen by it, so two of these break two contracts.
FAULTS = [
    ("flows/sign_in.py", "import propylon.stores.memory", {LAYERS, NO_STORE}),
    ("stores/news.py", "import propylon.outside.clock", {LAYERS}),
    ("core/session.py", "import propylon.ports", {LAYERS}),
    ("language.py", "import propylon.errors", {LAYERS}),
    ("http/guard.py", "import propylon.app", {LAYERS, NO_STORE}),
    ("newcomer.py", "import propylon.errors", {LAYERS}),
    ("core/throttle.py", "import time", {PURE}),
    ("core/session.py", "import os", {PURE}),
    ("errors.py", "import logging", {PURE}),
    ("http/guard.py", "import propylon.stores.memory", {NO_STORE}),
    ("http/envelope.py", "import propylon.outside.clock", {NO_STORE}),
    ("verifier/keys.py", "import propylon.flows.gate", {LAYERS}),
    ("verifier/verifier.py", "import propylon.outside.clock", {LAYERS, LIGHT}),
    ("verifier/follower.py", "import propylon.config", {LIGHT}),
    ("verifier/fetching.py", "import httpx", {LIGHT}),
    ("verifier/asgi.py", "from starlette.types import ASGIApp", {LIGHT, ONLY_ASGI}),
    ("client/keeper.py", "import propylon.verifier", {LAYERS, LIGHT_CLIENT}),
    ("client/places.py", "import propylon.config", {LIGHT_CLIENT}),
    ("client/auth.py", "import click", {LIGHT_CLIENT}),
    ("problems.py", "from starlette.responses import Response", {LIGHT, ONLY_ASGI}),
    ("flows/renew.py", "import starlette.requests", {ONLY_ASGI}),
    ("web/pages.py", "from starlette.responses import Response", {ONLY_ASGI}),
    ("stores/memory.py", "import granian", {ONLY_ASGI}),
    ("app.py", "import propylon.adapters.starlette", {LAYERS, STRANGERS}),
    ("adapters/starlette.py", "import propylon.adapters.fastapi", {STRANGERS}),
    ("adapters/fastapi.py", "import propylon.flows.gate", {PUBLIC}),
    ("adapters/fastapi.py", "import litestar", {STARLETTE}),
    ("adapters/litestar.py", "from starlette.requests import Request", {LITESTAR}),
    ("adapters/flask.py", "from starlette.requests import Request", {WSGI}),
]


def broken_contracts(directory: Path) -> set[str]:
    """Run the linter on a copy; return the contracts that it reports as broken."""
    done = subprocess.run(
        [LINTER, "--no-cache", "--config", str(directory / "pyproject.toml")],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory / "src"), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert "Contracts: " in said, done.stdout + done.stderr
    verdicts = {name: re.search(rf"{re.escape(name)}.*?(KEPT|BROKEN)", said) for name in CONTRACTS}
    broken = {name for name, verdict in verdicts.items() if verdict is None or verdict[1] == "BROKEN"}
    assert (done.returncode == 0) == (not broken)
    return broken


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the source and its contracts, to seed a fault into."""
    shutil.copytree(SOURCE, tmp_path / "src/propylon", ignore=shutil.ignore_patterns("__pycache__", "data", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(copy: Path) -> None:
    """As the tree is, nothing points up."""
    assert broken_contracts(copy) == set()


@pytest.mark.parametrize(
    ("module", "fault", "contracts"), FAULTS, ids=[f"{module} {fault}" for module, fault, _ in FAULTS]
)
def test_a_seeded_fault_breaks_the_contract_that_is_meant_to_catch_it(
    copy: Path, module: str, fault: str, contracts: set[str]
) -> None:
    """One import too many, as anybody could add it in a hurry."""
    path = copy / "src/propylon" / module
    path.write_text(f"{path.read_text() if path.exists() else ''}\n{fault}\n")
    assert broken_contracts(copy) == contracts
