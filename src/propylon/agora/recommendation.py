"""A recommendation for the reader's own situation: a few questions, and reasons that name the figures they rest on.

Rules are data, so that the page can weigh them again as its reader answers, by the same arithmetic as here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from propylon.agora.evidence import filled
from propylon.agora.results import Results
from propylon.agora.said import Said

Answers = Mapping[str, str]


class Option(msgspec.Struct, frozen=True):
    """One answer to a question."""

    name: str
    said: Said


class Question(msgspec.Struct, frozen=True):
    """One thing to know about the reader's situation; its first option is taken where nothing is said."""

    name: str
    said: Said
    options: tuple[Option, ...]


class Rule(msgspec.Struct, frozen=True):
    """What an answer speaks for.

    Attributes:
        when: question to the answers of which one was given; all of them have to.
        points: for each choice that it speaks for.
        why: the reason, for people.
        evidence: figures as ``{experiment.variant.quantity}``; left out where they were not measured.
    """

    when: dict[str, tuple[str, ...]]
    points: dict[str, int]
    why: Said
    evidence: Said | None = None


class Advice(msgspec.Struct, frozen=True):
    """What is recommended, and why.

    Attributes:
        choices: the mode, then where sessions are kept.
        reasons: the rules that spoke for it.
        besides: what speaks for something else, to be known.
    """

    choices: tuple[str, ...]
    reasons: tuple[Said, ...]
    besides: tuple[Said, ...]


QUESTIONS: tuple[Question, ...] = (
    Question("clients", Said("Who calls?", "누가 호출하나요?"), (
        Option("web", Said("browsers", "브라우저")),
        Option("both", Said("browsers and mobile apps", "브라우저와 모바일 앱")),
        Option("apps", Said("mobile apps, programs", "모바일 앱, 프로그램")),
    )),
    Question("origins", Said("Where do pages and API live?", "페이지와 API는 어디에 있나요?"), (
        Option("same", Said("on the same site", "같은 사이트")),
        Option("cross", Said("on different sites", "서로 다른 사이트")),
    )),
    Question("verifiers", Said("Who checks credentials?", "인증 정보를 누가 확인하나요?"), (
        Option("own", Said("the service itself", "서비스 자신")),
        Option("others", Said("other services too, without its database", "그 데이터베이스를 쓰지 않는 다른 서비스도")),
    )),
    Question("nodes", Said("How many servers?", "서버는 몇 대인가요?"), (
        Option("one", Said("one", "한 대")),
        Option("few", Said("a few", "몇 대")),
        Option("many", Said("many, and they come and go", "여러 대, 수시로 늘고 줄어듦")),
    )),
    Question("traffic", Said("How busy?", "얼마나 붐비나요?"), (
        Option("calm", Said("up to a thousand requests a second", "초당 천 건까지")),
        Option("busy", Said("more", "그 이상")),
    )),
    Question("revocation", Said("How soon must somebody be out?", "얼마나 빨리 내보내야 하나요?"), (
        Option("now", Said("at once", "즉시")),
        Option("minutes", Said("minutes are fine", "몇 분은 괜찮음")),
    )),
)  # fmt: skip

CHOICES: Mapping[str, Said] = {
    "cookie": Said("Session cookie (PROPYLON_MODE=cookie)", "세션 쿠키(PROPYLON_MODE=cookie)"),
    "hybrid": Said(
        "Hybrid: refresh token in a cookie, access token in the page (PROPYLON_MODE=hybrid)",
        "하이브리드: 리프레시 토큰은 쿠키에, 액세스 토큰은 페이지에(PROPYLON_MODE=hybrid)",
    ),
    "bearer": Said("Tokens (PROPYLON_MODE=bearer)", "토큰(PROPYLON_MODE=bearer)"),
    "sqlite": Said("One SQLite file (the default)", "SQLite 파일 하나(기본값)"),
    "postgres": Said("PostgreSQL (PROPYLON_STORE=postgresql://...)", "PostgreSQL(PROPYLON_STORE=postgresql://...)"),
    "redis": Said(
        "Sessions in Redis, accounts in PostgreSQL (PROPYLON_SESSION_STORE=redis://...)",
        "세션은 Redis, 계정은 PostgreSQL(PROPYLON_SESSION_STORE=redis://...)",
    ),
}
_MODES, _STORES = ("cookie", "hybrid", "bearer"), ("sqlite", "postgres", "redis")

RULES: tuple[Rule, ...] = (
    Rule({"clients": ("web",)}, {"cookie": 3}, Said(
        "A browser keeps a cookie where no script can read it, and sends it by itself.",
        "브라우저는 쿠키를 스크립트가 읽지 못하는 곳에 두고 알아서 보냅니다.",
    ), Said(
        "A check costs {load.cookie.processor_us} us of the server's processor by cookie, "
        "{load.token.processor_us} us by token.",
        "확인 한 번에 서버 프로세서를 쿠키는 {load.cookie.processor_us}us, 토큰은 {load.token.processor_us}us 씁니다.",
    )),
    Rule({"clients": ("both",)}, {"cookie": 1, "hybrid": 1, "bearer": 1}, Said(
        "Each client can have its own mode: a sign-in names it, and both are the same session to the server.",
        "클라이언트마다 방식을 달리할 수 있습니다. 로그인할 때 정하면 되고, 서버에는 같은 세션입니다.",
    )),
    Rule({"clients": ("apps",)}, {"bearer": 4}, Said(
        "An app without a cookie jar sends one header.",
        "쿠키 저장소가 없는 앱은 헤더 하나만 보내면 됩니다.",
    )),
    Rule({"origins": ("cross",)}, {"hybrid": 2, "bearer": 1}, Said(
        "Browsers withhold cookies from other sites; an access token in a header arrives.",
        "브라우저는 다른 사이트로 쿠키를 잘 보내지 않지만, 헤더에 담은 액세스 토큰은 도착합니다.",
    )),
    Rule({"origins": ("same",), "clients": ("web", "both")}, {"cookie": 1}, Said(
        "On one site a cookie needs no script at all.",
        "같은 사이트라면 쿠키는 스크립트가 전혀 필요 없습니다.",
    )),
    Rule({"verifiers": ("others",)}, {"bearer": 3, "hybrid": 3}, Said(
        "Other services check an access token with the public key alone, and hear of endings by the feed.",
        "다른 서비스는 공개 키만으로 액세스 토큰을 검증하고, 종료된 세션은 피드로 전해 듣습니다.",
    ), Said(
        "First check of an ES256 token: {crypto.es256.verify_us} us; again: {crypto.es256.again_us} us.",
        "ES256 토큰의 첫 검증 {crypto.es256.verify_us}us, 다시 볼 때 {crypto.es256.again_us}us.",
    )),
    Rule({"revocation": ("now",)}, {"cookie": 1, "hybrid": 1, "bearer": 1}, Said(
        "Whatever travels, an ended session is refused within milliseconds: no mode gives that up.",
        "어떤 방식이든 끝난 세션은 몇 밀리초 안에 거부됩니다. 이를 포기하는 방식은 없습니다.",
    ), Said(
        "Measured over 4 servers on Redis: {revocation.redis.p99_ms} ms at the 99th percentile.",
        "Redis에서 서버 4대로 잰 값: 99번째 백분위 {revocation.redis.p99_ms}ms.",
    )),
    Rule({"nodes": ("one",)}, {"sqlite": 4}, Said(
        "One server needs no other server for its sessions.",
        "서버가 한 대라면 세션을 위해 다른 서버가 필요하지 않습니다.",
    )),
    Rule({"nodes": ("few",)}, {"postgres": 3, "redis": 1}, Said(
        "Several servers share one database, and there is one thing to keep alive.",
        "서버 몇 대는 데이터베이스 하나를 함께 쓰면 되고, 지켜야 할 것도 하나입니다.",
    ), Said(
        "With PostgreSQL behind the cache: {load.cookie_postgres.per_second} requests a second, "
        "{load.cookie.per_second} on SQLite.",
        "캐시 뒤에 PostgreSQL을 두면 초당 {load.cookie_postgres.per_second}건, SQLite는 {load.cookie.per_second}건.",
    )),
    Rule({"nodes": ("many",)}, {"redis": 3, "postgres": 2}, Said(
        "Where servers come and go, none of them keeps anything, and misses are answered from memory.",
        "서버가 수시로 바뀌면 어느 서버도 상태를 갖지 않아야 하고, 캐시에 없는 조회는 메모리에서 답하는 편이 낫습니다.",
    )),
    Rule({"traffic": ("busy",), "nodes": ("few", "many")}, {"redis": 2}, Said(
        "Many sign-ins and many different people mean look-ups, and Redis answers them fastest.",
        "로그인과 사용자가 많으면 조회가 늘고, Redis가 가장 빨리 답합니다.",
    ), Said(
        "Look-ups that the cache did not have: {stores.redis.look_ups_per_second} a second in Redis, "
        "{stores.postgres.look_ups_per_second} in PostgreSQL.",
        "캐시에 없는 조회: Redis 초당 {stores.redis.look_ups_per_second}건, "
        "PostgreSQL 초당 {stores.postgres.look_ups_per_second}건.",
    )),
)  # fmt: skip


def advise(answers: Answers, results: Results | None) -> Advice:
    """Weigh the rules by somebody's answers; questions without one count as their first option."""
    told = {question.name: answers.get(question.name, question.options[0].name) for question in QUESTIONS}
    points = dict.fromkeys(CHOICES, 0)
    matching = [rule for rule in RULES if all(told[name] in wanted for name, wanted in rule.when.items())]
    for rule in matching:
        for choice, given in rule.points.items():
            points[choice] += given
    chosen = tuple(max(group, key=lambda one: points[one]) for group in (_MODES, _STORES))
    speaks_for = [rule for rule in matching if set(chosen) & set(rule.points)]
    return Advice(
        chosen,
        tuple(_told(rule, results) for rule in speaks_for),
        tuple(_told(rule, results) for rule in matching if rule not in speaks_for),
    )


def for_page(results: Results) -> dict[str, Any]:
    """Return what the page needs to weigh the rules itself."""
    return {
        "questions": QUESTIONS,
        "choices": CHOICES,
        "data": msgspec.json.encode(
            {
                "groups": [_MODES, _STORES],
                "choices": CHOICES,
                "rules": [{"when": rule.when, "points": rule.points, "why": _told(rule, results)} for rule in RULES],
            }
        ).decode(),
    }


def _told(rule: Rule, results: Results | None) -> Said:
    """Return the reason, with its figures where they were measured."""
    evidence = filled(rule.evidence, results) if rule.evidence is not None and results is not None else None
    return Said(f"{rule.why.en} {evidence.en}", f"{rule.why.ko} {evidence.ko}") if evidence is not None else rule.why


def unknown_answers(answers: Answers) -> Sequence[str]:
    """Return what is no answer to any question."""
    known = {question.name: {option.name for option in question.options} for question in QUESTIONS}
    return [f"{name}={value}" for name, value in answers.items() if value not in known.get(name, set())]
