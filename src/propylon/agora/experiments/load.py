"""What does it cost to know who is calling: by cookie, by token, with and without looking the user up?"""

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
from propylon.agora.stage.sites import Mode

EMAIL = "somebody@example.com"
CONNECTIONS = 32

OPEN = Said("open to all (baseline)", "누구나 접근(기준)")
LAZY = Said("guarded app, route that never asks", "보호된 앱, 묻지 않는 라우트")
LABELS = {
    "cookie": Said("cookie", "쿠키"),
    "cookie_and_user": Said("cookie, user looked up", "쿠키 + 사용자 조회"),
    "token": Said("token, claims only", "토큰, 클레임만"),
    "token_and_user": Said("token, user looked up", "토큰 + 사용자 조회"),
    "cookie_redis": Said("cookie, sessions in Redis", "쿠키, 세션은 Redis"),
    "cookie_postgres": Said("cookie, PostgreSQL", "쿠키, PostgreSQL"),
}


def measure(study: Study) -> None:
    """Measure every way at 32 connections."""
    for_s = study.pick(0.6, 3.0)

    def shooting(site: Site, path: str, headers: dict[str, str]) -> Measure:
        def shoot() -> Reading:
            before_s = site.processor_s()
            shot = Shot(site.url, (Request(path, headers=headers),), connections=CONNECTIONS, for_s=for_s)
            answered = study.stage.fire(shot)
            if answered.errors:
                raise RuntimeError(f"refused under load: {answered.statuses}")
            cost_us = (site.processor_s() - before_s) / answered.total * 1e6
            return {"per_second": answered.per_second, "p99_ms": answered.p99_ms, "processor_us": cost_us}

        return shoot

    def open_to_all(stage: Stage, stack: ExitStack) -> Measure:
        return shooting(stack.enter_context(stage.propylon(open_to_all=True)), "/me", {})

    def signed_in(mode: Mode, path: str, store: str = "sqlite") -> Prepare:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            site = stack.enter_context(stage.propylon(_settings(store, stage, stack)))
            site.sign_up(EMAIL)
            return shooting(site, path, site.sign_in(EMAIL, mode).headers)

        return prepare

    study.compare(
        [
            Contestant("open", OPEN, open_to_all),
            Contestant("lazy", LAZY, signed_in("cookie", "/lazy")),
            Contestant("cookie", LABELS["cookie"], signed_in("cookie", "/me")),
            Contestant("cookie_and_user", LABELS["cookie_and_user"], signed_in("cookie", "/me/full")),
            Contestant("token", LABELS["token"], signed_in("bearer", "/me")),
            Contestant("token_and_user", LABELS["token_and_user"], signed_in("bearer", "/me/full")),
            Contestant("cookie_redis", LABELS["cookie_redis"], signed_in("cookie", "/me", "redis")),
            Contestant("cookie_postgres", LABELS["cookie_postgres"], signed_in("cookie", "/me", "postgres")),
        ]
    )


def _settings(store: str, stage: Stage, stack: ExitStack) -> dict[str, str]:
    if store == "redis":
        return {"session_store": stack.enter_context(stage.redis()).url}
    if store == "postgres":
        return {"store": stack.enter_context(stage.postgres()).new_database()}
    return {}


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:
    """Hold the claims against the figures."""
    return [
        _costs_more(0, findings, "cookie", "token", noise),
        _costs_more(1, findings, "token_and_user", "token", noise),
        _costs_more(2, findings, "cookie", "lazy", noise),
    ]


def _costs_more(claim: int, findings: Findings, one: str, other: str, noise: float) -> Verdict:
    """Judge the claim that one way costs the server more of its processor than the other."""
    seen = compare(findings.figure(one, "processor_us"), findings.figure(other, "processor_us"), noise)
    outcomes: dict[str, tuple[Outcome, Said]] = {
        "more": ("holds", Said(
            "{one} takes {ratio:.2f} times the processor time of {other}: "
            "{one_us:.1f} against {other_us:.1f} us a request.",
            "{one}: 요청당 {one_us:.1f}us, {other}: {other_us:.1f}us. 프로세서 시간이 {ratio:.2f}배입니다.",
        )),
        "less": ("does_not_hold", Said(
            "{one} takes less: {one_us:.1f} against {other_us:.1f} us of the processor a request ({ratio:.2f} times).",
            "{one}이(가) 오히려 적게 듭니다. 요청당 {one_us:.1f}us 대 {other_us:.1f}us({ratio:.2f}배)입니다.",
        )),
        "none": ("no_difference", Said(
            "No difference seen: {one_us:.1f} against {other_us:.1f} us of the processor a request, within the noise.",
            "차이가 보이지 않습니다. 요청당 {one_us:.1f}us 대 {other_us:.1f}us로, 측정 오차 안입니다.",
        )),
    }  # fmt: skip
    outcome, said = outcomes[seen.difference]
    facts = {
        "one": findings.variants[one].label,
        "other": findings.variants[other].label,
        "one_us": findings.median(one, "processor_us"),
        "other_us": findings.median(other, "processor_us"),
        "ratio": seen.ratio,
    }
    return Verdict(claim, outcome, said.filled(**facts))


def plots(findings: Findings) -> Sequence[Plot]:
    """Show throughput and cost."""
    bars = [variant for variant in findings.measured() if "per_second" in variant.figures]
    open_to_all = findings.variants["open"].figures.get("per_second") if "open" in findings.variants else None
    return [
        Bars(
            Said("Requests a second", "초당 요청 수"),
            Said("requests a second", "초당 요청 수"),
            tuple(Bar.of(one.label, one.figures["per_second"]) for one in bars),
            baseline=open_to_all.median if open_to_all else None,
            baseline_label=OPEN,
        ),
        Bars(
            Said("Processor time of the server for one request", "요청 하나에 서버가 쓰는 프로세서 시간"),
            Said("us a request", "요청당 us"),
            tuple(Bar.of(one.label, one.figures["processor_us"]) for one in bars),
        ),
    ]


EXPERIMENT = Experiment(
    name="load",
    rows=("Q2", "Q3", "Q4", "Q6"),
    question=Said(
        "Does a session load the server more than a token?",
        "세션은 토큰보다 서버에 더 부담이 되나?",
    ),
    claims=(
        Said(
            "A: the cookie holds only an id, so the server has to look the user up each time.",
            "A: 쿠키에는 식별자만 있으니 요청마다 사용자 정보를 찾아와야 한다.",
        ),
        Said(
            "B: it reads the user behind the verified token too; the load is the same.",
            "B: 검증한 토큰으로 다시 사용자를 찾으니 부담은 같다.",
        ),
        Said(
            "A: a cookie goes along and is handled every time; a token is checked where it is needed.",
            "A: 쿠키는 매 요청에 실려 와 처리되지만, 토큰은 필요한 곳에서만 검증하면 된다.",
        ),
    ),
    method=Said(
        "The same route of the same app answers who is calling, over real sockets and 32 connections. Each way has a "
        "server of its own; all of them are measured once a round, so that a drifting machine drifts for all. The "
        "processor time is the operating system's, of the server alone.",
        "같은 앱의 같은 라우트가 누가 호출했는지 답합니다. 실제 소켓과 연결 32개를 씁니다. 방식마다 서버를 따로 두고 "
        "라운드마다 한 번씩 모두 재므로, 컴퓨터 상태가 변해도 모두에게 똑같이 미칩니다. 프로세서 시간은 운영체제가 "
        "서버 프로세스만 잰 값입니다.",
    ),
    would_change=Said(
        "A session store that is asked at every request instead of a cache that the revocation feed keeps right; or "
        "tokens that are never seen twice, which costs a signature check each (see crypto).",
        "폐기 피드가 정확하게 유지하는 캐시 없이 요청마다 세션 저장소에 묻는다면, 또는 토큰이 매번 처음 보는 것이라 "
        "그때마다 서명을 검증해야 한다면(crypto 참고) 달라집니다.",
    ),
    quantities={
        "per_second": Quantity(Said("requests a second", "초당 요청 수"), "req/s", "more"),
        "p99_ms": Quantity(Said("99th percentile", "99번째 백분위 응답 시간"), "ms", "less"),
        "processor_us": Quantity(Said("processor time a request", "요청당 프로세서 시간"), "us", "less"),
    },
    takes_s={"quick": 30, "full": 160},
    measure=measure,
    judge=judge,
    plots=plots,
)
