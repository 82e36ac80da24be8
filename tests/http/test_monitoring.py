"""``/healthz``, ``/readyz``, ``/metrics``: for load balancers and Prometheus, and for nobody else."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from tests.http.driving import EMAIL, JSON, PASSWORD, Connect, MakePropylon, bearer, enter, refused

from propylon import Propylon
from propylon.errors import StoreUnavailable
from propylon.testing import FakeClock

METRICS = "/metrics"
TOKEN = "a-token-for-prometheus"


async def gone(*_: Any, **__: Any) -> None:
    """Stand in for the store when it is away."""
    raise StoreUnavailable


async def test_readiness_follows_the_store_and_health_does_not(
    in_memory: Propylon, connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with ``Retry-After`` while it is away, 200 again when it is back; the process is alive all along."""
    client = connect(in_memory)
    assert (await client.get("/readyz")).json() == {"status": "ok"}
    with monkeypatch.context() as away:
        away.setattr(in_memory.runtime.store, "ping", gone)
        clock.advance(2)
        for _ in range(2):
            refused(await client.get("/readyz"), 503, "store_unavailable")
            assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).status_code == 200


async def test_a_flood_of_readiness_checks_is_no_flood_of_writes(
    in_memory: Propylon, connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is asked at most once a second."""
    pings: list[int] = []
    ping = in_memory.runtime.store.ping

    async def counted() -> None:
        pings.append(1)
        await ping()

    monkeypatch.setattr(in_memory.runtime.store, "ping", counted)
    client = connect(in_memory)
    for _ in range(3):
        clock.advance(1)
        for _ in range(20):
            assert (await client.get("/readyz")).status_code == 200
    assert len(pings) == 3


@pytest.mark.parametrize("host", ["http://localhost:8000", "http://127.0.0.1:9", "http://[::1]:8000"])
@pytest.mark.parametrize("ip", ["127.0.0.1", "127.9.9.9", "::1"])
async def test_a_caller_on_this_machine_may_scrape(in_memory: Propylon, connect: Connect, host: str, ip: str) -> None:
    """Without a token: by loopback address and name."""
    answer = await connect(in_memory, host, ip=ip).get(METRICS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "ip"),
    [
        ("http://localhost:8000", "203.0.113.9"),
        ("http://localhost:8000", "10.0.0.1"),
        ("http://evil.example", "127.0.0.1"),
        ("http://id.example", "127.0.0.1"),
        ("http://localhost.evil.example", "127.0.0.1"),
    ],
)
async def test_nobody_else_may_scrape(in_memory: Propylon, connect: Connect, host: str, ip: str) -> None:
    """404, as for what does not exist: from elsewhere, or under a name that a page may have rebound."""
    refused(await connect(in_memory, host, ip=ip).get(METRICS), 404, "not_found")


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via"],
)
@pytest.mark.parametrize("value", ["203.0.113.9", "127.0.0.1", ""])
async def test_nobody_scrapes_through_a_proxy_on_this_machine(
    make_propylon: MakePropylon, connect: Connect, header: str, value: str
) -> None:
    """A proxy's connection is a local one, often under a local name: its headers give it away, trusted or not."""
    for trusted in ("", "127.0.0.0/8"):
        propylon = await make_propylon(store="memory", trusted_proxies=trusted)
        refused(await connect(propylon).get(METRICS, headers={header: value}), 404, "not_found")


async def test_with_a_token_only_the_token_counts(make_propylon: MakePropylon, connect: Connect) -> None:
    """From anywhere, under any host, through any proxy with it; not even from here without."""
    propylon = await make_propylon(store="memory", metrics_token=TOKEN)
    far = connect(propylon, "http://10.1.2.3:8000", ip="203.0.113.9")
    assert (await far.get(METRICS, headers={**bearer(TOKEN), "via": "1.1 proxy"})).status_code == 200
    near = connect(propylon)
    wrong = [
        "",
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        TOKEN,
        f"Basic {TOKEN}",
        f"bearer  {TOKEN}",
        "Bearer é",
    ]
    for authorization in wrong:
        given = httpx.Headers([(b"authorization", authorization.encode())])
        refused(await near.get(METRICS, headers=given), 404, "not_found")
    refused(await near.get(METRICS), 404, "not_found")
    refused(await near.get(METRICS, params={"token": TOKEN}), 404, "not_found")


async def test_nothing_that_a_caller_sends_becomes_a_label(in_memory: Propylon, connect: Connect) -> None:
    """Labels are closed sets: a flood of odd requests makes no new time series and shows nothing of itself."""
    client = connect(in_memory)
    await enter(client)
    mark = "hostile"
    for method, path in (
        ("GET", f"/{mark}"),
        ("DELETE", f"/v1/sessions/{mark}"),
        ("GET", f"/static/{mark}"),
        ("GET", f"/v1/session?{mark}={mark}"),
        (mark.upper(), "/v1/session"),
        (mark.upper(), f"/{mark}"),
    ):
        await client.request(method, path, headers={"user-agent": mark, "cookie": f"{mark}={mark}", "x-mark": mark})
    await client.post("/v1/sessions", json={"email": f"{mark}@example.com", "password": mark, "mode": "bearer"})
    await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": mark})
    await client.post("/v1/sessions", content=mark, headers=JSON)
    text = (await client.get(METRICS)).text
    assert mark not in text.lower()
    routes = set(re.findall(r'route="([^"]*)"', text))
    assert {"none", "/v1/sessions/{id}", "/static/{name}"} <= routes


async def test_sign_ins_and_refusals_are_counted(in_memory: Propylon, connect: Connect) -> None:
    """By mode and by code."""
    client = connect(in_memory)
    await enter(client, "bearer")
    await client.get("/v1/session")
    text = (await client.get(METRICS)).text
    assert "propylon_sign_ups_total 1.0" in text
    assert 'propylon_sign_ins_total{mode="bearer"} 1.0' in text
    assert 'propylon_refusals_total{code="credential_missing"} 1.0' in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", METRICS])
async def test_monitoring_takes_get_and_head_alone(in_memory: Propylon, connect: Connect, path: str) -> None:
    """405 with ``Allow`` otherwise; no credential is looked at."""
    client = connect(in_memory)
    odd = [("authorization", "Bearer x"), ("authorization", "Bearer y")]
    assert (await client.head(path, headers=odd)).status_code == 200
    answer = await client.post(path)
    refused(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
