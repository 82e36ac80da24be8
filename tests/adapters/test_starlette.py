"""Starlette: the rules of every adapter, and what is Starlette's own."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket
from tests.adapters.asgi_rules import OPENS_A_PAGE, ORIGIN, PUBLIC_URL, AsgiRules, credentials
from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn
from tests.http.driving import Connect, MakePropylon, refused, set_cookies

from propylon import Propylon
from propylon.adapters.starlette import Auth, require, user, visitor


class TestTheExample(AdapterRules):
    """``examples/starlette_app.py`` under uvicorn."""

    command = uvicorn("examples.starlette_app:app")


async def me(request: Request) -> Response:
    """Answer who is calling."""
    return JSONResponse({"user": (await user(request)).user_id})


async def maybe(request: Request) -> Response:
    """Answer who is calling, if anybody."""
    who = await visitor(request)
    return JSONResponse({"user": who.user_id if who else None})


async def cart(request: Request) -> Response:
    """Answer the session's data."""
    return JSONResponse((await (await user(request)).data()).value)


@require(roles="admin")
async def admin(_: Request) -> Response:
    """Let administrators in."""
    return PlainTextResponse("in")


async def live(socket: WebSocket) -> None:
    """Tell who is calling."""
    who = await user(socket)
    await socket.accept()
    await socket.send_text(who.user_id)
    await socket.close()


@require(roles="admin")
async def live_admin(socket: WebSocket) -> None:
    """Let administrators in."""
    await socket.accept()


async def talk(socket: WebSocket) -> None:
    """Tell who is calling, whenever it is asked."""
    await socket.accept()
    async for _ in socket.iter_text():
        await socket.send_text((await user(socket)).user_id)


class Welcome:
    """An object that answers."""

    async def __call__(self, _: Request) -> Response:
        """Answer who is signed in."""
        return PlainTextResponse("welcome")


class Report(HTTPEndpoint):
    """An endpoint with methods, and a plain function that blocks."""

    @require()
    async def get(self, _: Request) -> Response:
        """Answer who is signed in."""
        return PlainTextResponse("read")

    @require(permissions="reports.write")
    async def post(self, _: Request) -> Response:
        """Answer who may."""
        return PlainTextResponse("written")


@require()
def blocking(_: Request) -> Response:
    """Answer from a thread."""
    return PlainTextResponse("done")


def guarded(source: Any, **how: Any) -> Starlette:
    """Return an app with the routes of ``MakeApp``, and more."""
    auth = Auth(source)

    async def leave(request: Request) -> Response:
        return await auth.sign_out(request)

    async def leave_for_home(request: Request) -> Response:
        return await auth.sign_out(request, RedirectResponse("/", 303))

    app = Starlette(
        routes=[
            Route("/", lambda _: PlainTextResponse("open")),
            Route("/me", me),
            Route("/maybe", maybe),
            Route("/cart", cart),
            Route("/admin", admin),
            Route("/report", Report),
            Route("/blocking", blocking),
            Route("/welcome", require()(Welcome())),
            Route("/leave", leave, methods=["POST"]),
            Route("/leave-for-home", leave_for_home, methods=["POST"]),
            WebSocketRoute("/live", live),
            WebSocketRoute("/live-admin", live_admin),
            WebSocketRoute("/talk", talk),
        ]
    )
    auth.guard(app, **how)
    return app


class TestInProcess(AsgiRules):
    """The app above."""

    make_app = staticmethod(guarded)

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/report"), ("POST", "/report"), ("GET", "/blocking"), ("GET", "/welcome")],
    )
    async def test_methods_and_plain_functions_are_held_too(
        self, app: Any, connect: Connect, method: str, path: str
    ) -> None:
        """The decorator finds the request wherever it stands."""
        refused(await connect(app).request(method, path), 401, "credential_missing")

    async def test_methods_and_plain_functions_answer_whom_they_should(
        self, propylon: Propylon, app: Any, connect: Connect
    ) -> None:
        """A function that blocks runs in a thread, as without the decorator."""
        _, token, _ = await credentials(propylon, connect)
        client = connect(app)
        assert (await client.get("/report", headers=token)).text == "read"
        assert (await client.get("/blocking", headers=token)).text == "done"
        assert (await client.get("/welcome", headers=token)).text == "welcome"
        refused(await client.post("/report", headers=token), 403, "forbidden")

    async def test_signing_out_may_lead_somewhere(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """The headers are added to the app's own answer."""
        cookie, _, _ = await credentials(propylon, connect)
        answer = await connect(app).post("/leave-for-home", headers={**cookie, "sec-fetch-site": "same-origin"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert set(set_cookies(answer)) == {"propylon", "propylon-refresh"}
        refused(await connect(app).get("/me", headers=cookie), 401, "session_revoked")

    def test_an_endpoint_keeps_its_name(self) -> None:
        """``url_for`` and error pages go by it."""
        assert admin.__name__ == "admin"
        assert Route("/welcome", require()(Welcome())).name == Route("/welcome", Welcome()).name == "Welcome"

    def test_a_class_is_not_decorated(self) -> None:
        """Starlette takes a class by what it is; hidden in a function, it would be asked for an answer."""
        with pytest.raises(TypeError, match=r"Report is a class: decorate its methods"):
            require()(Report)

    async def test_an_app_that_nobody_guards_says_so(self, connect: Connect) -> None:
        """A ``KeyError`` would send its author looking for a dictionary."""
        app = Starlette(routes=[Route("/me", me), Route("/maybe", maybe), Route("/admin", admin)])
        for path in ("/me", "/maybe", "/admin"):
            with pytest.raises(RuntimeError, match=r"auth\.guard\(app\)"):
                await connect(app).get(path)

    async def test_no_route_of_the_app_hides_the_mount(self, propylon: Propylon, connect: Connect) -> None:
        """One that takes every path, as that of a single-page app does, would give its own page for the sign-in."""
        app = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("app"))])
        Auth(propylon).guard(app)
        client = connect(app)
        for path in ("/auth/", "/auth/login"):
            assert "<form" in (await client.get(path)).text
        refused(await client.get("/auth/v1/session"), 401, "credential_missing")
        for path in ("/auth", "/authors", "/anything"):
            assert (await client.get(path)).text == "app"

    @pytest.mark.parametrize("public", ["/api/auth", "/auth"])
    @pytest.mark.parametrize("passed", ["/api", ""])
    async def test_below_the_path_of_a_proxy_it_is_where_the_public_url_says(
        self, make_propylon: MakePropylon, connect: Connect, public: str, passed: str
    ) -> None:
        """The server says by ``root_path`` what it serves below, and passes on that path or the rest alone."""
        app = guarded(await make_propylon(store="memory", public_url=ORIGIN + public))

        async def proxied(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "root_path": "/api", "path": passed + scope["path"]}, receive, send)

        client = connect(proxied)
        page = await client.get("/auth/login")
        assert 'action="/api/auth/login"' in page.text
        assert (await client.get("/auth/static/propylon.css")).status_code == 200
        led = await client.get("/me", headers=OPENS_A_PAGE)
        assert led.headers["location"] == f"{public}/login?next=/api/me"

    async def test_an_app_within_is_guarded_by_itself(self, make_propylon: MakePropylon, connect: Connect) -> None:
        """Both answer refusals; Propylon is mounted once."""
        propylon = await make_propylon(store="memory", public_url=PUBLIC_URL)
        within = guarded(propylon, mount=False)
        app = Starlette(routes=[Mount("/within", within)])
        Auth(propylon).guard(app)
        refused(await connect(app).get("/within/me"), 401, "credential_missing")
        refused(await connect(app).get("/auth/v1/session"), 401, "credential_missing")
        assert (await connect(app).get("/within/auth/login")).status_code == 404
