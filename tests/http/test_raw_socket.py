"""Bytes on a real socket: what no well-behaved client sends, to the server as it is run."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import httpx
import pytest
from tests.http.driving import PASSWORD
from tests.http.serving import Served

CLOSE = b"connection: close\r\n\r\n"
MANY_CONNECTIONS = 60


class Answers(NamedTuple):
    """The statuses of all answers on one connection, in order, and everything that came."""

    statuses: list[int]
    text: bytes


@pytest.fixture(autouse=True)
def unshaken(server: Served) -> Iterator[None]:
    """After each attack the server still answers the next request, and its log has no traceback."""
    yield
    assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}
    assert "Traceback" not in server.log.read_text()


def sent(server: Served, *parts: bytes) -> Answers:
    """Send bytes on one connection and return what was answered."""
    text = server.exchange(*parts)
    return Answers([int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", text)], text)


def get(server: Served, *lines: bytes, target: bytes = b"/v1/session") -> bytes:
    """Return a GET request with these header lines, the last on its connection."""
    return head(server, b"GET", target) + b"".join(line + b"\r\n" for line in lines) + CLOSE


def head(server: Served, method: bytes, target: bytes) -> bytes:
    """Return the beginning of a request."""
    return method + b" " + target + f" HTTP/1.1\r\nhost: localhost:{server.port}\r\n".encode()


def post(server: Served, *lines: bytes, body: bytes) -> bytes:
    """Return a sign-in with these header lines and this body; the connection stays open."""
    start = head(server, b"POST", b"/v1/sessions") + b"content-type: application/json\r\n"
    return start + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


@pytest.mark.parametrize(
    "line",
    [
        b"x-a: b\r\n c",
        b"x-a: b\x00c",
        b"x-a: b\rc",
        b"x-forwarded-for : 1.2.3.4",
        b" x-a: b",
        b"x-\xff: 1",
        b"x a: 1",
        b"x-a",
        b": 1",
        b"authorization: Bearer x\x00",
        b"cookie: a=b\x00",
    ],
)
def test_a_header_line_that_two_readers_could_read_differently_is_refused(server: Served, line: bytes) -> None:
    """C121, C122, P189: folded lines, NUL, a bare CR, a blank before the colon: 400 and the connection is over."""
    assert sent(server, get(server, line)).statuses == [400]


@pytest.mark.parametrize("host", [b"", b"host: localhost\r\nhost: evil.example\r\n", b"host: evil.example\r\n"])
def test_one_known_host_is_demanded(server: Served, host: bytes) -> None:
    """A173: none, two, or another's: 400."""
    answers = sent(server, b"GET /v1/session HTTP/1.1\r\n" + host + CLOSE)
    assert answers.statuses == [400]
    assert b"host_unknown" in answers.text


@pytest.mark.parametrize(
    "target", [b"http://evil.example/login", b"http://evil.example@localhost/login", b"//evil.example/login"]
)
def test_a_name_in_the_target_makes_no_link(server: Served, target: bytes) -> None:
    """A173: in absolute form or as a path of two slashes; our addresses come from the public URL."""
    answers = sent(server, get(server, target=target))
    assert answers.statuses in ([200], [400], [404])
    assert b"evil" not in answers.text


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ((b"content-length: 2", b"content-length: 40"), b"{}"),
        ((b"content-length: 2, 40",), b"{}"),
        ((b"content-length: +2",), b"{}"),
        ((b"content-length: -2",), b"{}"),
        ((b"content-length: 0x2",), b"{}"),
        ((b"content-length: 2 2",), b"{}"),
        ((b"content-length: 99999999999999999999",), b"{}"),
        ((b"transfer-encoding: xchunked",), b"0\r\n\r\n"),
        ((b"transfer-encoding: chunked, identity",), b"0\r\n\r\n"),
        ((b"transfer-encoding: chunked", b"transfer-encoding: identity"), b"0\r\n\r\n"),
        ((b"transfer-encoding: identity", b"content-length: 2"), b"{}"),
        ((b"transfer-encoding : chunked",), b"0\r\n\r\n"),
        ((b"transfer-encoding: \x0bchunked",), b"0\r\n\r\n"),
        ((b"transfer-encoding: chunked",), b"zz\r\n{}\r\n0\r\n\r\n"),
        ((b"transfer-encoding: chunked",), b"-1\r\n{}\r\n0\r\n\r\n"),
        ((b"transfer-encoding: chunked",), b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ((b"transfer-encoding: chunked",), b"2\n{}\n0\n\n"),
    ],
)
def test_a_body_of_doubtful_length_ends_its_connection(server: Served, lines: tuple[bytes, ...], body: bytes) -> None:
    """C122: 400, and what follows is never taken for the next request, with whose credentials ever."""
    assert sent(server, post(server, *lines, body=body) + SMUGGLED).statuses == [400]


@pytest.mark.parametrize(
    "lines",
    [
        (b"content-length: 4", b"transfer-encoding: chunked"),
        (b"transfer-encoding: chunked", b"content-length: 4"),
        (b"content-length: 150", b"transfer-encoding: chunked"),
    ],
)
def test_with_both_lengths_the_chunks_count_and_the_connection_ends(server: Served, lines: tuple[bytes, ...]) -> None:
    """C122, RFC 9112 6.1: one answer; whatever a proxy took for the rest of the body is not a request."""
    answers = sent(server, post(server, *lines, body=b"0\r\n\r\n") + SMUGGLED)
    assert answers.statuses == [400]
    assert b"json_malformed" in answers.text


def test_pipelined_requests_keep_their_own_credentials(server: Served) -> None:
    """C122: four requests in one packet: each is answered by what it carries itself."""
    with httpx.Client(base_url=server.url) as client:
        client.post("/v1/users", json={"email": "pipe@example.com", "password": PASSWORD})
        body = {"email": "pipe@example.com", "password": PASSWORD, "mode": "bearer"}
        token = client.post("/v1/sessions", json=body).json()["access_token"].encode()
    start = head(server, b"GET", b"/v1/session")
    mine = start + b"authorization: Bearer " + token + b"\r\n\r\n"
    answers = sent(server, mine + start + b"\r\n" + mine + get(server))
    assert answers.statuses == [200, 401, 200, 401]


@pytest.mark.parametrize(
    "first",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\r\n\r\n",
        b"\r\n\r\n\r\nX\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 500,
        b"GET  / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"SSH-2.0-x\r\n",
    ],
)
def test_what_is_no_http_is_refused(server: Served, first: bytes) -> None:
    """TLS, SSH, HTTP/0.9, zeros: 400 or a closed connection."""
    assert sent(server, first).statuses in ([400], [505], [])


@pytest.mark.parametrize(
    "target",
    [
        b"/\xff\xfe",
        b"/login?\xff\x80=\xfe",
        b"/v1/sessions/%ED%A0%80%00%ff",
        b"/%",
        b"/%zz",
        b"/login?next=%0d%0aSet-Cookie:%20evil=1",
        b"*",
        b"/login?notice=%0d%0a",
    ],
)
def test_an_address_of_any_bytes_is_answered_and_never_reflected(server: Served, target: bytes) -> None:
    """C121: below 500, and no header is split."""
    answers = sent(server, get(server, target=target))
    assert len(answers.statuses) == 1
    assert answers.statuses[0] < 500
    assert b"set-cookie" not in answers.text.lower()


@pytest.mark.parametrize(
    "method", [b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"PRI", b"PROPFIND", b"get", b"X" * 3_000]
)
def test_any_method_is_answered(server: Served, method: bytes) -> None:
    """A method of an address, or 405, or 400; HEAD has no body; TRACE echoes nothing."""
    request = head(server, method, b"/v1/session") + b"cookie: secret-of-mine=1\r\n" + CLOSE
    answers = sent(server, request)
    assert len(answers.statuses) <= 1
    assert all(status in (400, 401, 404, 405) for status in answers.statuses)
    assert b"secret-of-mine" not in answers.text
    if method == b"HEAD":
        assert answers.text.endswith(b"\r\n\r\n")


def test_a_body_over_the_bound_is_refused_before_it_has_come(server: Served) -> None:
    """P191: 10 MB announced: 413 at once, and the connection is not read to the end."""
    begun = time.monotonic()
    answers = sent(server, post(server, b"content-length: 10000000", b"connection: close", body=b"x" * 1_000))
    assert answers.statuses == [413]
    assert time.monotonic() - begun < 5


def test_a_chunked_body_over_the_bound_is_cut_off(server: Served) -> None:
    """P191: after two chunks, without waiting for the end that never comes."""
    chunk = b"6000\r\n" + b" " * 0x6000 + b"\r\n"
    answers = sent(server, post(server, b"transfer-encoding: chunked", body=chunk * 2))
    assert answers.statuses == [413]
    assert b"body_too_large" in answers.text


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"x-a: " + b"a" * 20_000], 431),
        ([b"x-a: " + b"a" * 300_000], 431),
        ([b"x-%d: a" % number for number in range(2_000)], 431),
        ([b"cookie: a=" + b"b" * 30_000], 431),
    ],
)
def test_big_headers_are_refused(server: Served, lines: list[bytes], status: int) -> None:
    """431, by us or by the server before us."""
    assert sent(server, get(server, *lines)).statuses == [status]


def test_a_long_address_is_refused(server: Served) -> None:
    """414 from the server."""
    assert sent(server, get(server, target=b"/" + b"a" * 100_000)).statuses == [414]


@pytest.mark.parametrize(
    "lines",
    [
        (
            b"connection: upgrade",
            b"upgrade: websocket",
            b"sec-websocket-version: 13",
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        (b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQAAP__"),
    ],
)
def test_nothing_is_upgraded(server: Served, lines: tuple[bytes, ...]) -> None:
    """The request is answered as what it is."""
    assert sent(server, head(server, b"GET", b"/v1/session") + b"\r\n".join(lines) + b"\r\n\r\n").statuses == [401]


def test_a_client_that_goes_away_takes_nothing_with_it(server: Served) -> None:
    """Half a head, half a body, an answer that nobody reads."""
    for part in (
        head(server, b"POST", b"/v1/sessions"),
        post(server, b"content-length: 400", body=b'{"email":'),
        post(server, b"transfer-encoding: chunked", body=b"5\r\n{"),
        get(server, target=b"/docs"),
    ):
        for _ in range(5):
            with server.connect() as connection:
                connection.sendall(part)


def test_clients_that_dawdle_keep_nobody_waiting(server: Served) -> None:
    """P191, slow-loris: many connections that send a byte now and then; everybody else is served at once."""
    with ExitStack() as held:
        slow: list[socket.socket] = [held.enter_context(server.connect()) for _ in range(MANY_CONNECTIONS)]
        starts = (head(server, b"POST", b"/v1/sessions"), post(server, b"content-length: 30", body=b""))
        for number, connection in enumerate(slow):
            connection.sendall(starts[number % 2])
        for _ in range(3):
            for connection in slow:
                connection.sendall(b"x")
            begun = time.monotonic()
            assert httpx.get(f"{server.url}/v1/session").status_code == 401
            assert time.monotonic() - begun < 2
