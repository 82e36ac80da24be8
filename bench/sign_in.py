"""What a sign-in costs beside the bare hash, and how long a start takes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import argon2
import httpx

from bench.load import free_port, wait_for
from bench.table import Result, median_of, ratios
from propylon import Propylon
from propylon.core.password import OWASP

ROUNDS = 7
SIGN_INS = 20
ACCOUNT = {"email": "bench@example.com", "password": "correct horse battery staple"}


def run() -> list[Result]:
    """Measure."""
    return [asyncio.run(_sign_in()), _start()]


async def _sign_in() -> Result:
    hasher = argon2.PasswordHasher(time_cost=OWASP.time_cost, memory_cost=OWASP.memory_kib, parallelism=1)
    stored = hasher.hash(ACCOUNT["password"])
    with tempfile.TemporaryDirectory() as folder:
        propylon = Propylon(store=f"sqlite:///{Path(folder) / 'bench.db'}")
        async with propylon:
            transport = httpx.ASGITransport(propylon)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
                (await client.post("/v1/users", json=ACCOUNT)).raise_for_status()
                bare, whole, waited = [0.0] * ROUNDS, [0.0] * ROUNDS, [0.0] * ROUNDS
                for each in range(ROUNDS):
                    for _ in range(SIGN_INS):  # one beside the other: a drifting machine drifts for both
                        begun = process_time()
                        hasher.verify(stored, ACCOUNT["password"])
                        between, started = process_time(), perf_counter()
                        answer = await client.post("/v1/sessions", json={**ACCOUNT, "mode": "bearer"})
                        waited[each] += (perf_counter() - started) / SIGN_INS * 1000
                        whole[each] += (process_time() - between) / SIGN_INS * 1000
                        bare[each] += (between - begun) / SIGN_INS * 1000
                        answer.raise_for_status()
    # Processor time, that of the hash thread included: on the clock a sign-in also gives way to everything else.
    middle, spread = median_of(ratios(whole, bare))
    remark = (
        f"{median_of(whole)[0]:.1f} ms against {median_of(bare)[0]:.1f} ms; answered in {median_of(waited)[0]:.1f} ms"
    )
    return Result("processor time of a sign-in / bare argon2", middle, spread, "x", 1.10, remark=remark)


def _start() -> Result:
    figures = []
    for _ in range(ROUNDS):
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "propylon", "serve", "--port", str(port),
                       "--store", f"sqlite:///{folder}/bench.db"]  # fmt: skip
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as server:
                figures.append(wait_for(f"http://localhost:{port}/healthz"))
                server.terminate()
    middle, spread = median_of(figures)
    return Result("propylon serve to the first answer, on a new store", middle, spread, "s", 1.5)
