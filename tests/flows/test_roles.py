"""Roles of an account: as many as an access token carries, and no stored record stops a sign-in."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.http.driving import PASSWORD, bearer, sign_in, sign_up

from propylon import Propylon
from propylon.core.jose.access_token import MAX_ROLES, carried_roles
from propylon.errors import RuleRefused
from propylon.flows.account import NewAccount

EMAIL = "ed@example.com"
MANY = tuple(f"r{n}" for n in range(MAX_ROLES))


def account(*roles: str) -> NewAccount:
    """Return an account with these roles, yet to be made."""
    return NewAccount(email=EMAIL, password=PASSWORD, roles=roles)


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ((*MANY, "one-more"), ("roles", "too_many", {"limit": 64})),
        *(((role,), ("roles", "invalid", {})) for role in ("", "a b", "관리자", "a" * 65, "a\nb", "\ud800", ". _")),
    ],
)
async def test_roles_that_no_token_carries_make_no_account(
    in_memory: Propylon, roles: tuple[str, ...], reason: tuple[str, str, dict[str, int]]
) -> None:
    """Refused where they are given, with what is wrong, and nothing is stored."""
    with pytest.raises(RuleRefused) as refused:
        await in_memory.runtime.accounts.add(account(*roles))
    assert refused.value.errors == (reason,)
    assert await in_memory.runtime.administration.users() == []


async def test_the_most_roles_of_the_longest_names_sign_in(propylon: Propylon, client: httpx.AsyncClient) -> None:
    """What may be given works in every token: the bounds fit together. A role given twice counts once."""
    roles = tuple(f"{n:064}" for n in range(MAX_ROLES))
    user = await propylon.runtime.accounts.add(account(*roles, *roles))
    assert user.roles == roles
    body = await sign_in(client, "bearer", email=EMAIL)
    answer = await client.get("/v1/session", headers=bearer(body["access_token"]))
    assert answer.status_code == 200
    assert tuple(answer.json()["user"]["roles"]) == roles


@pytest.mark.parametrize("mode", ["bearer", "hybrid", "cookie"])
async def test_a_record_with_roles_that_no_token_carries_still_signs_in(
    propylon: Propylon, client: httpx.AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """Whoever wrote it into the database: the token leaves them out, and the log says so; never a 500."""
    await sign_up(client, EMAIL)
    with closing(sqlite3.connect(tmp_path / "propylon.db")) as db:
        db.execute("UPDATE users SET roles = ?", (json.dumps(["", "a\nb", "x" * 256, *MANY, "one-more"]),))
        db.commit()
    with caplog.at_level(logging.WARNING, "propylon"):
        body = await sign_in(client, mode, email=EMAIL)
    if mode != "cookie":
        assert "leaves out 4 roles" in caplog.text
        answer = await client.get("/v1/verify", headers=bearer(body["access_token"]))
        assert answer.status_code == 204


def test_what_a_token_carries_of_roles() -> None:
    """In order, names alone, and no more than a verifier accepts."""
    assert carried_roles(()) == ()
    assert carried_roles(("b", "", "a", "a\x00", "\ud800")) == ("b", "a")
    assert carried_roles((*MANY, "one-more")) == MANY
