"""The store fails under a running service: 503, nothing done by halves, and back to work when the fault is over."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    FORM,
    PASSWORD,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    cookie_value,
    enter,
    refused,
    sign_in,
    sign_up,
)

from propylon import Propylon
from propylon.errors import StoreUnavailable
from propylon.stores.sqlite import SqliteStore, connection, feed
from propylon.testing import FakeClock

NEW_PASSWORD = "another correct horse"
TOKENS = "/v1/session/tokens"
SIGN_IN = {"email": EMAIL, "password": PASSWORD}

Fault = Callable[[Propylon, Path], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of a second for a lock, and look for the file at every request."""
    monkeypatch.setattr(connection.execute_when_free, "__defaults__", (0.1,))
    monkeypatch.setattr(feed, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of the service under test."""
    return tmp_path / "propylon.db"


def store_of(propylon: Propylon) -> SqliteStore:
    """Return the store of a service."""
    store = propylon.runtime.store
    assert isinstance(store, SqliteStore)
    return store


def writing(propylon: Propylon) -> sqlite3.Connection:
    """Return the writing connection of a service."""
    writer = store_of(propylon)._writer
    assert writer is not None
    return writer._db


@contextmanager
def locked(propylon: Propylon, path: Path) -> Iterator[None]:
    """Let another process hold the lock for longer than anybody waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def read_only(propylon: Propylon, path: Path) -> Iterator[None]:
    """Refuse writes, as a file system that was remounted."""
    writing(propylon).execute("PRAGMA query_only = ON")
    yield
    writing(propylon).execute("PRAGMA query_only = OFF")


@contextmanager
def gone(propylon: Propylon, path: Path) -> Iterator[None]:
    """Move the directory away, as a volume that is unmounted."""
    elsewhere = path.parent.with_name("gone")
    path.parent.rename(elsewhere)
    yield
    elsewhere.rename(path.parent)


@contextmanager
def replaced(propylon: Propylon, path: Path) -> Iterator[None]:
    """Put something else in the place of the file."""
    kept = path.rename(path.with_name("kept.db"))
    path.write_bytes(b"this is no database " * 500)
    yield
    kept.replace(path)


CANNOT_WRITE = [locked, read_only]
OUT_OF_SIGHT = [gone, replaced]


@pytest.mark.parametrize("fault", [*CANNOT_WRITE, *OUT_OF_SIGHT])
async def test_what_cannot_be_written_is_not_acknowledged_and_not_done(
    propylon: Propylon, connect: Connect, path: Path, fault: Fault
) -> None:
    """P103: every change is 503 ``store_unavailable``; when the fault is over, all is as it was before."""
    client, app, visitor = connect(propylon), connect(propylon), connect(propylon)
    await enter(client)
    tokens = await sign_in(app, "bearer")
    other = tokens["session"]["id"]
    with fault(propylon, path):
        for answer in await changes(client, visitor, other, tokens["refresh_token"]):
            refused(answer, 503, "store_unavailable")
        refused(await visitor.get("/readyz"), 503, "store_unavailable")
        assert (await visitor.get("/healthz")).status_code == 200
    assert (await client.get("/v1/session")).status_code == 200
    assert (await app.get("/v1/session", headers=bearer(tokens["access_token"]))).status_code == 200
    assert (await client.get("/v1/session/data")).headers["etag"] == '"0"'
    assert len((await client.get("/v1/sessions")).json()["sessions"]) == 2
    assert await sign_in(visitor)
    assert (await app.post(TOKENS, json={"refresh_token": tokens["refresh_token"]})).status_code == 200
    await sign_up(visitor, "jun@example.com")


async def changes(client: httpx.AsyncClient, visitor: httpx.AsyncClient, other: str, token: str) -> Any:
    """Try everything that changes something."""
    passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return [
        await visitor.post("/v1/users", json={"email": "jun@example.com", "password": PASSWORD}),
        await visitor.post("/v1/sessions", json=SIGN_IN),
        await visitor.post("/v1/sessions", json={**SIGN_IN, "password": "not the password"}),
        await visitor.post(TOKENS, json={"refresh_token": token}),
        await client.put("/v1/session/data", json={"n": 1}, headers={"if-match": '"0"'}),
        await client.put("/v1/user/password", json=passwords),
        await client.post("/v1/session/confirm", json={"password": PASSWORD}),
        await client.delete(f"/v1/sessions/{other}"),
        await client.delete("/v1/sessions?keep=current"),
        await client.delete("/v1/session"),
    ]


async def test_a_full_disk_loses_no_acknowledged_write(propylon: Propylon, client: httpx.AsyncClient) -> None:
    """Of many writes the last one that was answered is the one that is read, during and after the fault."""
    await enter(client)
    db = writing(propylon)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    version = await write_until_full(client)
    assert (await client.get("/v1/session/data")).json()["n"] == version
    db.execute("PRAGMA max_page_count = 1000000")
    assert (await client.get("/v1/session/data")).headers["etag"] == f'"{version}"'
    answer = await client.put("/v1/session/data", json={}, headers={"if-match": f'"{version}"'})
    assert answer.status_code == 204


async def write_until_full(client: httpx.AsyncClient) -> int:
    """Write ever more, until there is no room; return the version that was acknowledged last."""
    for version in range(8):
        value = {"n": version + 1, "filler": "x" * 2_000 * version}
        answer = await client.put("/v1/session/data", json=value, headers={"if-match": f'"{version}"'})
        if answer.status_code != 204:
            refused(answer, 503, "store_unavailable")
            return version
    raise AssertionError("there was room for everything")


@pytest.mark.parametrize("fault", CANNOT_WRITE)
async def test_who_is_signed_in_goes_on_while_only_writing_fails(
    propylon: Propylon, connect: Connect, clock: FakeClock, path: Path, fault: Fault
) -> None:
    """The store says that the session lives; that its use cannot be noted turns nobody away."""
    client = connect(propylon)
    await enter(client)
    clock.advance(3_600)
    with fault(propylon, path):
        answers = [await client.get("/v1/session") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].json()["session"]["last_seen_at"] == "2027-01-15T08:00:00Z"
    assert (await client.get("/v1/session")).json()["session"]["last_seen_at"] == "2027-01-15T09:00:00Z"


@pytest.mark.parametrize("fault", OUT_OF_SIGHT)
@pytest.mark.parametrize("mode", ["cookie", "bearer"])
async def test_nobody_is_served_from_memory_while_others_would_open_another_file(
    propylon: Propylon, connect: Connect, path: Path, fault: Fault, mode: str
) -> None:
    """P103: a node that sees no more what others write says 503, also for what it has just verified."""
    client = connect(propylon)
    body = await enter(client, mode)
    headers = bearer(body["access_token"]) if mode == "bearer" else {}
    assert (await client.get("/v1/verify", headers=headers)).status_code == 204
    with fault(propylon, path):
        for _ in range(2):
            refused(await client.get("/v1/verify", headers=headers), 503, "store_unavailable")
    assert (await client.get("/v1/verify", headers=headers)).status_code == 204


@pytest.mark.parametrize("mode", ["cookie", "bearer"])
async def test_a_verified_credential_is_refused_while_the_news_cannot_be_read(
    make_propylon: MakePropylon, connect: Connect, mode: str
) -> None:
    """Another node ends the session; this one notices a commit, cannot read it, and does not guess."""
    here, there = await make_propylon(), await make_propylon()
    client = connect(here)
    body = await enter(client, mode)
    headers = bearer(body["access_token"]) if mode == "bearer" else {}
    assert (await client.get("/v1/verify", headers=headers)).status_code == 204
    await there.runtime.administration.end_session(body["session"]["id"])
    with unreadable(here):
        for _ in range(2):
            refused(await client.get("/v1/verify", headers=headers), 503, "store_unavailable")
    refused(await client.get("/v1/verify", headers=headers), 401, "session_revoked")


async def test_a_verified_credential_is_served_while_nobody_has_committed_anything(
    propylon: Propylon, client: httpx.AsyncClient
) -> None:
    """The log's index proves that there are no news, so not being able to read them changes nothing."""
    await enter(client)
    assert (await client.get("/v1/verify")).status_code == 204
    with unreadable(propylon):
        assert (await client.get("/v1/verify")).status_code == 204
        refused(await client.get("/v1/session"), 503, "store_unavailable")


@contextmanager
def unreadable(propylon: Propylon) -> Iterator[None]:
    """Let every look at the database fail, as a damaged disk does."""
    store = store_of(propylon)
    reader, store._reader = store._reader, sqlite3.connect(":memory:")
    yield
    store._reader.close()
    store._reader = reader


async def test_a_person_is_told_to_come_back_on_the_page_too(
    propylon: Propylon, client: httpx.AsyncClient, path: Path
) -> None:
    """The form is shown again, with 503 and ``Retry-After``, and no cookie."""
    await sign_up(client)
    with locked(propylon, path):
        form = f"email={EMAIL}&password={PASSWORD.replace(' ', '+')}"
        answer = await client.post("/login", content=form, headers=FORM)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "set-cookie" not in answer.headers


async def test_a_sign_in_counts_also_when_its_old_failures_cannot_be_forgotten(
    propylon: Propylon, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is open, so it is handed out; what could not be written only keeps the failures standing."""
    await sign_up(client)
    await client.post("/v1/sessions", json={**SIGN_IN, "password": "not the password"})
    monkeypatch.setattr(SqliteStore, "forget_failures", unavailable)
    answer = await client.post("/v1/sessions", json=SIGN_IN)
    assert answer.status_code == 201
    assert (await client.get("/v1/session")).status_code == 200


async def unavailable(*_: Any) -> None:
    """Be a verb of a store that does not answer."""
    raise StoreUnavailable


class GatedHasher:
    """A hasher that stands still until its gate opens."""

    def __init__(self, hasher: Any) -> None:
        self._hasher = hasher
        self.gate = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hasher, name)

    def verify(self, stored: str, prepared: bytes) -> bool:
        """Wait, then verify."""
        self.gate.wait(10)
        answer: bool = self._hasher.verify(stored, prepared)
        return answer


async def test_a_storm_of_sign_ins_is_told_to_come_back_and_disturbs_nobody(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """A167: places are bounded, the next one gets 503 ``overloaded``; whoever is signed in does not notice."""
    propylon = await make_propylon(hash_threads=1, hash_queue=2)
    client = connect(propylon)
    cookie = await enter(client)
    hasher = GatedHasher(propylon.runtime.hashing._hasher)
    propylon.runtime.hashing._hasher = hasher  # type: ignore[assignment]
    waiting = [asyncio.ensure_future(connect(propylon).post("/v1/sessions", json=SIGN_IN)) for _ in range(3)]
    await asyncio.wait(waiting, timeout=0.2)
    refused(await connect(propylon).post("/v1/sessions", json=SIGN_IN), 503, "overloaded")
    assert (await client.get("/v1/session")).json()["session"]["id"] == cookie["session"]["id"]
    assert not any(task.done() for task in waiting)
    hasher.gate.set()
    assert {(await task).status_code for task in waiting} == {201}
    assert (await connect(propylon).post("/v1/sessions", json=SIGN_IN)).status_code == 201


async def test_a_browser_keeps_its_cookie_over_a_fault(
    propylon: Propylon, client: httpx.AsyncClient, path: Path
) -> None:
    """A 503 removes no cookie: whoever was signed in before the fault is signed in after it."""
    await sign_up(client)
    answer = await client.post("/v1/sessions", json=SIGN_IN)
    with gone(propylon, path):
        assert "set-cookie" not in (await client.get("/v1/session")).headers
    assert client.cookies[SESSION_COOKIE] == cookie_value(answer)
    assert (await client.get("/v1/session")).status_code == 200
