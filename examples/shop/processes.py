"""Child processes that live and end together."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Self

POLL_INTERVAL_S = 0.05
# Servers finish the requests under way; one that has not after this long is not going to.
MAX_DRAIN_S = 30
MAX_START_S = 60
MAX_PORT = 65_535
# Past any proxy that the environment names: all of this is on this machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Children:
    """Named child processes. A signal to this process ends them all, and so does leaving the ``with``."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping = False

    def __enter__(self) -> Self:
        """Take over the signals that mean "end"."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Leave nothing running."""
        self.stop()

    @property
    def count(self) -> int:
        """How many were started."""
        return len(self._running)

    def stop(self) -> None:
        """End them all and wait for them."""
        if not self.stopping:  # a second SIGTERM would cut short the end that the first one began
            self._send(signal.SIGTERM)
        deadline = time.monotonic() + MAX_DRAIN_S
        while self._alive() and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)
        self._send(signal.SIGKILL)
        for child in self._running.values():
            child.wait()

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Start a child in a session of its own: Ctrl-C reaches it through us, once."""
        self._running[name] = subprocess.Popen(  # noqa: S603 - our own commands
            command,
            env=dict(environ),
            start_new_session=True,
            preexec_fn=_end_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
        )
        if self.stopping:  # the signal came before there was anybody to pass it on to
            self._running[name].terminate()

    def is_alive(self, name: str) -> bool:
        """Return whether this child runs."""
        return self._running[name].poll() is None

    def status(self, name: str) -> int:
        """Return the exit status of a child that has ended, as a shell would (128 + n after signal n).

        Ended by the SIGTERM that we passed on, before it was far enough to do so in order, it has obeyed: 0.
        """
        code = self._running[name].wait()
        if code == -signal.SIGTERM and self.stopping:
            return 0
        return 128 - code if code < 0 else code

    def wait_ready(self, name: str, url: str) -> bool:
        """Wait until ``url`` answers with success; False if the child ends or takes more than MAX_START_S."""
        deadline = time.monotonic() + MAX_START_S
        while self.is_alive(name) and not self.stopping and time.monotonic() < deadline:
            if _answers(url):
                return True
            time.sleep(POLL_INTERVAL_S)
        return False

    def wait_first(self) -> str:
        """Wait until one of them ends; return its name."""
        while True:
            for name in self._running:
                if not self.is_alive(name):
                    return name
            time.sleep(POLL_INTERVAL_S)

    def _alive(self) -> bool:
        return any(self.is_alive(name) for name in self._running)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # The second Ctrl-C of somebody in a hurry does not wait for requests under way.
        self._send(signal.SIGKILL if self.stopping else signal.SIGTERM)
        self.stopping = True

    def _send(self, number: signal.Signals) -> None:
        for child in self._running.values():
            if child.poll() is None:
                # A server passes SIGTERM on to its workers; SIGKILL it cannot, so that goes to all of them.
                (os.killpg if number == signal.SIGKILL else os.kill)(child.pid, number)


def address_of(host: str) -> str:
    """Return the address that a server listens at when it is told ``host``, which may be a name.

    Raises:
        OSError: nobody knows the name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return str(found[0][4][0])


def is_free(address: str, port: int) -> bool:
    """Return whether nobody listens there, and we may."""
    try:
        with socket.create_server((address, port), family=_family(address)):
            return True
    except OSError:
        return False


def free_port(address: str, first: int, tried: int = 50) -> int | None:
    """Return the first port from ``first`` on that nobody listens at; None if all that were tried are taken."""
    ports = range(first, min(first + tried, MAX_PORT + 1))
    return next((port for port in ports if is_free(address, port)), None)


def reachable(address: str) -> str:
    """Return how this machine reaches a server that listens at ``address``, as it stands in a URL."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - no binding here
    return f"[{address}]" if ":" in address else address


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end_with(parent: int) -> Callable[[], None]:
    # Linux ends the child when this process is killed outright. Elsewhere a SIGKILL to us leaves it running.
    def arrange() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it was killed before that was arranged
                os._exit(128 + signal.SIGTERM)

    return arrange
