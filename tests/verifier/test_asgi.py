"""``verifier.protect``: the question in ``scope["propylon"]``, and refusals without any framework."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from tests.http.driving import bearer, connected, kept_after_its_answer
from tests.verifier.issuer import Issuer

from propylon import CredentialRefused, Demand, Forbidden, PropylonError
from propylon.verifier import Verifier

DEMANDS = {
    "/admin": Demand.of(roles="admin"),
    "/orders": Demand.of(scopes="orders"),
    "/pay": Demand.of(fresh_s=60),
    "/long": Demand.of(left_s=3_600),
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An app of no framework: ``/open`` asks nothing, ``/maybe`` may go without, others want what ``DEMANDS`` says."""
    assert scope["type"] == "http"
    if scope["path"] == "/open":
        told = "open"
    elif scope["path"] == "/maybe":
        who = await scope["propylon"].principal_or_none()
        told = who.user_id if who else "nobody"
    else:
        who = await scope["propylon"].require(DEMANDS.get(scope["path"], Demand()))
        told = who.user_id
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": told.encode()})
    if scope["path"] == "/late":
        raise Forbidden


@pytest.fixture
def client(issuer: Issuer) -> Any:
    """A client of the protected app, its verifier ready."""
    with issuer.verifier() as verifier:
        yield connected(verifier.protect(app), "http://api.example")


async def test_a_route_that_does_not_ask_pays_nothing(client: httpx.AsyncClient) -> None:
    """Also with a token that is none."""
    assert (await client.get("/open", headers=bearer("x"))).text == "open"


async def test_a_route_that_asks_is_told(client: httpx.AsyncClient, issuer: Issuer) -> None:
    """Who is calling; or nobody where that is allowed."""
    assert (await client.get("/me", headers=bearer(issuer.token()))).text == "u"
    assert (await client.get("/maybe")).text == "nobody"
    assert (await client.get("/admin", headers=bearer(issuer.token(roles=("admin",))))).text == "u"


@pytest.mark.parametrize(
    ("path", "headers", "status", "code", "challenge"),
    [
        ("/me", [], 401, "credential_missing", "Bearer"),
        ("/me", ["Basic eDp5"], 401, "credential_missing", "Bearer"),
        ("/me", ["Bearer x"], 401, "credential_malformed", 'Bearer error="invalid_token"'),
        ("/me", ["bearer"], 401, "credential_malformed", 'Bearer error="invalid_token"'),
        ("/maybe", ["Bearer x"], 401, "credential_malformed", 'Bearer error="invalid_token"'),
        ("/me", ["Bearer {token}", "Bearer {token}"], 400, "credential_ambiguous", None),
        ("/me", ["DPoP {token}"], 401, "credential_malformed", 'Bearer error="invalid_token"'),
        ("/me", ["Bearer\t{token}"], 401, "credential_malformed", 'Bearer error="invalid_token"'),
        ("/maybe", ["DPoP\t{token}"], 401, "credential_malformed", 'Bearer error="invalid_token"'),
        ("/admin", ["Bearer {token}"], 403, "forbidden", None),
        (
            "/orders",
            ["Bearer {narrow}"],
            403,
            "insufficient_scope",
            'Bearer error="insufficient_scope", scope="orders"',
        ),
        (
            "/pay",
            ["Bearer {old}"],
            401,
            "reauthentication_required",
            'Bearer error="insufficient_user_authentication", max_age="60"',
        ),
        ("/long", ["Bearer {token}"], 401, "token_expiring", 'Bearer error="invalid_token"'),
    ],
)
@pytest.mark.parametrize("language", ["en", "ko"])
async def test_a_refusal_is_a_problem_in_the_callers_language(
    client: httpx.AsyncClient,
    issuer: Issuer,
    path: str,
    headers: list[str],
    status: int,
    code: str,
    challenge: str | None,
    language: str,
) -> None:
    """The same document as the server's, made without its framework."""
    tokens = {
        "token": issuer.token(),
        "narrow": issuer.token(scopes=("invoices",)),
        "old": issuer.token(auth_time=int(time.time()) - 90),
    }
    spelled = [("authorization", value.format(**tokens)) for value in headers]
    answer = await client.get(path, headers=[*spelled, ("accept-language", language)])
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-language"] == language
    assert answer.headers.get("www-authenticate") == challenge
    assert problem["type"] == f"{issuer.url}/docs#{code}"
    assert problem["title"]
    assert problem["detail"]


async def test_an_evicted_session_is_told_without_what_only_the_store_knows(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    """No empty brackets and no time that nobody told."""
    issuer.ends("s", "evicted")
    while (answer := await client.get("/me", headers=bearer(issuer.token("s")))).status_code == 200:
        pass
    assert answer.json()["code"] == "session_evicted"
    assert "()" not in answer.json()["detail"]
    assert ", )" not in answer.json()["detail"]


async def test_while_it_cannot_know_it_answers_503(issuer: Issuer) -> None:
    """With ``Retry-After``, and the app is not asked in vain where it does not ask."""
    issuer.feed = lambda handler: handler.answer(503, b"", "text/plain")
    verifier = issuer.verifier()
    client = connected(verifier.protect(app), "http://api.example")
    answer = await client.get("/me", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
    assert (await client.get("/open")).text == "open"
    verifier.close()


async def test_an_answer_that_has_begun_is_not_answered_again(client: httpx.AsyncClient, issuer: Issuer) -> None:
    """The error goes on to the server, which ends the connection."""
    with pytest.raises(Forbidden):
        await client.get("/late", headers=bearer(issuer.token()))


async def test_a_request_is_freed_with_its_answer(issuer: Issuer) -> None:
    """The question lies in the request and does not hold it: the garbage collector would cost every request time."""
    with issuer.verifier() as verifier:
        assert not await kept_after_its_answer(verifier.protect(app), bearer(issuer.token()))


async def test_a_websocket_is_closed_with_the_reason(issuer: Issuer) -> None:
    """Before it was accepted, which is a 403 for the client."""
    sent: list[Any] = []

    async def asks(scope: Any, receive: Any, send: Any) -> None:
        await scope["propylon"].principal()

    async def send(message: Any) -> None:
        sent.append(message)

    with issuer.verifier() as verifier:
        await verifier.protect(asks)({"type": "websocket", "headers": []}, lambda: None, send)  # type: ignore[arg-type, return-value]
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "credential_missing"}]


def fast(verifier: Verifier) -> Any:
    """Return a FastAPI app as the guide writes it."""
    api = FastAPI()

    @api.get("/me")
    async def me(request: Request) -> dict[str, str]:
        return {"user": (await request.scope["propylon"].principal()).user_id}

    @api.exception_handler(PropylonError)
    async def refuse(request: Request, error: PropylonError) -> Response:
        answer = verifier.answer(error, request.headers.get("accept-language"))
        return Response(answer.body, answer.status, answer.headers)

    return verifier.protect(api)


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run an app's lifespan, as a server does, and connect to it."""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outgoing: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, incoming.get, outgoing.put))
    incoming.put_nowait({"type": "lifespan.startup"})
    assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    async with connected(app, "http://api.example") as client:
        yield client
    incoming.put_nowait({"type": "lifespan.shutdown"})
    await task


async def test_in_fastapi_it_follows_while_the_app_runs(issuer: Issuer) -> None:
    """Started and stopped by the app's lifespan; refusals by the handler of two lines."""
    verifier = issuer.verifier()
    async with running(fast(verifier)) as client:
        assert (await client.get("/me", headers=bearer(issuer.token()))).json() == {"user": "u"}
        refusal = await client.get("/me", headers=bearer("x"))
        assert (refusal.status_code, refusal.json()["code"]) == (401, "credential_malformed")
    assert verifier.silent_for_s == float("inf")


async def test_a_verifier_that_was_started_outside_is_not_stopped_by_an_app(issuer: Issuer) -> None:
    """Whoever starts it stops it."""
    async with issuer.verifier() as verifier:
        async with running(fast(verifier)):
            pass
        assert verifier.verify(issuer.token()).user_id == "u"


def test_a_refusal_can_be_answered_by_any_framework(issuer: Issuer) -> None:
    """Status, headers and body as plain values, for Flask, Django and the like."""
    answer = issuer.verifier().answer(CredentialRefused("session_revoked"), "ko;q=0.9")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert json.loads(answer.body)["code"] == "session_revoked"
