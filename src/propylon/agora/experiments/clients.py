"""What about clients without cookies? Each kind of client does all it has to do, against one server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from propylon.agora.experiment import Experiment, Quantity, Reading, Study
from propylon.agora.plots import Cell, Matrix, Plot
from propylon.agora.results import Findings, NotMeasured, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Site, Stage
from propylon.agora.stage.asking import PLAINLY
from propylon.agora.stage.sites import PASSWORD
from propylon.core.principal import CredentialKind
from propylon.errors import PropylonError
from propylon.verifier import Verifier

EMAIL = "somebody@example.com"
IPHONE = "ShopApp/2.3 (iPhone; iOS 18.5)"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAME_SITE = {"sec-fetch-site": "same-origin", "user-agent": FIREFOX}

STEPS: dict[str, Said] = {
    "signs_in": Said("signs in", "로그인"),
    "asks": Said("asks who it is", "누구인지 묻기"),
    "renews": Said("renews", "갱신"),
    "is_listed": Said("is listed with its device", "기기 목록에 보임"),
    "is_ended": Said("is ended by another device, at once", "다른 기기가 즉시 끝냄"),
}
KINDS: dict[str, Said] = {
    "browser_cookie": Said("browser, cookie", "브라우저, 쿠키"),
    "browser_hybrid": Said("browser, hybrid", "브라우저, 하이브리드"),
    "app": Said("mobile app, no cookie jar", "모바일 앱, 쿠키 저장소 없음"),
    "handed_over": Said("web view that an app opened", "앱이 연 웹 뷰"),
    "elsewhere": Said("service that only verifies", "검증만 하는 서비스"),
}


class Caller:
    """One client: what it presents, and what it has to present it with."""

    def __init__(self, site: Site, http: httpx.Client, headers: dict[str, str], *, jar: bool) -> None:
        self._site, self._http, self._headers = site, http, headers
        self._jar = jar
        self.kind: CredentialKind = "cookie"
        self.refresh_token = ""

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request; without a jar no cookie is ever kept."""
        answer = self._http.request(method, f"{self._site.url}{path}", json=body, headers=self._headers)
        if not self._jar:
            self._http.cookies.clear()
        return answer

    def sign_in(self, mode: str) -> str:
        """Sign in, and return the session's id."""
        answer = self.ask("POST", "/v1/sessions", {"email": EMAIL, "password": PASSWORD, "mode": mode})
        answer.raise_for_status()
        self._hold(answer.json())
        session_id: str = answer.json()["session"]["id"]
        return session_id

    def asks(self) -> bool:
        """Return whether the route of the app knows who it is."""
        return self.ask("GET", "/me").status_code == httpx.codes.OK

    def renews(self) -> bool:
        """Get new means; a cookie session renews itself by being used."""
        if self.kind == "cookie":
            return self.asks()
        body = {"refresh_token": self.refresh_token} if self.refresh_token else None
        if not self.refresh_token:
            self._headers.pop("authorization", None)  # the refresh cookie is the means
        answer = self.ask("POST", "/v1/session/tokens", body)
        if answer.status_code != httpx.codes.OK:
            return False
        self._hold(answer.json())
        return self.asks()

    def hand_over(self) -> httpx.Response:
        """Turn the session of the tokens into a cookie."""
        return self.ask("POST", "/v1/session/cookie")

    def _hold(self, said: dict[str, str]) -> None:
        if token := said.get("access_token"):
            self.kind = "access_token"
            self._headers["authorization"] = f"Bearer {token}"
        self.refresh_token = said.get("refresh_token", self.refresh_token)


def measure(study: Study) -> None:
    """Let each kind do everything."""

    def everybody(stage: Stage, kind: str) -> Reading:
        settings = {"password_profile": "unsafe_cheapest"}
        with stage.propylon(settings) as site, httpx.Client(**PLAINLY) as http, httpx.Client(**PLAINLY) as other:
            site.sign_up(EMAIL)
            owner = Caller(site, other, dict(SAME_SITE), jar=True)
            owner.sign_in("cookie")
            done = _STORIES[kind](site, http, owner)
        done_by_kind[kind] = done
        return {"done": sum(done.values())}

    done_by_kind: dict[str, dict[str, bool]] = {}
    for number, (kind, label) in enumerate(KINDS.items()):
        study.once(kind, label, lambda stage, kind=kind: everybody(stage, kind))  # type: ignore[misc]
        study.note(kind, done=done_by_kind.get(kind, {}))
        study.progress((number + 1) / len(KINDS))


def _story(caller: Caller, mode: str, owner: Caller) -> dict[str, bool]:
    session_id = caller.sign_in(mode)
    done = {"signs_in": True, "asks": caller.asks(), "renews": caller.renews()}
    return done | _ended(caller, session_id, owner)


def _ended(caller: Caller, session_id: str, owner: Caller) -> dict[str, bool]:
    listed = owner.ask("GET", "/v1/sessions").json()["sessions"]
    owner.ask("DELETE", f"/v1/sessions/{session_id}").raise_for_status()
    return {"is_listed": any(one["id"] == session_id for one in listed), "is_ended": not caller.asks()}


def _browser_cookie(site: Site, http: httpx.Client, owner: Caller) -> dict[str, bool]:
    return _story(Caller(site, http, dict(SAME_SITE), jar=True), "cookie", owner)


def _browser_hybrid(site: Site, http: httpx.Client, owner: Caller) -> dict[str, bool]:
    return _story(Caller(site, http, dict(SAME_SITE), jar=True), "hybrid", owner)


def _app(site: Site, http: httpx.Client, owner: Caller) -> dict[str, bool]:
    return _story(Caller(site, http, {"user-agent": IPHONE}, jar=False), "bearer", owner)


def _handed_over(site: Site, http: httpx.Client, owner: Caller) -> dict[str, bool]:
    app = Caller(site, http, {"user-agent": IPHONE, "sec-fetch-site": "same-origin"}, jar=False)
    session_id = app.sign_in("bearer")
    cookie = app.hand_over().headers["set-cookie"].partition(";")[0]
    with httpx.Client(**PLAINLY) as web_view:
        page = Caller(site, web_view, {**SAME_SITE, "cookie": cookie}, jar=False)
        done = {"signs_in": True, "asks": page.asks(), "renews": page.renews()}
        ended = _ended(page, session_id, owner)
        return done | ended | {"is_ended": ended["is_ended"] and not app.asks()}


def _elsewhere(site: Site, http: httpx.Client, owner: Caller) -> dict[str, bool]:
    app = Caller(site, http, {"user-agent": IPHONE}, jar=False)
    session_id = app.sign_in("bearer")
    secret = site.command("verifiers", "add", "agora")["secret"]
    with Verifier(issuer=site.url, audience=site.url, secret=secret) as verifier:
        done = {"signs_in": True, "asks": _accepts(verifier, app), "renews": app.renews() and _accepts(verifier, app)}
        ended = _ended(app, session_id, owner)
        # The verifier hears of it by the feed; so it is given the time that a packet takes.
        refused = any(not _accepts(verifier, app) for _ in range(2_000))
        return done | ended | {"is_ended": ended["is_ended"] and refused}


def _accepts(verifier: Verifier, app: Caller) -> bool:
    try:
        verifier.verify(app._headers["authorization"].removeprefix("Bearer "))  # noqa: SLF001 - of the same file
    except PropylonError:
        return False
    return True


_STORIES: dict[str, Callable[[Site, httpx.Client, Caller], dict[str, bool]]] = {
    "browser_cookie": _browser_cookie,
    "browser_hybrid": _browser_hybrid,
    "app": _app,
    "handed_over": _handed_over,
    "elsewhere": _elsewhere,
}


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - nothing here is timed
    """Hold "tokens fit it" against what every client could do."""
    if "app" not in findings.variants or not findings.variants["app"].figures:
        raise NotMeasured("app", "done")
    app = findings.median("app", "done")
    done = {one.name: one.figures["done"].median for one in findings.measured()}
    everybody = sum(count == len(STEPS) for count in done.values())
    outcome: Outcome = "holds" if app == len(STEPS) else "does_not_hold"
    said = Said(
        "A client that keeps no cookie does {app:.0f} of {steps} things with two tokens and one header. So do {everybody} of "
        "{kinds} kinds of clients, against the same accounts and the same list of devices: no client decides for the others.",
        "쿠키를 두지 않는 클라이언트가 토큰 둘과 헤더 하나로 {steps}가지 중 {app:.0f}가지를 해냅니다. 클라이언트 {kinds}종류 중 {everybody}종류가 같은 "
        "계정, 같은 기기 목록으로 모두 해냅니다. 한 클라이언트가 다른 클라이언트의 방식을 정하지 않습니다.",
    )
    return [Verdict(0, outcome, said.filled(app=app, steps=len(STEPS), everybody=everybody, kinds=len(done)))]


def plots(findings: Findings) -> Sequence[Plot]:
    """Show who could do what."""
    rows = tuple(
        (one.label, tuple(_cell(one.facts.get("done", {}).get(step)) for step in STEPS)) for one in findings.measured()
    )
    title = Said("What each kind of client can do", "클라이언트 종류별로 할 수 있는 일")
    return [Matrix(title, Said("client", "클라이언트"), tuple(STEPS.values()), rows)]


def _cell(done: bool | None) -> Cell:  # noqa: FBT001 - an answer
    return Cell(Said("yes", "됨"), good=True) if done else Cell(Said("no", "안 됨"), good=False)


EXPERIMENT = Experiment(
    name="clients",
    rows=("Q7",),
    question=Said("What about clients without cookies?", "쿠키가 없는 클라이언트는?"),
    claims=(
        Said(
            "A: a mobile app does not bring a cookie jar; tokens fit it.",
            "A: 모바일 앱은 쿠키를 다루기 어려우니 토큰이 맞다.",
        ),
    ),
    method=Said(
        "Five kinds of clients do the same five things against one server over HTTP: sign in, ask who they are, renew, be listed "
        "with their device, and be ended by another device. The app never keeps a cookie; the service that only verifies holds "
        "public keys and follows the feed.",
        "클라이언트 다섯 종류가 한 서버를 상대로 같은 다섯 가지 일을 HTTP로 합니다. 로그인하고, 누구인지 묻고, 갱신하고, 기기 목록에 보이고, 다른 기기가 "
        "끝내는 일입니다. 앱은 쿠키를 전혀 보관하지 않으며, 검증만 하는 서비스는 공개 키를 갖고 피드를 따라갑니다.",
    ),
    would_change=Said(
        "Nothing that was measured here: it is what can be done at all.",
        "여기서 잰 것으로는 달라지지 않습니다. 할 수 있는지 없는지의 문제입니다.",
    ),
    quantities={"done": Quantity(Said("things done, of five", "다섯 가지 중 해낸 일"), "", "more")},
    takes_s={"quick": 4, "full": 4},
    measure=measure,
    judge=judge,
    plots=plots,
)
