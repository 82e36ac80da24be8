"""A Propylon on an event loop of its own, a guarded app beside it, and a network between them and the client.

The network is a transport of httpx for both kinds of client, and everything that happens to networks can be told to
happen on it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from propylon import Propylon, PropylonError
from propylon.adapters.starlette import Auth, require_fresh, user
from propylon.client import Place, PropylonAuth
from propylon.testing import FakeClock

ISSUER = "http://localhost:8000"
PASSWORD = "correct horse battery"
SIGN_IN, RENEW = ("POST", "/v1/sessions"), ("POST", "/v1/session/tokens")
CONFIRM, SIGN_OUT = ("POST", "/v1/session/confirm"), ("DELETE", "/v1/session")
WHO, ORDER, FRESH = ("GET", "/v1/session"), ("POST", "/orders"), ("POST", "/fresh")
PATIENCE_S = 20.0

Fault = Callable[[httpx.Request], httpx.Response | None]


class Loop:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def submit(self, work: Any) -> Future[Any]:
        """Begin a coroutine there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Any) -> Any:
        """Run a coroutine there and wait for it here."""
        return self.submit(work).result(PATIENCE_S)

    def close(self) -> None:
        """Stop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Network(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries requests to the stage, counts them, and fails as it is told.

    Attributes:
        sent: method and path of every request that has left, in order.
        faults: what happens to the next requests of a kind, one each: an answer made on the way (before the server
            sees it), or an exception.
        seen: these requests; bodies: what they have carried.
        lost: kinds of which so many answers do not come back, though the server has answered.
        held: kinds whose requests wait for the event before they leave.
    """

    def __init__(self, loop: Loop, app: Any, ip: str) -> None:
        self._loop, self._asgi = loop, httpx.ASGITransport(app, client=(ip, 40_000))
        self.sent: list[tuple[str, str]] = []
        self.seen: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.faults: dict[tuple[str, str], list[Fault]] = {}
        self.lost: dict[tuple[str, str], int] = {}
        self.held: dict[tuple[str, str], threading.Event] = {}

    def count(self, kind: tuple[str, str]) -> int:
        """Return how many requests of a kind have left."""
        return self.sent.count(kind)

    def forget(self) -> None:
        """Count anew."""
        for kept in (self.sent, self.seen, self.bodies):
            kept.clear()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request of a plain client."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        body = b"".join(request.stream)  # as networks do: read once, and not kept in the request
        if (answer := self._on_the_way(request, body)) is not None:
            return answer
        self._wait(request)
        return self._back(request, self._loop.run(self._carried(request, body)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request of an async client."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        body = b"".join([part async for part in request.stream])
        if (answer := self._on_the_way(request, body)) is not None:
            return answer
        await asyncio.to_thread(self._wait, request)
        return self._back(request, await asyncio.wrap_future(self._loop.submit(self._carried(request, body))))

    def _on_the_way(self, request: httpx.Request, body: bytes) -> httpx.Response | None:
        kind = (request.method, request.url.path)
        self.sent.append(kind)
        self.seen.append(request)
        self.bodies.append(body)
        faults = self.faults.get(kind, [])
        return faults.pop(0)(request) if faults else None

    def _wait(self, request: httpx.Request) -> None:
        if (event := self.held.get((request.method, request.url.path))) is not None:
            assert event.wait(PATIENCE_S)

    def _back(self, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        kind = (request.method, request.url.path)
        if self.lost.get(kind, 0) > 0:
            self.lost[kind] -= 1
            raise httpx.ReadError("connection reset", request=request)
        return answer

    async def _carried(self, request: httpx.Request, body: bytes) -> httpx.Response:
        copy = httpx.Request(request.method, request.url, headers=request.headers, content=body)
        answer = await self._asgi.handle_async_request(copy)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


class Server(NamedTuple):
    """What is there for all tests: starting it takes longer than most of them."""

    loop: Loop
    propylon: Propylon
    app: Starlette
    clock: FakeClock
    numbers: Iterator[int]


class Stage:
    """An account and a network of one test, and the clock of the server; the client has a clock of its own."""

    def __init__(self, server: Server) -> None:
        number = next(server.numbers)
        self.loop, self.propylon, self.clock = server.loop, server.propylon, server.clock
        self.client_clock = FakeClock(server.clock.now())
        self.network = Network(server.loop, server.app, f"192.0.2.{number % 250}")
        self.email = f"mina{number}@example.com"
        with self.client() as client:
            self.user_id = sign_up(client, self.email)
        self.network.forget()

    def auth(self, **settings: Any) -> PropylonAuth:
        """Return an auth for the account of the stage."""
        given = {"email": self.email, "password": PASSWORD, "clock": self.client_clock, "transport": self.network}
        return PropylonAuth(ISSUER, **{"chance": lambda: 0.5, **given, **settings})

    def client(self, auth: httpx.Auth | None = None, **how: Any) -> httpx.Client:
        """Return a plain client."""
        return httpx.Client(transport=self.network, base_url=ISSUER, auth=auth, **how)

    def async_client(self, auth: httpx.Auth | None = None, **how: Any) -> httpx.AsyncClient:
        """Return an async client."""
        return httpx.AsyncClient(transport=self.network, base_url=ISSUER, auth=auth, **how)

    def advance(self, seconds: int) -> None:
        """Let time pass for everybody."""
        self.clock.advance(seconds)
        self.client_clock.advance(seconds)

    def end_everything(self) -> None:
        """End all sessions of the account, as an operator does."""
        self.loop.run(self.propylon.revoke(user_id=self.user_id))


def guarded(propylon: Propylon) -> Starlette:
    """Return an app with two routes, and Propylon's own beside them."""

    async def orders(request: Request) -> Response:
        who = await user(request)
        return JSONResponse({"user": who.user_id, "size": len(await request.body())}, 201)

    @require_fresh(60)
    async def fresh(request: Request) -> Response:
        return JSONResponse({"user": (await user(request)).user_id})

    routes = [Route("/orders", orders, methods=["POST"]), Route("/fresh", fresh, methods=["POST"])]
    app = Starlette(routes=[*routes, Mount("/", propylon)])
    Auth(propylon).guard(app, mount=False)
    return app


def sign_up(client: httpx.Client, email: str, password: str = PASSWORD) -> str:
    """Make an account and return its id."""
    answer = client.post("/v1/users", json={"email": email, "password": password})
    assert answer.status_code == 201, answer.text
    user_id: str = answer.json()["user"]["id"]
    return user_id


def entered(stage: Stage, place: Place, **settings: Any) -> PropylonAuth:
    """Return an auth without a password, that goes on with what another one has kept."""
    with stage.client(stage.auth(place=place)) as client:
        client.get("/v1/session")
    stage.network.forget()
    return stage.auth(place=place, password=None, **settings)


def ask(stage: Stage, auth: PropylonAuth) -> httpx.Response:
    """Ask who is signed in."""
    with stage.client(auth) as client:
        return client.get("/v1/session")


def refusal(stage: Stage, auth: PropylonAuth) -> PropylonError:
    """Return what the same is refused with."""
    with pytest.raises(PropylonError) as refused:
        ask(stage, auth)
    return refused.value


def secret_of(place: Place) -> str:
    """Return the secret part of the refresh token that a place keeps."""
    token: str = json.loads(place.load() or "")["refresh_token"]
    return token.rpartition(".")[2]


def eventually(true: Callable[[], bool]) -> None:
    """Return when something has become true."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.002)


async def eventually_async(true: Callable[[], bool]) -> None:
    """Do the same while the loop turns."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        await asyncio.sleep(0.001)


def answering(status: int, **how: Any) -> Fault:
    """Return a fault that answers."""
    return lambda _: httpx.Response(status, **how)


def problem(code: str, status: int = 401, **more: Any) -> Fault:
    """Return a fault that answers with a problem document."""
    body = {"status": status, "code": code, **more}
    return answering(status, json=body, headers={"content-type": "application/problem+json"})


def failing(error: type[httpx.TransportError]) -> Fault:
    """Return a fault of the network."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise error("it failed", request=request)

    return fail
