"""What does it cost to know who is calling: by cookie, by token, with and without looking the user up?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack

from propylon.agora.experiment import Contestant, Experiment, Measure, Quantity, Reading, Study
from propylon.agora.figures import compare
from propylon.agora.plots import Bar, Bars, Line, Lines, Plot
from propylon.agora.results import Findings, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Answered, Shot, Site, Stage
from propylon.agora.stage.generator import Request
from propylon.agora.stage.sites import PASSWORD, Mode

EMAIL = "somebody@example.com"
CONNECTIONS = 32
FEW_AND_MANY = (1, 256)
# Who signs in without pause, and who asks meanwhile: fewer than would queue by themselves.
STORMING, ASKING = 8, 4

OPEN = Said("open to all (baseline)", "누구나 접근(기준)")
LABELS = {
    "lazy": Said("guarded app, route that never asks", "보호된 앱, 묻지 않는 라우트"),
    "cookie": Said("cookie", "쿠키"),
    "cookie_and_user": Said("cookie, user looked up", "쿠키 + 사용자 조회"),
    "cookie_asked": Said("cookie, nothing remembered", "쿠키, 기억 없이 매번 조회"),
    "token": Said("token, claims only", "토큰, 클레임만"),
    "token_and_user": Said("token, user looked up", "토큰 + 사용자 조회"),
    "cookie_redis": Said("cookie, sessions in Redis", "쿠키, 세션은 Redis"),
    "cookie_postgres": Said("cookie, PostgreSQL", "쿠키, PostgreSQL"),
    "cookie_redis_asked": Said("cookie, Redis, nothing remembered", "쿠키, Redis, 기억 없이 매번 조회"),
    "cookie_postgres_asked": Said("cookie, PostgreSQL, nothing remembered", "쿠키, PostgreSQL, 기억 없이 매번 조회"),
    "token_redis": Said("token, sessions in Redis", "토큰, 세션은 Redis"),
    "token_postgres": Said("token, PostgreSQL", "토큰, PostgreSQL"),
    "token_eddsa": Said("token, EdDSA", "토큰, EdDSA"),
    "token_rs256": Said("token, RS256", "토큰, RS256"),
    "token_hs256": Said("token, HS256", "토큰, HS256"),
    "storm": Said("cookie, while others sign in", "쿠키, 남들이 로그인하는 동안"),
}
AXES = {
    "per_second": Said("requests a second", "초당 요청 수"),
    "p99_ms": Said("99th percentile, ms", "99번째 백분위 응답 시간, ms"),
}
# What a quick run leaves out.
FULL_ALONE = {
    "cookie_redis_asked", "cookie_postgres_asked", "token_redis", "token_postgres", "token_eddsa", "token_rs256",
    "token_hs256",
}  # fmt: skip
CROWDED = ("open", "cookie", "token")


def measure(study: Study) -> None:
    """Measure every way at 32 connections, the plain ones at 1 and 256 too, and one beside a storm of sign-ins."""
    shoot = _Shooting(study)

    def open_to_all(stage: Stage, stack: ExitStack) -> Measure:
        return shoot.at(stack.enter_context(stage.propylon(open_to_all=True)), "/me", {}, crowded=True)

    def signed_in(name: str, mode: Mode, path: str, store: str = "sqlite", **settings: str) -> Contestant:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            site = stack.enter_context(stage.propylon(stack.enter_context(stage.stores(store)) | settings))
            site.sign_up(EMAIL)
            return shoot.at(site, path, site.sign_in(EMAIL, mode).headers, crowded=name in CROWDED)

        return Contestant(name, LABELS[name], prepare)

    def beside_a_storm(stage: Stage, stack: ExitStack) -> Measure:
        site = stack.enter_context(stage.propylon())
        site.sign_up(EMAIL)
        return shoot.beside_sign_ins(site, site.sign_in(EMAIL, "cookie").headers)

    contestants = [
        Contestant("open", OPEN, open_to_all),
        signed_in("lazy", "cookie", "/lazy"),
        signed_in("cookie", "cookie", "/me"),
        signed_in("cookie_and_user", "cookie", "/me/full"),
        signed_in("cookie_asked", "cookie", "/me/asked"),
        signed_in("token", "bearer", "/me"),
        signed_in("token_and_user", "bearer", "/me/full"),
        signed_in("cookie_redis", "cookie", "/me", "redis"),
        signed_in("cookie_postgres", "cookie", "/me", "postgres"),
        Contestant("storm", LABELS["storm"], beside_a_storm),
        signed_in("cookie_redis_asked", "cookie", "/me/asked", "redis"),
        signed_in("cookie_postgres_asked", "cookie", "/me/asked", "postgres"),
        signed_in("token_redis", "bearer", "/me", "redis"),
        signed_in("token_postgres", "bearer", "/me", "postgres"),
        *(signed_in(f"token_{one.lower()}", "bearer", "/me", algorithm=one) for one in ("EdDSA", "RS256", "HS256")),
    ]
    study.compare([one for one in contestants if study.effort == "full" or one.name not in FULL_ALONE])


class _Shooting:
    """Load on one route after another, and what it took."""

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def _for_s(self) -> float:
        return self._study.span_s(0.5, 2.5)

    def at(self, site: Site, path: str, headers: dict[str, str], *, crowded: bool) -> Measure:
        """Return what measures a route at 32 connections and, where it is ``crowded``, at others after that."""

        def shoot() -> Reading:
            before_s = site.processor_s()
            answered = self._answered(site, path, headers, CONNECTIONS, self._for_s)
            cost_us = (site.processor_s() - before_s) / answered.total * 1e6
            reading = {"per_second": answered.per_second, "p99_ms": answered.p99_ms, "processor_us": cost_us}
            for connections in FEW_AND_MANY if crowded and not self._study.warming else ():
                answered = self._answered(site, path, headers, connections, self._study.pick(0.25, 1.5))
                reading |= {f"per_second_{connections}": answered.per_second, f"p99_ms_{connections}": answered.p99_ms}
            return reading

        return shoot

    def beside_sign_ins(self, site: Site, headers: dict[str, str]) -> Measure:
        """Return what measures the route of somebody who is signed in, alone and while others sign in."""
        body = json.dumps({"email": EMAIL, "password": PASSWORD, "mode": "bearer"})
        sign_in = Request("/v1/sessions", "POST", body=body)
        me = Request("/me", headers=headers)

        def shoot() -> Reading:
            calm = self._answered(site, "/me", headers, ASKING, self._for_s)
            storm = Shot(site.url, (sign_in,), connections=STORMING, for_s=self._for_s + 0.6)
            # The storm has begun before it counts.
            asking = Shot(site.url, (me,), connections=ASKING, for_s=self._for_s, warm_up_s=0.4)
            signed_in, asked = self._study.stage.fire_together([storm, asking])
            if asked.errors:
                raise RuntimeError(f"refused beside sign-ins: {asked.statuses}")
            return {"calm_ms": calm.p99_ms, "p99_ms": asked.p99_ms, "sign_ins": signed_in.per_second}

        return shoot

    def _answered(self, site: Site, path: str, headers: dict[str, str], connections: int, for_s: float) -> Answered:
        shot = Shot(site.url, (Request(path, headers=headers),), connections=connections, for_s=for_s)
        answered = self._study.stage.fire(shot)
        if answered.errors:
            raise RuntimeError(f"refused under load: {answered.statuses}")
        return answered


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:
    """Hold the claims against the figures."""
    besides = {"cookie_asked": _remembering_pays, "storm": _beside_a_storm}
    measured = {one.name for one in findings.measured()}
    return [
        _costs_more(0, findings, "cookie", "token", noise),
        _costs_more(1, findings, "token_and_user", "token", noise),
        _costs_more(2, findings, "cookie", "lazy", noise),
        # Nobody has claimed these: without one of them the claims are judged all the same.
        *(say(findings, noise) for name, say in besides.items() if name in measured),
    ]


def _costs_more(claim: int, findings: Findings, one: str, other: str, noise: float) -> Verdict:
    """Judge the claim that one way costs the server more of its processor than the other."""
    seen = compare(findings.figure(one, "processor_us"), findings.figure(other, "processor_us"), noise)
    outcomes: dict[str, tuple[Outcome, Said]] = {
        "more": ("holds", Said(
            "{ratio:.2f} times the processor time: {one_us:.1f} us a request ({one}) against {other_us:.1f} ({other}).",
            "프로세서 시간이 {ratio:.2f}배입니다. 요청당 {one_us:.1f}us({one}) 대 {other_us:.1f}us({other})입니다.",
        )),
        "less": ("does_not_hold", Said(
            "It takes less: {one_us:.1f} us of the processor a request ({one}) against {other_us:.1f} ({other}).",
            "오히려 적게 듭니다. 요청당 {one_us:.1f}us({one}) 대 {other_us:.1f}us({other})입니다.",
        )),
        "none": ("no_difference", Said(
            "Within the noise: {one_us:.1f} us of the processor a request ({one}) and {other_us:.1f} ({other}).",
            "측정 오차 안입니다. 요청당 {one_us:.1f}us({one})와 {other_us:.1f}us({other})입니다.",
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


def _remembering_pays(findings: Findings, noise: float) -> Verdict:
    """Say what the first verdict rests on: a cookie that is remembered until the revocation feed says otherwise."""
    seen = compare(findings.figure("cookie_asked", "processor_us"), findings.figure("cookie", "processor_us"), noise)
    said = Said(
        "Remembering is what makes them alike: a cookie whose session and user are read from the store at every request "
        "takes {asked_us:.1f} us of the processor, {ratio:.2f} times as much.",
        "둘이 비슷한 까닭은 기억하기 때문입니다. 요청마다 세션과 사용자를 저장소에서 읽는 쿠키는 프로세서 시간이 "
        "{asked_us:.1f}us로, {ratio:.2f}배 듭니다.",
    )
    if seen.difference != "more":
        said = Said(
            "Remembering changes nothing here: {asked_us:.1f} us of the processor where session and user are read from "
            "the store at every request ({ratio:.2f} times).",
            "여기서는 기억해도 차이가 없습니다. 요청마다 세션과 사용자를 저장소에서 읽어도 프로세서 시간은 "
            "{asked_us:.1f}us({ratio:.2f}배)입니다.",
        )
    facts = {"asked_us": findings.median("cookie_asked", "processor_us"), "ratio": seen.ratio}
    return Verdict(None, "holds" if seen.difference == "more" else "no_difference", said.filled(**facts))


def _beside_a_storm(findings: Findings, noise: float) -> Verdict:
    """Say what sign-ins, each of which hashes a password, do to everybody else."""
    seen = compare(findings.figure("storm", "p99_ms"), findings.figure("storm", "calm_ms"), noise)
    facts = {name: findings.median("storm", name) for name in ("sign_ins", "calm_ms", "p99_ms")}
    if seen.difference == "none":
        said = Said(
            "{sign_ins:.0f} sign-ins a second, each of which hashes a password, are not noticed by those who are "
            "signed in: 99th percentile {calm_ms:.1f} and {p99_ms:.1f} ms.",
            "초당 로그인 {sign_ins:.0f}건이 저마다 비밀번호를 해시해도, 이미 로그인한 사람은 느끼지 못합니다. 99번째 백분위 "
            "응답 시간은 {calm_ms:.1f}ms와 {p99_ms:.1f}ms입니다.",
        )
        return Verdict(None, "no_difference", said.filled(**facts))
    said = Said(
        "{sign_ins:.0f} sign-ins a second, each of which hashes a password on the same cores, take the 99th percentile "
        "of those who are signed in from {calm_ms:.1f} to {p99_ms:.1f} ms.",
        "초당 로그인 {sign_ins:.0f}건이 같은 코어에서 비밀번호를 해시하면, 이미 로그인한 사람의 99번째 백분위 응답 시간은 "
        "{calm_ms:.1f}ms에서 {p99_ms:.1f}ms가 됩니다.",
    )
    return Verdict(None, "partly", said.filled(**facts))


def plots(findings: Findings) -> Sequence[Plot]:
    """Show throughput and cost."""
    bars = [variant for variant in findings.measured() if "per_second" in variant.figures]
    open_to_all = findings.variants["open"].figures.get("per_second") if "open" in findings.variants else None
    by_connections = (
        _by_connections(
            findings, "per_second", Said("Requests a second, from few and from many", "연결 수에 따른 초당 요청 수")
        ),
        _by_connections(
            findings, "p99_ms", Said("How long one waits, among few and among many", "연결 수에 따른 응답 시간")
        ),
    )
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
        *(plot for plot in by_connections if plot.lines),
    ]


def _by_connections(findings: Findings, quantity: str, title: Said) -> Lines:
    few, many = FEW_AND_MANY
    names = {few: f"{quantity}_{few}", CONNECTIONS: quantity, many: f"{quantity}_{many}"}
    shown = [one for one in findings.measured() if all(name in one.figures for name in names.values())]
    return Lines(
        title,
        Said("connections", "연결 수"),
        AXES[quantity],
        tuple(
            Line(
                one.label,
                tuple(map(float, names)),
                tuple(one.figures[name].median for name in names.values()),
                tuple(one.figures[name].low for name in names.values()),
                tuple(one.figures[name].high for name in names.values()),
            )
            for one in shown
        ),
        logarithmic_x=True,
        logarithmic_y=quantity == "p99_ms",
    )


QUANTITIES = {
    "per_second": Quantity(Said("requests a second", "초당 요청 수"), "req/s", "more"),
    "p99_ms": Quantity(Said("99th percentile", "99번째 백분위 응답 시간"), "ms", "less"),
    "processor_us": Quantity(Said("processor time a request", "요청당 프로세서 시간"), "us", "less"),
    "per_second_1": Quantity(Said("requests a second, 1 connection", "초당 요청 수, 연결 1개"), "req/s", "more"),
    "p99_ms_1": Quantity(Said("99th percentile, 1 connection", "99번째 백분위, 연결 1개"), "ms", "less"),
    "per_second_256": Quantity(Said("requests a second, 256 connections", "초당 요청 수, 연결 256개"), "req/s", "more"),
    "p99_ms_256": Quantity(Said("99th percentile, 256 connections", "99번째 백분위, 연결 256개"), "ms", "less"),
    "calm_ms": Quantity(
        Said("99th percentile while nobody signs in", "로그인이 없을 때의 99번째 백분위"), "ms", "less"
    ),
    "sign_ins": Quantity(Said("sign-ins a second meanwhile", "그동안의 초당 로그인 수"), "1/s", "more"),
}

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
        "The same route of the same app answers who is calling, over real sockets and 32 connections, the plain ways "
        "over 1 and 256 as well. Each way has a server of its own; all of them are measured once a round, so that a "
        "drifting machine drifts for all. The processor time is the operating system's, of the server alone.",
        "같은 앱의 같은 라우트가 누가 호출했는지 답합니다. 실제 소켓과 연결 32개를 쓰고, 기본 방식은 연결 1개와 256개로도 잽니다. 방식마다 서버를 따로 두고 "
        "라운드마다 한 번씩 모두 재므로, 컴퓨터 상태가 변해도 모두에게 똑같이 미칩니다. 프로세서 시간은 운영체제가 "
        "서버 프로세스만 잰 값입니다.",
    ),
    would_change=Said(
        "A session store that is asked at every request instead of a cache that the revocation feed keeps right; or "
        "tokens that are never seen twice, which costs a signature check each (see crypto).",
        "폐기 피드가 정확하게 유지하는 캐시 없이 요청마다 세션 저장소에 묻는다면, 또는 토큰이 매번 처음 보는 것이라 "
        "그때마다 서명을 검증해야 한다면(crypto 참고) 달라집니다.",
    ),
    quantities=QUANTITIES,
    takes_s={"quick": 30, "full": 290},
    measure=measure,
    judge=judge,
    plots=plots,
)
