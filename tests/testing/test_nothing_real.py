"""What is real is refused: no helper of a test signs in where there may be real accounts."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from propylon import Propylon, SetupError
from propylon.testing import FakeClock, FakeIssuer, Rehearsal, SecurityEvents
from propylon.testing.shared_memory import SharedMemory
from propylon.verifier import Verifier

REAL: list[tuple[str, dict[str, Any]]] = [
    ("rehearsal_public", {"public_url": "https://shop.example"}),
    ("rehearsal_public", {"public_url": "https://localhost.shop.example"}),
    ("rehearsal_public", {"public_url": "https://127.0.0.1.nip.example", "store": "memory://"}),
    ("rehearsal_store", {"store": "postgresql://propylon:secret@localhost:5432/propylon"}),
    ("rehearsal_store", {"store": "postgres://propylon:secret@db.example/propylon"}),
    ("rehearsal_store", {"session_store": "redis://:secret@localhost:6379/0"}),
    ("rehearsal_store", {"session_store": "rediss://:secret@redis.example:6379/0"}),
    ("rehearsal_store", {"session_store": "redis+sentinel://:secret@redis.example:26379/mymaster"}),
]


@pytest.mark.parametrize(("key", "settings"), REAL)
def test_a_set_up_that_may_be_real_is_not_rehearsed(key: str, settings: dict[str, Any]) -> None:
    """One sentence says what to change, and shows no password."""
    propylon = Propylon(**settings)
    with pytest.raises(SetupError) as refused, Rehearsal(propylon):
        pass
    assert refused.value.key == key
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("key", "settings"), REAL)
def test_nobody_gets_around_the_refusal(key: str, settings: dict[str, Any]) -> None:
    """It stands where the store and the key would be replaced, and nothing was."""
    propylon = Propylon(**settings)
    before = propylon.config
    with pytest.raises(SetupError) as refused:
        propylon.rehearse(
            make_store=lambda _: SharedMemory().view(), key="a " + "0f" * 32, clock=FakeClock(), log=SecurityEvents()
        )
    assert refused.value.key == key
    assert propylon.config is before


def test_what_serves_is_not_taken_over(app: FastAPI, propylon: Propylon) -> None:
    """A leftover helper in a running service changes nothing about it."""
    with TestClient(app) as client:
        with pytest.raises(SetupError) as refused, Rehearsal(propylon):
            pass
        assert refused.value.key == "rehearsal_open"
        assert client.get("/me").status_code == 401
        assert propylon.config.store.startswith("sqlite:")


async def test_what_serves_is_not_taken_over_from_its_own_loop(propylon: Propylon) -> None:
    """Neither with ``async with``."""
    async with propylon:
        with pytest.raises(SetupError, match="open"):
            async with Rehearsal(propylon):
                pass


@pytest.mark.parametrize("issuer", ["https://id.shop.example", "https://localhost.shop.example", "https://192.0.2.7"])
def test_no_issuer_of_another_machine_is_replaced(issuer: str) -> None:
    """A service that trusts a real issuer never comes to trust a test's."""
    verifier = Verifier(issuer=issuer, audience="https://api.example", secret="s")
    with pytest.raises(SetupError) as refused, FakeIssuer(verifier):
        pass
    assert refused.value.key == "rehearsal_issuer"
