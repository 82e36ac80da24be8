"""What a guarded route costs over a real socket, and what a storm of sign-ins does to everyone else."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx

from bench.site import OPEN
from bench.table import Result, interleaved, median_of, ratios

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 32
STORM_CLIENTS = 8
STORM_SECONDS = ROUNDS * SECONDS + 3
ACCOUNT = {"email": "bench@example.com", "password": "correct horse battery staple"}


def run() -> list[Result]:
    """Measure; needs ``wrk`` (Debian package of that name)."""
    needs_wrk()
    with site() as guarded, site(open_to_all=True) as open_to_all:
        url = guarded.url
        httpx.post(f"{url}/v1/users", json=ACCOUNT).raise_for_status()
        bearer = httpx.post(f"{url}/v1/sessions", json={**ACCOUNT, "mode": "bearer"}).json()["access_token"]
        cookie = httpx.post(f"{url}/v1/sessions", json={**ACCOUNT, "mode": "cookie"}).cookies["propylon"]
        with_cookie, with_token = f"Cookie: propylon={cookie}", f"Authorization: Bearer {bearer}"
        return [
            _throughput(guarded, open_to_all, with_cookie, "cookie"),
            _throughput(guarded, open_to_all, with_token, "access token"),
            _storm(url, with_cookie),
        ]


def _throughput(guarded: Site, open_to_all: Site, header: str, what: str) -> Result:
    """Ask both for the same: servers read headers, and a longer one takes longer, also where nobody asks."""
    rounds = interleaved(ROUNDS, *(partial(Asked(site, header).measured, SECONDS) for site in (open_to_all, guarded)))
    (plain, asking), (plain_us, asking_us) = ([[one[which] for one in site] for site in rounds] for which in (0, 1))
    middle, spread = median_of(ratios(asking, plain))
    cost_us, open_us = median_of(asking_us)[0], median_of(plain_us)[0]
    remark = (
        f"{median_of(asking)[0]:,.0f} of {median_of(plain)[0]:,.0f} requests a second;"
        f" {cost_us:.1f} us of the processor against {open_us:.1f} us, which is {open_us / cost_us:.2f} x"
    )
    return Result(f"GET /me by {what} / the same route open", middle, spread, "x", 0.90, at_most=False, remark=remark)


def _storm(url: str, with_cookie: str) -> Result:
    idle = [wrk(f"{url}/me", with_cookie, connections=4)[1] for _ in range(ROUNDS)]
    with _sign_ins(url) as signed_in:
        time.sleep(1)
        busy = [wrk(f"{url}/me", with_cookie, connections=4)[1] for _ in range(ROUNDS)]
    quotients = ratios(busy, idle)
    middle, spread = median_of(quotients)
    remark = f"p99 {median_of(busy)[0]:.2f} ms against {median_of(idle)[0]:.2f} ms; {sum(signed_in)} sign-ins meanwhile"
    return Result("p99 of GET /me while sign-ins saturate / idle", middle, spread, "x", 2.0, remark=remark)


def needs_wrk() -> None:
    """Leave with a sentence where ``wrk`` is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("The load figures need wrk: apt-get install wrk, or your system's package of that name.")


def wrk(url: str, header: str, connections: int = CONNECTIONS, seconds: int = SECONDS) -> tuple[float, float]:
    """Return requests per second and the 99th percentile in milliseconds; needs ``wrk``."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", header, url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text:
        raise SystemExit(f"{url} refused under load:\n{text}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if rate is None or tail is None:
        raise SystemExit(f"wrk said something unexpected:\n{text}")
    return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[tail[2]]


@contextmanager
def _sign_ins(url: str) -> Iterator[list[int]]:
    """Sign in without pause from several clients, by a program that leaves the cores to the server."""
    body = json.dumps({**ACCOUNT, "mode": "bearer"})
    script = f"wrk.method = 'POST'; wrk.headers['content-type'] = 'application/json'; wrk.body = '{body}'"
    signed_in: list[int] = []
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        command = ["wrk", "-t1", f"-c{STORM_CLIENTS}", f"-d{STORM_SECONDS}s", "-s", lua.name, f"{url}/v1/sessions"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as storm:
            yield signed_in
            text = storm.communicate()[0]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    answered = re.search(r"(\d+) requests in", text)
    signed_in.append(int(answered[1] if answered else 0) - int(refused[1] if refused else 0))


class Site(NamedTuple):
    """A running server."""

    url: str
    pid: int

    def processor_s(self) -> float:
        """Return the seconds of processor time that the server and its workers have used."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(_processor_s(pid) for pid in [self.pid, *map(int, children)])


def _processor_s(pid: int) -> float:
    # proc_pid_stat(5): utime and stime are fields 14 and 15; the name before them may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Measured(NamedTuple):
    """What a route took in one round.

    Attributes:
        rate: requests per second.
        cost_us: time of the processor per request.
    """

    rate: float
    cost_us: float


class Asked(NamedTuple):
    """A way to ask one running app for its route."""

    site: Site
    header: str

    def warm_up(self) -> None:
        """Have connections, caches, and what is made late."""
        wrk(f"{self.site.url}/me", self.header, seconds=1)

    def measured(self, seconds: int) -> Measured:
        """Ask for so long."""
        before_s = self.site.processor_s()
        rate = wrk(f"{self.site.url}/me", self.header, seconds=seconds)[0]
        return Measured(rate, (self.site.processor_s() - before_s) / (rate * seconds) * 1e6)


@contextmanager
def site(*, open_to_all: bool = False, workers: int = 1, **settings: str) -> Iterator[Site]:
    """Run a server of its own, with ``settings`` by field name."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "PROPYLON_STORE": f"sqlite:///{folder}/bench.db",
            "PROPYLON_PUBLIC_URL": f"http://localhost:{port}",
            "PROPYLON_LOG_LEVEL": "warning",
            **({OPEN: "yes"} if open_to_all else {}),
            **{f"PROPYLON_{name.upper()}": value for name, value in settings.items()},
        }
        granian = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--loop", "uvloop"]
        quiet = ["--no-access-log", "--log-level", "error"]
        command = [*granian, "--port", str(port), "--workers", str(workers), *quiet, "bench.site:application"]
        with serving(command, environ, port, "/readyz") as running:
            yield running


@contextmanager
def serving(command: list[str], environ: dict[str, str], port: int, ready: str) -> Iterator[Site]:
    """Run a server until the block ends, which begins when the path ``ready`` answers."""
    server = subprocess.Popen(command, env=environ)
    try:
        url = f"http://localhost:{port}"
        wait_for(f"{url}{ready}")
        yield Site(url, server.pid)
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str, patience_s: float = 20) -> float:
    """Return the seconds until ``url`` answered."""
    started = time.perf_counter()
    while time.perf_counter() - started < patience_s:
        try:
            if httpx.get(url).status_code == 200:
                return time.perf_counter() - started
        except httpx.TransportError:
            time.sleep(0.01)
    raise SystemExit(f"{url} did not answer within {patience_s} s")


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
