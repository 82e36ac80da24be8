"""What several nodes cost and how fast they hear of a revocation, on servers that are started for it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles

import httpx
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

from bench import filling, revoking
from bench.load import ACCOUNT, SECONDS, Site, site, wrk
from bench.table import Result, interleaved, median_of, ratios

NODES = 4
WORKERS = 3
REVOCATIONS = 200
ROUNDS = 5
DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "256MB"}


def run(sessions: int, *, million: bool) -> list[Result]:
    """Measure; needs ``wrk``, ``redis-server`` and PostgreSQL."""
    sizes = (10_000, 100_000, 1_000_000) if million else (10_000, 100_000)
    with _redis() as redis:
        results = asyncio.run(filling.redis_memory(redis, [size for size in sizes if size <= sessions or million]))
    with _redis() as redis:
        results.append(asyncio.run(filling.look_ups(redis)))
    results += filling.revocation_set()
    with _redis() as redis, _postgres() as postgres:
        results += _throughput(redis, postgres)
    with _redis() as redis:
        asyncio.run(filling.fill_redis(redis, sessions))
        results += _lags("Redis", sessions, session_store=redis.url)
    with _postgres() as postgres:
        filling.fill_postgres(postgres, sessions)
        results += _lags("PostgreSQL", sessions, store=postgres)
    return [*results, _wrong_answers()]


def _lags(what: str, sessions: int, **stores: str) -> list[Result]:
    with _nodes(**stores) as nodes:
        lags = asyncio.run(revoking.lags_ms([node.url for node in nodes], REVOCATIONS))
    per_node = [quantiles(of_node, n=100) for of_node in lags]
    middle, tail = [cuts[49] for cuts in per_node], [cuts[98] for cuts in per_node]
    about = f"answered revocation to first refusal on {len(lags)} nodes, {what}"
    remark = f"{sessions:,} live sessions, {REVOCATIONS} revocations; the slowest node of {len(lags)} counts"
    return [
        Result(f"p50: {about}", max(middle), (min(middle), max(middle)), "ms", 10.0, remark=remark),
        Result(f"p99: {about}", max(tail), (min(tail), max(tail)), "ms", 50.0, remark=remark),
    ]


def _wrong_answers() -> Result:
    with site(workers=WORKERS) as server:
        wrong, asked = asyncio.run(revoking.wrong_answers(server.url, REVOCATIONS))
    remark = f"of {asked:,} questions to {WORKERS} workers, each asked on a new connection"
    what = "answered as before after the revocation was acknowledged, SQLite"
    return Result(what, wrong, (wrong, wrong), "answers", 0, remark=remark)


def _throughput(redis: RedisServer, postgres: str) -> list[Result]:
    with site() as embedded, site(session_store=redis.url) as on_redis, site(store=postgres) as on_postgres:
        servers = (embedded, on_redis, on_postgres)
        headers = [f"Cookie: propylon={_cookie(server)}" for server in servers]

        def rate(number: int) -> float:
            return wrk(f"{servers[number].url}/me", headers[number])[0]

        base, *others = interleaved(ROUNDS, lambda: rate(0), lambda: rate(1), lambda: rate(2))
    results = []
    for what, figures in zip(("Redis", "PostgreSQL"), others, strict=True):
        middle, spread = median_of(ratios(figures, base))
        remark = f"{median_of(figures)[0]:,.0f} of {median_of(base)[0]:,.0f} a second, {SECONDS} s a round"
        results.append(
            Result(f"GET /me on {what} / on SQLite", middle, spread, "x", 0.95, at_most=False, remark=remark)
        )
    return results


def _cookie(server: Site) -> str:
    httpx.post(f"{server.url}/v1/users", json=ACCOUNT).raise_for_status()
    return httpx.post(f"{server.url}/v1/sessions", json={**ACCOUNT, "mode": "cookie"}).cookies["propylon"]


@contextmanager
def _nodes(**stores: str) -> Iterator[list[Site]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        same = {
            "store": f"sqlite:///{Path(folder) / 'accounts.db'}",
            "key_file": str(Path(folder) / "propylon.key"),
            "public_url": revoking.PUBLIC_URL,
            **stores,
        }
        yield [stack.enter_context(site(open_to_all=False, workers=1, **same)) for _ in range(NODES)]


@contextmanager
def _redis() -> Iterator[RedisServer]:
    server = RedisServer("--appendonly", "yes", "--appendfsync", "everysec")
    try:
        yield server.start()
    finally:
        server.remove()


@contextmanager
def _postgres() -> Iterator[str]:
    server = PostgresServer()
    try:
        server.start(**DURABLE)
        server.prepare()
        with server.database() as name:
            yield server.url(name)
    finally:
        server.remove()
