"""Who asks outside of the routes: what middleware refuses is answered as what a route refuses, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from litestar import Litestar, WebSocket, get, websocket
from litestar.middleware import DefineMiddleware
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket
from tests.adapters.asgi_rules import OPENS_A_PAGE, PUBLIC_URL, credentials
from tests.http.driving import SESSION_COOKIE, Connect, MakePropylon, opened, refused
from tests.verifier.issuer import Issuer

from propylon import Forbidden, Propylon
from propylon.adapters import fastapi, litestar, starlette

DEAD = {"cookie": f"{SESSION_COOKIE}=left-by-somebody"}
ELSEWHERE = "https://front.example"


class Audit:
    """Middleware that wants to know of every request who is calling."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Ask, and pass on."""
        if scope["type"] != "lifespan":
            scope.setdefault("state", {})["who"] = await scope["propylon"].principal_or_none()
        await self._app(scope, receive, send)


class Later:
    """Middleware that refuses when the answer has begun."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on, and refuse."""
        await self._app(scope, receive, send)
        raise Forbidden


class FromHeader:
    """Middleware that gives a request its credential."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take what another header says for the token."""
        if scope["type"] != "lifespan":
            given = [(b"authorization", value) for name, value in scope["headers"] if name == b"x-token"]
            scope["headers"] = [*scope["headers"], *given]
        await self._app(scope, receive, send)


async def who(request: Request) -> Response:
    """Answer whom the middleware found."""
    found = request.state.who
    return PlainTextResponse(found.user_id if found else "nobody")


async def me(request: Request) -> Response:
    """Answer who is calling."""
    return PlainTextResponse((await starlette.user(request)).user_id)


Guard = Callable[..., Any]


def guarded_starlette(source: Any, *middleware: Any, later: tuple[Any, ...] = ()) -> Any:
    """Return an app with middleware added before and after its guard, and a last resort of its own."""
    app = Starlette(routes=[Route("/who", who), Route("/me", me), WebSocketRoute("/live", live)])
    return guarded(app, starlette.Auth(source), middleware, later)


def guarded_fastapi(source: Any, *middleware: Any, later: tuple[Any, ...] = ()) -> Any:
    """Return the same of FastAPI."""
    app = FastAPI()
    app.router.routes.extend([Route("/who", who), Route("/me", me), WebSocketRoute("/live", live)])
    return guarded(app, fastapi.Auth(source), middleware, later)


def guarded(app: Any, auth: Any, before: tuple[Any, ...], after: tuple[Any, ...]) -> Any:
    """Guard an app between middleware of its own."""
    for each in before:
        app.add_middleware(each)
    auth.guard(app)
    for each in after:
        app.add_middleware(each)
    app.add_exception_handler(Exception, lambda *_: PlainTextResponse("broken", 500))
    return app


def audited_before(make: Guard, source: Any) -> Any:
    """Return an app that asks in middleware added before its guard."""
    return make(source, Audit)


def audited_after(make: Guard, source: Any) -> Any:
    """Return an app that asks in middleware added after its guard."""
    return make(source, later=(Audit,))


def audited_litestar(_: Guard, source: Any) -> Litestar:
    """Return an app of Litestar, where the plugin always comes first."""
    return Litestar(
        [litestar_who, litestar_live], middleware=[DefineMiddleware(Audit)], plugins=[litestar.Auth(source)]
    )


@get("/who")
async def litestar_who() -> str:
    """Answer nobody in particular."""
    return "nobody"


@websocket("/live")
async def litestar_live(socket: WebSocket[Any, Any, Any]) -> None:
    """Take whoever comes."""
    await socket.accept()


async def live(socket: StarletteWebSocket) -> None:
    """Take whoever comes."""
    await socket.accept()


@pytest.fixture
async def propylon(make_propylon: MakePropylon) -> Propylon:
    """An open Propylon below ``/auth``."""
    return await make_propylon(store="memory", public_url=PUBLIC_URL)


@pytest.fixture(
    params=[
        (audited_before, guarded_starlette),
        (audited_after, guarded_starlette),
        (audited_before, guarded_fastapi),
        (audited_after, guarded_fastapi),
        (audited_litestar, None),
    ],
    ids=["starlette-before", "starlette-after", "fastapi-before", "fastapi-after", "litestar"],
)
def audited(request: pytest.FixtureRequest, propylon: Propylon) -> Any:
    """An app whose middleware asks, in each framework and order."""
    order, make = request.param
    return order(make, propylon)


async def test_middleware_is_told_who_is_calling(audited: Any, propylon: Propylon, connect: Connect) -> None:
    """A visitor is nobody, and nobody is refused for that."""
    cookie, token, _ = await credentials(propylon, connect)
    for headers in ({}, cookie, token):
        assert (await connect(audited).get("/who", headers=headers)).status_code == 200


async def test_what_middleware_refuses_is_told_as_what_a_route_refuses(audited: Any, connect: Connect) -> None:
    """By the whole problem, and not by the app's last resort: a dead cookie is no fault of the service."""
    refused(await connect(audited).get("/who", headers=DEAD), 401, "credential_malformed")


async def test_who_opens_a_page_is_led_to_the_sign_in_by_middleware_too(audited: Any, connect: Connect) -> None:
    """And back."""
    answer = await connect(audited).get("/who?a=b", headers={**DEAD, **OPENS_A_PAGE})
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/login?next=/who%3Fa%3Db")


async def test_middleware_keeps_nobody_from_the_sign_in(audited: Any, connect: Connect) -> None:
    """The page that a dead cookie leads to would lead to itself, for as long as the cookie is there."""
    client = connect(audited)
    page = await client.get("/auth/login?next=/who", headers={**DEAD, **OPENS_A_PAGE})
    assert page.status_code == 200
    assert 'action="/auth/login"' in page.text
    account = {"email": "mina@example.com", "password": "correct horse battery", "name": "Mina"}
    assert (await client.post("/auth/v1/users", json=account, headers=DEAD)).status_code == 201
    signed_in = await client.post("/auth/login", data={**account, "next": "/who"}, headers=DEAD)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/who")
    refused(await client.get("/auth/v1/session", headers=DEAD), 401, "credential_malformed")


async def test_middleware_closes_a_websocket_with_the_reason(audited: Any) -> None:
    """Before it is accepted."""
    closed = {"type": "websocket.close", "code": 1008, "reason": "credential_malformed"}
    assert await opened(audited, "/live", DEAD) == [closed]


@pytest.mark.parametrize("order", [audited_before, audited_after])
async def test_by_a_verifier_it_is_the_same(issuer: Issuer, connect: Connect, order: Any) -> None:
    """But that nobody is led to a page."""
    with issuer.verifier() as verifier:
        client = connect(order(guarded_starlette, verifier))
        answer = await client.get("/who", headers={"authorization": "Bearer x", **OPENS_A_PAGE})
        refused(answer, 401, "credential_malformed")


@pytest.mark.parametrize("later", [(), (Audit,)])
async def test_an_answer_that_has_begun_is_not_answered_again(
    propylon: Propylon, connect: Connect, later: tuple[Any, ...]
) -> None:
    """Two answers to one request would mix; the error goes on to the server."""
    app = guarded_starlette(propylon, Later, Audit, later=later)
    with pytest.raises(Forbidden):
        await connect(app).get("/who")


async def test_pages_of_another_origin_may_read_what_middleware_refuses(propylon: Propylon, connect: Connect) -> None:
    """Where the app's CORS is added last, as it is to be: it stands outside of what answers."""
    app = guarded_starlette(propylon, Audit)
    app.add_middleware(CORSMiddleware, allow_origins=[ELSEWHERE])
    answer = await connect(app).get("/who", headers={**DEAD, "origin": ELSEWHERE, "sec-fetch-site": "cross-site"})
    refused(answer, 401, "credential_malformed")
    assert answer.headers["access-control-allow-origin"] == ELSEWHERE


async def test_a_credential_that_later_middleware_gives_is_seen(propylon: Propylon, connect: Connect) -> None:
    """What is added later runs first, and the routes see the request as it has left it."""
    _, token, user = await credentials(propylon, connect)
    app = guarded_starlette(propylon, later=(FromHeader, Audit))
    answer = await connect(app).get("/me", headers={"x-token": token["authorization"]})
    assert answer.text == user


async def test_a_move_is_told_once(propylon: Propylon, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where middleware and route have asked."""
    _, token, _ = await credentials(propylon, connect)
    gate = type(propylon.runtime.gate)
    recall = gate.recall

    def moving(*given: Any) -> Any:
        found = recall(*given)
        return found and replace(found, moves_to="hybrid")

    client = connect(guarded_starlette(propylon, later=(Audit,)))
    assert (await client.get("/me", headers=token)).status_code == 200
    monkeypatch.setattr(gate, "recall", moving)
    answer = await client.get("/me", headers=token)
    assert answer.headers.get_list("propylon-mode") == ["hybrid"]
