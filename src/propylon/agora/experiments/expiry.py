"""How long should a token live? Ten thousand shoppers in virtual time, by each life and each way to renew."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from propylon.agora.experiment import Experiment, Quantity, Reading, Study
from propylon.agora.plots import Line, Lines, Plot
from propylon.agora.results import Findings, Outcome, Verdict
from propylon.agora.said import Said

MINUTE_S = 60
LIVES_MIN = (5, 15, 30, 60)
SEED = 20_261_123

Policy = Literal["none", "at_order", "on_refusal", "silent"]
POLICIES: dict[Policy, Said] = {
    "none": Said("no renewal: sign in again", "갱신 없음: 다시 로그인"),
    "at_order": Said("a new token when the order begins", "주문을 시작할 때 새로 발급"),
    "on_refusal": Said("refresh token, used after a refusal", "거부당한 뒤 리프레시 토큰 사용"),
    "silent": Said("refresh token, used before expiry; ensureFresh at the order", "만료 전에 조용히 갱신, 주문 때 ensureFresh"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visit:
    """When one shopper does something, in seconds from the sign-in.

    Attributes:
        clicks: requests.
        order: when an order begins and when it is sent; None for who only looks.
    """

    clicks: tuple[float, ...]
    order: tuple[float, float] | None


@dataclass(slots=True)
class Account:
    """What became of everybody's visits."""

    orders: int = 0
    broken: int = 0
    sign_ins: int = 0
    refreshes: int = 0
    clicks: int = 0
    exposed_s: float = 0.0


def visits(count: int, seed: int = SEED) -> list[Visit]:
    """Return visits of realistic length: most take some minutes, some an hour, some have lunch in between."""
    chance = random.Random(seed)  # noqa: S311 - the same shoppers on every machine
    return [_visit(chance) for _ in range(count)]


def _visit(chance: random.Random) -> Visit:
    length_s = min(4 * 3_600, chance.lognormvariate(6.6, 0.9))  # half of them longer than 12 minutes
    clicks, now = [], 0.0
    while now < length_s:
        pause_s = chance.expovariate(1 / 25)
        if chance.random() < 0.004:
            pause_s += chance.uniform(10, 70) * MINUTE_S  # somebody comes by, or lunch
        now += pause_s
        clicks.append(now)
    order = None
    if chance.random() < 0.4:
        begins = chance.uniform(0.3, 1.0) * now
        # An address, a card, a doubt: half of the orders take longer than three minutes.
        order = (begins, begins + chance.lognormvariate(5.2, 0.6))
    return Visit(tuple(clicks), order)


def shop(everyone: Sequence[Visit], life_s: int, policy: Policy) -> Account:
    """Let everyone shop with tokens of one life, renewed in one way."""
    account = Account()
    for visit in everyone:
        _shop(visit, life_s, policy, account)
    return account


def _shop(visit: Visit, life_s: int, policy: Policy, account: Account) -> None:
    """Let one shopper shop. A token dies ``life_s`` after it was issued; an order sent with a dead one is broken."""
    steps = [(at, "click") for at in visit.clicks]
    if visit.order is not None:
        begins, sent = visit.order
        steps += [(begins, "begin"), (sent, "send")]
        account.orders += 1
    expires = float(life_s)
    for at, step in sorted(steps):
        if _renews(step, policy, expires - at, life_s):
            account.refreshes += 1
            expires = at + life_s
        elif at >= expires:
            account.broken += step == "send"
            account.sign_ins += 1
            expires = at + life_s
        if step == "click":
            # A thief who copies the token on its way may use it for what is left of its life.
            account.clicks += 1
            account.exposed_s += expires - at


def _renews(step: str, policy: Policy, left_s: float, life_s: int) -> bool:
    """Return whether a step renews the token before it is used (or, ``on_refusal``, right after it was refused)."""
    if policy == "silent":
        # As the browser client does: shortly before expiry, and at least a minute of life for what matters.
        needs_s = 60 if step == "begin" else 0.1 * life_s
        return left_s < needs_s
    if policy == "on_refusal":
        return left_s <= 0
    return policy == "at_order" and step == "begin"


def measure(study: Study) -> None:
    """Let everyone shop by each life and policy."""
    everyone = visits(study.pick(2_000, 10_000))
    for number, (policy, label) in enumerate(POLICIES.items()):
        for life_min in LIVES_MIN:
            name, said = f"{policy}_{life_min}", Said("{label}, {life} min", "{label}, {life}분")

            def action(_: object, policy: Policy = policy, life_min: int = life_min) -> Reading:
                return _reading(shop(everyone, life_min * MINUTE_S, policy), len(everyone))

            study.once(name, said.filled(label=label, life=life_min), action)
        study.progress((number + 1) / len(POLICIES))


def _reading(account: Account, visitors: int) -> Reading:
    return {
        "broken": 1_000 * account.broken / max(1, account.orders),
        "sign_ins": 1_000 * account.sign_ins / visitors,
        "refreshes": account.refreshes / visitors,
        "exposed_s": account.exposed_s / max(1, account.clicks),
    }


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - nothing here is timed
    """Hold the claims against what became of the orders."""
    return [_which_life(findings), _bear_it(findings), _at_order(findings), _two_tokens(findings)]


def _which_life(findings: Findings) -> Verdict:
    without = {life: findings.median(f"none_{life}", "broken") for life in LIVES_MIN}
    shortest = findings.median(f"silent_{LIVES_MIN[0]}", "broken")
    outcome: Outcome = "does_not_hold" if shortest == 0 and max(without.values()) > 0 else "partly"
    said = Said(
        "Without renewal {b15:.0f} of 1,000 orders break at 15 minutes, {b30:.0f} at 30 and {b60:.0f} at 60. With silent "
        "renewal {shortest:.0f} break even at 5 minutes: then the life only decides how long a stolen token would work.",
        "갱신이 없으면 주문 1,000건 중 15분에서 {b15:.0f}건, 30분에서 {b30:.0f}건, 60분에서 {b60:.0f}건이 깨집니다. 조용히 "
        "갱신하면 5분에서도 {shortest:.0f}건입니다. 그러면 수명은 탈취된 토큰이 얼마나 오래 통할지만 결정합니다.",
    )
    return Verdict(0, outcome, said.filled(b15=without[15], b30=without[30], b60=without[60], shortest=shortest))


def _bear_it(findings: Findings) -> Verdict:
    asked, silent = findings.median("none_15", "sign_ins"), findings.median("silent_15", "sign_ins")
    outcome: Outcome = "does_not_hold" if silent == 0 < asked else "holds"
    said = Said(
        "At 15 minutes people are asked to sign in again {asked:.0f} times in 1,000 visits without renewal, and "
        "{silent:.0f} times with a refresh token that is used in time. Nobody has to bear it.",
        "15분이면 방문 1,000번에 다시 로그인하라는 요청이 갱신 없이는 {asked:.0f}번, 제때 쓰는 리프레시 토큰이 있으면 "
        "{silent:.0f}번입니다. 견딜 필요가 없습니다.",
    )
    if outcome == "holds":
        said = Said(
            "People are asked {asked:.0f} times in 1,000 visits without renewal and {silent:.0f} times with it.",
            "다시 로그인하라는 요청이 방문 1,000번에 갱신 없이 {asked:.0f}번, 갱신하면 {silent:.0f}번입니다.",
        )
    return Verdict(1, outcome, said.filled(asked=asked, silent=silent))


def _at_order(findings: Findings) -> Verdict:
    short, long = findings.median("at_order_5", "broken"), findings.median("at_order_60", "broken")
    outcome: Outcome = "holds" if short == 0 else ("partly" if long < short else "does_not_hold")
    said = Said(
        "A token issued when the order begins breaks {short:.0f} of 1,000 orders at 5 minutes (people take longer than "
        "that to finish) and {long:.2g} at 60. It saves the order and not the visit: {asked:.0f} sign-ins in 1,000 visits "
        "remain at 15 minutes.",
        "주문을 시작할 때 새로 발급하면 5분에서 1,000건 중 {short:.0f}건(주문을 끝내는 데 더 걸린 사람들), 60분에서 "
        "{long:.2g}건이 깨집니다. 주문은 구하지만 방문은 아닙니다. 15분이면 방문 1,000번에 로그인 {asked:.0f}번이 남습니다.",
    )
    asked = findings.median("at_order_15", "sign_ins")
    return Verdict(2, outcome, said.filled(short=short, long=long, asked=asked))


def _two_tokens(findings: Findings) -> Verdict:
    asked, cost = findings.median("silent_5", "sign_ins"), findings.median("silent_5", "refreshes")
    outcome: Outcome = "holds" if asked == 0 else "partly"
    said = Said(
        "With a refresh token nobody signs in again within a visit ({asked:.0f} of 1,000), for {cost:.1f} renewals a visit at "
        "5 minutes. A copied access token then works for {exposed:.1f} minutes on average, and with the revocation feed "
        "only until its session is ended.",
        "리프레시 토큰이 있으면 방문 중에 다시 로그인하는 사람이 없고(1,000명 중 {asked:.0f}명), 대가는 5분에서 방문당 갱신 "
        "{cost:.1f}번입니다. 복사된 액세스 토큰은 평균 {exposed:.1f}분 통하며, 폐기 피드가 있으면 세션을 끝낼 때까지만 통합니다.",
    )
    exposed = findings.median("silent_5", "exposed_s") / MINUTE_S
    return Verdict(3, outcome, said.filled(asked=asked, cost=cost, exposed=exposed))


def plots(findings: Findings) -> Sequence[Plot]:
    """Show broken orders and sign-ins over the life."""
    life = Said("life of the access token, minutes", "액세스 토큰의 수명, 분")
    return [
        Lines(Said("Orders broken by an expired token", "만료된 토큰 때문에 깨진 주문"), life,
              Said("broken of 1,000 orders", "주문 1,000건 중 깨진 건수"), _lines(findings, "broken")),
        Lines(Said("People asked to sign in again", "다시 로그인해야 했던 사람"), life,
              Said("sign-ins in 1,000 visits", "방문 1,000번 중 로그인 수"), _lines(findings, "sign_ins")),
    ]  # fmt: skip


def _lines(findings: Findings, quantity: str) -> tuple[Line, ...]:
    lines = []
    for policy, label in POLICIES.items():
        points = [
            (float(life), findings.median(name, quantity))
            for life in LIVES_MIN
            if (name := f"{policy}_{life}") in findings.variants and findings.variants[name].figures
        ]
        if points:
            xs, ys = zip(*points, strict=True)
            lines.append(Line(label, xs, ys))
    return tuple(lines)


EXPERIMENT = Experiment(
    name="expiry",
    rows=("Q9", "Q12", "Q13", "Q14"),
    question=Said(
        "How long should a token live, and what happens in the middle of an order?",
        "토큰의 수명은 얼마가 알맞고, 주문 도중에 만료되면 어떻게 되나?",
    ),
    claims=(
        Said(
            "One team: 15 to 30 minutes. Another: an hour, refresh tokens later.",
            "한 팀은 15~30분, 다른 팀은 1시간(리프레시 토큰은 나중에).",
        ),
        Said(
            "A: for so short a span people have to bear signing in again.",
            "A: 그 정도 다시 로그인하는 것은 사용자가 견뎌야 한다.",
        ),
        Said("A: issue a new one when the order begins.", "A: 주문을 시작할 때 새로 발급하면 된다."),
        Said(
            "A: the access token is short; the refresh token brings the next one, so the sign-in stays.",
            "A: 액세스 토큰은 수명이 짧고, 리프레시 토큰이 다음 것을 받아 로그인을 이어 준다.",
        ),
    ),
    method=Said(
        "Shoppers in virtual time, the same on every machine (seeded): half of the visits last longer than 12 minutes, two "
        "in five place an order, half of the orders take longer than three minutes. Each life and each way to renew sees "
        "the same visits. An order that is sent with an expired token and cannot be renewed counts as broken.",
        "가상 시간 속의 손님들이며, 시드가 고정되어 어느 컴퓨터에서나 같습니다. 방문의 절반은 12분을 넘고, 다섯 중 둘이 주문하며, "
        "주문의 절반은 3분을 넘깁니다. 모든 수명과 갱신 방식이 똑같은 방문을 겪습니다. 만료된 토큰으로 보내 갱신하지 못한 "
        "주문을 깨진 것으로 셉니다.",
    ),
    would_change=Said(
        "Shoppers who finish in seconds, or clients that cannot keep a refresh token.",
        "몇 초 만에 끝내는 손님들뿐이거나, 리프레시 토큰을 보관할 수 없는 클라이언트라면 달라집니다.",
    ),
    quantities={
        "broken": Quantity(Said("broken of 1,000 orders", "주문 1,000건 중 깨진 건수"), "", "less"),
        "sign_ins": Quantity(Said("sign-ins in 1,000 visits", "방문 1,000번 중 로그인 수"), "", "less"),
        "refreshes": Quantity(Said("renewals a visit", "방문당 갱신"), "", "less"),
        "exposed_s": Quantity(Said("life left to a copied token", "복사된 토큰의 남은 수명"), "s", "less"),
    },
    takes_s={"quick": 1, "full": 2},
    measure=measure,
    judge=judge,
    plots=plots,
)
