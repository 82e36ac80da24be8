"""Litestar: the rules of every adapter, and what is Litestar's own."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Controller, Litestar, Request, Response, Router, WebSocket, get, post, websocket
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath
from litestar.response import Redirect
from tests.adapters.asgi_rules import OPENS_A_PAGE, ORIGIN, PUBLIC_URL, AsgiRules, credentials
from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn
from tests.http.driving import Connect, MakePropylon, refused, set_cookies
from tests.verifier.issuer import Issuer

from propylon import Principal, Propylon, SetupError
from propylon.adapters.litestar import Auth, SignedIn, Visitor, require, user
from propylon.adapters.litestar import visitor as visiting

Asked = Request[Principal, str, State]
ACCOUNT = {"email": "mina@example.com", "password": "correct horse battery"}


class TestTheExample(AdapterRules):
    """``examples/litestar_app.py`` under uvicorn."""

    command = uvicorn("examples.litestar_app:app")


@get("/")
async def anyone() -> str:
    """Answer everybody."""
    return "open"


@get("/me")
async def me(who: SignedIn) -> dict[str, str]:
    """Answer who is calling."""
    return {"user": who.user_id}


@get("/blocking", sync_to_thread=True)
def blocking(who: SignedIn) -> dict[str, str]:
    """Answer from a thread."""
    return {"user": who.user_id}


@get("/maybe")
async def maybe(visitor: Visitor) -> dict[str, str | None]:
    """Answer who is calling, if anybody."""
    return {"user": visitor.user_id if visitor else None}


@get("/asked")
async def asked(request: Asked) -> list[str | None]:
    """Ask by itself."""
    somebody = await visiting(request)
    return [somebody.user_id if somebody else None, (await user(request)).user_id, request.auth]


async def mine(request: Asked) -> str:
    """Answer who is calling."""
    return (await user(request)).user_id


@get("/cart")
async def cart(who: SignedIn) -> dict[str, Any]:
    """Answer the session's data."""
    return (await who.data()).value


@get("/admin", guards=[require(roles="admin")])
async def admin() -> str:
    """Let administrators in."""
    return "in"


@get("/connection", guards=[require()])
async def connection(request: Asked, who: SignedIn) -> dict[str, Any]:
    """Answer what Litestar's own connection says."""
    return {"user": request.user.user_id, "auth": request.auth, "same": request.user is who}


@get("/orders", guards=[require(scopes=["orders.write", "orders.read"])])
async def orders() -> str:
    """Let tokens of two scopes in."""
    return "in"


@get("/authors/{name:str}")
async def authors(name: FromPath[str]) -> str:
    """Answer at an address that begins as the mount does."""
    return name


@post("/leave", status_code=204)
async def leave(request: Asked) -> Response[None]:
    """Sign out."""
    auth: Auth = request.app.plugins.get(Auth)
    return await auth.sign_out(request)


@post("/leave-for-home", status_code=303)
async def leave_for_home(request: Asked) -> Response[Any]:
    """Sign out and go."""
    auth: Auth = request.app.plugins.get(Auth)
    return await auth.sign_out(request, Redirect("/", status_code=303))


@websocket("/live")
async def live(socket: WebSocket[Any, Any, Any], who: SignedIn) -> None:
    """Tell who is calling."""
    await socket.accept()
    await socket.send_text(who.user_id)
    await socket.close()


@websocket("/live-admin", guards=[require(roles="admin")])
async def live_admin(socket: WebSocket[Any, Any, Any]) -> None:
    """Let administrators in."""
    await socket.accept()


@websocket("/talk")
async def talk(socket: WebSocket[Any, Any, Any]) -> None:
    """Tell who is calling, whenever it is asked."""
    await socket.accept()
    async for _ in socket.iter_data("text"):
        await socket.send_text((await user(socket)).user_id)


class Reports(Controller):
    """Guarded as a whole."""

    path = "/reports"
    guards = (require(permissions="reports.read"),)

    @get()
    async def all_of_them(self) -> str:
        """Answer whom the controller lets in."""
        return "in"


ROUTES: list[Any] = [
    anyone, me, blocking, maybe, asked, cart, admin, connection, orders, authors, leave, leave_for_home, live,
    live_admin, talk, Reports,
]  # fmt: skip


def guarded(source: Any, **how: Any) -> Litestar:
    """Return an app with these routes."""
    return Litestar(ROUTES, plugins=[Auth(source, **how)])


class TestInProcess(AsgiRules):
    """The app above."""

    make_app = staticmethod(guarded)

    async def test_a_guard_tells_the_connection(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """``request.user`` and ``request.auth`` are Litestar's own names; the dependency is the same principal."""
        cookie, token, who = await credentials(propylon, connect)
        for headers, kind in ((cookie, "cookie"), (token, "access_token")):
            answer = await connect(app).get("/connection", headers=headers)
            assert answer.json() == {"user": who, "auth": kind, "same": True}

    async def test_a_route_asks_by_itself(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """It is told, and refuses, as a dependency would."""
        cookie, token, who = await credentials(propylon, connect)
        for headers, kind in ((cookie, "cookie"), (token, "access_token")):
            assert (await connect(app).get("/asked", headers=headers)).json() == [who, who, kind]
        refused(await connect(app).get("/asked"), 401, "credential_missing")
        refused(await connect(app).get("/asked", headers={"authorization": "Bearer x"}), 401, "credential_malformed")

    async def test_a_controller_is_guarded_as_a_whole(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """Whatever is added to it later, too."""
        _, token, _ = await credentials(propylon, connect)
        refused(await connect(app).get("/reports"), 401, "credential_missing")
        refused(await connect(app).get("/reports", headers=token), 403, "forbidden")

    async def test_an_app_is_guarded_as_a_whole_and_its_sign_in_is_not(
        self, propylon: Propylon, connect: Connect
    ) -> None:
        """Who could not reach the form could never come in."""

        @get("/ping", exclude_from_auth=True)
        async def ping() -> str:
            return "pong"

        app = Litestar([anyone, ping], guards=[require()], plugins=[Auth(propylon)])
        client = connect(app)
        refused(await client.get("/"), 401, "credential_missing")
        assert (await client.get("/auth/login")).status_code == 200
        refused(await client.get("/auth/v1/session"), 401, "credential_missing")
        assert (await client.get("/ping")).text == "pong"

    async def test_a_function_that_blocks_is_told_too(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """It runs in a thread; who is calling was asked on the loop."""
        _, token, who = await credentials(propylon, connect)
        assert (await connect(app).get("/blocking", headers=token)).json() == {"user": who}

    async def test_the_mount_takes_no_other_address(self, app: Any, connect: Connect) -> None:
        """Nor does it change one: what begins alike is the app's, and every method is Propylon's own to answer."""
        client = connect(app)
        assert (await client.get("/authors/ada")).text == "ada"
        assert (await client.get("/auth")).headers["content-type"].startswith("text/html")
        refused(await client.patch("/auth/v1/session"), 405, "method_not_allowed")

    async def test_below_the_path_of_a_proxy_it_answers_as_well(
        self, make_propylon: MakePropylon, connect: Connect
    ) -> None:
        """The server says by ``root_path`` what the proxy serves it below."""
        propylon = await make_propylon(store="memory", public_url=PUBLIC_URL)
        app = guarded(propylon)

        async def proxied(scope: Any, receive: Any, send: Any) -> None:
            below: Any = {**scope, "root_path": "/shop", "path": f"/shop{scope['path']}"}
            await app(below, receive, send)

        page = await connect(proxied).get("/auth/login")
        assert page.status_code == 200
        assert 'action="/shop/auth/login"' in page.text

    @pytest.mark.parametrize("passed", ["/api", ""])
    async def test_where_the_public_url_names_the_path_of_a_proxy_the_plugin_is_told(
        self, make_propylon: MakePropylon, connect: Connect, passed: str
    ) -> None:
        """Litestar learns it with each request, after its routes were made."""
        propylon = await make_propylon(store="memory", public_url=f"{ORIGIN}/api/auth")
        app = guarded(propylon, root_path="/api")

        async def proxied(scope: Any, receive: Any, send: Any) -> None:
            below: Any = {**scope, "root_path": "/api", "path": passed + scope["path"]}
            await app(below, receive, send)

        client = connect(proxied)
        assert 'action="/api/auth/login"' in (await client.get("/auth/login")).text
        led = await client.get("/me?a=b", headers=OPENS_A_PAGE)
        assert led.headers["location"] == "/api/auth/login?next=/api/me%3Fa%3Db"

    async def test_in_an_app_with_a_path_it_is_where_the_public_url_says(
        self, make_propylon: MakePropylon, connect: Connect
    ) -> None:
        """Litestar puts the path of the app before that of every route."""
        propylon = await make_propylon(store="memory", public_url=f"{ORIGIN}/api/auth")
        client = connect(Litestar([me], path="/api/", plugins=[Auth(propylon)]))
        assert 'action="/api/auth/login"' in (await client.get("/api/auth/login")).text
        assert "<form" in (await client.get("/api/auth")).text
        refused(await client.get("/api/auth/v1/session"), 401, "credential_missing")
        assert (await client.get("/api/api/auth/login")).status_code == 404
        led = await client.get("/api/me", headers=OPENS_A_PAGE)
        assert led.headers["location"] == "/api/auth/login?next=/api/me"

    @pytest.mark.parametrize(("path", "root_path"), [("/api", ""), (None, "/api"), ("/auth", "")])
    def test_a_public_url_that_is_not_below_the_app_is_refused(self, path: str | None, root_path: str) -> None:
        """Its pages would be served at an address that it does not know."""
        propylon = Propylon(store="memory://", public_url=PUBLIC_URL)
        with pytest.raises(SetupError, match=f"{PUBLIC_URL}.* {path or root_path}/"):
            Litestar([me], path=path, plugins=[Auth(propylon, root_path=root_path)])

    @pytest.mark.parametrize("word", ["exclude_from_csrf", "no_token"])
    async def test_litestars_own_csrf_token_is_not_asked_for_by_the_pages(
        self, propylon: Propylon, connect: Connect, word: str
    ) -> None:
        """Nothing of Propylon would know it; the routes of the app are held to it as before."""
        csrf = CSRFConfig(secret="s" * 32, exclude_from_csrf_key=word)
        client = connect(Litestar([leave], plugins=[Auth(propylon)], csrf_config=csrf))
        refused(await client.post("/auth/v1/sessions", json=ACCOUNT), 401, "credentials_wrong")
        assert "<form" in (await client.post("/auth/login", data=ACCOUNT)).text
        cross_site = {"sec-fetch-site": "cross-site"}
        assert (await client.post("/auth/login", data=ACCOUNT, headers=cross_site)).status_code == 403
        assert "CSRF" in (await client.post("/leave")).json()["detail"]

    async def test_an_app_that_nobody_guards_says_so(self, connect: Connect) -> None:
        """A ``KeyError`` would send its author looking for a dictionary."""
        app = Litestar([asked, get("/mine")(mine), admin], debug=True)
        for path in ("/asked", "/mine", "/admin"):
            answer = await connect(app).get(path)
            assert answer.status_code == 500
            assert "Litestar(..., plugins=[auth])" in answer.text

    async def test_signing_out_may_lead_somewhere(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """The cookies are cleared by the app's own answer."""
        cookie, _, _ = await credentials(propylon, connect)
        answer = await connect(app).post("/leave-for-home", headers={**cookie, "sec-fetch-site": "same-origin"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cleared = set_cookies(answer)
        assert {"HttpOnly", "Max-Age=0", "Path=/"} <= cleared["propylon"][1]
        assert {"HttpOnly", "Max-Age=0", "Path=/auth/v1/session/tokens"} <= cleared["propylon-refresh"][1]

    async def test_a_cookie_is_cleared_as_it_was_set(self, make_propylon: MakePropylon, connect: Connect) -> None:
        """At an https address a browser drops a ``__Host-`` cookie that is not ``Secure``, the one that clears too."""
        url = "https://app.example/auth"
        propylon = await make_propylon(store="memory", public_url=url, sign_up="open")
        client = connect(guarded(propylon), "https://app.example")
        account = {"email": "mina@example.com", "password": "correct horse battery"}
        assert (await client.post("/auth/v1/users", json=account)).status_code == 201
        assert (await client.post("/auth/v1/sessions", json=account)).status_code == 201
        answer = await client.post("/leave", headers={"sec-fetch-site": "same-origin"})
        assert "Secure" in set_cookies(answer)["__Host-propylon"][1]
        assert "Secure" in set_cookies(answer)["__Secure-propylon-refresh"][1]

    async def test_a_dependency_of_the_app_itself_wins(self, propylon: Propylon, connect: Connect) -> None:
        """The names are ours only where nobody has taken them; so a test puts somebody in place, too."""
        somebody = Principal(
            user_id="ada", session_id="s", credential="cookie", roles=frozenset(), permissions=frozenset(),
            scopes=frozenset(), auth_time=0, expires_at=0,
        )  # fmt: skip

        async def ada() -> Principal:
            return somebody

        app = Litestar([me], plugins=[Auth(propylon)], dependencies={"who": ada})
        assert (await connect(app).get("/me")).json() == {"user": "ada"}


def test_a_cached_answer_is_not_given_to_whoever_comes_next(issuer: Issuer) -> None:
    """Litestar asks no dependency before it answers from its cache; a guard it does ask."""
    cached = get("/cached", cache=True)
    with pytest.raises(SetupError, match="/cached"):
        Litestar([cached(me.fn)], plugins=[Auth(issuer.verifier())])
    held = get("/cached", cache=True, guards=[require()])
    assert Litestar([held(me.fn)], plugins=[Auth(issuer.verifier())]).routes != []


# The OpenAPI document.


def security(document: dict[str, Any], path: str) -> Any:
    """Return by what an operation says that it is told who is calling."""
    return document["paths"][path]["get"].get("security")


@pytest.fixture
def described() -> dict[str, Any]:
    """The document of the app above, at an https address."""
    schema: dict[str, Any] = guarded(
        Propylon(store="memory://", public_url="https://app.example/auth")
    ).openapi_schema.to_schema()
    return schema


def test_the_document_names_the_schemes(described: dict[str, Any]) -> None:
    """The token, and the cookie by the name that browsers are given there."""
    assert described["components"]["securitySchemes"] == {
        "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "sessionCookie": {"type": "apiKey", "in": "cookie", "name": "__Host-propylon"},
    }


def test_a_verifier_documents_the_token_alone(issuer: Issuer) -> None:
    """It knows no cookies."""
    document = guarded(issuer.verifier()).openapi_schema.to_schema()
    assert set(document["components"]["securitySchemes"]) == {"accessToken"}
    assert security(document, "/maybe") == [{}, {"accessToken": []}]


def test_each_operation_says_by_what_it_is_told_who_is_calling(described: dict[str, Any]) -> None:
    """By guard or by dependency; an empty alternative where nobody is fine; nothing where nobody asks."""
    either: list[dict[str, list[str]]] = [{"accessToken": []}, {"sessionCookie": []}]
    assert security(described, "/") is None
    assert security(described, "/me") == either
    assert security(described, "/admin") == either
    assert security(described, "/reports") == either
    assert security(described, "/maybe") == [{}, *either]
    assert security(described, "/orders") == [{"accessToken": ["orders.read", "orders.write"]}, {"sessionCookie": []}]
    assert "/auth" not in described["paths"]


def test_each_guarded_operation_documents_how_it_refuses(described: dict[str, Any]) -> None:
    """401, 403 and 503 are problems, with the schema that every one of them has."""
    responses = described["paths"]["/me"]["get"]["responses"]
    for status in ("401", "403", "503"):
        ((media_type, content),) = responses[status]["content"].items()
        assert media_type == "application/problem+json"
        name = content["schema"]["$ref"].rpartition("/")[2]
        assert {"type", "title", "status", "code", "detail"} <= set(
            described["components"]["schemas"][name]["properties"]
        )
    assert set(described["paths"]["/"]["get"]["responses"]) == {"200"}


def test_what_an_app_documents_itself_stays() -> None:
    """Its own schemes are not ours to change, nor is the configuration that it may use twice."""
    own = Components(security_schemes={"key": SecurityScheme(type="apiKey", security_scheme_in="header", name="x")})
    config = OpenAPIConfig(title="Ours", version="1", components=own)
    router = Router("/below", route_handlers=[me], security=[{"key": []}])
    app = Litestar([router], plugins=[Auth(Propylon(store="memory://", public_url=PUBLIC_URL))], openapi_config=config)
    document = app.openapi_schema.to_schema()
    assert set(document["components"]["securitySchemes"]) == {"key", "accessToken", "sessionCookie"}
    assert {"key": []} in security(document, "/below/me")
    assert config.components is own
