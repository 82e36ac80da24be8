"""How is multi-login prevented? A limit of three, and very many sign-ins of one person in the same moment."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.naive import LIMIT
from propylon.agora.plots import Bar, Bars, Plot
from propylon.agora.results import Findings, NotMeasured, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Shot, Site, Stage
from propylon.agora.stage.asking import ask
from propylon.agora.stage.generator import Request
from propylon.agora.stage.sites import PASSWORD, Mode

EMAIL = "somebody@example.com"
NODES = 3
NAIVE = "check_then_act"
# By then each server has opened its connections to the store.
WARM_UP = 18
# What is measured is who is let in, not the hashing in front of it.
FAST = {"password_profile": "unsafe_cheapest", "session_limit": str(LIMIT), "hash_queue": "1000"}

OURS: dict[str, tuple[Said, Mode, str]] = {
    "cookie_sqlite": (Said("cookie, SQLite", "쿠키, SQLite"), "cookie", "sqlite"),
    "bearer_sqlite": (Said("tokens, SQLite", "토큰, SQLite"), "bearer", "sqlite"),
    "bearer_postgres": (Said("tokens, PostgreSQL", "토큰, PostgreSQL"), "bearer", "postgres"),
    "bearer_redis": (Said("tokens, Redis", "토큰, Redis"), "bearer", "redis"),
}
CHECK_THEN_ACT = Said("count, then act (for comparison)", "세고 나서 처리(비교용)")


def measure(study: Study) -> None:
    """Let one person sign in everywhere at once, again and again, and count who is left."""
    at_once = study.pick(90, 500)

    def by_propylon(mode: Mode, store: str) -> Prepare:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            nodes = stack.enter_context(stage.nodes(NODES, {**FAST, **stack.enter_context(stage.stores(store))}))
            nodes[0].sign_up(EMAIL)
            body = f'{{"email": "{EMAIL}", "password": "{PASSWORD}", "mode": "{mode}"}}'
            request = Request("/v1/sessions", "POST", body=body)
            _fire_at(study, nodes, request, WARM_UP)

            def sign_in_everywhere() -> Reading:
                entered = _fire_at(study, nodes, request, at_once)
                return {"survivors": len(nodes[0].command("sessions", "list", "--limit", "10000")), "entered": entered}

            return sign_in_everywhere

        return prepare

    def by_check_then_act(stage: Stage, stack: ExitStack) -> Measure:
        nodes = stack.enter_context(stage.nodes(NODES))
        _fire_at(study, nodes, Request("/naive", "POST"), WARM_UP)

        def sign_in_everywhere() -> Reading:
            entered = _fire_at(study, nodes, Request("/naive", "POST"), at_once)
            return {"survivors": ask("GET", f"{nodes[0].url}/naive").json(), "entered": entered}

        return sign_in_everywhere

    ours = [Contestant(name, label, by_propylon(mode, store)) for name, (label, mode, store) in OURS.items()]
    naive = Contestant(NAIVE, CHECK_THEN_ACT, by_check_then_act)
    study.compare([*ours, naive], rounds=study.pick(1, 3), warm_up=False)


def _fire_at(study: Study, nodes: Sequence[Site], request: Request, at_once: int) -> int:
    """Send the same request to all nodes at the same time; return how many were let in."""
    shares = [len(range(number, at_once, len(nodes))) for number in range(len(nodes))]
    shots = [Shot(node.url, (request,) * share, connections=share) for node, share in zip(nodes, shares, strict=True)]
    return sum(answered.statuses.get("201", 0) for answered in study.stage.fire_together(shots))


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - nothing here is timed
    """Hold the claims against who was left."""
    ours = {name: findings.figure(name, "survivors").high for name in OURS if _was_measured(findings, name)}
    if not ours:
        raise NotMeasured(next(iter(OURS)), "survivors")
    worst = max(ours, key=lambda name: abs(ours[name] - LIMIT))
    kept = ours[worst] == LIMIT
    return [_by_state(kept, worst, ours, findings), *_naive(findings)]


def _by_state(kept: bool, worst: str, ours: dict[str, float], findings: Findings) -> Verdict:  # noqa: FBT001 - a fact
    outcome: Outcome = "partly" if kept else "does_not_hold"
    said = (
        Said(
            "It does need state, and gives up little for it: of {entered:.0f} sign-ins in the same moment over {nodes} servers "
            "exactly {limit} sessions are left, by cookie and by token, on every store measured ({stores}).",
            "상태가 필요한 것은 맞지만 그 때문에 내려놓는 것은 적습니다. 서버 {nodes}대에 같은 순간 로그인 {entered:.0f}번을 해도 "
            "쿠키든 토큰이든, 잰 저장소 {stores}곳 모두에서 세션이 정확히 {limit}개 남습니다.",
        )
        if kept
        else Said(
            "The limit leaks: {worst} left {left:.0f} sessions where {limit} are allowed.",
            "제한이 샙니다. {worst}에서 {limit}개만 허용했는데 세션 {left:.0f}개가 남았습니다.",
        )
    )
    facts = {
        "entered": findings.figure(worst, "entered").median,
        "nodes": NODES,
        "limit": LIMIT,
        "stores": len(ours),
        "worst": findings.variants[worst].label,
        "left": ours[worst],
    }
    return Verdict(0, outcome, said.filled(**facts))


def _naive(findings: Findings) -> list[Verdict]:
    if not _was_measured(findings, NAIVE):
        return []
    left = findings.figure(NAIVE, "survivors").high
    leaks = left > LIMIT
    said = (
        Said(
            "Counting first and acting then leaves {left:.0f} sessions where {limit} are allowed: the check and the act have to "
            "be one step.",
            "먼저 세고 나중에 처리하면 {limit}개만 허용해도 세션 {left:.0f}개가 남습니다. 확인과 처리는 한 동작이어야 합니다.",
        )
        if leaks
        else Said(
            "Counting first and acting then happened to keep the limit in this run.",
            "이번 실행에서는 먼저 세고 나중에 처리해도 우연히 제한이 지켜졌습니다.",
        )
    )
    return [Verdict(None, "holds" if leaks else "no_difference", said.filled(left=left, limit=LIMIT))]


def _was_measured(findings: Findings, name: str) -> bool:
    return name in findings.variants and "survivors" in findings.variants[name].figures


def plots(findings: Findings) -> Sequence[Plot]:
    """Show who is left."""
    bars = tuple(Bar.of(one.label, one.figures["survivors"]) for one in findings.measured())
    axis = Said("sessions that are left", "남은 세션 수")
    title = Said("Sessions left after many sign-ins in the same moment", "같은 순간 로그인한 뒤 남은 세션")
    return [Bars(title, axis, bars, baseline=LIMIT, baseline_label=Said("allowed", "허용"))]


EXPERIMENT = Experiment(
    name="multilogin",
    rows=("Q27",),
    question=Said("How is multi-login prevented?", "멀티 로그인은 어떻게 막나?"),
    claims=(
        Said(
            "B: one person can make many tokens; preventing it needs state after all, and gives up what tokens were chosen for.",
            "B: 한 사람이 토큰을 여럿 만들 수 있다. 막으려면 결국 상태가 필요하고, 토큰의 이점을 내려놓게 된다.",
        ),
    ),
    method=Said(
        "One account with a limit of three signs in very many times in the same moment, through three servers that share a "
        "store; then the sessions that live are counted. The same is done with a limit that counts first and acts then, on "
        "a database that loses nothing. Access tokens are still checked without any look-up.",
        "세션을 3개로 제한한 계정 하나가 저장소를 함께 쓰는 서버 3대를 통해 같은 순간 아주 많이 로그인하고, 살아 있는 세션을 셉니다. "
        "먼저 세고 나중에 처리하는 제한으로도, 아무것도 잃지 않는 데이터베이스에서 똑같이 해 봅니다. 액세스 토큰은 여전히 조회 없이 "
        "검증합니다.",
    ),
    would_change=Said(
        "A store whose steps are not atomic, or sign-ins that never happen at the same time.",
        "저장소의 동작이 원자적이지 않거나, 로그인이 결코 겹치지 않는다면 달라집니다.",
    ),
    quantities={
        "survivors": Quantity(Said("sessions left", "남은 세션"), "", ""),
        "entered": Quantity(Said("sign-ins let in", "허용된 로그인"), "", ""),
    },
    takes_s={"quick": 9, "full": 32},
    measure=measure,
    judge=judge,
    plots=plots,
)
