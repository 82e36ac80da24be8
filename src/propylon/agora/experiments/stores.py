"""Where should sessions be kept? Every request asks the store, from many connections at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.figures import compare
from propylon.agora.plots import Bar, Bars, Plot
from propylon.agora.results import Findings, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Shot, Site, Stage
from propylon.agora.stage.generator import Request

EMAIL = "somebody@example.com"
CONNECTIONS = 64
# ``GET /v1/session`` reads the session and its user from the store, always; ``/me`` asks the cache first.
ASKS_THE_STORE, ASKS_THE_CACHE = "/v1/session", "/me"
LOOK_UPS = 2

STORES = {
    "memory": Said("memory of the process", "프로세스 메모리"),
    "sqlite": Said("SQLite", "SQLite"),
    "postgres": Said("PostgreSQL", "PostgreSQL"),
    "redis": Said("sessions in Redis, accounts in PostgreSQL", "세션은 Redis, 계정은 PostgreSQL"),
}
BEHIND = {"redis": ("redis", "postgres")}


def measure(study: Study) -> None:
    """Ask every store, and the cache in front of it."""

    def shooting(site: Site, headers: dict[str, str]) -> Measure:
        def per_second(path: str) -> tuple[float, float]:
            for_s = study.span_s(0.5, 3.0)
            shot = Shot(site.url, (Request(path, headers=headers),), connections=CONNECTIONS, for_s=for_s)
            answered = study.stage.fire(shot)
            if answered.errors:
                raise RuntimeError(f"refused under load: {answered.statuses}")
            return answered.per_second, answered.p99_ms

        def shoot() -> Reading:
            asked, p99_ms = per_second(ASKS_THE_STORE)
            return {"look_ups_per_second": asked * LOOK_UPS, "p99_ms": p99_ms, "cached": per_second(ASKS_THE_CACHE)[0]}

        return shoot

    def on(store: str) -> Prepare:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            settings = stack.enter_context(stage.stores(*BEHIND.get(store, (store,))))
            site = stack.enter_context(stage.propylon(settings))
            site.sign_up(EMAIL)
            return shooting(site, site.sign_in(EMAIL, "cookie").headers)

        return prepare

    study.compare([Contestant(store, label, on(store)) for store, label in STORES.items()])


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:
    """Hold "Redis answers quickly too" against the look-ups."""
    redis, postgres = (findings.figure(name, "look_ups_per_second") for name in ("redis", "postgres"))
    seen = compare(redis, postgres, noise)
    outcomes: dict[str, Outcome] = {"more": "holds", "less": "does_not_hold", "none": "no_difference"}
    said = Said(
        "With sessions in Redis a server answers {redis:,.0f} look-ups a second, with everything in PostgreSQL {postgres:,.0f} "
        "({ratio:.2f} times): reads that come together travel together in both. Behind the cache it is {cached:,.0f} and "
        "{cached_postgres:,.0f} requests a second.",
        "세션을 Redis에 두면 서버 하나가 초당 {redis:,.0f}번, 모두 PostgreSQL에 두면 {postgres:,.0f}번 조회에 답합니다({ratio:.2f}배). 양쪽 모두 "
        "함께 온 조회를 묶어 보냅니다. 캐시가 답하면 초당 요청 {cached:,.0f}건과 {cached_postgres:,.0f}건입니다.",
    )
    facts = {
        "redis": redis.median,
        "postgres": postgres.median,
        "ratio": seen.ratio,
        "cached": findings.median("redis", "cached"),
        "cached_postgres": findings.median("postgres", "cached"),
    }
    return [Verdict(0, outcomes[seen.difference], said.filled(**facts))]


def plots(findings: Findings) -> Sequence[Plot]:
    """Show look-ups and what the cache makes of them."""
    shown = (
        (
            "look_ups_per_second",
            Said("Look-ups that the store answers", "저장소가 답하는 조회"),
            Said("look-ups a second", "초당 조회"),
        ),
        (
            "cached",
            Said("Requests that the cache answers", "캐시가 답하는 요청"),
            Said("requests a second", "초당 요청"),
        ),
    )
    return [
        Bars(title, axis, tuple(Bar.of(one.label, one.figures[name]) for one in findings.measured()))
        for name, title, axis in shown
    ]


EXPERIMENT = Experiment(
    name="stores",
    rows=("Q18",),
    question=Said("Is Redis not fast enough?", "Redis를 쓰면 충분히 빠르지 않나?"),
    claims=(
        Said(
            "B: with Redis instead of a relational database, sessions answer quickly too.",
            "B: 관계형 데이터베이스 대신 Redis에 두면 세션도 빠르게 응답한다.",
        ),
    ),
    method=Said(
        "A route that reads the session and its user from the store at every request is asked over 64 connections, on each store, "
        "and then one that the coherent cache may answer. The stores are real servers on this machine, so the network costs "
        "nothing. One process serves.",
        "요청마다 세션과 사용자를 저장소에서 읽는 라우트에 연결 64개로 묻고, 이어서 일관된 캐시가 답해도 되는 라우트에 묻습니다. 저장소는 이 컴퓨터의 "
        "실제 서버이므로 네트워크 비용은 없습니다. 서버 프로세스는 하나입니다.",
    ),
    would_change=Said(
        "A network between server and store, or a database that others keep busy.",
        "서버와 저장소 사이에 네트워크가 있거나, 데이터베이스를 다른 일이 붙잡고 있다면 달라집니다.",
    ),
    quantities={
        "look_ups_per_second": Quantity(Said("look-ups a second", "초당 조회"), "/s", "more"),
        "p99_ms": Quantity(Said("99th percentile", "99번째 백분위 응답 시간"), "ms", "less"),
        "cached": Quantity(Said("requests a second, cached", "초당 요청(캐시)"), "req/s", "more"),
    },
    takes_s={"quick": 17, "full": 126},
    measure=measure,
    judge=judge,
    plots=plots,
)
