"""What does the cryptography of tokens cost, by algorithm, and what does a session cost beside it?"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from hashlib import sha256
from time import perf_counter
from typing import TypeVar

import msgspec

from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.figures import compare
from propylon.agora.plots import Bar, Bars, Plot
from propylon.agora.results import Findings, Outcome, Variant, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Stage
from propylon.core.access import AccessTokens, TokenRules
from propylon.core.jose.access_token import AccessClaims, issue, verify
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey

T = TypeVar("T")

ISSUER = "https://id.example"
NOW = 1_800_000_000
ALGORITHMS = {"ES256": "es256", "EdDSA": "eddsa", "RS256": "rs256", "HS256": "hs256"}
COOKIE, BY_HAND = "cookie", "by_hand"


def measure(study: Study) -> None:
    """Measure signing, a first check and a repeated one for every algorithm, and the look of a cookie."""
    tokens = study.pick(150, 600)
    contestants = [
        Contestant(name, Said(algorithm, algorithm), _by(algorithm, tokens)) for algorithm, name in ALGORITHMS.items()
    ]
    cookie = Said("cookie, remembered", "쿠키, 기억된 것")
    by_hand = Said("HMAC and JSON by hand", "HMAC과 JSON을 직접 조합")
    others = [Contestant(BY_HAND, by_hand, _by_hand(tokens)), Contestant(COOKIE, cookie, _by_cookie)]
    study.compare([*contestants, *others], rounds=study.pick(5, 9))


def _by(algorithm: str, count: int) -> Prepare:
    def prepare(_: Stage, __: ExitStack) -> Measure:
        key = SigningKey.generate(algorithm)
        keys = KeySet([key.verification_key])
        claims = [_claims(number) for number in range(count)]

        def read() -> Reading:
            signed: list[str] = []
            sign_us = _each_us(lambda one: signed.append(issue(one, key)), claims)
            verify_us = _each_us(lambda token: _verified(token, keys, algorithm), signed)
            known = _remembering(signed, keys, algorithm)
            return {"sign_us": sign_us, "verify_us": verify_us, "again_us": _each_us(known, signed)}

        return read

    return prepare


def _by_hand(count: int) -> Prepare:
    """Sign a JSON text with a secret and check nothing but that, as one writes it first."""

    def prepare(_: Stage, __: ExitStack) -> Measure:
        secret = b"k" * 32
        texts = [msgspec.json.encode({"user": f"u{number}", "until": NOW + 300}) for number in range(count)]

        def signed(text: bytes) -> str:
            mac = hmac.new(secret, text, sha256).digest()
            return f"{base64.urlsafe_b64encode(text).decode()}.{base64.urlsafe_b64encode(mac).decode()}"

        def verified(token: str) -> object:
            text, mac = (base64.urlsafe_b64decode(part) for part in token.split("."))
            if not hmac.compare_digest(hmac.new(secret, text, sha256).digest(), mac):
                raise ValueError(token)
            return msgspec.json.decode(text)

        def read() -> Reading:
            tokens: list[str] = []
            sign_us = _each_us(lambda text: tokens.append(signed(text)), texts)
            return {"sign_us": sign_us, "verify_us": _each_us(verified, tokens)}

        return read

    return prepare


def _by_cookie(_: Stage, __: ExitStack) -> Measure:
    """Measure what a cookie that is remembered costs: its digest, and one look into a table."""
    values = [f"{number:032x}.{number:064x}" for number in range(2_000)]
    held = {sha256(value.encode()).digest(): value for value in values}

    def read() -> Reading:
        return {"again_us": _each_us(lambda value: held.get(sha256(value.encode()).digest()), values)}

    return read


def _remembering(signed: Sequence[str], keys: KeySet, algorithm: str) -> Callable[[str], object]:
    tokens = AccessTokens(TokenRules(ISSUER, ISSUER), keep_s=3_600, permissions_of={})
    for token in signed:
        tokens.admit(token, tokens.read(token, keys, {algorithm}, NOW), now=NOW, monotonic=0.0)
    return lambda token: tokens.recall(token, 1.0)


def _verified(token: str, keys: KeySet, algorithm: str) -> AccessClaims:
    return verify(token, keys, issuer=ISSUER, audience=ISSUER, algorithms={algorithm}, now=NOW, leeway_s=30)


def _claims(number: int) -> AccessClaims:
    return AccessClaims(
        issuer=ISSUER,
        subject="5f0c6a3e-6c7a-4f5e-9b1a-2d7f3a9c1e55",
        audience=(ISSUER,),
        expires_at=NOW + 300,
        issued_at=NOW,
        token_id=f"{number:016x}",
        session_id=f"s{number % 50:031x}",
        auth_time=NOW,
    )


def _each_us(work: Callable[[T], object], things: Sequence[T]) -> float:
    started = perf_counter()
    for thing in things:
        work(thing)
    return (perf_counter() - started) / len(things) * 1e6


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:
    """Hold the claims against the microseconds."""
    return [_heavier(findings, noise), _from_scratch(findings, noise)]


def _heavier(findings: Findings, noise: float) -> Verdict:
    first, again = findings.figure("es256", "verify_us"), findings.figure("es256", "again_us")
    cookie = findings.figure(COOKIE, "again_us")
    seen = compare(again, cookie, noise)
    outcome: Outcome = "partly" if first.median > 2 * cookie.median else "does_not_hold"
    said = Said(
        "The first check of a token costs {first:.0f} us (ES256), many times a cookie that is remembered ({cookie:.1f} us). But "
        "the same token comes again and again: remembered, it costs {again:.1f} us, {ratio:.1f} times the cookie's look-up.",
        "토큰을 처음 검증할 때는 {first:.0f}us(ES256)로 기억된 쿠키({cookie:.1f}us)의 여러 배입니다. 하지만 같은 토큰은 되풀이해 "
        "오고, 기억해 두면 {again:.1f}us로 쿠키 조회의 {ratio:.1f}배입니다.",
    )
    facts = {"first": first.median, "again": again.median, "cookie": cookie.median, "ratio": seen.ratio}
    return Verdict(0, outcome, said.filled(**facts))


def _from_scratch(findings: Findings, noise: float) -> Verdict:
    own, standard = findings.figure(BY_HAND, "verify_us"), findings.figure("hs256", "verify_us")
    seen = compare(own, standard, noise)
    outcomes: dict[str, tuple[Outcome, Said]] = {
        "less": (
            "partly",
            Said(
                "A signed text of one's own takes {own:.1f} us to check, a standard token with a secret (HS256) {standard:.1f} us. "
                "What the {more:.1f} us buy: issuer, audience, type, times, key by name, one algorithm a key; and ES256, which "
                "others check without the secret, for {public:.0f} us the first time.",
                "직접 만든 서명 문자열은 검증에 {own:.1f}us, 비밀 키를 쓰는 표준 토큰(HS256)은 {standard:.1f}us입니다. {more:.1f}us로 얻는 것은 "
                "발급자, 대상, 유형, 시각, 이름으로 찾는 키, 키마다 하나뿐인 알고리즘의 검사입니다. 비밀 없이 다른 곳에서 검증하는 ES256은 "
                "처음 한 번 {public:.0f}us입니다.",
            ),
        ),
        "none": (
            "does_not_hold",
            Said(
                "No difference seen between a signed text of one's own and a standard token: {own:.1f} against {standard:.1f} us.",
                "직접 만든 서명 문자열과 표준 토큰의 차이가 보이지 않습니다. {own:.1f}us 대 {standard:.1f}us입니다.",
            ),
        ),
        "more": (
            "does_not_hold",
            Said(
                "A signed text of one's own takes longer: {own:.1f} against {standard:.1f} us.",
                "직접 만든 서명 문자열이 더 오래 걸립니다. {own:.1f}us 대 {standard:.1f}us입니다.",
            ),
        ),
    }
    outcome, said = outcomes[seen.difference]
    facts = {"own": own.median, "standard": standard.median, "more": standard.median - own.median}
    return Verdict(1, outcome, said.filled(**facts, public=findings.median("es256", "verify_us")))


def plots(findings: Findings) -> Sequence[Plot]:
    """Show the three costs."""
    shown = (
        ("verify_us", Said("The first check of a token", "토큰의 첫 검증")),
        ("again_us", Said("The same one again", "같은 것을 다시 볼 때")),
        ("sign_us", Said("Signing a token", "토큰 서명")),
    )
    axis = Said("us", "us")
    return [
        Bars(title, axis, bars)
        for quantity, title in shown
        if (bars := tuple(Bar.of(one.label, one.figures[quantity]) for one in _with(findings, quantity)))
    ]


def _with(findings: Findings, quantity: str) -> list[Variant]:
    return [one for one in findings.measured() if quantity in one.figures]


EXPERIMENT = Experiment(
    name="crypto",
    rows=("Q5", "Q29"),
    question=Said("What does the cryptography cost?", "암호 연산 비용은 어떤가?"),
    claims=(
        Said(
            "B: signing and checking repeat on the CPU; tokens may load the server more than sessions.",
            "B: 서명과 검증이 CPU를 계속 쓰니 오히려 토큰 쪽 부담이 클 수 있다.",
        ),
        Said(
            "B: a JWT is only a secret key applied, so why not do it oneself?",
            "B: JWT도 비밀 키를 쓸 뿐이니 직접 암호화해서 쓰면 안 되나?",
        ),
    ),
    method=Said(
        "Many different tokens are signed, checked for the first time with all rules of RFC 9068, and looked at again, in one "
        "process and once a round for every algorithm. A cookie that is remembered costs a digest and a look into a table. "
        "Times are of one call, on one core.",
        "서로 다른 토큰 여럿에 서명하고, RFC 9068의 모든 규칙으로 처음 검증하고, 다시 봅니다. 한 프로세스에서 라운드마다 모든 "
        "알고리즘을 한 번씩 잽니다. 기억된 쿠키는 다이제스트 한 번과 테이블 조회 한 번입니다. 코어 하나에서 호출 한 번에 걸린 시간입니다.",
    ),
    would_change=Said(
        "Clients that never present the same token twice, or a processor without instructions for these curves.",
        "같은 토큰을 두 번 쓰지 않는 클라이언트거나, 이 곡선들을 위한 명령이 없는 프로세서라면 달라집니다.",
    ),
    quantities={
        "verify_us": Quantity(Said("first check", "첫 검증"), "us", "less"),
        "again_us": Quantity(Said("again", "다시"), "us", "less"),
        "sign_us": Quantity(Said("signing", "서명"), "us", "less"),
    },
    takes_s={"quick": 1, "full": 5},
    measure=measure,
    judge=judge,
    plots=plots,
)
