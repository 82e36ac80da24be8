"""Are tokens easy? The cases that make them hard, each done to a real server, and to the rotation one writes first."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, NamedTuple

import httpx
import msgspec

from propylon.agora.experiment import Experiment, Quantity, Reading, Study
from propylon.agora.plots import Cell, Matrix, Plot
from propylon.agora.results import Findings, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Site, Stage
from propylon.agora.stage.asking import ask
from propylon.agora.stage.sites import PASSWORD

EMAIL = "somebody@example.com"
AT_ONCE = 20
OURS, NAIVE = "propylon", "first_try"
LABELS = {OURS: Said("Propylon", "Propylon"), NAIVE: Said("as one writes it first", "처음 떠올리는 방식")}


class Tokens(NamedTuple):
    """What a client holds."""

    access: str
    refresh: str


class Client:
    """A client of a real server, without a cookie jar."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def sign_in(self) -> Tokens:
        """Sign in for tokens."""
        body = self._site.sign_in(EMAIL, "bearer").body
        return Tokens(body["access_token"], body["refresh_token"])

    def refresh(self, token: str) -> Tokens | None:
        """Return the next tokens, or None for a refusal."""
        answer = ask("POST", f"{self._site.url}/v1/session/tokens", json={"refresh_token": token})
        if answer.status_code != httpx.codes.OK:
            return None
        body = answer.json()
        return Tokens(body["access_token"], body["refresh_token"])

    def passes(self, access: str) -> bool:
        """Return whether an access token opens the route."""
        headers = {"authorization": f"Bearer {access}"}
        return ask("GET", f"{self._site.url}/me", headers=headers).status_code == httpx.codes.OK

    def sign_out(self, access: str) -> None:
        """End the session of a token."""
        headers = {"authorization": f"Bearer {access}"}
        ask("DELETE", f"{self._site.url}/v1/session", headers=headers).raise_for_status()

    def change_password(self, access: str) -> None:
        """Change the password, and back."""
        headers = {"authorization": f"Bearer {access}"}
        for old, new in ((PASSWORD, PASSWORD + " 2"), (PASSWORD + " 2", PASSWORD)):
            body = {"current_password": old, "new_password": new}
            ask("PUT", f"{self._site.url}/v1/user/password", json=body, headers=headers).raise_for_status()

    def rotate_keys(self) -> None:
        """Sign with a new key from now on."""
        self._site.command("keys", "rotate")

    def public_keys(self) -> list[dict[str, Any]]:
        """Return the published keys."""
        keys: list[dict[str, Any]] = ask("GET", f"{self._site.url}/.well-known/jwks.json").json()["keys"]
        return keys


class FirstTry:
    """The rotation one writes first: the newest token is stored, and any other one is theft. In memory, on its own."""

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}
        self._count = 0

    def sign_in(self) -> Tokens:
        """Sign in."""
        self._count += 1
        session = f"s{self._count}"
        self._newest[session] = f"{session}.0"
        return Tokens(session, self._newest[session])

    def refresh(self, token: str) -> Tokens | None:
        """Rotate the newest; end the session for everything else."""
        session, _, generation = token.partition(".")
        if self._newest.get(session) != token:
            self._newest.pop(session, None)
            return None
        self._newest[session] = f"{session}.{int(generation) + 1}"
        return Tokens(session, self._newest[session])


def _two_tabs(client: Client | FirstTry) -> bool:
    """Many tabs renew with the same token at the same time: all of them stay signed in, with one successor."""
    held = client.sign_in()
    with ThreadPoolExecutor(AT_ONCE) as tabs:
        renewed = list(tabs.map(client.refresh, [held.refresh] * AT_ONCE))
    return all(renewed) and len({one.refresh for one in renewed if one}) == 1


def _lost_answer(client: Client | FirstTry) -> bool:
    """The server rotated and its answer got lost: the client asks again with what it holds."""
    held = client.sign_in()
    client.refresh(held.refresh)
    again = client.refresh(held.refresh)
    return again is not None and client.refresh(again.refresh) is not None


def _out_of_order(client: Client | FirstTry) -> bool:
    """An older answer arrives after a newer one, and the client keeps the older token."""
    first = client.refresh(client.sign_in().refresh)
    newer = client.refresh(first.refresh) if first else None
    late = client.refresh(first.refresh) if first else None
    return bool(first and newer and late)


def _theft(client: Client | FirstTry) -> bool:
    """A copied token comes back two generations later: exactly that session ends."""
    mine, elsewhere = client.sign_in(), client.sign_in()
    newest = mine
    for _ in range(2):
        renewed = client.refresh(newest.refresh)
        if renewed is None:
            return False
        newest = renewed
    thief, owner, other = (client.refresh(one) for one in (mine.refresh, newest.refresh, elsewhere.refresh))
    return thief is None and owner is None and other is not None


def _signed_out(client: Client) -> bool:
    """After sign-out the access token is refused, though its signature and time are good."""
    held = client.sign_in()
    before = client.passes(held.access)
    client.sign_out(held.access)
    return before and not client.passes(held.access)


def _new_password(client: Client) -> bool:
    """A new password ends every other session, and not the one that changed it."""
    mine, other = client.sign_in(), client.sign_in()
    client.change_password(mine.access)
    return client.refresh(mine.refresh) is not None and client.refresh(other.refresh) is None


def _new_key(client: Client) -> bool:
    """The signing key changes: tokens from before are good until they expire, new ones name the new key."""
    before = client.sign_in()
    client.rotate_keys()
    after = client.sign_in()
    kids = {_header(one.access)["kid"] for one in (before, after)}
    return client.passes(before.access) and client.passes(after.access) and len(kids) == 2


def _forged(client: Client) -> bool:
    """Without a signature, with the public key as a secret, or with another header: all refused."""
    held = client.sign_in()
    header, body, signature = held.access.split(".")
    said = _header(held.access)
    secret = msgspec.json.encode(client.public_keys()[0])
    forged = [f"{_spelled({**said, 'alg': 'none'})}.{body}."]
    with_secret = f"{_spelled({**said, 'alg': 'HS256'})}.{body}"
    mac = base64.urlsafe_b64encode(hmac.new(secret, with_secret.encode(), sha256).digest()).decode().rstrip("=")
    forged += [f"{with_secret}.{mac}", f"{_spelled({**said, 'jku': 'https://evil.example'})}.{body}.{signature}"]
    forged.append(f"{header}.{body[:-2]}AA.{signature}")
    return client.passes(held.access) and not any(map(client.passes, forged))


CASES: tuple[tuple[str, Said, Callable[[Any], bool], bool], ...] = (
    ("two_tabs", Said("twenty tabs renew at once", "탭 20개가 동시에 갱신"), _two_tabs, True),
    ("lost_answer", Said("the answer to a renewal is lost", "갱신 응답이 사라짐"), _lost_answer, True),
    ("out_of_order", Said("answers arrive out of order", "응답 순서가 뒤바뀜"), _out_of_order, True),
    ("theft", Said("an old copy comes back", "오래된 복사본이 돌아옴"), _theft, True),
    ("signed_out", Said("signed out, token still valid", "로그아웃, 토큰은 아직 유효"), _signed_out, False),
    ("new_password", Said("the password changes", "비밀번호가 바뀜"), _new_password, False),
    ("new_key", Said("the signing key changes", "서명 키가 바뀜"), _new_key, False),
    ("forged", Said("forged tokens of four kinds", "위조 토큰 네 가지"), _forged, False),
)
"""Name, what happens, how it is done and judged, and whether the first try has the case at all."""


def measure(study: Study) -> None:
    """Do every case to both."""
    held: dict[str, dict[str, bool]] = {OURS: {}, NAIVE: {}}

    def ours(stage: Stage) -> Reading:
        with stage.propylon({"password_profile": "unsafe_cheapest"}) as site:
            site.sign_up(EMAIL)
            for number, (name, _, case, _) in enumerate(CASES):
                held[OURS][name] = case(Client(site))
                study.progress((number + 1) / len(CASES))
        return {"held": sum(held[OURS].values())}

    def naive(_: Stage) -> Reading:
        held[NAIVE] = {name: case(FirstTry()) for name, _, case, comparable in CASES if comparable}
        return {"held": sum(held[NAIVE].values())}

    study.once(OURS, LABELS[OURS], ours)
    study.note(OURS, held=held[OURS])
    study.once(NAIVE, LABELS[NAIVE], naive)
    study.note(NAIVE, held=held[NAIVE])


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - nothing here is timed
    """Hold "they are very hard" against the cases."""
    ours, naive = findings.median(OURS, "held"), findings.median(NAIVE, "held")
    comparable = sum(one[3] for one in CASES)
    outcome: Outcome = "holds" if naive < comparable else "does_not_hold"
    said = Said(
        "Of {comparable} cases of rotation the first try gets {naive:.0f} right and signs people out in the others. Of all {all} "
        "cases Propylon holds {ours:.0f}: hard, and done once.",
        "갱신의 경우 {comparable}가지 중 처음 떠올리는 방식은 {naive:.0f}가지만 맞게 처리하고 나머지에서는 사용자를 로그아웃시킵니다. Propylon은 전체 "
        "{all}가지 중 {ours:.0f}가지를 지킵니다. 어렵지만 한 번만 제대로 해 두면 됩니다.",
    )
    return [Verdict(0, outcome, said.filled(comparable=comparable, naive=naive, all=len(CASES), ours=ours))]


def plots(findings: Findings) -> Sequence[Plot]:
    """Show every case."""
    shown = [one for one in (OURS, NAIVE) if one in findings.variants]
    rows = tuple(
        (label, tuple(_cell(findings.variants[one].facts.get("held", {}).get(name)) for one in shown))
        for name, label, _, _ in CASES
    )
    title = Said("What becomes of people who stay signed in", "로그인을 유지하는 사람에게 생기는 일")
    return [Matrix(title, Said("case", "경우"), tuple(LABELS[one] for one in shown), rows)]


def _cell(held: bool | None) -> Cell:  # noqa: FBT001 - an answer
    if held is None:
        return Cell(Said("not tried", "해 보지 않음"))
    return Cell(Said("right", "맞음"), good=True) if held else Cell(Said("wrong", "틀림"), good=False)


def _header(token: str) -> dict[str, Any]:
    head = token.partition(".")[0]
    said: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return said


def _spelled(header: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(header)).decode().rstrip("=")


EXPERIMENT = Experiment(
    name="tokens",
    rows=("Q28",),
    question=Said("Are tokens easy?", "토큰은 쉬운가?"),
    claims=(
        Said(
            "B: everyone thinks so; done well they are very hard, which is why many companies have not moved.",
            "B: 쉽다고들 여기지만 제대로 하기는 매우 어렵고, 그래서 아직 못 바꾼 회사가 많다.",
        ),
    ),
    method=Said(
        "The cases that break token systems are done to a real server over HTTP: tabs that renew at once, lost and late answers, "
        "a copy that comes back, sign-out, a new password, a new key, forgeries. Those about rotation are also done to the "
        "rotation one writes first, which stores the newest token and takes any other for theft.",
        "토큰 시스템을 무너뜨리는 경우들을 실제 서버에 HTTP로 겪게 합니다. 동시에 갱신하는 탭, 사라지거나 늦은 응답, 돌아온 복사본, 로그아웃, 새 비밀번호, "
        "새 키, 위조입니다. 갱신에 관한 경우는 가장 새 토큰만 저장하고 나머지를 탈취로 보는, 처음 떠올리는 방식에도 똑같이 해 봅니다.",
    ),
    would_change=Said(
        "A client that has one tab, never loses an answer, and is never attacked.",
        "탭이 하나뿐이고, 응답을 잃지 않으며, 공격받지 않는 클라이언트라면 달라집니다.",
    ),
    quantities={"held": Quantity(Said("cases that come out right", "맞게 처리한 경우"), "", "more")},
    takes_s={"quick": 2, "full": 2},
    measure=measure,
    judge=judge,
    plots=plots,
)
