"""Who comes from another system signs in with the password they have, and their hash becomes ours."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.test_foreign_hash import VECTORS
from tests.http.driving import Connect, refused, sign_in

from propylon import Propylon
from propylon.core.password import NO_PASSWORD, imported
from propylon.core.principal import User

EMAIL = "mina@example.com"
LONG = next(v for v in VECTORS if v["made_by"] == "passlib bcrypt 2y" and len(v["password"]) > 72)
KINDS = {v["made_by"]: v for v in VECTORS if v["password"].startswith("cafe")}


async def arrive(propylon: Propylon, stored: str, **more: Any) -> User:
    """Put an account with another system's hash into the store."""
    user = User(id="u-1", email=EMAIL, email_key=EMAIL, name="", password_hash=imported(stored), **more)
    assert await propylon.runtime.store.add_user(user)
    return user


async def kept(propylon: Propylon) -> str:
    """Return the hash that is stored now."""
    user = await propylon.runtime.store.find_user("u-1")
    assert user is not None
    return user.password_hash


@pytest.mark.parametrize("vector", KINDS.values(), ids=KINDS)
async def test_the_first_right_password_replaces_the_hash(
    in_memory: Propylon, connect: Connect, vector: dict[str, Any]
) -> None:
    """A wrong one leaves it; afterwards the same password is right, in every spelling."""
    user = await arrive(in_memory, vector["hash"])
    client = connect(in_memory)
    wrong = {"email": EMAIL, "password": vector["password"] + "!"}
    refused(await client.post("/v1/sessions", json=wrong), 401, "credentials_wrong")
    assert await kept(in_memory) == user.password_hash
    await sign_in(client, email=EMAIL, password=vector["password"])
    if "argon2" in vector["made_by"].lower():  # dearer than the profile of the tests
        assert await kept(in_memory) == user.password_hash
        return
    assert (await kept(in_memory)).startswith("$argon2id$v=19$m=8,t=1,p=1$")
    await sign_in(client, email=EMAIL, password=vector["password"])
    await sign_in(client, email=EMAIL, password="caf\u00e9 \ud55c\uae00")
    refused(await client.post("/v1/sessions", json=wrong), 401, "credentials_wrong")


async def test_what_bcrypt_did_not_read_is_not_made_part_of_the_password(in_memory: Propylon, connect: Connect) -> None:
    """Somebody mistypes the 80th character, which bcrypt never saw: their right password goes on working."""
    await arrive(in_memory, LONG["hash"])
    await sign_in(connect(in_memory), email=EMAIL, password=LONG["password"][:-1] + "?")
    await sign_in(connect(in_memory), email=EMAIL, password=LONG["password"])
    assert await kept(in_memory) == LONG["hash"]


async def test_an_account_without_a_password_is_refused_as_a_wrong_one(in_memory: Propylon, connect: Connect) -> None:
    """The answer is that of an unknown address, whatever is tried; and it costs a hash."""
    await arrive(in_memory, NO_PASSWORD)
    client = connect(in_memory)
    for password in ("", "!", "anything at all"):
        attempt = {"email": EMAIL, "password": password}
        known = await client.post("/v1/sessions", json=attempt)
        unknown = await client.post("/v1/sessions", json={**attempt, "email": "nobody@example.com"})
        refused(known, 401, "credentials_wrong")
        assert known.content == unknown.content
    assert await kept(in_memory) == NO_PASSWORD


async def test_a_disabled_account_keeps_its_hash_and_stays_out(in_memory: Propylon, connect: Connect) -> None:
    """The right password is told why, the hash is not touched."""
    vector = KINDS["django PBKDF2PasswordHasher"]
    user = await arrive(in_memory, vector["hash"], disabled_at=1)
    answer = await connect(in_memory).post("/v1/sessions", json={"email": EMAIL, "password": vector["password"]})
    refused(answer, 401, "user_disabled")
    assert await kept(in_memory) == user.password_hash


async def test_a_foreign_hash_confirms_and_gives_way_to_a_new_password(in_memory: Propylon, connect: Connect) -> None:
    """Step-up and a change of password compare the bytes as typed, too."""
    vector = KINDS["passlib argon2"]
    await arrive(in_memory, vector["hash"])
    client = connect(in_memory)
    await sign_in(client, email=EMAIL, password=vector["password"])
    composed = {"password": "caf\u00e9 \ud55c\uae00"}
    refused(await client.post("/v1/session/confirm", json=composed), 401, "credentials_wrong")
    assert (await client.post("/v1/session/confirm", json={"password": vector["password"]})).status_code == 204
    change = {"current_password": vector["password"], "new_password": "something else entirely"}
    assert (await client.put("/v1/user/password", json=change)).status_code == 204
    assert (await kept(in_memory)).startswith("$argon2id$")
