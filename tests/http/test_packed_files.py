"""Scripts and styles travel packed to whoever takes that, and nothing else does."""

from __future__ import annotations

import gzip
import http.client
from pathlib import Path

import pytest
from tests.http.driving import EMAIL, PASSWORD, Connect, enter
from tests.http.serving import Served

from propylon import Propylon
from propylon.http.content_coding import takes_gzip
from propylon.web.assets import ASSETS, MODULES

ROOT = Path(__file__).parents[2]
MAX_BYTES = 8 * 1024  # of the browser client, as its guide says
BROWSER = "gzip, deflate, br, zstd"
FILES = {**{f"/static/{name}": asset for name, asset in ASSETS.items()},
         **{f"/{name}": asset for name, asset in MODULES.items()}}  # fmt: skip
PACKED = [path for path, asset in FILES.items() if asset.packed is not None]


def asked(server: Served, method: str, path: str, accept_encoding: str | None) -> tuple[http.client.HTTPMessage, bytes]:
    """Return headers and bytes as they come from the socket; nothing is unpacked."""
    connection = http.client.HTTPConnection("localhost", server.port, timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    if accept_encoding is not None:
        connection.putheader("accept-encoding", accept_encoding)
    connection.endheaders()
    answer = connection.getresponse()
    headers, body = answer.headers, answer.read()
    connection.close()
    assert answer.status == 200
    return headers, body


def test_the_browser_client_keeps_its_size_on_the_wire(server: Served) -> None:
    """At most 8 KB, and unpacked it is the source."""
    headers, body = asked(server, "GET", "/propylon.js", BROWSER)
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) == len(body) <= MAX_BYTES
    assert gzip.decompress(body) == (ROOT / "client/propylon.js").read_bytes()


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("accept_encoding", [BROWSER, "gzip;q=0", "br", "", None])
def test_a_head_says_what_a_get_would(server: Served, path: str, accept_encoding: str | None) -> None:
    """The same headers, with the length of what would come, and no body."""
    told, body = asked(server, "GET", path, accept_encoding)
    head, nothing = asked(server, "HEAD", path, accept_encoding)
    assert nothing == b""
    assert int(head["content-length"]) == len(body)
    del told["date"], head["date"]
    assert sorted(told.items()) == sorted(head.items())


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("accept_encoding", ["identity", "gzip;q=0", "", None])
def test_who_does_not_take_gzip_gets_the_file_as_it_is(server: Served, path: str, accept_encoding: str | None) -> None:
    """A cache in between is told that others get something else."""
    headers, body = asked(server, "GET", path, accept_encoding)
    assert body == FILES[path].body
    assert "content-encoding" not in headers
    assert ("Accept-Encoding" in headers["vary"]) == (path in PACKED)


def test_what_would_not_pay_is_not_packed(server: Served) -> None:
    """A file of one packet is there no sooner; all others are less than half of what they were."""
    assert set(FILES) - set(PACKED) == {"/static/favicon.svg"}
    headers, body = asked(server, "GET", "/static/favicon.svg", BROWSER)
    assert (headers["content-encoding"], body) == (None, ASSETS["favicon.svg"].body)
    for path in PACKED:
        _, packed = asked(server, "GET", path, BROWSER)
        assert len(packed) < len(FILES[path].body) / 2
        assert gzip.decompress(packed) == FILES[path].body


@pytest.mark.parametrize("path", PACKED)
async def test_packed_and_plain_are_told_apart(in_memory: Propylon, connect: Connect, path: str) -> None:
    """By their tags (RFC 9110 section 8.8.3): whoever has one is sent nothing of it, and the other one whole."""
    client, tags = connect(in_memory), {}
    for coding in ("gzip", "identity"):
        asks = {"accept-encoding": coding}
        tags[coding] = (await client.get(path, headers=asks)).headers["etag"]
        again = await client.get(path, headers={**asks, "if-none-match": f"W/{tags[coding]}"})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tags[coding])
        assert "Accept-Encoding" in again.headers["vary"]
        assert "content-encoding" not in again.headers
    assert tags["gzip"] != tags["identity"] == f'"{FILES[path].digest}"'
    crossed = await client.get(path, headers={"accept-encoding": "gzip", "if-none-match": tags["identity"]})
    assert (crossed.status_code, crossed.content) == (200, FILES[path].body)


async def test_what_is_about_a_caller_is_never_packed(in_memory: Propylon, connect: Connect) -> None:
    """A secret that is packed beside what a caller has chosen is told by the length of the answer (BREACH)."""
    client = connect(in_memory)
    client.headers["accept-encoding"] = BROWSER
    await enter(client)
    wish = {"email": EMAIL, "password": PASSWORD, "mode": "bearer"}
    paths = ("/v1/session", "/v1/sessions", "/account", "/login?next=/account", "/docs", "/openapi.json", "/nowhere")
    answers = [await client.post("/v1/sessions", json=wish), *[await client.get(path) for path in paths]]
    assert [answer.status_code for answer in answers] == [201, *[200] * 6, 404]
    assert [answer.headers.get("content-encoding") for answer in answers] == [None] * 8


@pytest.mark.parametrize(
    ("accept_encoding", "taken"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br;q=1.0 , gzip ; q=0.001", True),
        ("gzip;Q=0.5", True),
        ("*", True),
        ("gzip, identity", True),
        ("identity;q=0, gzip;q=0.1", True),
        ("*;q=0, gzip", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("identity;q=0", False),
        ("identity", False),
        ("br, deflate", False),
        ("identity, gzip;q=0.9", False),
        ("gzip;q=0.5, *;q=0.8", False),
        ("*;q=0.5, identity;q=0.7", False),
        ("gzip;q=2", False),
        ("gzip;q=-1", False),
        ("gzip;q=1.0001", False),
        ("gzip;q=nan", False),
        ("gzip;q", False),
        ("gzip;level=9", False),
        ("gzipped", False),
        (",,;,=", False),
    ],
)
def test_gzip_is_sent_to_who_takes_it_as_gladly_as_the_file_itself(accept_encoding: str | None, *, taken: bool) -> None:
    """RFC 9110 section 12.5.3; what cannot be read is not wanted."""
    assert takes_gzip(accept_encoding) is taken
