"""A Propylon behind its bridge, on an SQLite file, and somebody who asks by what WSGI says of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http.driving import EMAIL, PASSWORD

from propylon import Propylon
from propylon.blocking import Blocking
from propylon.flows.account import NewAccount

MakeBlocking = Callable[..., Blocking]


@pytest.fixture
def make_blocking(tmp_path: Path) -> Iterator[MakeBlocking]:
    """A factory of bridges; all of one test share a store and a key, as the workers of one server do."""
    made: list[Blocking] = []

    def make(*, within_s: float = 30.0, **settings: Any) -> Blocking:
        made.append(bridged(tmp_path, within_s=within_s, **settings))
        return made[-1]

    yield make
    for blocking in made:
        blocking.close()


@pytest.fixture
def blocking(make_blocking: MakeBlocking) -> Blocking:
    """One bridge, on which ``EMAIL`` has an account."""
    return with_an_account(make_blocking())


@pytest.fixture
def client(blocking: Blocking) -> Iterator[httpx.Client]:
    """A client of what the bridge serves."""
    with connected(blocking) as client:
        yield client


def bridged(directory: Path, *, within_s: float = 30.0, **settings: Any) -> Blocking:
    """Return a bridge whose store and key are in a directory."""
    given = {
        "store": f"sqlite:///{directory / 'propylon.db'}",
        "key_file": str(directory / "propylon.key"),
        "password_profile": "unsafe_cheapest",
        **settings,
    }
    return Blocking(Propylon(**given), within_s=within_s)


def with_an_account(blocking: Blocking) -> Blocking:
    """Make the account of ``EMAIL``."""
    blocking.run(inside(blocking).runtime.accounts.add(NewAccount(email=EMAIL, password=PASSWORD)))
    return blocking


def inside(blocking: Blocking) -> Propylon:
    """Return the Propylon of a bridge, open."""
    source = blocking.start().source
    assert isinstance(source, Propylon)
    return source


def connected(blocking: Blocking, **how: Any) -> httpx.Client:
    """Return a client of the mount of a bridge."""
    transport = httpx.WSGITransport(blocking.mount(), **how)
    return httpx.Client(transport=transport, base_url="http://localhost:8000")


def entered(client: httpx.Client, mode: str = "cookie") -> dict[str, Any]:
    """Sign in; return the body."""
    answer = client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": mode})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def environ(method: str = "GET", path: str = "/", **headers: str) -> dict[str, Any]:
    """Return what a WSGI server says of a request; headers by their names in WSGI, without ``HTTP_``."""
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "203.0.113.9",
        "REMOTE_PORT": "40000",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "localhost:8000",
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
