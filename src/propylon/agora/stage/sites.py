"""A running Propylon with one route of an app beside it: ``GET /me``."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx

from propylon.agora import naive
from propylon.agora.stage import processes
from propylon.agora.stage.asking import ask

OPEN_TO_ALL = "PROPYLON_AGORA_OPEN"
APP = "propylon.agora.site:application"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of accounts that live as long as an experiment

Mode = Literal["cookie", "bearer", "hybrid"]


class Account(NamedTuple):
    """Somebody who is signed in.

    Attributes:
        headers: that present the credential.
        body: of the answer to the sign-in.
    """

    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A running server, on one port.

    Attributes:
        url: where this machine reaches it, ``http://localhost:port``.
        pid: of the process that watches over its workers.
        log: what it has said.
        environ: in which it runs, its settings among it.
    """

    url: str
    port: int
    pid: int
    log: Path
    environ: Mapping[str, str]

    def command(self, *words: str) -> Any:
        """Run ``propylon`` on this server's settings and return what it prints as JSON."""
        command = [sys.executable, "-m", "propylon", *words, "--json"]
        return json.loads(processes.done(command, self.log.parent, env=dict(self.environ)))

    def sign_up(self, email: str) -> None:
        """Make an account."""
        ask("POST", f"{self.url}/v1/users", json={"email": email, "password": PASSWORD}).raise_for_status()

    def add_user(self, email: str, roles: Sequence[str]) -> None:
        """Make an account with roles, as an administrator does."""
        words = [word for role in roles for word in ("--role", role)]
        command = [sys.executable, "-m", "propylon", "user", "add", email, *words, "--password-stdin"]
        processes.done(command, self.log.parent, env=dict(self.environ), input=PASSWORD.encode())

    def sign_in(self, email: str, mode: Mode = "cookie") -> Account:
        """Sign in, and return what a client then presents."""
        body = {"email": email, "password": PASSWORD, "mode": mode}
        answer = ask("POST", f"{self.url}/v1/sessions", json=body)
        answer.raise_for_status()
        said = answer.json()
        if mode == "cookie":
            return Account({"cookie": f"propylon={answer.cookies['propylon']}"}, said)
        return Account({"authorization": f"Bearer {said['access_token']}"}, said)

    def kill(self) -> None:
        """End it as a power cut does."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def processor_s(self) -> float:
        """Return the seconds of processor time used so far."""
        return processes.processor_s(self.pid)

    def memory_bytes(self) -> int:
        """Return the memory held now."""
        return processes.memory_bytes(self.pid)


@contextmanager
def starting(
    folder: Path,
    *,
    settings: Mapping[str, str],
    open_to_all: bool = False,
    workers: int = 1,
    app: str = APP,
) -> Iterator[Callable[[], Site]]:
    """Start a server that runs until the block ends; what is yielded waits until it is ready."""
    port = processes.free_port()
    log = folder / f"propylon-{port}.log"
    chosen = {
        "store": f"sqlite:///{folder}/propylon.db",
        "public_url": f"http://localhost:{port}",
        "log_level": "warning",
        **settings,
    }
    environ = environ_of(chosen)
    environ |= {naive.FILE: str(folder / "naive.db"), **({OPEN_TO_ALL: "yes"} if open_to_all else {})}
    granian = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--loop", "uvloop"]
    quiet = ["--no-access-log", "--log-level", "error", "--workers", str(workers), "--port", str(port)]
    with processes.running([*granian, *quiet, app], log, env=environ, cwd=folder) as process:
        url = f"http://localhost:{port}"

        def ready() -> Site:
            processes.wait_for(lambda: _is_ready(url), process, log)
            return Site(url, port, process.pid, log, environ)

        yield ready


def environ_of(settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with these settings, by field name of ``Config``, and none of the reader's own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PROPYLON_")}
    return environ | {f"PROPYLON_{name.upper()}": value for name, value in settings.items()}


def expires_at(access_token: str) -> float:
    """Return when a token expires, in epoch seconds; what it says is not verified."""
    payload = access_token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return float(claims["exp"])


def _is_ready(url: str) -> bool:
    try:
        return ask("GET", f"{url}/readyz", timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
