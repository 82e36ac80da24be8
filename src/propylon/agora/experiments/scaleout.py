"""Do sticky sessions and clustering not solve it? Servers die and join under load, in each of the designs."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from propylon.agora import stateless
from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.plots import Bar, Bars, Line, Lines, Plot
from propylon.agora.results import Findings, NotMeasured, Outcome, Variant, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Account, Answered, Balancer, Shot, Site, Stage
from propylon.agora.stage.asking import PLAINLY, ask
from propylon.agora.stage.generator import Request
from propylon.agora.stage.sites import PASSWORD, Mode, expires_at

NODES = 3
PEOPLE, PAUSE_S, SLICE_S, WARM_UP_S = {"quick": 20, "full": 60}, 0.3, 0.5, 0.3
FAST = {"password_profile": "unsafe_cheapest", "hash_queue": "1000"}
# Everybody comes from this machine, so what the balancer would tell by the address, it tells by a header.
PERSON = "x-person"
STICKY = "hash $http_x_person consistent;"
STILL_IN_S, FAILS_OVER_WITHIN_S = 2.0, 20.0

DESIGNS = {
    "sticky": Said("sticky sessions, a store at each server", "스티키 세션, 서버마다 저장소"),
    "replicated": Said("replicated store, Redis that fails over", "복제 저장소, 장애 조치되는 Redis"),
    "shared_postgres": Said("shared store, PostgreSQL", "공유 저장소, PostgreSQL"),
    "shared_redis": Said("shared store, Redis", "공유 저장소, Redis"),
    "stateless": Said("stateless tokens, a public key alone", "무상태 토큰, 공개 키만"),
}
SHARED = ("shared_postgres", "shared_redis")


@dataclass(frozen=True, slots=True)
class Design:
    """A design that runs.

    Attributes:
        nodes: three that serve, and one that joins.
        door: where people sign up and sign in, where that is not the balancer.
        own_stores: people have to sign up at every node.
        policy: of the balancer.
        store_dies: kills the store's master, where there is another one.
    """

    nodes: Sequence[Site]
    door: Site | None = None
    own_stores: bool = False
    policy: str = ""
    store_dies: Callable[[], None] | None = None


@contextmanager
def _sticky(stage: Stage) -> Iterator[Design]:
    with stage.nodes(NODES + 1, FAST, own_stores=True) as nodes:
        yield Design(nodes, own_stores=True, policy=STICKY)


@contextmanager
def _replicated(stage: Stage) -> Iterator[Design]:
    with stage.replicated_redis() as redis, stage.nodes(NODES + 1, {**FAST, "session_store": redis.url}) as nodes:
        yield Design(nodes, store_dies=redis.master.kill)


@contextmanager
def _shared(store: str, stage: Stage) -> Iterator[Design]:
    with stage.stores(store) as settings, stage.nodes(NODES + 1, FAST | settings) as nodes:
        yield Design(nodes)


@contextmanager
def _stateless(stage: Stage) -> Iterator[Design]:
    with stage.propylon(FAST) as door:
        keys = ask("GET", f"{door.url}/.well-known/jwks.json").text
        settings = {"agora_keys": keys, "agora_issuer": door.url}
        with stage.nodes(NODES + 1, settings, app=f"{stateless.__name__}:application") as nodes:
            yield Design(nodes, door=door)


RUNS: Mapping[str, Callable[[Stage], AbstractContextManager[Design]]] = {
    "sticky": _sticky,
    "replicated": _replicated,
    "shared_postgres": partial(_shared, "postgres"),
    "shared_redis": partial(_shared, "redis"),
    "stateless": _stateless,
}


def measure(study: Study) -> None:
    """Let each design serve the same people while servers die and join."""
    timelines: dict[str, list[float]] = {}

    def on(name: str) -> Prepare:
        def prepare(stage: Stage, _: object) -> Measure:
            def serve() -> Reading:
                with RUNS[name](stage) as design:
                    reading, timelines[name] = _served(study, design)
                    return reading

            return serve

        return prepare

    left_out = study.pick("shared_redis", "")  # it is part of another design, and takes six seconds
    contestants = [Contestant(name, label, on(name)) for name, label in DESIGNS.items() if name != left_out]
    study.compare(contestants, rounds=study.pick(1, 2), warm_up=False)
    for name, timeline in timelines.items():
        study.note(name, refused_share=timeline, slice_s=SLICE_S, people=2 * PEOPLE[study.effort])


def _served(study: Study, design: Design) -> tuple[Reading, list[float]]:
    ports = [node.port for node in design.nodes]
    for_s: float = study.pick(3.0, 10.0)
    with study.stage.nginx(ports[:NODES], policy=design.policy) as balancer:
        people = _signed_in(study, design, balancer)
        requests = tuple(Request("/me", headers=person.headers) for person in people)
        shot = Shot(
            balancer.url, requests, connections=len(people), for_s=for_s, warm_up_s=WARM_UP_S, pause_s=PAUSE_S,
            stays=True, slice_s=SLICE_S,
        )  # fmt: skip
        with ThreadPoolExecutor(1) as sender:
            firing = sender.submit(study.stage.fire, shot)
            busiest = _disturbed(design, balancer, WARM_UP_S + for_s / 4)
            answered = firing.result()
        memory = statistics.mean(node.memory_bytes() for node in design.nodes[1:])
        ended_after_s = _ended_after_s(design, balancer, people, answered)
    reading = _reading(answered) | {"busiest": busiest, "memory": memory / 1e6}
    ended = {} if ended_after_s is None else {"ended_after_s": ended_after_s}
    return reading | ended, _timeline(answered)


def _signed_in(study: Study, design: Design, balancer: Balancer) -> list[Account]:
    """Sign everybody in, half by cookie and half for tokens; with the public key alone there is nothing but tokens."""
    count = 2 * PEOPLE[study.effort]
    url = design.door.url if design.door is not None else balancer.url
    accounts = [{"email": f"user{number}@example.com", "password": PASSWORD} for number in range(count)]
    wanted = tuple(Request("/v1/users", "POST", body=json.dumps(account)) for account in accounts)
    for where in [node.url for node in design.nodes] if design.own_stores else [url]:
        if (made := study.stage.fire(Shot(where, wanted, connections=8))).errors:
            raise RuntimeError(f"nobody could sign up: {made.statuses}")
    by_cookie = 0 if design.door is not None else count // 2
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(partial(_sign_in, url, by_cookie), range(count)))


def _sign_in(url: str, by_cookie: int, number: int) -> Account:
    mode: Mode = "cookie" if number < by_cookie else "bearer"
    body = {"email": f"user{number}@example.com", "password": PASSWORD, "mode": mode}
    answer = ask("POST", f"{url}/v1/sessions", json=body, headers={PERSON: str(number)}).raise_for_status()
    shown = {"cookie": f"propylon={answer.cookies['propylon']}"} if mode == "cookie" else {}
    shown |= {"authorization": f"Bearer {answer.json()['access_token']}"} if mode == "bearer" else {}
    return Account({PERSON: str(number), **shown}, answer.json())


def _disturbed(design: Design, balancer: Balancer, quarter_s: float) -> float:
    """Kill a server, then let one join, then kill the store's master; return the share of the busiest before all that."""
    time.sleep(quarter_s)
    counted = balancer.answered()
    busiest = max(counted[node.port] for node in design.nodes) / max(1, counted.total())
    design.nodes[0].kill()
    time.sleep(quarter_s / 2)
    balancer.serve([node.port for node in design.nodes[1:]])
    if design.store_dies is not None:
        time.sleep(quarter_s / 4)
        design.store_dies()
    return 100 * busiest


def _reading(answered: Answered) -> dict[str, float]:
    unanswered = sum(count for status, count in answered.statuses.items() if status == "0" or status >= "500")
    return {"signed_out": len(_signed_out(answered)), "unanswered": unanswered, "p99_ms": answered.p99_ms}


def _signed_out(answered: Answered) -> set[int]:
    return {number for number, statuses in enumerate(answered.by_request) if "401" in statuses}


def _timeline(answered: Answered) -> list[float]:
    """Return what share of the requests was refused or not answered, in percent, slice by slice."""
    return [100 * (1 - one.get("200", 0) / sum(one.values())) if one else 0.0 for one in answered.slices]


def _ended_after_s(design: Design, balancer: Balancer, people: Sequence[Account], answered: Answered) -> float | None:
    """Sign somebody out who is still in, and return when the last server refuses the token; None where nobody is."""
    out = _signed_out(answered)
    still_in = [one for number, one in enumerate(people) if number not in out and "authorization" in one.headers]
    if not still_in:
        return None
    with httpx.Client(**PLAINLY, headers=still_in[0].headers) as client:
        _sign_out(client, design.door.url if design.door is not None else balancer.url)
        ended_at = time.perf_counter()
        for node in design.nodes[1:]:
            while client.get(f"{node.url}/me").status_code == httpx.codes.OK:
                if time.perf_counter() - ended_at > STILL_IN_S:
                    return expires_at(client.headers["authorization"]) - time.time()
    return time.perf_counter() - ended_at


def _sign_out(client: httpx.Client, url: str) -> None:
    """Sign out; a store that is failing over is asked again until it is there."""
    deadline = time.monotonic() + FAILS_OVER_WITHIN_S
    while (answer := client.delete(f"{url}/v1/session")).status_code != httpx.codes.NO_CONTENT:
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody could be signed out: {answer.status_code} {answer.text}")
        time.sleep(0.1)


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - people and seconds, not shares of them
    """Hold the claims against who was signed out."""
    shared = [name for name in SHARED if _was_measured(findings, name)]
    if not shared:
        raise NotMeasured(SHARED[0], "signed_out")
    worst = max(shared, key=lambda name: findings.figure(name, "signed_out").high)
    return [_their_cost(findings, worst), _load_moves(findings, worst), *_stateless_gives_up(findings, worst)]


def _their_cost(findings: Findings, shared: str) -> Verdict:
    """Judge that sticky sessions and clustering cost what a store of its own does not."""
    sticky, ours = (findings.figure(name, "signed_out").median for name in ("sticky", shared))
    replicated = _was_measured(findings, "replicated")
    costs = sticky > ours or (replicated and _trouble(findings, "replicated") > _trouble(findings, shared))
    outcome: Outcome = "holds" if costs else ("no_difference" if sticky == ours else "does_not_hold")
    said = Said(
        "When one of {nodes} servers died and another joined, sticky sessions signed {sticky:.0f} of {people} people out, and a shared "
        "store {ours:.0f}.",
        "서버 {nodes}대 중 한 대가 죽고 다른 한 대가 들어왔을 때, 스티키 세션에서는 {people}명 중 {sticky:.0f}명이, 공유 저장소에서는 {ours:.0f}명이 "
        "로그아웃되었습니다.",
    )
    facts = {"nodes": NODES, "sticky": sticky, "ours": ours, "people": findings.variants[shared].facts["people"]}
    told = said.filled(**facts)
    if not replicated:
        return Verdict(0, outcome, told)
    more = Said(
        "A replicated store signed {out:.0f} out, and left {unanswered:.0f} requests without an answer while its master was replaced.",
        "복제 저장소에서는 {out:.0f}명이 로그아웃되었고, 마스터가 바뀌는 동안 요청 {unanswered:.0f}건이 응답을 받지 못했습니다.",
    ).filled(out=findings.median("replicated", "signed_out"), unanswered=findings.median("replicated", "unanswered"))
    return Verdict(0, outcome, Said(f"{told.en} {more.en}", f"{told.ko} {more.ko}"))


def _trouble(findings: Findings, name: str) -> float:
    return findings.median(name, "signed_out") + findings.median(name, "unanswered")


def _load_moves(findings: Findings, shared: str) -> Verdict:
    """Judge that servers which come and go make sessions hard."""
    sticky, ours = (findings.figure(name, "signed_out").median for name in ("sticky", shared))
    outcome: Outcome = "holds" if ours else ("partly" if sticky else "does_not_hold")
    said = Said(
        "It matters where a session lives at one server: {sticky:.0f} people noticed. On a store that all share, servers came and went "
        "under load and {ours:.0f} were signed out, {unanswered:.0f} requests unanswered, 99th percentile {p99:.0f} ms.",
        "세션이 서버 한 대에 있으면 그렇습니다. {sticky:.0f}명이 영향을 받았습니다. 모두가 함께 쓰는 저장소라면 부하 중에 서버가 드나들어도 {ours:.0f}명이 "
        "로그아웃되고 응답 없는 요청은 {unanswered:.0f}건, 99번째 백분위 응답 시간은 {p99:.0f}ms입니다.",
    )
    facts = {
        "sticky": sticky,
        "ours": ours,
        "unanswered": findings.median(shared, "unanswered"),
        "p99": findings.median(shared, "p99_ms"),
    }
    return Verdict(1, outcome, said.filled(**facts))


def _stateless_gives_up(findings: Findings, shared: str) -> list[Verdict]:
    """Tell what tokens that nobody looks up give up for that."""
    if not _was_measured(findings, "stateless"):
        return []
    out = findings.median("stateless", "signed_out")
    theirs, ours = (findings.median(name, "ended_after_s") for name in ("stateless", shared))
    outcome: Outcome = "holds" if theirs > STILL_IN_S > ours else "does_not_hold"
    said = Said(
        "Stateless tokens scale as well ({out:.0f} signed out) and give up ending: who had signed out was still let in, and is until the "
        "token expires, {theirs:.0f} s later. With a shared store every server had refused them within {ours:.2f} s.",
        "무상태 토큰도 서버를 늘리기에는 좋지만({out:.0f}명 로그아웃) 끝내기를 내려놓습니다. 로그아웃한 사람이 여전히 통과하며 토큰이 만료되는 {theirs:.0f}초 "
        "뒤까지 그렇습니다. 공유 저장소에서는 {ours:.2f}초 안에 모든 서버가 거부했습니다.",
    )
    if outcome == "does_not_hold":
        said = Said(
            "Who had signed out was refused by stateless servers after {theirs:.2f} s, and with a shared store after {ours:.2f} s.",
            "로그아웃한 사람을 무상태 서버는 {theirs:.2f}초, 공유 저장소에서는 {ours:.2f}초 뒤에 거부했습니다.",
        )
    return [Verdict(None, outcome, said.filled(out=out, theirs=theirs, ours=ours))]


def _was_measured(findings: Findings, name: str) -> bool:
    return name in findings.variants and bool(findings.variants[name].figures)


def plots(findings: Findings) -> Sequence[Plot]:
    """Show who was signed out, when requests failed, and how the work was shared."""
    measured = [variant for variant in findings.measured() if variant.figures]
    shown = (
        (
            "signed_out",
            Said(
                "Signed out when a server died and another joined", "서버가 죽고 다른 서버가 들어올 때 로그아웃된 사람"
            ),
            Said("people", "명"),
        ),
        ("p99_ms", Said("Latency meanwhile", "그동안의 응답 시간"), Said("ms, 99th percentile", "ms, 99번째 백분위")),
        (
            "busiest",
            Said("Share of the busiest of three servers", "서버 3대 중 가장 바쁜 서버의 몫"),
            Said("% of the requests", "요청의 %"),
        ),
    )
    bars = [
        Bars(
            title,
            axis,
            tuple(Bar.of(one.label, one.figures[name]) for one in measured),
            baseline=100 / NODES if name == "busiest" else None,
            baseline_label=Said("an even share", "고른 몫"),
        )
        for name, title, axis in shown
    ]
    return [bars[0], _over_time(measured), *bars[1:]]


def _over_time(measured: Sequence[Variant]) -> Lines:
    lines = [
        Line(
            one.label,
            tuple(number * one.facts["slice_s"] for number in range(len(one.facts["refused_share"]))),
            tuple(one.facts["refused_share"]),
        )
        for one in measured
    ]
    return Lines(
        Said(
            "Requests refused or not answered, as it went (last round)",
            "거부되거나 응답받지 못한 요청의 추이(마지막 라운드)",
        ),
        Said("s since the beginning", "시작부터의 시간(초)"),
        Said("% of the requests", "요청의 %"),
        tuple(lines),
    )


EXPERIMENT = Experiment(
    name="scaleout",
    rows=("Q20", "Q21", "Q22", "Q26"),
    question=Said(
        "Do sticky sessions and clustering not solve it?",
        "스티키 세션이나 클러스터링으로 풀 수 있지 않나?",
    ),
    claims=(
        Said(
            "A: their cost is why the session store became a server of its own.",
            "A: 그 비용 때문에 결국 세션 저장소가 따로 떨어져 나왔다.",
        ),
        Said(
            "A: on-premise with one server it was simple, today the load moves.",
            "A: 서버 한 대일 때는 쉬웠지만 지금은 사용자 수가 일정하지 않다.",
        ),
    ),
    method=Said(
        "People who are signed in, half by cookie and half by token, ask again and again, with pauses, through an nginx in front of three "
        "servers. One server is killed (SIGKILL), a fourth joins, and where the store is replicated its master is killed too; nobody signs "
        "in again meanwhile, so whoever is refused with 401 counts as signed out. At the end somebody signs out, and every server is asked "
        "until it refuses them. Stateless servers hold the public key and hear of nothing; one Propylon signs people in for them, by token "
        "only.",
        "쿠키 반, 토큰 반으로 로그인한 사람들이 서버 3대 앞의 nginx를 통해 쉬어 가며 계속 요청합니다. 서버 한 대를 SIGKILL로 죽이고, 네 번째 서버를 넣고, "
        "저장소가 복제되어 있으면 그 마스터도 죽입니다. 그동안 아무도 다시 로그인하지 않으므로 401을 받은 사람은 로그아웃된 것으로 셉니다. 끝에 한 사람이 "
        "로그아웃하고, 모든 서버가 거부할 때까지 묻습니다. 무상태 서버는 공개 키만 갖고 아무 소식도 듣지 않으며, 로그인은 Propylon 한 대가 토큰으로만 "
        "맡습니다.",
    ),
    would_change=Said(
        "Servers that never leave and a number of them that never changes. A shared store that dies without a replica: then nobody gets in "
        "anywhere until it is back.",
        "서버가 빠지지 않고 수도 변하지 않는다면 달라집니다. 복제본 없는 공유 저장소가 죽으면 돌아올 때까지 아무도 들어오지 못합니다.",
    ),
    quantities={
        "signed_out": Quantity(Said("people signed out", "로그아웃된 사람"), "", "less"),
        "unanswered": Quantity(Said("requests without an answer, or with 5xx", "응답이 없거나 5xx인 요청"), "", "less"),
        "p99_ms": Quantity(Said("99th percentile", "99번째 백분위 응답 시간"), "ms", "less"),
        "busiest": Quantity(Said("share of the busiest server", "가장 바쁜 서버의 몫"), "%", "less"),
        "memory": Quantity(Said("memory of a server", "서버 한 대의 메모리"), "MB", "less"),
        "ended_after_s": Quantity(
            Said("a sign-out counts everywhere after", "로그아웃이 모든 서버에 미치기까지"), "s", "less"
        ),
    },
    takes_s={"quick": 30, "full": 145},
    measure=measure,
    judge=judge,
    plots=plots,
)
