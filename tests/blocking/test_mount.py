"""The HTTP contract below a prefix of a WSGI app: whole requests, whole answers, and nobody is kept waiting."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.blocking.conftest import bridged, connected, entered, environ, with_an_account
from tests.http.driving import EMAIL, PASSWORD, bearer, refused

from propylon import PropylonError
from propylon.blocking import Blocking, served_of
from propylon.blocking.environ import Asked
from propylon.http.bodies import MAX_BODY_BYTES
from propylon.verifier import Verifier

JSON = {"CONTENT_TYPE": "application/json"}


@pytest.fixture(scope="module")
def blocking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Blocking]:
    """One bridge for all tests here: what they do to it hurts no other."""
    with bridged(tmp_path_factory.mktemp("mount")) as blocking:
        yield with_an_account(blocking)


class Told:
    """What a WSGI app answered to an environ of any kind."""

    def __init__(self, blocking: Blocking, environ: dict[str, Any], body: Any = b"") -> None:
        self.status, self.headers = "", list[tuple[str, str]]()
        given = {**environ, "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body}
        self.body = b"".join(blocking.mount()(given, self._start))

    def _start(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, headers

    @property
    def code(self) -> str:
        """The code of a problem."""
        code: str = json.loads(self.body)["code"]
        return code


def signing_in(**more: Any) -> dict[str, Any]:
    """Return the environ of a sign-in, without its body."""
    return {**environ("POST", "/v1/sessions"), **JSON, **more}


def test_the_contract_is_served(client: httpx.Client) -> None:
    """Sign in, look, sign out: cookies are set and cleared, each in a header of its own."""
    entered(client, "hybrid")
    assert set(client.cookies) == {"propylon-refresh"}
    entered(client)
    assert client.get("/v1/session").json()["user"]["email"] == EMAIL
    answer = client.delete("/v1/session")
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(answer.headers.get_list("set-cookie")) == 2
    refused(client.get("/v1/session"), 401, "credential_missing")


def test_pages_and_unknown_paths_are_served_as_anywhere(client: httpx.Client) -> None:
    """A form for people, a problem for programs."""
    assert "<form" in client.get("/login").text
    refused(client.get("/v1/nowhere"), 404, "not_found")
    refused(client.put("/v1/sessions"), 405, "method_not_allowed")


def test_a_head_has_the_headers_of_the_get_and_no_body(client: httpx.Client) -> None:
    """The length is the one that a GET would have."""
    got, headed = client.get("/healthz"), client.head("/healthz")
    assert headed.status_code == got.status_code
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert headed.content == b""


def test_the_prefix_is_seen(blocking: Blocking) -> None:
    """What is mounted below a prefix makes its links, redirects and cookie paths there."""
    with connected(blocking, script_name="/auth") as client:
        answer = client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "hybrid"})
        assert "Path=/auth/v1/session/tokens" in answer.headers["set-cookie"]
        assert 'action="/auth/login"' in client.get("/login").text


def test_the_address_and_scheme_of_the_request_are_told() -> None:
    """As the WSGI server says: who connected, and by what."""
    scope = served_of({**environ(path="/a"), "SCRIPT_NAME": "/b", "wsgi.url_scheme": "https", "QUERY_STRING": "c=%20d"})
    assert (scope["client"], scope["scheme"]) == (("203.0.113.9", 40_000), "https")
    assert (scope["root_path"], scope["path"], scope["query_string"]) == ("/b", "/b/a", b"c=%20d")


@pytest.mark.parametrize(
    ("path", "query"), [("/\xea\xb0\x80", "q=\xea\xb0\x80"), ("/\xff\xfe", "q=\xff"), ("/a\x00b", "q=\x00")]
)
def test_bytes_of_any_kind_in_an_address_are_no_error_of_ours(blocking: Blocking, path: str, query: str) -> None:
    """Some servers let them through; a path that is no UTF-8 is one that does not exist."""
    told = Told(blocking, {**environ(path=path), "QUERY_STRING": query})
    assert (told.status, told.code) == ("404 Not Found", "not_found")


def test_two_tokens_are_seen_to_be_two(blocking: Blocking) -> None:
    """WSGI joins equal headers; nobody guesses which was meant."""
    for value in ("Bearer a,Bearer b", "Basic a, bearer b", "Bearer a,DPoP b"):
        assert Told(blocking, environ(path="/v1/session", AUTHORIZATION=value)).code == "credential_ambiguous"
    scheme = 'Digest username="a", realm="bearer"'
    assert Told(blocking, environ(path="/v1/session", AUTHORIZATION=scheme)).code == "credential_missing"


def test_a_cookie_is_not_taken_out_of_another_ones_value(blocking: Blocking, client: httpx.Client) -> None:
    """A page elsewhere may plant a value with a comma in it, where it could not plant the cookie itself."""
    entered(client)
    planted = f"theme=dark,propylon={client.cookies['propylon']}"
    assert Told(blocking, environ(path="/v1/session", COOKIE=planted)).code == "credential_missing"


def test_a_length_with_underscores_is_not_the_bodys() -> None:
    """``Content_Length`` is no header of HTTP, and some servers pass it on as if it were."""
    scope = served_of({**environ(CONTENT_LENGTH="5", CONTENT_TYPE="text/evil"), "CONTENT_LENGTH": "7", **JSON})
    told = dict(scope["headers"])
    assert (told[b"content-length"], told[b"content-type"]) == (b"7", b"application/json")


class Dripping:
    """A body that comes byte by byte."""

    def __init__(self, body: bytes) -> None:
        self._body = io.BytesIO(body)

    def read(self, _: int) -> bytes:
        """Return one byte."""
        return self._body.read(1)


def test_a_body_that_drips_is_read_to_its_end(blocking: Blocking) -> None:
    """However many reads it takes."""
    body = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()
    told = Told(blocking, signing_in(CONTENT_LENGTH=str(len(body))), Dripping(body))
    assert told.status == "201 Created"


class Broken:
    """A body whose connection is lost."""

    def read(self, _: int) -> bytes:
        """Fail."""
        raise ConnectionResetError


@pytest.mark.parametrize("body", [b'{"email":', b"", Broken()], ids=["cut off", "none", "lost"])
def test_a_body_that_ends_too_soon_is_refused_at_once(blocking: Blocking, body: Any) -> None:
    """Whoever waited for the rest would wait for ever, and so would a thread of the server."""
    told = Told(blocking, signing_in(CONTENT_LENGTH="1000"), body)
    assert (told.status, told.code) == ("400 Bad Request", "request_malformed")


@pytest.mark.parametrize("length", ["-1", "0x10", "1e3", " 5", "²", "9" * 400 + "x"])
def test_a_length_that_is_none_is_refused(blocking: Blocking, length: str) -> None:
    """Servers check it too; here it would decide how much is read."""
    assert Told(blocking, signing_in(CONTENT_LENGTH=length)).code == "request_malformed"


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "9" * 30, "9" * 5_000])
def test_a_body_too_large_is_refused_unread(blocking: Blocking, length: str) -> None:
    """By what it says of itself."""
    told = Told(blocking, signing_in(CONTENT_LENGTH=length), Broken())
    assert (told.status[:3], told.code) == ("413", "body_too_large")


def test_a_body_without_a_length_is_refused(blocking: Blocking) -> None:
    """WSGI promises no end of it, and taking it for empty would be a guess."""
    assert Told(blocking, {**signing_in(), "HTTP_TRANSFER_ENCODING": "chunked"}).code == "request_malformed"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_stream_is_refused_and_holds_no_thread(blocking: Blocking, client: httpx.Client, method: str) -> None:
    """501 says why; and the loop has let go of the stream, so it can be closed."""
    body = entered(client, "bearer")
    answer = client.request(method, "/v1/session/events", headers=bearer(body["access_token"]))
    assert answer.status_code == 501
    if method == "GET":
        refused(answer, 501, "streams_not_served")
    assert len(blocking.source.runtime.session_streams) == 0  # type: ignore[union-attr]


def test_who_may_not_follow_is_told_that(client: httpx.Client) -> None:
    """A refusal is no stream."""
    refused(client.get("/v1/feed"), 401, "credential_missing")


def test_a_host_that_is_not_ours_is_refused(client: httpx.Client) -> None:
    """As anywhere: a page elsewhere may have bound its name to us."""
    refused(client.get("/login", headers={"host": "evil.example"}), 400, "host_unknown")


def test_a_verifier_has_nothing_to_mount() -> None:
    """It is an error of the program, which says so at the start."""
    verifier = Verifier(issuer="http://localhost:8000", audience="a", secret="s")
    with pytest.raises(PropylonError, match="not_at_hand"):
        Blocking(verifier).mount()


def test_a_question_about_a_path_given_as_text_keeps_it() -> None:
    """Frameworks that have decoded it say so, and it is not decoded again."""
    assert Asked({**environ(), "PATH_INFO": "/가"}, path="/가").scope["path"] == "/가"
