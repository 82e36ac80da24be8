"""What can somebody read in a token that they found, also after it has expired?"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from propylon.agora.experiment import Experiment, Quantity, Reading, Study
from propylon.agora.plots import Cell, Matrix, Plot
from propylon.agora.results import Findings, NotMeasured, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Stage
from propylon.agora.stage.asking import ask
from propylon.agora.stage.sites import PASSWORD

EMAIL, NAME = "jiwoo.kim@example.com", "김지우"
OURS, TOKEN_OF_EXAMPLES, COOKIE = "token", "token_of_examples", "cookie"
LIFE_S = 1


def measure(study: Study) -> None:
    """Sign in, wait until the token is refused, and read what is still in it."""
    found: dict[str, dict[str, Any]] = {}

    def expired_token(stage: Stage) -> Reading:
        with stage.propylon({"access_ttl_s": str(LIFE_S)}) as site:
            account = {"email": EMAIL, "password": PASSWORD, "name": NAME}
            ask("POST", f"{site.url}/v1/users", json=account).raise_for_status()
            signed_in = site.sign_in(EMAIL, "bearer")
            _wait_until_refused(f"{site.url}/me", signed_in.headers)
            found[OURS] = _read(signed_in.body["access_token"])
        return _counted(found[OURS])

    def token_of_examples(_: Stage) -> Reading:
        # As a search for "jwt login" shows it on the first page: the user's record, signed.
        claims = {"id": 7, "email": EMAIL, "name": NAME, "role": "admin", "exp": 1}
        body = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
        found[TOKEN_OF_EXAMPLES] = _read(f"h.{body}.s")
        return _counted(found[TOKEN_OF_EXAMPLES])

    def cookie(stage: Stage) -> Reading:
        with stage.propylon() as site:
            site.sign_up(EMAIL)
            value = site.sign_in(EMAIL, "cookie").headers["cookie"]
        return {"readable": 0, "personal": float(EMAIL in value), "size": len(value.partition("=")[2])}

    labels = {
        OURS: Said("access token of Propylon, expired", "Propylon의 액세스 토큰, 만료됨"),
        TOKEN_OF_EXAMPLES: Said("token as examples write it", "흔한 예제의 토큰"),
        COOKIE: Said("session cookie", "세션 쿠키"),
    }
    for number, action in enumerate((expired_token, token_of_examples, cookie)):
        name = (OURS, TOKEN_OF_EXAMPLES, COOKIE)[number]
        study.once(name, labels[name], action)
        study.note(name, claims={claim: str(value) for claim, value in found.get(name, {}).items()})
        study.progress((number + 1) / 3)


def _wait_until_refused(url: str, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + 10 * LIFE_S
    while ask("GET", url, headers=headers).status_code != httpx.codes.UNAUTHORIZED:
        if time.monotonic() > deadline:
            raise RuntimeError("the token did not expire")
        time.sleep(0.1)


def _read(token: str) -> dict[str, Any]:
    """Read a token without any key, as whoever finds it can."""
    body = token.split(".")[1]
    claims: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _counted(claims: dict[str, Any]) -> Reading:
    size = len(msgspec.json.encode(claims))
    return {"readable": len(claims), "personal": sum(map(_is_personal, claims.values())), "size": size}


def _is_personal(value: object) -> bool:
    return any(said in str(value) for said in (EMAIL, NAME))


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - nothing here is timed
    """Hold the claims against what was read."""
    if OURS not in findings.variants or not findings.variants[OURS].figures:
        raise NotMeasured(OURS, "personal")
    return [_sensitive(findings), _read_after_expiry(findings)]


def _sensitive(findings: Findings) -> Verdict:
    personal, examples = findings.median(OURS, "personal"), findings.median(TOKEN_OF_EXAMPLES, "personal")
    outcome: Outcome = "does_not_hold" if personal == 0 else "holds"
    said = Said(
        "It need not. Propylon's token names ids and times, {personal:.0f} claims with an address or a name; a token as examples "
        "write it has {examples:.0f}. Short it is because of theft (see expiry), not because of what is in it.",
        "그럴 필요가 없습니다. Propylon의 토큰에는 ID와 시각만 있고 이메일이나 이름이 든 클레임은 {personal:.0f}개입니다. 흔한 예제의 토큰에는 "
        "{examples:.0f}개가 있습니다. 수명이 짧은 까닭은 내용이 아니라 탈취 때문입니다(expiry 참고).",
    )
    return Verdict(0, outcome, said.filled(personal=personal, examples=examples))


def _read_after_expiry(findings: Findings) -> Verdict:
    readable = findings.median(OURS, "readable")
    outcome: Outcome = "holds" if readable > 0 else "does_not_hold"
    said = Said(
        "Refused by every server, and still {readable:.0f} claims can be read without any key. A signature proves, it hides "
        "nothing: what must not be read does not belong in it.",
        "모든 서버가 거부하는데도 키 없이 클레임 {readable:.0f}개를 읽을 수 있습니다. 서명은 증명할 뿐 숨기지 않습니다. 읽혀서 안 되는 것은 "
        "토큰에 넣지 말아야 합니다.",
    )
    return Verdict(1, outcome, said.filled(readable=readable))


def plots(findings: Findings) -> Sequence[Plot]:
    """Show every claim that was read."""
    rows = [
        (Said(f"{variant.label.en}: {claim}", f"{variant.label.ko}: {claim}"), (Cell(Said(value, value)), _kind(value)))
        for variant in findings.measured()
        for claim, value in variant.facts.get("claims", {}).items()
    ]
    columns = (Said("what it says", "내용"), Said("about a person", "개인 정보인가"))
    title = Said("What whoever finds an expired token can read", "만료된 토큰을 주운 사람이 읽을 수 있는 것")
    return [Matrix(title, Said("claim", "클레임"), columns, tuple(rows))] if rows else []


def _kind(value: str) -> Cell:
    if _is_personal(value):
        return Cell(Said("yes", "예"), good=False)
    return Cell(Said("no", "아니요"), good=True)


EXPERIMENT = Experiment(
    name="payload",
    rows=("Q10",),
    question=Said("Why must the access token be short?", "액세스 토큰은 왜 짧아야 하나?"),
    claims=(
        Said("A: it carries sensitive things.", "A: 민감한 정보가 들어 있어서."),
        Said("B: its content can be read even after it has expired.", "B: 만료된 뒤에도 내용은 읽을 수 있다."),
    ),
    method=Said(
        "Somebody with an address and a name signs in at a server whose tokens live one second. When the server refuses the "
        "token, it is read without any key, as whoever finds it can. Beside it stands a token as examples on the web write it.",
        "이메일과 이름이 있는 사람이 토큰 수명이 1초인 서버에 로그인합니다. 서버가 그 토큰을 거부하면, 주운 사람처럼 키 없이 내용을 "
        "읽어 봅니다. 웹의 흔한 예제가 만드는 토큰을 옆에 둡니다.",
    ),
    would_change=Said(
        "An app that puts its user's record into the token.",
        "사용자 정보를 토큰에 담는 앱이라면 달라집니다.",
    ),
    quantities={
        "readable": Quantity(Said("claims that can be read", "읽을 수 있는 클레임"), "", ""),
        "personal": Quantity(Said("of them about a person", "그중 개인 정보"), "", "less"),
        "size": Quantity(Said("size", "크기"), "bytes", "less"),
    },
    takes_s={"quick": 2, "full": 3},
    measure=measure,
    judge=judge,
    plots=plots,
)
