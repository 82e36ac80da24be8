"""The server's keys: one for all nodes, made once, never guessed, changed without signing anybody out."""

from __future__ import annotations

import secrets
import sqlite3
import stat
import string
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    FIREFOX,
    MODES,
    PASSWORD,
    REFRESH_COOKIE,
    Connect,
    MakePropylon,
    cookie_value,
    enter,
    held,
    refused,
    sign_in,
    sign_up,
)
from tests.http.serving import Served

from propylon import Propylon
from propylon.errors import SetupError
from propylon.flows.caller import Caller
from propylon.flows.opening import Proof
from propylon.flows.sign_in import SignInRequest
from propylon.flows.signing import OVERLAP_S
from propylon.testing import FakeClock, a_user

MANY = 10_000
ALPHABET = set(string.ascii_letters + string.digits + "-_")


def a_line(name: str) -> str:
    """Return a line of a key ring, with a fresh key."""
    return f"{name} {secrets.token_hex(32)}"


async def test_ten_thousand_sessions_have_nothing_in_common(in_memory: Propylon) -> None:
    """S83: all different; of secrets no place is predictable, of ids none but the four bits of the user's shard."""
    request = SignInRequest(email=EMAIL, password=PASSWORD, mode="cookie")
    runtime, caller = in_memory.runtime, Caller("127.0.0.1", FIREFOX)
    opener = runtime.sign_in._opener
    sessions = [opener._opening(a_user(), request, caller, Proof(), 1_800_000_000).session for _ in range(MANY)]
    cookies = [runtime.issuer.cookie(session).rpartition(".")[2] for session in sessions]
    tokens = [runtime.issuer.refresh_token(session).rpartition(".")[2] for session in sessions]
    ids = [session.id for session in sessions]
    assert len({session.salt for session in sessions}) == MANY
    assert len({*ids, *cookies, *tokens}) == 3 * MANY
    assert {len(each) for each in ids} == {22}
    assert {len(each) for each in (*cookies, *tokens)} == {43}
    for values, first in ((ids, 1), (cookies, 0), (tokens, 0)):
        places = [set(place) for place in zip(*values, strict=True)]
        assert all(place == ALPHABET for place in places[first:-1])  # the last carries fewer bits
    assert len({each[0] for each in ids}) == 4  # two of its six bits are random


FORKING = """
import asyncio, os, secrets, sys
from propylon import Propylon
from propylon.core.jose.signing import SigningKey
from propylon.flows.caller import Caller
from propylon.flows.opening import Proof
from propylon.flows.sign_in import SignInRequest
from propylon.testing import a_user

async def prepared():
    return await Propylon(store="memory://", key="k1 " + secrets.token_hex(32)).open()

runtime = asyncio.run(prepared()).runtime
for _ in range(3):
    if os.fork() == 0:
        break
request = SignInRequest(email="", password="", mode="cookie")
session = runtime.sign_in._opener._opening(a_user(), request, Caller("127.0.0.1", None), Proof(), 0).session
kid = SigningKey.generate("ES256").kid
sealed = runtime.keys._generate().sealed[1:13]
os.write(1, f"{session.id} {session.salt.hex()} {kid} {sealed.hex()}\\n".encode())
os._exit(0)
"""


def test_a_process_that_forks_shares_no_randomness_with_its_children() -> None:
    """S83, P197: whoever preloads the application and forks workers gets different secrets in each."""
    forking = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=True)
    lines = forking.stdout.splitlines()
    assert len(lines) == 4
    for column in zip(*(line.split() for line in lines), strict=True):
        assert len(set(column)) == 4


def test_two_processes_that_start_at_once_on_nothing_share_one_key(serve: Callable[..., Served]) -> None:
    """One makes the key file, the store and the signing key; both run, and know each other's sessions."""
    public_url = "http://localhost:8000"
    with ThreadPoolExecutor(2) as starting:
        one, two = starting.map(lambda _: serve(public_url=public_url), range(2))
    (key_file,) = one.database.parent.glob("*.key")
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    with httpx.Client(base_url=one.url) as here, httpx.Client(base_url=two.url) as there:
        here.post("/v1/users", json={"email": EMAIL, "password": PASSWORD})
        for mode in ("cookie", "bearer"):
            answer = here.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": mode})
            headers = held(answer.json()) or {"cookie": f"propylon={cookie_value(answer)}"}
            assert there.get("/v1/session", headers=headers).status_code == 200
        assert here.get("/.well-known/jwks.json").json() == there.get("/.well-known/jwks.json").json()


async def test_a_node_with_another_key_does_not_start(make_propylon: MakePropylon, tmp_path: Path) -> None:
    """Every session would be lost on it; the sentence names its file."""
    await make_propylon()
    other = tmp_path / "other.key"
    other.write_text(a_line("k9"))
    with pytest.raises(SetupError, match=r"other\.key is not the one that this store was made with"):
        await make_propylon(key_file=str(other))


async def test_a_node_whose_key_has_the_same_name_and_other_bits_does_not_start(
    make_propylon: MakePropylon, tmp_path: Path
) -> None:
    """Names prove nothing."""
    await make_propylon(key_file=_written(tmp_path / "one.key", a_line("k1")))
    with pytest.raises(SetupError, match=r"two\.key is not the one"):
        await make_propylon(key_file=_written(tmp_path / "two.key", a_line("k1")))


async def test_a_node_without_the_key_makes_none_of_its_own(make_propylon: MakePropylon, tmp_path: Path) -> None:
    """A store that has sessions has a key somewhere: a new one would be the wrong one."""
    await make_propylon()
    with pytest.raises(SetupError, match=r"There is no key file .*lost\.key"):
        await make_propylon(key_file=str(tmp_path / "lost.key"))
    assert not (tmp_path / "lost.key").exists()


async def test_the_key_in_the_environment_needs_no_file(
    make_propylon: MakePropylon, connect: Connect, tmp_path: Path
) -> None:
    """``PROPYLON_KEY`` is the key; another one there is refused by its name."""
    key = a_line("k1")
    await enter(connect(await make_propylon(key=key, key_file="")))
    assert not (tmp_path / "propylon.key").exists()
    assert await sign_in(connect(await make_propylon(key=key, key_file="")))
    with pytest.raises(SetupError, match="PROPYLON_KEY is not the one"):
        await make_propylon(key=a_line("k1"), key_file="")


def _written(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines))
    return str(path)


@pytest.mark.parametrize("mode", MODES)
async def test_a_new_key_in_front_of_the_old_one_signs_nobody_out(
    make_propylon: MakePropylon, connect: Connect, tmp_path: Path, mode: str
) -> None:
    """New first, old second: sessions of before go on in every way, new ones are made with the new key."""
    old, new = a_line("old"), a_line("new")
    path = tmp_path / "ring.key"
    before = await make_propylon(key_file=_written(path, old))
    client = connect(before)
    body = await enter(client, mode)
    await before.close()
    after = await make_propylon(key_file=_written(path, new, old))
    again = connect(after)
    again.cookies = client.cookies
    assert (await again.get("/v1/session", headers=held(body))).status_code == 200
    renewal = {"refresh_token": body["refresh_token"]} if mode == "bearer" else {}
    assert (await again.post("/v1/session/tokens", json=renewal)).status_code == 200
    fresh = (await sign_in(connect(after)))["session"]["id"]
    stored = await after.runtime.store.find_session(fresh)
    assert stored is not None
    assert stored.key_id == "new"


async def test_a_ring_that_lost_a_key_in_use_does_not_start(
    make_propylon: MakePropylon, connect: Connect, tmp_path: Path
) -> None:
    """The signing key was sealed with it; the sentence names the line to bring back."""
    old, new = a_line("old"), a_line("new")
    path = tmp_path / "ring.key"
    for lines in ((old,), (new, old)):
        node = await make_propylon(key_file=_written(path, *lines))
        await node.close()
    with pytest.raises(SetupError, match="sealed with the server key 'old'"):
        await make_propylon(key_file=_written(path, new))


async def test_the_old_key_can_go_when_nothing_needs_it(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock, tmp_path: Path
) -> None:
    """After the signing key was rotated and its overlap is over; sessions of the old key are then refused."""
    old, new = a_line("old"), a_line("new")
    path = tmp_path / "ring.key"
    first = await make_propylon(key_file=_written(path, old))
    client = connect(first)
    await enter(client)
    await first.close()
    second = await make_propylon(key_file=_written(path, new, old))
    await second.runtime.keys.rotate()
    clock.advance(OVERLAP_S + 1)
    await second.runtime.tend()
    await second.close()
    third = connect(await make_propylon(key_file=_written(path, new)))
    third.cookies = client.cookies
    refused(await third.get("/v1/session"), 401, "credential_malformed")
    assert await sign_in(third)


@pytest.mark.parametrize("kind", ["cookie", "refresh"])
async def test_a_secret_for_one_purpose_is_good_for_no_other(
    propylon: Propylon, client: httpx.AsyncClient, kind: str
) -> None:
    """S90: a refresh token is no session cookie, nor the other way round, though they look alike."""
    await sign_up(client)
    answer = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "hybrid"})
    session = await propylon.runtime.store.find_session(answer.json()["session"]["id"])
    assert session is not None
    client.cookies.clear()
    if kind == "refresh":
        headers = {"cookie": f"propylon={cookie_value(answer, REFRESH_COOKIE)}"}
        refused(await client.get("/v1/session", headers=headers), 401, "credential_malformed")
    else:
        body = {"refresh_token": propylon.runtime.issuer.cookie(session)}
        refused(await client.post("/v1/session/tokens", json=body), 401, "credential_malformed")


async def test_a_store_of_a_newer_propylon_is_left_alone(make_propylon: MakePropylon, tmp_path: Path) -> None:
    """One sentence that says what to do."""
    await (await make_propylon()).close()
    with closing(sqlite3.connect(tmp_path / "propylon.db")) as db, db:
        db.execute("INSERT INTO migrations VALUES (99, 'future', 'x', 0)")
    with pytest.raises(SetupError, match="install the newer Propylon again"):
        await make_propylon()
