"""An example app behind its usual server, and people to visit it: what all adapters' rules are driven through."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from tests.http.driving import FIREFOX, PASSWORD, SESSION_COOKIE, bearer, connected, cookie_value, held
from tests.servers.ports import free_port

from propylon import Propylon
from propylon.core.jose.access_token import AccessClaims, issue
from propylon.core.jose.signing import SigningKey
from propylon.core.session import Mode
from propylon.flows.account import NewAccount
from propylon.testing import FakeClock

ROOT = Path(__file__).parents[2]
PREFIX = "/auth"
START_WITHIN_S, STOP_WITHIN_S = 60.0, 20.0
ACCOUNTS = 60
ADMIN = "ada@example.com"  # holds the roles ``admin`` and ``editor``
STALE = "stale@example.com"
STALE_S = 400  # longer ago than ``POST /pay`` allows
LIMIT = 3  # sessions of one user

# A function from the port to the command that serves an example there.
Command = Callable[[int], list[str]]


def uvicorn(app: str) -> Command:
    """Return the command that serves an ASGI app."""
    return lambda port: [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port)]


class Person(NamedTuple):
    """Somebody signed in: a client that holds the cookie, headers that present the token, public ids."""

    client: httpx.Client
    headers: dict[str, str]
    user_id: str
    session_id: str


class Before(NamedTuple):
    """What was made before the server started: the cookie of ``STALE`` of ``STALE_S`` ago, and the key that signs."""

    stale_cookie: str
    signer: SigningKey


class Site:
    """One example app that runs. Every test takes accounts of its own from it."""

    def __init__(self, url: str, before: Before, settings: dict[str, Any]) -> None:
        self.url, self.before, self._settings = url, before, settings
        self._clients: list[httpx.Client] = []
        self._shared: dict[str, Person] = {}
        self._fresh = (f"user{number}@example.com" for number in itertools.count())

    def visitor(self, cookie: str | None = None) -> httpx.Client:
        """Return a browser's client without a session, or with the cookie of one."""
        headers = {"user-agent": FIREFOX, "sec-fetch-site": "same-origin"}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        if cookie is not None:
            client.cookies.set(SESSION_COOKIE, cookie)
        self._clients.append(client)
        return client

    def elsewhere(self, person: Person, headers: dict[str, str]) -> httpx.Client:
        """Return somebody's browser while a page of another site sends; an empty value takes a header away."""
        client = self.visitor()
        client.cookies = person.client.cookies
        told: dict[str, str] = {**client.headers, **headers}
        client.headers = httpx.Headers({name: value for name, value in told.items() if value})
        return client

    def someone(self, mode: str = "cookie", email: str | None = None) -> Person:
        """Sign in as ``email``, or as somebody who never did."""
        client = self.visitor()
        body = sign_in(client, email or next(self._fresh), mode)
        return Person(client, held(body), body["user"]["id"], body["session"]["id"])

    def shared(self, mode: str) -> Person:
        """Return somebody signed in that all tests share which change nothing."""
        if mode not in self._shared:
            self._shared[mode] = self.someone(mode)
        return self._shared[mode]

    def newcomer(self) -> str:
        """Return the address of an account that nobody has signed in to."""
        return next(self._fresh)

    def token(self, person: Person, *, expires_in_s: int = 300, **claims: Any) -> dict[str, str]:
        """Return the header of an access token of somebody's session, made to measure."""
        now = int(time.time())
        told: dict[str, Any] = {
            "issuer": f"{self.url}{PREFIX}",
            "audience": (f"{self.url}{PREFIX}",),
            "subject": person.user_id,
            "session_id": person.session_id,
            "token_id": secrets.token_hex(8),
            "issued_at": now,
            "expires_at": now + expires_in_s,
            "auth_time": now,
        }
        return bearer(issue(AccessClaims(**{**told, **claims}), self.before.signer))

    def change_mode(self, mode: Mode) -> None:
        """Do what ``propylon mode set`` does."""

        async def change() -> None:
            async with Propylon(**self._settings) as operator:
                await operator.runtime.mode_change.turn(mode)

        asyncio.run(change())

    def close(self) -> None:
        """Let the clients go."""
        for client in self._clients:
            client.close()


def sign_in(client: httpx.Client, email: str, mode: str = "cookie") -> dict[str, Any]:
    """Sign in by the API below ``PREFIX`` and return the body; the client keeps the cookies."""
    answer = client.post(f"{PREFIX}/v1/sessions", json={"email": email, "password": PASSWORD, "mode": mode})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


@contextmanager
def served(command: Command, directory: Path) -> Iterator[Site]:
    """Serve an example from ``directory`` until the block ends."""
    port = free_port()
    url = f"http://localhost:{port}"
    settings: dict[str, Any] = {
        "store": f"sqlite:///{directory / 'site.db'}",
        "key_file": str(directory / "site.key"),
        "public_url": f"{url}{PREFIX}",
        "password_profile": "unsafe_cheapest",
        "roles": "admin=users.read, editor=posts.write",
        "session_limit": str(LIMIT),
    }
    before = asyncio.run(prepared(settings))
    ours = {f"PROPYLON_{name.upper()}": value for name, value in settings.items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PROPYLON_")} | ours
    log = directory / "site.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command(port), cwd=ROOT, env=environ, stdout=out, stderr=out)
    site = Site(url, before, settings)
    try:
        wait_until_it_answers(url, process, log)
        yield site
    finally:
        site.close()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_S)
        process.kill()
        process.wait()


async def prepared(settings: dict[str, Any]) -> Before:
    """Make the accounts, and sign one of them in on a clock that is ``STALE_S`` late."""
    clock = FakeClock(int(time.time()) - STALE_S)
    async with Propylon(clock=clock, **settings) as past, connected(past, settings["public_url"]) as client:
        add = past.runtime.accounts.add
        await add(NewAccount(email=ADMIN, password=PASSWORD, roles=("admin", "editor")))
        for number in range(ACCOUNTS):
            await add(NewAccount(email=f"user{number}@example.com", password=PASSWORD))
        await add(NewAccount(email=STALE, password=PASSWORD))
        body = {"email": STALE, "password": PASSWORD, "mode": "cookie"}
        answer = await client.post("v1/sessions", json=body)
        return Before(cookie_value(answer), past.runtime.keys.current)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the open route answers; raise with what the server has said when it does not."""
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
