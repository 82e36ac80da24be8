"""Signing in, renewing and repeating: how many requests, in which order, and never one too many."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.pyclient.stage import ORDER, PASSWORD, RENEW, SIGN_IN, WHO, Fault, Stage, answering, problem

from propylon import CredentialRefused, Unavailable

LIFE_S = 300
ELSEWHERE = "http://127.0.0.1:9000"
SMALL, LARGE = 1_000, 1_048_577


async def order(stage: Stage, auth: httpx.Auth, kind: str, **what: Any) -> httpx.Response:
    """Place an order with a plain or an async client."""
    if kind == "plain":
        with stage.client(auth) as client:
            return client.post("/orders", **what)
    async with stage.async_client(auth) as async_client:
        return await async_client.post("/orders", **what)


both_kinds = pytest.mark.parametrize("kind", ["plain", "async"])


def test_the_first_request_signs_in_and_the_next_ones_do_not(stage: Stage) -> None:
    """Zero extra requests while the token is fresh."""
    auth = stage.auth()
    with stage.client(auth) as client:
        answers = [client.get("/v1/session") for _ in range(3)]
    assert {answer.json()["user"]["id"] for answer in answers} == {stage.user_id} == {auth.user_id}
    assert stage.network.sent == [SIGN_IN, WHO, WHO, WHO]


async def test_plain_and_async_clients_share_one_session(stage: Stage) -> None:
    """From the same object."""
    auth = stage.auth()
    with stage.client(auth) as client:
        first = client.get("/v1/session").json()
    async with stage.async_client(auth) as async_client:
        second = (await async_client.get("/v1/session")).json()
    assert first["session"]["id"] == second["session"]["id"]
    assert stage.network.sent == [SIGN_IN, WHO, WHO]


@pytest.mark.parametrize(("chance", "lead_s"), [(0.0, 30), (0.5, 45), (1.0, 60)])
def test_it_renews_before_the_end_and_not_all_clients_at_once(stage: Stage, chance: float, lead_s: int) -> None:
    """A tenth to a fifth of the life ahead, by chance."""
    auth = stage.auth(chance=lambda: chance)
    with stage.client(auth) as client:
        client.get("/v1/session")
        stage.advance(LIFE_S - lead_s - 1)
        client.get("/v1/session")
        assert stage.network.count(RENEW) == 0
        stage.advance(1)
        client.get("/v1/session")
    assert stage.network.sent == [SIGN_IN, WHO, WHO, RENEW, WHO]


@both_kinds
async def test_a_token_that_turns_out_to_be_over_is_renewed_and_the_request_repeated(stage: Stage, kind: str) -> None:
    """Once, with its body: the order is placed, and nobody is asked for anything."""
    auth = stage.auth()
    await order(stage, auth, kind, content=b"12345")
    stage.clock.advance(LIFE_S + 60)  # the server's alone: the client believes in its token
    answer = await order(stage, auth, kind, content=b"12345")
    assert (answer.status_code, answer.json()) == (201, {"user": stage.user_id, "size": 5})
    assert stage.network.sent == [SIGN_IN, ORDER, ORDER, RENEW, ORDER]


@both_kinds
@pytest.mark.parametrize("code", ["token_expired", "token_expiring", "session_revoked", "credential_malformed"])
async def test_a_request_is_repeated_once_and_never_in_a_loop(stage: Stage, kind: str, code: str) -> None:
    """An API that refuses every token, for its clock or its settings are wrong."""
    stage.network.faults[ORDER] = [problem(code) for _ in range(9)]
    with pytest.raises(CredentialRefused) as refusal:
        await order(stage, stage.auth(), kind)
    assert refusal.value.code == code
    assert stage.network.sent == [SIGN_IN, ORDER, RENEW, ORDER]


NOT_OURS: dict[str, Fault] = {
    "the app's own": problem("credentials_wrong"),
    "a proxy's page": answering(401, html="<h1>Who are you?</h1>"),
    "no json": answering(401, content=b"{", headers={"content-type": "application/problem+json"}),
    "no object": answering(401, json=[], headers={"content-type": "application/problem+json"}),
    "json, but no problem": answering(401, json={"code": "token_expired"}),
    "not 401": problem("token_expired", 403),
    "unknown": problem("something_new"),
}


@both_kinds
@pytest.mark.parametrize("fault", NOT_OURS.values(), ids=NOT_OURS)
async def test_any_other_refusal_is_handed_on_as_it_came(stage: Stage, kind: str, fault: Fault) -> None:
    """A renewal would not help against it, and it is the app's to read."""
    stage.network.faults[ORDER] = [fault]
    answer = await order(stage, stage.auth(), kind)
    assert answer.status_code in (401, 403)
    assert answer.read() is not None
    assert stage.network.sent == [SIGN_IN, ORDER]


def test_a_wrong_password_in_a_form_of_the_app_renews_nothing(stage: Stage) -> None:
    """A 401 of the issuer itself that is about something else."""
    with stage.client(stage.auth()) as client:
        wrong = {"current_password": "something else", "new_password": "another long one"}
        answer = client.put("/v1/user/password", json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "credentials_wrong")
    assert stage.network.count(RENEW) == 0


def test_the_token_goes_to_no_other_origin(stage: Stage) -> None:
    """Neither by a request nor by a redirect, also to another port of the same host; and nobody is signed in for it."""
    stage.network.faults[("GET", "/other")] = [answering(200) for _ in range(4)]
    with stage.client(stage.auth()) as client:
        for url in ("http://localhost:8001/other", "https://localhost:8000/other", "http://id.example/other"):
            client.get(url)
        assert stage.network.count(SIGN_IN) == 0
        stage.network.faults[WHO] = [answering(307, headers={"location": f"{ELSEWHERE}/other"})]
        client.get("/v1/session", follow_redirects=True)
    others = [request for request in stage.network.seen if request.url.path == "/other"]
    assert [request.headers.get("authorization") for request in others] == [None] * 4


def test_a_refusal_from_where_a_redirect_leads_renews_nothing(stage: Stage) -> None:
    """It cannot know the token, which was not sent there."""
    stage.network.faults[WHO] = [answering(302, headers={"location": f"{ELSEWHERE}/other"})]
    stage.network.faults[("GET", "/other")] = [problem("token_expired")]
    with stage.client(stage.auth()) as client:
        assert client.get("/v1/session", follow_redirects=True).status_code == 401
    assert stage.network.sent == [SIGN_IN, WHO, ("GET", "/other")]


def test_a_named_api_gets_the_token(stage: Stage) -> None:
    """At its origin, whatever the path."""
    stage.network.faults[("GET", "/other")] = [answering(200)]
    with stage.client(stage.auth(apis=[ELSEWHERE])) as client:
        client.get(f"{ELSEWHERE}/other")
    assert stage.network.seen[-1].headers["authorization"].startswith("Bearer ey")


def test_a_password_and_a_refresh_token_follow_no_redirect(stage: Stage) -> None:
    """A 307 would take the body along; the client around may follow as it likes."""
    away = answering(307, headers={"location": f"{ELSEWHERE}/stolen"})
    with stage.client(stage.auth(), follow_redirects=True) as client:
        for kind in (SIGN_IN, RENEW):
            stage.network.faults = {kind: [away]}
            with pytest.raises(Unavailable) as refusal:
                client.get("/v1/session")
            assert refusal.value.facts == {"reason": "status 307"}
            stage.advance(2)
            assert client.get("/v1/session").status_code == 200
            stage.advance(LIFE_S)
    assert "/stolen" not in {request.url.path for request in stage.network.seen}


def chunks() -> Iterator[bytes]:
    """Return a body that can be read once."""
    yield b"123"
    yield b"45"


async def async_chunks() -> AsyncIterator[bytes]:
    """Return the same for an async client."""
    yield b"123"
    yield b"45"


STREAMS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "plain": ("plain", lambda: {"content": chunks()}),
    "async": ("async", lambda: {"content": async_chunks()}),
    "large file": ("plain", lambda: {"content": io.BytesIO(b"x" * LARGE)}),
    "large form": ("async", lambda: {"files": {"f": io.BytesIO(b"x" * LARGE)}}),
}


@pytest.mark.parametrize(("kind", "body"), STREAMS.values(), ids=STREAMS)
async def test_a_body_that_can_be_read_once_is_never_sent_empty(
    stage: Stage, kind: str, body: Callable[[], dict[str, Any]]
) -> None:
    """A refusal is raised, and says so; whoever makes the body anew begins with a new token."""
    auth = stage.auth()
    await order(stage, auth, kind, **body())
    stage.clock.advance(LIFE_S + 60)
    with pytest.raises(CredentialRefused) as refusal:
        await order(stage, auth, kind, **body())
    assert (refusal.value.code, refusal.value.facts) == ("token_expired", {"unrepeatable": True})
    assert stage.network.sent == [SIGN_IN, ORDER, ORDER]
    answer = await order(stage, auth, kind, **body())
    assert answer.status_code == 201
    assert stage.network.sent[3:] == [RENEW, ORDER]


def test_for_a_body_that_can_be_read_once_the_token_must_last(stage: Stage) -> None:
    """It is renewed when half of its life is over, and no later."""
    auth = stage.auth()
    with stage.client(auth) as client:
        client.get("/v1/session")
        stage.advance(LIFE_S // 2 - 1)
        client.post("/orders", content=chunks())
        assert stage.network.count(RENEW) == 0
        stage.advance(1)
        client.post("/orders", content=chunks())
    assert stage.network.sent == [SIGN_IN, WHO, ORDER, RENEW, ORDER]


SMALL_BODIES: dict[str, Callable[[], dict[str, Any]]] = {
    "bytes": lambda: {"content": b"x" * SMALL},
    "file": lambda: {"content": io.BytesIO(b"x" * SMALL)},
    "form": lambda: {"files": {"f": io.BytesIO(b"x" * SMALL)}},
    "json": lambda: {"json": ["x" * SMALL]},
}


@pytest.mark.parametrize("body", SMALL_BODIES.values(), ids=SMALL_BODIES)
def test_a_small_body_is_repeated_whole(stage: Stage, body: Callable[[], dict[str, Any]]) -> None:
    """A file is at its end after the first time: sent again as it is, it would be an empty order."""
    auth = stage.auth()
    with stage.client(auth) as client:
        size = client.post("/orders", **body()).json()["size"]
        stage.clock.advance(LIFE_S + 60)
        assert client.post("/orders", **body()).json()["size"] == size >= SMALL
    assert stage.network.count(ORDER) == 3


@pytest.mark.parametrize("off_s", [-600, 600])
def test_a_clock_that_is_off_costs_nothing(stage: Stage, off_s: int) -> None:
    """Lengths of time count, not moments: ten minutes are twice the life of a token."""
    stage.client_clock.set_wall_clock(stage.client_clock.now() + off_s)
    with stage.client(stage.auth()) as client:
        for _ in range(3):
            client.get("/v1/session")
            stage.advance(60)
    assert stage.network.sent == [SIGN_IN, WHO, WHO, WHO]


@pytest.mark.parametrize(("step_s", "renewals"), [(-600, 0), (600, 1)])
def test_a_clock_that_is_set_costs_one_renewal_at_most(stage: Stage, step_s: int, renewals: int) -> None:
    """And signs nobody out."""
    with stage.client(stage.auth()) as client:
        client.get("/v1/session")
        stage.client_clock.set_wall_clock(stage.client_clock.now() + step_s)
        for _ in range(3):
            assert client.get("/v1/session").status_code == 200
    assert stage.network.count(RENEW) == renewals


def test_after_sleep_it_renews_before_it_asks(stage: Stage) -> None:
    """The monotonic clock of a laptop stands still while it sleeps; the other one has gone on."""
    with stage.client(stage.auth()) as client:
        client.get("/v1/session")
        stage.clock.advance(3_600)
        stage.client_clock.set_wall_clock(stage.client_clock.now() + 3_600)
        assert client.get("/v1/session").status_code == 200
    assert stage.network.sent == [SIGN_IN, WHO, RENEW, WHO]


@pytest.mark.parametrize("remember", [False, True])
def test_a_session_lasts_as_long_as_was_asked_for(stage: Stage, remember: bool) -> None:  # noqa: FBT001
    """What the server gets is what the app has said."""
    with stage.client(stage.auth(remember=remember)) as client:
        client.get("/v1/session")
    said = stage.network.bodies[-2]
    assert f'"remember":{str(remember).lower()}'.encode() in said
    assert PASSWORD.encode() in said
