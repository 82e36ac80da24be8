"""Which is easier to begin with, and to scale out? Every step from nothing is taken, and counted."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from propylon.agora import elsewhere
from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.plots import Bar, Bars, Cell, Matrix, Plot
from propylon.agora.results import Findings, Outcome, Variant, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Stage
from propylon.agora.stage.asking import ask
from propylon.agora.stage.processes import done, free_port, listens, running, wait_for
from propylon.agora.stage.sites import PASSWORD, Mode, environ_of

NODES = 3
EMAIL = "somebody@example.com"

MODES: dict[Mode, Said] = {
    "cookie": Said("cookie", "쿠키"),
    "bearer": Said("tokens", "토큰"),
    "hybrid": Said("hybrid", "하이브리드"),
}
SIZES = {
    "one": Said("one server, SQLite", "서버 1대, SQLite"),
    "postgres": Said("three servers, PostgreSQL", "서버 3대, PostgreSQL"),
    "redis": Said("three servers, Redis and PostgreSQL", "서버 3대, Redis와 PostgreSQL"),
    "elsewhere": Said("and a service elsewhere", "다른 곳의 서비스까지"),
}
MANY = ("postgres", "redis")
# What deploy/README.md asks of a Redis that holds sessions.
DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


class Operator:
    """Somebody who begins with nothing, and whose every step is counted.

    Attributes:
        steps: the commands that were run and the settings that were given, in words.
    """

    def __init__(self, stage: Stage, stack: ExitStack) -> None:
        self._stage, self._stack = stage, stack
        self._began = time.perf_counter()
        self._settings: dict[str, str] = {}
        self._requests = self._servers = 0
        self._lasted_s: dict[str, float] = {}
        self.steps: list[str] = []

    def sets(self, **settings: str) -> None:
        """Give Propylon a setting, the same on every machine."""
        self._settings |= settings
        self.steps += [f"set {name}" for name in settings]

    def starts_postgres(self) -> None:
        """Start a PostgreSQL and make an empty database."""
        server = self._stack.enter_context(self._stage.postgres())
        self._servers += 1
        self.steps += ["run postgres", "run createdb"]
        self.sets(store=server.empty_database())
        self.runs(self._stage.new_folder(), "migrate")

    def starts_redis(self) -> None:
        """Start a Redis that keeps what it acknowledged."""
        words = [word for name, value in DURABLE.items() for word in (f"--{name}", value)]
        server = self._stack.enter_context(self._stage.redis(*words))
        self._servers += 1
        self.steps += ["run redis-server", *(f"set {name}" for name in DURABLE)]
        self.sets(session_store=server.url)

    def runs(self, machine: Path, *words: str) -> str:
        """Run a command of Propylon on a machine, which is a folder here."""
        self.steps.append(f"run propylon {' '.join(words)}")
        command = [sys.executable, "-m", "propylon", *words]
        return done(command, machine, env=environ_of(self._settings)).decode().strip()

    def serves(self, count: int) -> list[tuple[Path, str]]:
        """Start a server on each of several new machines at once; return the machines with where they answer."""
        started = []
        for _ in range(count):
            machine, port = self._stage.new_folder(), free_port()
            command = [sys.executable, "-m", "propylon", "serve", "--port", str(port)]
            process = self._stack.enter_context(
                running(command, machine / "log", env=environ_of(self._settings), cwd=machine),
            )
            self.steps.append("run propylon serve")
            started.append((machine, port, process))
        for machine, port, process in started:
            wait_for(lambda port=port: listens(port), process, machine / "log")  # type: ignore[misc]
        return [(machine, f"http://localhost:{port}") for machine, port, _ in started]

    def verifies(self, issuer: str, secret: str, token: str) -> None:
        """Start a service elsewhere and show it an access token."""
        settings = {"ISSUER": issuer, "AUDIENCE": issuer, "VERIFIER_SECRET": secret}
        self.steps += [*(f"set {name.lower()}" for name in settings), "run the service"]
        self._requests += 1
        command = [sys.executable, "-m", elsewhere.__name__]
        said = done(
            command, self._stage.new_folder(), env={**environ_of(self._settings), **settings}, input=token.encode()
        )
        try:
            uuid.UUID(said.decode().strip())
        except ValueError:
            raise RuntimeError(f"the service elsewhere refused: {said.decode()}") from None

    def asks(self, method: str, url: str, **more: Any) -> httpx.Response:
        """Send what a client has to send, one way or another."""
        self._requests += 1
        return ask(method, url, timeout=30, **more).raise_for_status()

    def has(self, what: str) -> None:
        """Note when something was reached."""
        self._lasted_s[what] = time.perf_counter() - self._began

    def reading(self) -> Reading:
        """Return what it took."""
        commands = sum(step.startswith("run") for step in self.steps)
        counted = {"commands": commands, "settings": len(self.steps) - commands, "servers": self._servers}
        return counted | {"requests": self._requests} | self._lasted_s


def measure(study: Study) -> None:
    """Begin again and again from nothing."""
    steps: dict[str, list[str]] = {}

    def beginning(size: str, mode: Mode) -> Prepare:
        def prepare(stage: Stage, _: ExitStack) -> Measure:
            def begin() -> Reading:
                with ExitStack() as stack:
                    operator = Operator(stage, stack)
                    operator.sets(mode=mode)  # also where it is the default
                    STORIES[size](operator, mode)
                    steps[f"{size}_{mode}"] = operator.steps
                    return operator.reading()

            return begin

        return prepare

    contestants = [
        Contestant(f"{size}_{mode}", _label(size, mode), beginning(size, mode))
        for size in study.pick(("one", "postgres", "elsewhere"), tuple(SIZES))
        for mode in study.pick(("cookie", "bearer"), tuple(MODES))
    ]
    study.compare(contestants, rounds=study.pick(1, 3), warm_up=False)
    for name, taken in steps.items():
        study.note(name, steps=taken)


def _label(size: str, mode: Mode) -> Said:
    return Said("{size}, {mode}", "{size}, {mode}").filled(size=SIZES[size], mode=MODES[mode])


def _one(operator: Operator, mode: Mode) -> None:  # noqa: ARG001 - the same, whatever travels
    ((_, url),) = operator.serves(1)
    _first_sign_in(operator, url)


def _on_postgres(operator: Operator, mode: Mode) -> None:
    operator.starts_postgres()
    _several(operator, mode)


def _on_redis(operator: Operator, mode: Mode) -> None:
    operator.starts_postgres()
    operator.starts_redis()
    _several(operator, mode)


def _several(operator: Operator, mode: Mode) -> None:
    """Start one server, which makes the key, and give the key to the others."""
    operator.sets(public_url=f"http://localhost:{free_port()}")
    ((machine, url),) = operator.serves(1)
    ring = (machine / "propylon.key").read_text().splitlines()
    operator.sets(key=",".join(line for line in ring if not line.startswith("#")))
    (_, second), *_ = operator.serves(NODES - 1)
    answer = _first_sign_in(operator, url)
    operator.asks("GET", f"{second}/v1/session", headers=_shown(answer, mode))
    operator.has("second_s")


def _elsewhere(operator: Operator, mode: Mode) -> None:
    """Let a service without a store know who it is; with a cookie one asks for a token first, of the one who set it."""
    ((machine, url),) = operator.serves(1)
    secret = operator.runs(machine, "verifiers", "add", "orders")
    answer = _first_sign_in(operator, url)
    if mode == "cookie":
        answer = operator.asks("POST", f"{url}/v1/session/tokens", headers=_shown(answer, mode))
    operator.verifies(url, secret, answer.json()["access_token"])
    operator.has("second_s")


def _first_sign_in(operator: Operator, url: str) -> httpx.Response:
    operator.asks("POST", f"{url}/v1/users", json={"email": EMAIL, "password": PASSWORD})
    answer = operator.asks("POST", f"{url}/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    operator.has("first_s")
    return answer


def _shown(answer: httpx.Response, mode: Mode) -> dict[str, str]:
    if mode == "cookie":
        return {"cookie": f"propylon={answer.cookies['propylon']}"}
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


STORIES: Mapping[str, Callable[[Operator, Mode], None]] = {
    "one": _one,
    "postgres": _on_postgres,
    "redis": _on_redis,
    "elsewhere": _elsewhere,
}


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - steps are counted
    """Hold the claims against the steps."""
    return [_no_database(findings), _scaling(findings)]


def _no_database(findings: Findings) -> Verdict:
    """Judge that tokens spare the server a database."""
    cookie, tokens = (findings.median(f"one_{mode}", "servers") for mode in ("cookie", "bearer"))
    verified = _was_measured(findings, "elsewhere_bearer")
    outcome: Outcome = "holds" if cookie > tokens else ("partly" if verified else "no_difference")
    said = Said(
        "To begin with, neither needs a database server: {cookie:.0f} by cookie, {tokens:.0f} by token, the first sign-in after "
        "{cookie_s:.1f} and {tokens_s:.1f} s, with {steps:.0f} and {tokens_steps:.0f} steps.",
        "시작할 때 필요한 데이터베이스 서버는 쿠키 {cookie:.0f}대, 토큰 {tokens:.0f}대입니다. 첫 로그인까지 {cookie_s:.1f}초와 {tokens_s:.1f}초, "
        "{steps:.0f}단계와 {tokens_steps:.0f}단계가 걸렸습니다.",
    )
    if cookie > tokens:
        said = Said(
            "To begin with, the cookie takes {cookie:.0f} database servers and tokens {tokens:.0f}.",
            "시작할 때 필요한 데이터베이스 서버는 쿠키 {cookie:.0f}대, 토큰 {tokens:.0f}대입니다.",
        )
    facts = {
        "cookie": cookie,
        "tokens": tokens,
        "cookie_s": findings.median("one_cookie", "first_s"),
        "tokens_s": findings.median("one_bearer", "first_s"),
        "steps": _steps(findings, "one", "cookie"),
        "tokens_steps": _steps(findings, "one", "bearer"),
    }
    told = said.filled(**facts)
    if not verified:
        return Verdict(0, outcome, told)
    more = Said(
        "A service elsewhere does accept tokens without any store; {extra:.0f} more steps.",
        "다른 곳의 서비스는 실제로 저장소 없이 토큰을 받아들입니다. {extra:.0f}단계가 더 듭니다.",
    ).filled(extra=_steps(findings, "elsewhere", "bearer") - _steps(findings, "one", "bearer"))
    return Verdict(0, outcome, Said(f"{told.en} {more.en}", f"{told.ko} {more.ko}"))


def _scaling(findings: Findings) -> Verdict:
    """Judge that sessions take more than tokens to go from one server to several."""
    sizes = [size for size in MANY if _was_measured(findings, f"{size}_cookie")] or [MANY[0]]
    more = {
        mode: sum(_steps(findings, size, mode) - _steps(findings, "one", mode) for size in sizes) / len(sizes)
        for mode in ("cookie", "bearer")
    }
    outcome: Outcome = "no_difference"
    if more["cookie"] != more["bearer"]:
        outcome = "holds" if more["cookie"] > more["bearer"] else "does_not_hold"
    said = Said(
        "From one server to {nodes} it takes {cookie:.0f} more commands and settings by cookie and {tokens:.0f} by token. A second server "
        "accepted the sign-in {cookie_s:.1f} and {tokens_s:.1f} s after there was nothing.",
        "서버 한 대에서 {nodes}대로 가는 데 명령과 설정이 쿠키는 {cookie:.0f}개, 토큰은 {tokens:.0f}개 더 듭니다. 아무것도 없는 상태에서 두 번째 서버가 "
        "로그인을 받아들이기까지 {cookie_s:.1f}초와 {tokens_s:.1f}초가 걸렸습니다.",
    )
    facts = {
        "nodes": NODES,
        "cookie": more["cookie"],
        "tokens": more["bearer"],
        "cookie_s": findings.median(f"{sizes[0]}_cookie", "second_s"),
        "tokens_s": findings.median(f"{sizes[0]}_bearer", "second_s"),
    }
    return Verdict(1, outcome, said.filled(**facts))


def _steps(findings: Findings, size: str, mode: str) -> float:
    return sum(findings.median(f"{size}_{mode}", kind) for kind in ("commands", "settings"))


def _was_measured(findings: Findings, name: str) -> bool:
    return name in findings.variants and bool(findings.variants[name].figures)


def plots(findings: Findings) -> Sequence[Plot]:
    """Show the steps, and the time they take."""
    measured = {variant.name: variant for variant in findings.measured() if variant.figures}
    rows = tuple(
        (label, tuple(_cell(measured.get(f"{size}_{mode}")) for mode in MODES)) for size, label in SIZES.items()
    )
    title = Said("Steps from nothing", "아무것도 없는 상태에서의 단계")
    bars = tuple(Bar.of(one.label, one.figures["second_s"]) for one in measured.values() if "second_s" in one.figures)
    return [
        Matrix(title, Said("what is there in the end", "끝에 있는 것"), tuple(MODES.values()), rows),
        Bars(
            Said("Until somebody else accepts the first sign-in", "다른 서버가 첫 로그인을 받아들이기까지"),
            Said("s since there was nothing", "아무것도 없는 상태부터의 시간(초)"),
            bars,
        ),
    ]


def _cell(variant: Variant | None) -> Cell:
    if variant is None:
        return Cell(Said("not run", "실행하지 않음"))
    counted = {name: variant.figures[name].median for name in ("commands", "settings")}
    said = Said("{commands:.0f} commands, {settings:.0f} settings", "명령 {commands:.0f}개, 설정 {settings:.0f}개")
    return Cell(said.filled(**counted))


EXPERIMENT = Experiment(
    name="onboarding",
    rows=("Q3", "Q17", "Q24"),
    question=Said("Which is easier to begin with, and to scale out?", "시작하고 서버를 늘리기에는 어느 쪽이 쉬운가?"),
    claims=(
        Said(
            "A: no database on the server side, and every example one finds uses tokens.",
            "A: 서버가 저장소를 두지 않아도 되고, 찾아보면 예제도 대부분 토큰이다.",
        ),
        Said(
            "A: scaling sessions takes much learning; tokens are simple to apply on many servers.",
            "A: 세션은 배워야 할 것이 많고, 토큰은 여러 서버에 쉽게 적용된다.",
        ),
    ),
    method=Said(
        "For each mode somebody begins in empty folders and takes every step for real, with the commands and settings that the documents "
        "name: to one server, to three that share a store, and to a service elsewhere that only verifies. Commands and settings are "
        "counted as they are given, the mode in each case, ports in none; the time runs from the first command until a sign-in is "
        "answered, and until somebody else accepts it. A balancer in front is left out, for it is the same for all.",
        "방식마다 빈 폴더에서 시작해 문서에 있는 명령과 설정으로 모든 단계를 실제로 밟습니다. 서버 한 대, 저장소를 함께 쓰는 세 대, 그리고 검증만 하는 다른 곳의 "
        "서비스까지입니다. 명령과 설정은 준 대로 세고, 방식 설정은 언제나 세며 포트는 세지 않습니다. 시간은 첫 명령부터 로그인 응답까지, 그리고 다른 서버가 그 "
        "로그인을 받아들일 때까지입니다. 앞단의 로드 밸런서는 모두에게 같으므로 뺐습니다.",
    ),
    would_change=Said(
        "A library that keeps sessions in the memory of one server, where the second one needs another store; or tokens that nobody has to "
        "end, which need no store at all, and what they then give up (see scaleout).",
        "세션을 서버 한 대의 메모리에 두는 라이브러리라면 두 번째 서버부터 다른 저장소가 필요합니다. 끝낼 일이 없는 토큰이라면 저장소가 아예 필요 없지만 내려놓는 것이 "
        "있습니다(scaleout 참고).",
    ),
    quantities={
        "commands": Quantity(Said("commands", "명령"), "", "less"),
        "settings": Quantity(Said("settings", "설정"), "", "less"),
        "servers": Quantity(Said("database servers", "데이터베이스 서버"), "", "less"),
        "requests": Quantity(Said("requests of the client", "클라이언트의 요청"), "", "less"),
        "first_s": Quantity(Said("first sign-in after", "첫 로그인까지"), "s", "less"),
        "second_s": Quantity(Said("accepted elsewhere after", "다른 서버가 받아들이기까지"), "s", "less"),
    },
    takes_s={"quick": 9, "full": 62},
    measure=measure,
    judge=judge,
    plots=plots,
)
