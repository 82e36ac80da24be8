"""Whatever is thrown at any operation or page: a clear answer that the document names, and never a fault of ours."""

from __future__ import annotations

import json
from itertools import count
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.http.driving import PASSWORD, REFRESH_COOKIE, SESSION_COOKIE, Connect, MakePropylon, bare, sign_in

from propylon import Propylon
from propylon.flows.account import NewAccount
from propylon.http.operations import ANYWHERE, OPERATIONS, Operation
from propylon.http.problems import STATUS

EXAMPLES = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
HEADERS = (
    b"authorization", b"cookie", b"content-type", b"content-length", b"content-encoding", b"if-match", b"origin",
    b"sec-fetch-site", b"accept", b"accept-language", b"user-agent", b"x-forwarded-for", b"x-forwarded-method",
    b"transfer-encoding", b"host", b"range", b"expect", b"x-any",
)  # fmt: skip
FIELDS = (
    "email", "password", "name", "mode", "remember", "end", "refresh_token", "current_password", "new_password", "for",
    "paused", "x",
)  # fmt: skip
NUMBER = count()

TEXT = st.text(max_size=40) | st.sampled_from(["cookie", "bearer", "mina@example.com", PASSWORD, "\x00", "\ud800"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
FIELDS_OF_A_BODY = st.dictionaries(st.sampled_from(FIELDS), TEXT | JSON, max_size=5)
BODIES = st.binary(max_size=200) | (JSON | FIELDS_OF_A_BODY).map(lambda value: json.dumps(value).encode())
ODD_BYTES = st.binary(max_size=60) | st.sampled_from(
    [b"Bearer x", b"Basic eDp5", b"*", b'"0"', b"null", b"cross-site", b"application/json", b"propylon=x; propylon=y"]
)
ODD_HEADERS = st.lists(st.tuples(st.sampled_from(HEADERS), ODD_BYTES), max_size=4)


class Attacked:
    """A service, and somebody signed in whose credentials a request may carry."""

    def __init__(self, propylon: Propylon, client: httpx.AsyncClient) -> None:
        self.propylon, self._client = propylon, client

    async def credentials(self, kind: str) -> list[tuple[bytes, bytes]]:
        """Make an account, sign in, and return the headers of one kind of credential."""
        email = f"user{next(NUMBER)}@example.com"
        await self.propylon.runtime.accounts.add(NewAccount(email=email, password=PASSWORD, roles=("admin",)))
        self._client.cookies.clear()
        body = await sign_in(self._client, kind, email=email)
        if kind == "bearer":
            return [(b"authorization", f"Bearer {body['access_token']}".encode())]
        name = SESSION_COOKIE if kind == "cookie" else REFRESH_COOKIE
        return [(b"cookie", f"{name}={self._client.cookies[name]}".encode())]


@pytest.fixture
async def attacked(make_propylon: MakePropylon, connect: Connect) -> Attacked:
    """The service under attack."""
    propylon = await make_propylon(store="memory", roles={"admin": ["propylon:mode"]})
    return Attacked(propylon, connect(propylon))


@EXAMPLES
@given(
    operation=st.sampled_from(OPERATIONS),
    kind=st.sampled_from(["none", "cookie", "bearer", "hybrid"]),
    usual=st.booleans(),
    headers=ODD_HEADERS,
    body=BODIES,
    word=st.text(max_size=30),
    query=st.binary(max_size=30) | st.sampled_from([b"keep=current", b"keep=", b"keep=x&keep=current"]),
)
async def test_no_request_makes_an_operation_fail(
    attacked: Attacked,
    operation: Operation,
    kind: str,
    usual: bool,  # noqa: FBT001 - drawn by name
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    word: str,
    query: bytes,
) -> None:
    """P201: below 500; a refusal is a problem document with a code that OpenAPI names for this operation."""
    given_headers = [(b"host", b"localhost:8000"), (b"content-type", b"application/json")] if usual else []
    given_headers += [] if kind == "none" else await attacked.credentials(kind)
    path = operation.path.replace("{id}", word.replace("/", "") or "x")
    answer = await bare(attacked.propylon, operation.method, path, given_headers + headers, query=query, body=body)
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        assert answer.status_code in operation.answers
        assert operation.path.endswith("jwks.json") or answer.headers["cache-control"] == "no-store"
    else:
        is_documented_problem(answer, operation)


def is_documented_problem(answer: httpx.Response, operation: Operation) -> None:
    """Check a refusal in all its parts."""
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert problem["code"] in {*operation.problems, *ANYWHERE}
    assert problem["status"] == answer.status_code == STATUS[problem["code"]]
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in answer.text


PAGES = (
    ("GET", "/"), ("GET", "/login"), ("GET", "/signup"), ("GET", "/account"), ("GET", "/docs"), ("POST", "/login"),
    ("POST", "/signup"), ("POST", "/logout"), ("POST", "/account/profile"), ("POST", "/account/password"),
    ("POST", "/account/sessions/end"), ("POST", "/account/sessions/end-others"), ("POST", "/language"),
    ("GET", "/console"), ("POST", "/console/mode"), ("POST", "/console/pause"),
)  # fmt: skip
PAGE_FIELDS = ("email", "password", "name", "next", "remember", "end", "language", "session", "notice", "new_password",
               "mode", "for", "paused")  # fmt: skip
FORMS = st.dictionaries(st.sampled_from(PAGE_FIELDS), st.text(st.characters(codec="utf-8"), max_size=40), max_size=6)


@EXAMPLES
@given(
    page=st.sampled_from(PAGES),
    signed_in=st.booleans(),
    headers=st.lists(st.tuples(st.sampled_from([name for name in HEADERS if name != b"host"]), ODD_BYTES), max_size=3),
    body=FORMS.map(lambda fields: urlencode(fields).encode()) | st.binary(max_size=100),
    query=FORMS.map(lambda fields: urlencode(fields).encode()) | st.binary(max_size=100),
)
async def test_no_request_makes_a_page_fail(
    attacked: Attacked,
    page: tuple[str, str],
    signed_in: bool,  # noqa: FBT001 - drawn by name
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    query: bytes,
) -> None:
    """P201: a page or a 303 to an address of ours, below 500, with the policy and without caching."""
    form = [(b"host", b"localhost:8000"), (b"content-type", b"application/x-www-form-urlencoded")]
    form += await attacked.credentials("cookie") if signed_in else []
    answer = await bare(attacked.propylon, *page, form + headers, query=query, body=body)
    assert answer.status_code < 500, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "Traceback" not in answer.text
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/")
        assert not answer.headers["location"].startswith(("//", "/\\"))
    else:
        assert answer.headers["content-type"] in ("text/html; charset=utf-8", "application/problem+json")
