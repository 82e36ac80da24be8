"""FastAPI: the rules of every adapter, and what is FastAPI's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, Response, WebSocket
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from tests.adapters.asgi_rules import PUBLIC_URL, AsgiRules, credentials
from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn
from tests.http.driving import Connect, MakePropylon, bearer, refused
from tests.verifier.issuer import Issuer

from propylon import Principal, Propylon
from propylon.adapters.fastapi import Auth, SignedIn, Visitor, require, require_fresh, user, visitor

ADMIN = Principal(
    user_id="ada", session_id="s", credential="cookie", roles=frozenset({"admin"}), permissions=frozenset(),
    scopes=frozenset(), auth_time=0, expires_at=0,
)  # fmt: skip
Admin = Annotated[Principal, require(roles="admin")]
ROUTES, INTERNAL = APIRouter(), APIRouter(prefix="/internal", dependencies=[require(roles="admin")])


class TestTheExample(AdapterRules):
    """``examples/fastapi_app.py`` under uvicorn."""

    command = uvicorn("examples.fastapi_app:app")


@INTERNAL.get("/report")
async def report() -> str:
    """Answer whom the router lets in."""
    return "in"


@ROUTES.get("/")
async def anyone() -> str:
    """Answer everybody."""
    return "open"


@ROUTES.get("/me")
async def me(who: SignedIn) -> dict[str, str]:
    """Answer who is calling."""
    return {"user": who.user_id}


@ROUTES.get("/blocking")
def blocking(who: SignedIn) -> dict[str, str]:
    """Answer from a thread."""
    return {"user": who.user_id}


@ROUTES.get("/maybe")
async def maybe(who: Visitor) -> dict[str, str | None]:
    """Answer who is calling, if anybody."""
    return {"user": who.user_id if who else None}


@ROUTES.get("/cart")
async def cart(who: SignedIn) -> dict[str, Any]:
    """Answer the session's data."""
    return (await who.data()).value


@ROUTES.get("/later")
async def later(who: SignedIn, tasks: BackgroundTasks) -> str:
    """Note something once this is answered."""

    async def note() -> None:
        await who.update_data(lambda data: {**data, "noted": who.user_id})

    tasks.add_task(note)
    return "noted in a moment"


@ROUTES.get("/admin")
async def admin(who: Admin) -> dict[str, str]:
    """Let administrators in."""
    return {"user": who.user_id}


@ROUTES.get("/twice", dependencies=[require(left_s=1)])
async def twice(who: SignedIn, same: Visitor, request: Request) -> dict[str, bool]:
    """Ask in every way there is."""
    return {"same": who is same is await request.scope["propylon"].principal()}


@ROUTES.get("/asked")
async def asked(request: Request) -> list[str | None]:
    """Ask by itself."""
    somebody = await visitor(request)
    return [somebody.user_id if somebody else None, (await user(request)).user_id]


@ROUTES.post("/orders")
async def orders(who: Annotated[Principal, require(scopes=["orders.write", "orders.read"])]) -> str:
    """Let tokens of two scopes in."""
    return who.user_id


@ROUTES.post("/pay", dependencies=[require_fresh(300)])
async def pay() -> str:
    """Let in who has just proved it."""
    return "paid"


@ROUTES.post("/leave", status_code=204)
async def leave(request: Request) -> Response:
    """Sign out."""
    auth: Auth = request.app.state.auth
    return await auth.sign_out(request)


@ROUTES.websocket("/live")
async def live(socket: WebSocket, who: SignedIn) -> None:
    """Tell who is calling."""
    await socket.accept()
    await socket.send_text(who.user_id)
    await socket.close()


@ROUTES.websocket("/live-admin")
async def live_admin(socket: WebSocket, _: Admin) -> None:
    """Let administrators in."""
    await socket.accept()


@ROUTES.websocket("/talk")
async def talk(socket: WebSocket) -> None:
    """Tell who is calling, whenever it is asked."""
    await socket.accept()
    async for _ in socket.iter_text():
        await socket.send_text((await user(socket)).user_id)


def guarded(source: Any, **how: Any) -> FastAPI:
    """Return an app with these routes."""
    app = FastAPI()
    app.state.auth = Auth(source)
    app.state.auth.guard(app, **how)
    app.include_router(ROUTES)
    app.include_router(INTERNAL)
    return app


class TestInProcess(AsgiRules):
    """The app above."""

    make_app = staticmethod(guarded)

    async def test_a_router_is_guarded_as_a_whole(self, propylon: Propylon, app: FastAPI, connect: Connect) -> None:
        """Whatever is added to it later, too."""
        _, token, _ = await credentials(propylon, connect)
        refused(await connect(app).get("/internal/report"), 401, "credential_missing")
        refused(await connect(app).get("/internal/report", headers=token), 403, "forbidden")

    async def test_an_app_is_guarded_as_a_whole_and_its_sign_in_is_not(
        self, propylon: Propylon, connect: Connect
    ) -> None:
        """Who could not reach the form could never come in."""
        app = FastAPI(dependencies=[require()])
        Auth(propylon).guard(app)
        app.get("/anything")(report)
        refused(await connect(app).get("/anything"), 401, "credential_missing")
        assert (await connect(app).get("/auth/login")).status_code == 200

    async def test_a_function_that_blocks_is_told_too(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """It runs in a thread; who is calling was asked on the loop."""
        _, token, who = await credentials(propylon, connect)
        assert (await connect(app).get("/blocking", headers=token)).json() == {"user": who}
        refused(await connect(app).get("/blocking"), 401, "credential_missing")

    async def test_a_task_after_the_answer_still_has_the_session(
        self, propylon: Propylon, app: FastAPI, connect: Connect
    ) -> None:
        """The principal is not bound to the request."""
        _, token, who = await credentials(propylon, connect)
        assert (await connect(app).get("/later", headers=token)).status_code == 200
        assert (await connect(app).get("/cart", headers=token)).json() == {"noted": who}

    async def test_an_app_within_is_guarded_by_itself(self, propylon: Propylon, app: FastAPI, connect: Connect) -> None:
        """Both answer refusals, and each describes its own routes; Propylon is mounted once."""
        app.mount("/within", guarded(propylon, mount=False))
        _, token, who = await credentials(propylon, connect)
        client = connect(app)
        refused(await client.get("/within/me"), 401, "credential_missing")
        assert (await client.get("/within/me", headers=token)).json() == {"user": who}
        assert (await client.get("/within/auth/login")).status_code == 404
        document = (await client.get("/within/openapi.json")).json()
        assert security(document, "/me") == [{"accessToken": []}, {"sessionCookie": []}]

    async def test_no_route_of_the_app_hides_the_mount(self, propylon: Propylon, connect: Connect) -> None:
        """Whether it was there before the guard or is included later."""
        app, later = FastAPI(), APIRouter()
        app.get("/{path:path}")(anyone)
        Auth(propylon).guard(app)
        later.get("/auth/login")(report)
        app.include_router(later)
        client = connect(app)
        assert "<form" in (await client.get("/auth/login")).text
        assert (await client.get("/authors")).json() == "open"

    async def test_an_app_that_nobody_guards_says_so(self, connect: Connect) -> None:
        """A ``KeyError`` would send its author looking for a dictionary."""
        app = FastAPI()
        app.include_router(ROUTES)
        for path in ("/me", "/maybe", "/admin", "/asked"):
            with pytest.raises(RuntimeError, match=r"auth\.guard\(app\)"):
                await connect(app).get(path)

    # What app authors test with.

    async def test_a_test_puts_somebody_in_place_of_who_is_calling(self, app: FastAPI, connect: Connect) -> None:
        """``dependency_overrides`` takes each dependency, and that of ``require`` by what it demands."""
        app.dependency_overrides[user] = app.dependency_overrides[visitor] = lambda: ADMIN
        client = connect(app)
        assert (await client.get("/me")).json() == {"user": "ada"}
        assert (await client.get("/maybe")).json() == {"user": "ada"}
        refused(await client.get("/admin"), 401, "credential_missing")
        app.dependency_overrides[require(roles="admin").dependency] = lambda: ADMIN
        assert (await client.get("/admin")).json() == {"user": "ada"}
        assert (await client.get("/internal/report")).json() == "in"
        refused(await client.post("/pay"), 401, "credential_missing")

    async def test_whoever_asks_in_a_request_is_told_the_same(
        self, propylon: Propylon, app: FastAPI, connect: Connect
    ) -> None:
        """It is verified once, for route, parameters and scope."""
        _, token, _ = await credentials(propylon, connect)
        assert (await connect(app).get("/twice", headers=token)).json() == {"same": True}

    async def test_a_route_asks_by_itself(self, propylon: Propylon, app: FastAPI, connect: Connect) -> None:
        """It is told, and refuses, as a dependency would."""
        for headers in (await credentials(propylon, connect))[:2]:
            answer = (await connect(app).get("/asked", headers=headers)).json()
            assert answer[0] == answer[1] is not None
        refused(await connect(app).get("/asked"), 401, "credential_missing")
        refused(await connect(app).get("/asked", headers={"authorization": "Bearer x"}), 401, "credential_malformed")


# The OpenAPI document.


def security(document: dict[str, Any], path: str, method: str = "get") -> Any:
    """Return by what an operation says that it is told who is calling."""
    return document["paths"][path][method].get("security")


@pytest.fixture
def described() -> dict[str, Any]:
    """The document of the app above, at an https address."""
    app = guarded(Propylon(store="memory://", public_url="https://app.example/auth"))
    assert app.openapi() == app.openapi()
    return app.openapi()


def test_the_document_names_the_schemes(described: dict[str, Any]) -> None:
    """The token, and the cookie by the name that browsers are given there."""
    assert described["components"]["securitySchemes"] == {
        "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "sessionCookie": {"type": "apiKey", "in": "cookie", "name": "__Host-propylon"},
    }


def test_on_this_machine_the_cookie_has_its_plain_name() -> None:
    """What is documented is what is set."""
    document = guarded(Propylon(store="memory://", public_url=PUBLIC_URL)).openapi()
    assert document["components"]["securitySchemes"]["sessionCookie"]["name"] == "propylon"


def test_a_verifier_documents_the_token_alone(issuer: Issuer) -> None:
    """It knows no cookies."""
    document = guarded(issuer.verifier()).openapi()
    assert set(document["components"]["securitySchemes"]) == {"accessToken"}
    assert security(document, "/maybe") == [{}, {"accessToken": []}]


def test_each_operation_says_by_what_it_is_told_who_is_calling(described: dict[str, Any]) -> None:
    """Alternatives; an empty one where nobody is fine; scopes beside the token; nothing where nobody asks."""
    either: list[dict[str, list[str]]] = [{"accessToken": []}, {"sessionCookie": []}]
    assert security(described, "/") is None
    assert security(described, "/me") == either
    assert security(described, "/admin") == either
    assert security(described, "/internal/report") == either
    assert security(described, "/maybe") == [{}, *either]
    assert security(described, "/orders", "post") == [
        {"accessToken": ["orders.read", "orders.write"]},
        {"sessionCookie": []},
    ]


def test_each_guarded_operation_documents_how_it_refuses(described: dict[str, Any]) -> None:
    """401, 403 and 503 are problems, with the schema that every one of them has."""
    responses = described["paths"]["/me"]["get"]["responses"]
    for status in ("401", "403", "503"):
        (content,) = responses[status]["content"].items()
        assert content == ("application/problem+json", {"schema": {"$ref": "#/components/schemas/PropylonProblem"}})
    properties = described["components"]["schemas"]["PropylonProblem"]["properties"]
    assert {"type", "title", "status", "code", "detail"} <= set(properties)
    assert set(described["paths"]["/"]["get"]["responses"]) == {"200"}


def test_what_an_app_documents_itself_stays() -> None:
    """Its own schemes and responses are not ours to change."""
    app = guarded(Propylon(store="memory://", public_url=PUBLIC_URL))
    key = APIKeyHeader(name="x-key")

    @app.get("/own", dependencies=[Depends(key)], responses={401: {"description": "Ours"}})
    async def own(_: SignedIn) -> None: ...

    document = app.openapi()
    assert "APIKeyHeader" in document["components"]["securitySchemes"]
    assert {"APIKeyHeader": []} in security(document, "/own")
    assert document["paths"]["/own"]["get"]["responses"]["401"] == {"description": "Ours"}


class Device(BaseModel):
    """What the app calls by a name of ours."""

    serial: str


class Problem(BaseModel):
    """Likewise."""

    exercise: str


def references(part: Any) -> Iterator[str]:
    """Return all that a part of a document refers to."""
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "$ref")
        yield from (found for value in part.values() for found in references(value))
    elif isinstance(part, list):
        yield from (found for value in part for found in references(value))


def test_models_of_the_app_keep_their_names() -> None:
    """Ours are called otherwise, and what refers to them finds them."""
    app = guarded(Propylon(store="memory://", public_url=PUBLIC_URL))

    @app.get("/device")
    async def device(_: SignedIn) -> Device:
        return Device(serial="1")

    @app.get("/problem")
    async def problem(_: SignedIn) -> Problem:
        return Problem(exercise="1")

    document = app.openapi()
    schemas = document["components"]["schemas"]
    assert set(schemas) == {"Device", "Problem", "PropylonDevice", "PropylonProblem"}
    assert (set(schemas["Device"]["properties"]), set(schemas["Problem"]["properties"])) == ({"serial"}, {"exercise"})
    assert set(references(document)) == {f"#/components/schemas/{name}" for name in schemas}


def test_a_document_that_the_app_makes_itself_is_described_too() -> None:
    """Where it does so before it is guarded."""
    app = FastAPI()
    app.openapi = lambda: get_openapi(title="Ours", version="1", routes=app.routes)  # type: ignore[method-assign]
    Auth(Propylon(store="memory://", public_url=PUBLIC_URL)).guard(app)
    app.include_router(ROUTES)
    document = app.openapi()
    assert document["info"]["title"] == "Ours"
    assert security(document, "/me") == [{"accessToken": []}, {"sessionCookie": []}]


async def test_the_document_is_served_to_anyone(make_propylon: MakePropylon, connect: Connect) -> None:
    """At the app's own address, as without a guard."""
    app = guarded(await make_propylon(store="memory", public_url=PUBLIC_URL))
    answer = await connect(app).get("/openapi.json", headers=bearer("nonsense"))
    assert security(answer.json(), "/me") == [{"accessToken": []}, {"sessionCookie": []}]
