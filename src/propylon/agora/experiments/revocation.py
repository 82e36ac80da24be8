"""Can a server end a token? The time from the answered revocation to the first refusal, on four servers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack

import httpx

from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.figures import percentile
from propylon.agora.plots import Bar, Bars, Plot
from propylon.agora.results import Findings, NotMeasured, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Site, Stage
from propylon.agora.stage.asking import PLAINLY
from propylon.agora.stage.generator import Line, Request, spelled

EMAIL = "somebody@example.com"
NODES = 4
GIVEN_UP_S = 20.0
# What a person does: a request every two seconds.
PAUSE_S = 2.0
LIVES_MIN = (5, 15, 30, 60)

STORES = {
    "sqlite": Said("SQLite, 4 processes on one machine", "SQLite, 한 컴퓨터의 프로세스 4개"),
    "postgres": Said("PostgreSQL, 4 servers", "PostgreSQL, 서버 4대"),
    "redis": Said("Redis, 4 servers", "Redis, 서버 4대"),
}


def measure(study: Study) -> None:
    """Revoke again and again, and wait by the clock for those who wait until the token expires."""

    def on(store: str) -> Prepare:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            settings = {"password_profile": "unsafe_cheapest", **stack.enter_context(stage.stores(store))}
            nodes = stack.enter_context(stage.nodes(NODES, settings))
            nodes[0].sign_up(EMAIL)

            def revoke() -> Reading:
                count = 1 if study.warming else study.pick(8, 40)
                lags_ms = [lag for _ in range(count) for lag in asyncio.run(_revoked(nodes))]
                through = [max(0.0, lag / 1000 / PAUSE_S) for lag in lags_ms]
                return {
                    "p50_ms": percentile(lags_ms, 0.5),
                    "p99_ms": percentile(lags_ms, 0.99),
                    "through": sum(through) / len(through),
                }

            return revoke

        return prepare

    contestants = [Contestant(store, label, on(store)) for store, label in STORES.items()]
    study.compare(contestants, rounds=study.pick(2, 5))
    for life_min in LIVES_MIN:
        label = Said("wait until it expires, {life} min", "만료될 때까지 기다림, {life}분").filled(life=life_min)
        study.once(f"wait_{life_min}", label, lambda _, life_min=life_min: _waiting(life_min))  # type: ignore[misc]


async def _revoked(nodes: Sequence[Site]) -> list[float]:
    """Sign out through one server while all are asked without pause; return each one's lag in milliseconds."""
    account = await asyncio.to_thread(nodes[0].sign_in, EMAIL, "bearer")
    answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    asking = [asyncio.create_task(_refused_at(node, account.headers)) for node in nodes]
    await asyncio.sleep(0.05)  # every server has seen the token by now, and remembers it
    async with httpx.AsyncClient(**PLAINLY) as client:
        (await client.delete(f"{nodes[0].url}/v1/session", headers=account.headers)).raise_for_status()
        answered.set_result(time.perf_counter())
    refused = await asyncio.gather(*asking)
    return [max(0.0, at - answered.result()) * 1000 for at in refused]


async def _refused_at(node: Site, headers: dict[str, str]) -> float:
    """Return when a server first refuses a token."""
    line = await Line.open("localhost", node.port)
    request = spelled(Request("/me", headers=headers), f"localhost:{node.port}")
    started = time.perf_counter()
    try:
        while time.perf_counter() - started < GIVEN_UP_S:
            asked_at = time.perf_counter()
            status, _, _ = await line.ask(request)
            if status == httpx.codes.UNAUTHORIZED:
                return asked_at
            await asyncio.sleep(0)
    finally:
        line.close()
    raise RuntimeError(f"a revoked token was still accepted after {GIVEN_UP_S:.0f} s")


def _waiting(life_min: int) -> Reading:
    """Return what a token that nobody can end lets through: it is revoked at a random moment of its life."""
    chance = random.Random(life_min)  # noqa: S311 - the same moments on every machine
    left_s = [chance.uniform(0, life_min * 60) for _ in range(10_000)]
    return {
        "p50_ms": percentile(left_s, 0.5) * 1000,
        "p99_ms": percentile(left_s, 0.99) * 1000,
        "through": sum(one / PAUSE_S for one in left_s) / len(left_s),
    }


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - seconds against milliseconds
    """Hold "a token cannot be controlled" against the lag."""
    measured = [name for name in STORES if name in findings.variants and findings.variants[name].figures]
    if not measured:
        raise NotMeasured("redis", "p99_ms")
    slowest = max(measured, key=lambda name: findings.figure(name, "p99_ms").high)
    lag_ms, waiting_ms = findings.figure(slowest, "p99_ms").high, findings.median("wait_5", "p50_ms")
    outcome: Outcome = "does_not_hold" if lag_ms < 1_000 else ("partly" if lag_ms < waiting_ms else "holds")
    said = Said(
        "A token that every server checks without a look-up was refused on all {nodes} within {lag:.1f} ms of the answered "
        "revocation (99th percentile, slowest store: {store}). Waiting until it expires takes {wait:.0f} s on average at a life "
        "of 5 minutes.",
        "서버들이 조회 없이 검증하는 토큰이, 폐기 응답 뒤 {lag:.1f}ms 안에 {nodes}대 모두에서 거부되었습니다(99번째 백분위, 가장 느린 저장소: "
        "{store}). 만료를 기다리면 수명 5분에서 평균 {wait:.0f}초가 걸립니다.",
    )
    first = Verdict(
        0,
        outcome,
        said.filled(nodes=NODES, lag=lag_ms, store=findings.variants[slowest].label, wait=waiting_ms / 1000),
    )
    return [first, _choose_well(findings, slowest)]


def _choose_well(findings: Findings, slowest: str) -> Verdict:
    short, long = findings.median("wait_5", "through"), findings.median("wait_60", "through")
    ours = findings.median(slowest, "through")
    outcome: Outcome = "partly" if ours < short else "holds"
    said = Said(
        "The life alone leaves a revoked user {short:.0f} more requests at 5 minutes and {long:.0f} at an hour; with the feed it is "
        "{ours:.3g}. A short life is then the second line, for a verifier that has lost the feed.",
        "수명만으로는 내보낸 사용자가 5분이면 {short:.0f}번, 1시간이면 {long:.0f}번 더 요청합니다. 피드가 있으면 {ours:.3g}번입니다. 그러면 짧은 "
        "수명은 피드를 잃은 검증자를 위한 두 번째 방어선입니다.",
    )
    return Verdict(1, outcome, said.filled(short=short, long=long, ours=ours))


def plots(findings: Findings) -> Sequence[Plot]:
    """Show how long it takes."""
    bars = tuple(Bar.of(one.label, one.figures["p99_ms"]) for one in findings.measured())
    title = Said("From the answered revocation to the last refusal", "폐기 응답에서 마지막 서버가 거부할 때까지")
    axis = Said("ms, 99th percentile (logarithmic)", "ms, 99번째 백분위(로그 눈금)")
    return [Bars(title, axis, bars, logarithmic=True)]


EXPERIMENT = Experiment(
    name="revocation",
    rows=("Q11",),
    question=Said("Can a server end a token?", "서버가 토큰을 끝낼 수 있나?"),
    claims=(
        Said(
            "B: a session can be ended by the server, a token cannot.",
            "B: 세션은 서버가 끊을 수 있지만 토큰은 통제할 수 없다.",
        ),
        Said("A: so choose the life well.", "A: 그래서 만료 시간을 알맞게 정해야 한다."),
    ),
    method=Said(
        "Somebody signs in for tokens; four servers are asked with the access token without pause, and it is signed out through "
        "one of them. The lag runs from the answer to that until a request is sent that a server refuses, for each server. For "
        "waiting, the token is revoked at a random moment of its life, and its holder sends a request every two seconds.",
        "토큰으로 로그인한 뒤 서버 4대에 액세스 토큰으로 쉬지 않고 요청하면서, 그중 한 대를 통해 로그아웃합니다. 지연은 그 응답부터 서버가 "
        "거부하는 요청을 보낸 때까지이고 서버마다 잽니다. 기다리는 경우는 수명 중 임의의 순간에 폐기하고, 가진 사람이 2초마다 요청한다고 봅니다.",
    ),
    would_change=Said(
        "Servers on different continents, where the network itself takes longer than this.",
        "서버가 서로 다른 대륙에 있어 네트워크 자체가 이보다 오래 걸린다면 달라집니다.",
    ),
    quantities={
        "p50_ms": Quantity(Said("lag, median", "지연, 중앙값"), "ms", "less"),
        "p99_ms": Quantity(Said("lag, 99th percentile", "지연, 99번째 백분위"), "ms", "less"),
        "through": Quantity(Said("requests that still pass", "그사이 통과하는 요청"), "", "less"),
    },
    takes_s={"quick": 10, "full": 45},
    measure=measure,
    judge=judge,
    plots=plots,
)
