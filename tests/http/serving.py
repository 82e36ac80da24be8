"""A Propylon behind a real socket: ``propylon serve``, in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.servers.ports import free_port

START_WITHIN_S, STOP_WITHIN_S = 20.0, 20.0


class ServedSettings(NamedTuple):
    """Where a server keeps its files, and its ``PROPYLON_*`` settings by field name."""

    directory: Path
    settings: dict[str, str]


class Served:
    """One server that can be killed and started again on the same port and store."""

    def __init__(self, settings: ServedSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        """The process that watches over the workers."""
        assert self._process is not None
        return self._process.pid

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self._settings.directory / "served.db"

    @property
    def log(self) -> Path:
        """What it has written to standard output and standard error, of all its lives."""
        return self._settings.directory / "served.log"

    def start(self) -> None:
        """Start and wait until it listens."""
        command = [sys.executable, "-m", "propylon", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment(),
                cwd=self._settings.directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_listens(self._process)

    def kill(self) -> None:
        """End every process of it at once, as a power cut would (SIGKILL)."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def send(self, signal_number: int) -> None:
        """Send a signal, as a person or a supervisor would."""
        if self._process is not None:
            self._process.send_signal(signal_number)

    def stopped(self) -> int:
        """Wait until it has stopped; return its exit status."""
        assert self._process is not None
        process, self._process = self._process, None
        try:
            return process.wait(STOP_WITHIN_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has left behind, when it does not stop

    def run(self, *arguments: str, typed: str = "") -> str:
        """Run the command line on the same settings, as an operator does; return what it prints."""
        command = [sys.executable, "-m", "propylon", *arguments]
        directory = self._settings.directory
        done = subprocess.run(
            command, env=self._environment(), cwd=directory, input=typed, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command line on the same settings, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "propylon", *arguments],
            env=self._environment(),
            cwd=self._settings.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def connect(self) -> socket.socket:
        """Return a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def exchange(self, *parts: bytes) -> bytes:
        """Send bytes, part by part, and return all that comes back until the server closes or falls silent."""
        received = b""
        with self.connect() as connection, suppress(TimeoutError, ConnectionError):
            connection.settimeout(1.0)
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65_536):
                received += chunk
        return received

    def _environment(self) -> dict[str, str]:
        ours = {f"PROPYLON_{name.upper()}": value for name, value in self._settings.settings.items()}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PROPYLON_")},
            "PROPYLON_STORE": f"sqlite:///{self.database}",
            "PROPYLON_PUBLIC_URL": self.url,
            "PROPYLON_PASSWORD_PROFILE": "unsafe_cheapest",
            **ours,
        }

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                if b" 200 " in connection.recv(200):
                    return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())
