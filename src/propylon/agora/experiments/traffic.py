"""How much more travels with a token than with a cookie? Bytes on the wire, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

from propylon.agora.experiment import Contestant, Experiment, Measure, Prepare, Quantity, Reading, Study
from propylon.agora.plots import Bar, Bars, Plot
from propylon.agora.results import Findings, Outcome, Verdict
from propylon.agora.said import Said
from propylon.agora.stage import Shot, Site, Stage
from propylon.agora.stage.generator import Request
from propylon.agora.stage.sites import Mode

EMAIL = "somebody@example.com"
# As a browser sends: without them a request would look smaller than it ever is.
BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "accept": "application/json, text/plain, */*",
    "accept-language": "ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7",
    "accept-encoding": "gzip, deflate, br, zstd",
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "cors",
    "sec-fetch-dest": "empty",
    "referer": "https://shop.example/orders",
}
ROLES = ",".join(f"department-{number}-editor" for number in range(12))

VARIANTS: dict[str, tuple[Said, tuple[Mode, dict[str, str], tuple[str, ...]]]] = {
    "cookie": (Said("cookie", "쿠키"), ("cookie", {}, ())),
    "hs256": (Said("token HS256", "토큰 HS256"), ("bearer", {"algorithm": "HS256"}, ())),
    "es256": (Said("token ES256 (default)", "토큰 ES256(기본값)"), ("bearer", {}, ())),
    "eddsa": (Said("token EdDSA", "토큰 EdDSA"), ("bearer", {"algorithm": "EdDSA"}, ())),
    "rs256": (Said("token RS256", "토큰 RS256"), ("bearer", {"algorithm": "RS256"}, ())),
    "es256_roles": (Said("token ES256, 12 roles", "토큰 ES256, 역할 12개"), ("bearer", {}, tuple(ROLES.split(",")))),
}


def measure(study: Study) -> None:
    """Send the same request by every way, and count what leaves and what arrives."""
    requests = study.pick(100, 1_000)

    def by(mode: Mode, settings: dict[str, str], roles: tuple[str, ...]) -> Prepare:
        def prepare(stage: Stage, stack: ExitStack) -> Measure:
            site = stack.enter_context(stage.propylon(settings))
            if roles:
                site.add_user(EMAIL, roles)
            else:
                site.sign_up(EMAIL)
            headers = {**BROWSER, **site.sign_in(EMAIL, mode).headers}

            def send() -> Reading:
                first, indexed = _over_http2(site, headers, requests, never_index=False)
                _, never_indexed = _over_http2(site, headers, requests, never_index=True)
                over_2 = {"first_2": first, "request_2": indexed, "never_indexed_2": never_indexed}
                return {**_over_http1(stage, site, headers), **over_2}

            return send

        return prepare

    contestants = [Contestant(name, label, by(*how)) for name, (label, how) in VARIANTS.items()]
    study.compare(contestants, rounds=1, warm_up=False)


def _over_http1(stage: Stage, site: Site, headers: dict[str, str]) -> Reading:
    answered = stage.fire(Shot(site.url, (Request("/me", headers=headers),)))
    if answered.errors:
        raise RuntimeError(f"refused: {answered.statuses}")
    return {"request_1": answered.bytes_sent, "answer_1": answered.bytes_received}


def _over_http2(site: Site, headers: dict[str, str], requests: int, *, never_index: bool) -> tuple[float, float]:
    """Send the request again and again over one connection; return the bytes of the first and the mean of the others.

    Headers are compressed against those before. A client may exempt ``Authorization`` from that, so that nobody who
    sees sizes can guess at it (RFC 7541 section 7.1.3); some do, some do not.
    """
    url = urlsplit(site.url)
    settings = H2Configuration(client_side=True, header_encoding="utf-8", normalize_outbound_headers=never_index)
    connection = H2Connection(settings)
    with socket.create_connection((url.hostname, url.port or 80), timeout=10) as line:
        connection.initiate_connection()
        line.sendall(connection.data_to_send())
        pseudo = {":method": "GET", ":path": "/me", ":scheme": "http", ":authority": url.netloc}
        sizes = [_asked(connection, line, {**pseudo, **headers}) for _ in range(requests)]
    return sizes[0], sum(sizes[1:]) / (len(sizes) - 1)


def _asked(connection: H2Connection, line: socket.socket, headers: dict[str, str]) -> int:
    """Ask once and return the bytes that the request took."""
    stream = connection.get_next_available_stream_id()
    connection.send_headers(stream, list(headers.items()), end_stream=True)
    request = connection.data_to_send()
    line.sendall(request)
    while True:
        received = line.recv(65_536)
        if not received:
            raise ConnectionError("the connection was closed in the middle of an answer")
        for event in connection.receive_data(received):
            if isinstance(event, DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if isinstance(event, StreamEnded):
                line.sendall(connection.data_to_send())
                return len(request)


def judge(findings: Findings, noise: float) -> Sequence[Verdict]:  # noqa: ARG001 - bytes are counted, not timed
    """Hold "about half as much again" against the bytes."""
    cookie, token = findings.median("cookie", "request_1"), findings.median("es256", "request_1")
    cookie_2, token_2 = findings.median("cookie", "request_2"), findings.median("es256", "request_2")
    answer = findings.median("cookie", "answer_1")
    more = token / cookie - 1
    # "About half": a third to two thirds.
    outcome: Outcome = "partly" if 1 / 3 <= more <= 2 / 3 else "does_not_hold"
    said = Said(
        "Over HTTP/1.1 a request with an ES256 token is {token:.0f} bytes, with a cookie {cookie:.0f}: {more:+.0%}. Over HTTP/2 "
        "headers are compressed against the request before: {token_2:.0f} and {cookie_2:.0f} bytes, or {never:.0f} by a client "
        "that exempts Authorization from that. With the answer of {answer:.0f} bytes, the smallest there is, the token adds {both:+.0%} to a whole exchange.",
        "HTTP/1.1에서 ES256 토큰을 실은 요청은 {token:.0f}바이트, 쿠키는 {cookie:.0f}바이트로 {more:+.0%}입니다. HTTP/2는 앞선 요청과 "
        "겹치는 헤더를 압축하므로 {token_2:.0f}바이트와 {cookie_2:.0f}바이트이고, Authorization을 압축에서 빼는 클라이언트라면 {never:.0f}바이트입니다. 가장 작은 {answer:.0f}바이트짜리 응답까지 "
        "합친 한 번의 왕복에서는 {both:+.0%}입니다.",
    )
    facts = {
        "token": token, "cookie": cookie, "more": more, "token_2": token_2, "cookie_2": cookie_2,
        "never": findings.median("es256", "never_indexed_2"),
        "answer": answer, "both": (token + answer) / (cookie + answer) - 1,
    }  # fmt: skip
    return [Verdict(0, outcome, said.filled(**facts)), _what_weighs(findings)]


def _what_weighs(findings: Findings) -> Verdict:
    plain, roles = findings.median("es256", "request_1"), findings.median("es256_roles", "request_1")
    rs256 = findings.median("rs256", "request_1")
    said = Said(
        "What weighs is what one puts in: twelve roles add {roles:.0f} bytes to every request, RS256 instead of ES256 {rs:.0f}.",
        "무거운 것은 안에 넣은 것입니다. 역할 12개는 요청마다 {roles:.0f}바이트, ES256 대신 RS256은 {rs:.0f}바이트를 더합니다.",
    )
    return Verdict(None, "holds", said.filled(roles=roles - plain, rs=rs256 - plain))


def plots(findings: Findings) -> Sequence[Plot]:
    """Show a request's size on both."""
    axis = Said("bytes a request", "요청당 바이트")
    cookie = findings.variants["cookie"].figures if "cookie" in findings.variants else {}
    return [
        Bars(title, axis, bars, baseline=cookie[name].median if name in cookie else None,
             baseline_label=Said("cookie", "쿠키"))
        for name, title in (
            ("request_1", Said("A request over HTTP/1.1", "HTTP/1.1 요청")),
            ("request_2", Said("A request over HTTP/2, after the first", "HTTP/2 요청, 두 번째부터")),
            ("never_indexed_2", Said("Likewise, Authorization never compressed", "같은 요청, Authorization은 압축하지 않음")),
        )
        if (bars := tuple(Bar.of(one.label, one.figures[name]) for one in findings.measured() if name in one.figures))
    ]  # fmt: skip


EXPERIMENT = Experiment(
    name="traffic",
    rows=("Q23",),
    question=Said("Is a JWT not heavy on the network?", "JWT는 트래픽이 무겁지 않나?"),
    claims=(Said("B: it is said to cost about half as much traffic again.", "B: 대략 절반쯤 더 든다고 한다."),),
    method=Said(
        "The same request with a browser's usual headers is sent by every way, and the bytes on the socket are counted, without "
        "those of TLS and TCP. Over HTTP/2 it is sent many times on one connection, and the mean is of all after the first. "
        "Every token is a real one of a server with those settings.",
        "브라우저가 보통 보내는 헤더를 갖춘 같은 요청을 방식마다 보내고, TLS와 TCP를 뺀 소켓 위의 바이트를 셉니다. HTTP/2에서는 한 연결로 "
        "여러 번 보내고 두 번째부터의 평균을 냅니다. 모든 토큰은 그 설정의 서버가 실제로 발급한 것입니다.",
    ),
    would_change=Said(
        "More claims in the token, other cookies beside ours, or a new token or connection for every request.",
        "토큰에 클레임을 더 넣거나, 다른 쿠키가 함께 있거나, 요청마다 토큰이나 연결이 새것이라면 달라집니다.",
    ),
    quantities={
        "request_1": Quantity(Said("request, HTTP/1.1", "요청, HTTP/1.1"), "bytes", "less"),
        "first_2": Quantity(Said("first request, HTTP/2", "첫 요청, HTTP/2"), "bytes", "less"),
        "request_2": Quantity(Said("next requests, HTTP/2", "다음 요청, HTTP/2"), "bytes", "less"),
        "never_indexed_2": Quantity(Said("next, never indexed", "다음 요청, 압축 제외"), "bytes", "less"),
        "answer_1": Quantity(Said("answer, HTTP/1.1", "응답, HTTP/1.1"), "bytes", ""),
    },
    takes_s={"quick": 5, "full": 9},
    measure=measure,
    judge=judge,
    plots=plots,
)
