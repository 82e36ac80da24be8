"""The app under attack: a shop that shows what visitors wrote as it stands, guarded by Propylon; and one that is naive.

Both take orders in the ways that apps do, good ones and bad ones, and say in a ledger who ordered by what.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from propylon import Propylon
from propylon.adapters.starlette import Auth

FILES = resources.files("propylon.agora") / "attack"
# What a naive shop hands out: nothing but a name and a value, or what one finds first for a page of another site.
NAIVE_COOKIES = {"bare": "Path=/", "open": "Path=/; HttpOnly; SameSite=None; Secure"}

WhoIs = Callable[[HTTPConnection], Awaitable[str | None]]


class Shop:
    """Orders by whoever ``who_is`` says is calling."""

    def __init__(self, who_is: WhoIs) -> None:
        self._who_is = who_is
        self.ledger: dict[str, list[str]] = {}

    def routes(self, path: str) -> list[BaseRoute]:
        """Return the ways to order: by POST, by a GET that should not, and over a websocket."""
        return [
            Route(f"{path}/orders", self._order, methods=["POST"]),
            Route(f"{path}/orders", self._orders),
            Route(f"{path}/orders/now", self._order),
            WebSocketRoute(f"{path}/orders/live", self._live),
        ]

    async def _order(self, request: Request) -> Response:
        user = await self._who_is(request)
        return self._ordered(user, request) if user is not None else Response(status_code=401)

    async def _orders(self, request: Request) -> Response:
        user = await self._who_is(request)
        return JSONResponse(self.ledger.get(user, [])) if user is not None else Response(status_code=401)

    async def _live(self, websocket: WebSocket) -> None:
        user = await self._who_is(websocket)
        if user is not None:
            await websocket.accept()
            self._ordered(user, websocket)
        await websocket.close()

    def _ordered(self, user: str, connection: HTTPConnection) -> Response:
        self.ledger.setdefault(user, []).append(connection.query_params.get("by", ""))
        return Response(status_code=201)


class NaiveSessions:
    """Cookie sessions as one writes them first: a random id, and whoever brings it is let in."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}

    async def sign_in(self, request: Request) -> Response:
        """Hand out a cookie."""
        session_id = secrets.token_urlsafe()
        self._users[session_id] = request.query_params["user"]
        attributes = NAIVE_COOKIES[request.query_params["cookie"]]
        return Response(status_code=201, headers={"set-cookie": f"naive={session_id}; {attributes}"})

    async def who_is(self, connection: HTTPConnection) -> str | None:
        """Look at the cookie, and at nothing else."""
        return self._users.get(connection.cookies.get("naive", ""))


async def _by_propylon(connection: HTTPConnection) -> str:
    principal = await connection.scope["propylon"].principal()
    return str((await principal.user()).email)


def application() -> ASGIApp:
    """Return both shops, with Propylon's own routes beside them."""
    propylon, naive, reviews = Propylon.from_env(), NaiveSessions(), list[str]()
    guarded, open_to_all = Shop(_by_propylon), Shop(naive.who_is)

    async def write(request: Request) -> Response:
        reviews.append((await request.body()).decode())
        return Response(status_code=201)

    async def read(request: Request) -> Response:  # noqa: ARG001 - the shape of an endpoint
        return HTMLResponse("\n".join(reviews))

    async def ledger(request: Request) -> Response:  # noqa: ARG001 - likewise
        return JSONResponse(guarded.ledger | open_to_all.ledger)

    routes: list[BaseRoute] = [
        Route("/shop", lambda _: HTMLResponse((FILES / "shop.html").read_text())),
        Route("/shop.js", lambda _: PlainTextResponse((FILES / "shop.js").read_text(), media_type="text/javascript")),
        Route("/reviews", write, methods=["POST"]),
        Route("/reviews", read),
        Route("/ledger", ledger),
        Route("/naive/sign-in", naive.sign_in, methods=["POST"]),
        *guarded.routes(""),
        *open_to_all.routes("/naive"),
        Mount("/", propylon),
    ]
    app = Starlette(routes=routes)
    Auth(propylon).guard(app, mount=False)  # it is among the routes, at the root
    return app
