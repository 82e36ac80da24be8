"""Do sessions get lost where requests are asynchronous? Very many at once, of many people, on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.plots import Bar, Bars, Plot
from propylon.agora.results import Findings, NotMeasured, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Account, Shot, Site, Stage
from propylon.agora.stage.asking import ask
from propylon.agora.stage.generator import Request
from propylon.agora.stage.sites import Mode

USERS = 50
CONNECTIONS = 100
NAIVE = "read_then_write"
FAST = {"password_profile": "unsafe_cheapest"}

OURS: dict[str, tuple[Said, Mode]] = {
    "cookie": (Said("cookie", "쿠키"), "cookie"),
    "token": (Said("token", "토큰"), "bearer"),
}
READ_THEN_WRITE = Said("read, add, write (for comparison)", "읽고, 더하고, 쓰기(비교용)")


def measure(study: Study) -> None:
    """Ask who is calling and add to the session's data, everybody at the same time."""
    requests, additions = 1_000, study.pick(150, 500)

    def by(mode: Mode, path: str) -> Prepare:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            site = stack.enter_context(stage.propylon(FAST))
            people = _people(site, mode, study.pick(20, USERS))

            def everybody_at_once() -> Reading:
                mixed_up = _mixed_up(stage, site, people, requests)
                lost = _lost(stage, site, people[0], path, additions)
                return {"mixed_up": mixed_up, "lost": lost}

            return everybody_at_once

        return prepare

    contestants = [Contestant(name, label, by(mode, "/add")) for name, (label, mode) in OURS.items()]
    contestants.append(Contestant(NAIVE, READ_THEN_WRITE, by("cookie", "/add/naive")))
    study.compare(contestants, rounds=study.pick(1, 3))


def _people(site: Site, mode: Mode, count: int) -> list[tuple[str, Account]]:
    """Sign everybody in; return each one's user id with what they present."""
    people = []
    for number in range(count):
        email = f"user{number}@example.com"
        site.sign_up(email)
        account = site.sign_in(email, mode)
        people.append((str(account.body["user"]["id"]), account))
    return people


def _mixed_up(stage: Stage, site: Site, people: Sequence[tuple[str, Account]], requests: int) -> int:
    """Return how many of many simultaneous answers named somebody else, or nobody."""
    asking = [people[number % len(people)] for number in range(requests)]
    wire = tuple(Request("/me", headers=account.headers) for _, account in asking)
    answered = stage.fire(Shot(site.url, wire, connections=CONNECTIONS))
    pairs = zip(asking, answered.bodies, strict=True)
    return sum(not body or msgspec.json.decode(body).get("id") != user_id for (user_id, _), body in pairs)


def _lost(stage: Stage, site: Site, somebody: tuple[str, Account], path: str, additions: int) -> int:
    """Return how many of many simultaneous additions to one session's data are missing afterwards."""
    headers = somebody[1].headers
    before = _number(site, headers)
    wire = (Request(path, "POST", headers=headers),) * additions
    answered = stage.fire(Shot(site.url, wire, connections=20))
    return answered.statuses.get("200", 0) - (_number(site, headers) - before)


def _number(site: Site, headers: dict[str, str]) -> int:
    data = ask("GET", f"{site.url}/v1/session/data", headers=headers).json()
    return int(data.get("n", 0))


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - nothing here is timed
    """Hold the claim against what was lost."""
    measured = [name for name in OURS if name in findings.variants and findings.variants[name].figures]
    if not measured:
        raise NotMeasured(next(iter(OURS)), "lost")
    mixed_up = sum(findings.figure(name, "mixed_up").high for name in measured)
    lost = sum(findings.figure(name, "lost").high for name in measured)
    outcome: Outcome = "does_not_hold" if mixed_up == lost == 0 else "holds"
    said = Said(
        "Of a thousand simultaneous requests {mixed_up:.0f} were answered as somebody else, and {lost:.0f} simultaneous additions "
        "to a session's data were lost, by cookie and by token.",
        "동시 요청 1,000개 가운데 다른 사람으로 응답한 것이 {mixed_up:.0f}개, 세션 데이터에 동시에 더한 것 가운데 잃은 것이 "
        "{lost:.0f}개입니다. 쿠키와 토큰 모두 그렇습니다.",
    )
    return [Verdict(0, outcome, said.filled(mixed_up=mixed_up, lost=lost)), *_naive(findings)]


def _naive(findings: Findings) -> list[Verdict]:
    if NAIVE not in findings.variants or not findings.variants[NAIVE].figures:
        return []
    lost = findings.figure(NAIVE, "lost").high
    said = Said(
        "Reading, adding and writing without comparing loses {lost:.0f} of them on the same server.",
        "같은 서버에서 비교 없이 읽고 더하고 쓰면 {lost:.0f}개를 잃습니다.",
    )
    return [Verdict(None, "holds" if lost else "no_difference", said.filled(lost=lost))]


def plots(findings: Findings) -> Sequence[Plot]:
    """Show what was lost."""
    bars = tuple(Bar.of(one.label, one.figures["lost"]) for one in findings.measured())
    title = Said("Lost of many simultaneous additions to one session", "한 세션에 동시에 더했을 때 잃은 것")
    return [Bars(title, Said("additions lost", "잃은 횟수"), bars, baseline=0, baseline_label=Said("none", "없음"))]


EXPERIMENT = Experiment(
    name="async",
    rows=("Q25",),
    question=Said("Do sessions work with asynchronous requests?", "비동기 요청에서도 세션을 쓸 수 있나?"),
    claims=(
        Said(
            "A: convenient, nearly all is there; but with asynchronous requests the session did not arrive, so we went to tokens.",
            "A: 대부분 갖춰져 있어 편했지만, 비동기 요청에서 세션을 받지 못해 토큰으로 옮겼다.",
        ),
    ),
    method=Said(
        "A thousand requests of many people over a hundred connections ask who is calling, and every answer is held against who "
        "asked. Then one session's data is added to from twenty connections at the same time, and the sum is checked. The same "
        "is done by reading, adding and writing, as one writes it first.",
        "여러 사람의 요청 1,000개가 연결 100개로 누가 호출했는지 묻고, 응답마다 물어본 사람과 맞는지 봅니다. 그다음 세션 하나의 데이터에 "
        "연결 20개가 동시에 더하고 합계를 확인합니다. 처음 떠올리는 방식인 읽고, 더하고, 쓰기로도 똑같이 해 봅니다.",
    ),
    would_change=Said(
        "Session data that is kept in a variable of the process, or a framework whose request is a global.",
        "세션 데이터를 프로세스의 변수에 두거나, 요청 객체가 전역인 프레임워크라면 달라집니다.",
    ),
    quantities={
        "mixed_up": Quantity(Said("answered as somebody else", "다른 사람으로 응답"), "", "less"),
        "lost": Quantity(Said("additions lost", "잃은 횟수"), "", "less"),
    },
    takes_s={"quick": 4, "full": 9},
    measure=measure,
    judge=judge,
    plots=plots,
)
