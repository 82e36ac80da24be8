"""Start with sessions and switch later? People under load, while the mode of the service changes there and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from propylon.agora.experiment import Experiment, Quantity, Reading, Study
from propylon.agora.plots import Bar, Bars, Plot
from propylon.agora.results import Findings, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Site, Stage
from propylon.agora.stage.travellers import Crowd

NODES = 3
AT_ONCE = 16
# On a machine that does much else; who has not moved by then stays, and the variant has failed.
MOVED_WITHIN_S = 120.0
FAST = {"password_profile": "unsafe_cheapest", "hash_queue": "1000"}

WAYS = {
    "there": (Said("cookie to tokens", "쿠키에서 토큰으로"), "bearer"),
    "back": (Said("tokens back to cookie", "토큰에서 다시 쿠키로"), "cookie"),
}


def measure(study: Study) -> None:
    """Change the mode of three servers twice while everybody goes on."""
    readings: dict[str, Reading] = {}

    def travelled(stage: Stage) -> Reading:
        with stage.nodes(NODES, FAST) as nodes:
            readings.update(asyncio.run(_there_and_back(nodes, study.pick(100, 1_000))))
        return readings["there"]

    study.once("there", WAYS["there"][0], travelled)
    study.progress(0.9)
    study.once("back", WAYS["back"][0], lambda _: _second(readings))


def _second(readings: dict[str, Reading]) -> Reading:
    if "back" not in readings:
        raise RuntimeError("nobody came as far as the way back")
    return readings["back"]


async def _there_and_back(nodes: Sequence[Site], people: int) -> dict[str, Reading]:
    crowd = Crowd([node.url for node in nodes], people=people, at_once=AT_ONCE)
    try:
        await crowd.enter()
        living = asyncio.create_task(crowd.live())
        readings = {}
        for name, (_, mode) in WAYS.items():
            readings[name] = await _changed(nodes, crowd, mode)
        crowd.end()
        await living
    finally:
        await crowd.aclose()
    return readings


async def _changed(nodes: Sequence[Site], crowd: Crowd, mode: str) -> Reading:
    """Change the mode, wait until everybody has moved, and return what that took and cost."""
    before = crowd.counted
    await asyncio.to_thread(nodes[0].command, "mode", "set", mode)
    began = time.perf_counter()
    await crowd.until(mode, MOVED_WITHIN_S)
    until_all_s = time.perf_counter() - began
    report = await asyncio.to_thread(nodes[-1].command, "mode", "show")
    now = crowd.counted
    return {
        "people": len(crowd.people),
        "moved": report["moved"],
        "signed_out": now["signed_out"] - before["signed_out"],
        "errors": now["errors"] - before["errors"] + report["errors"],
        "answered": now["answered"] - before["answered"],
        "until_all_s": until_all_s,
    }


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - people are counted
    """Hold "switch when the problem comes" against who was signed out by it."""
    lost = sum(findings.median(way, "signed_out") for way in WAYS)
    errors = sum(findings.median(way, "errors") for way in WAYS)
    people = findings.median("there", "people")
    moved = min(findings.median(way, "moved") for way in WAYS)
    outcome: Outcome = "holds" if not lost and not errors and moved >= people else "does_not_hold"
    said = (
        Said(
            "One can: {people:.0f} signed-in people moved from cookie to tokens in {there:.1f} s and back in {back:.1f} s while they "
            "went on, over {nodes} servers: {answered:.0f} requests answered, nobody signed out, no errors.",
            "바꿀 수 있습니다. 로그인한 {people:.0f}명이 서버 {nodes}대에서 쓰던 그대로 쿠키에서 토큰으로 {there:.1f}초 만에, 다시 쿠키로 "
            "{back:.1f}초 만에 옮겨 갔습니다. 요청 {answered:.0f}건이 처리되었고 로그아웃된 사람도 오류도 없습니다.",
        )
        if outcome == "holds"
        else Said(
            "Not without harm: of {people:.0f} people {lost:.0f} were signed out, {errors:.0f} requests failed, and {moved:.0f} moved.",
            "피해 없이는 아닙니다. {people:.0f}명 중 {lost:.0f}명이 로그아웃되었고 요청 {errors:.0f}건이 실패했으며 {moved:.0f}명이 "
            "옮겨 갔습니다.",
        )
    )
    facts = {
        "people": people,
        "nodes": NODES,
        "there": findings.median("there", "until_all_s"),
        "back": findings.median("back", "until_all_s"),
        "answered": sum(findings.median(way, "answered") for way in WAYS),
        "lost": lost,
        "errors": errors,
        "moved": moved,
    }
    return [Verdict(0, outcome, said.filled(**facts))]


def plots(findings: Findings) -> Sequence[Plot]:
    """Show how long it took."""
    bars = tuple(Bar.of(one.label, one.figures["until_all_s"]) for one in findings.measured())
    title = Said("From the change of mode until everybody has moved", "방식을 바꾼 때부터 모두 옮길 때까지")
    return [Bars(title, Said("seconds", "초"), bars)]


EXPERIMENT = Experiment(
    name="migration",
    rows=("Q19",),
    question=Said("Why not start with sessions and switch later?", "세션으로 시작해 나중에 바꾸면 되지 않나?"),
    claims=(
        Said("B: switch when the problem comes.", "B: 문제를 만났을 때 바꾸면 된다."),
        Said("A: and still one takes what one knows.", "A: 그래도 익숙한 토큰을 쓰게 된다."),
    ),
    method=Said(
        "People sign in by cookie over three servers and go on asking without a pause; then one command changes the mode to "
        "tokens, and when everybody has moved, another changes it back. Each of them does what the browser client does: it "
        "moves when an answer says so, and renews once where it is refused. Whoever is refused after that counts as signed out.",
        "사람들이 쿠키로 로그인해 서버 3대에 쉬지 않고 요청하는 동안, 명령 하나로 방식을 토큰으로 바꾸고 모두 옮기면 다시 쿠키로 바꿉니다. 각자 "
        "브라우저 클라이언트가 하는 대로 합니다. 응답이 알려 주면 옮기고, 거부되면 한 번 갱신합니다. 그 뒤에도 거부되면 로그아웃된 것으로 셉니다.",
    ),
    would_change=Said(
        "Clients that do not understand `Propylon-Mode`: they keep what they have until it expires, so the change takes as long.",
        "`Propylon-Mode`를 모르는 클라이언트라면 달라집니다. 가진 것을 만료될 때까지 쓰므로 변경도 그만큼 걸립니다.",
    ),
    quantities={
        "people": Quantity(Said("people signed in", "로그인한 사람")),
        "moved": Quantity(Said("sessions that moved", "옮긴 세션"), "", "more"),
        "signed_out": Quantity(Said("requests refused as signed out", "로그아웃으로 거부된 요청"), "", "less"),
        "errors": Quantity(Said("errors", "오류"), "", "less"),
        "answered": Quantity(Said("requests answered meanwhile", "그사이 처리된 요청"), "", "more"),
        "until_all_s": Quantity(Said("until all have moved", "모두 옮길 때까지"), "s", "less"),
    },
    takes_s={"quick": 6, "full": 12},
    measure=measure,
    judge=judge,
    plots=plots,
)
