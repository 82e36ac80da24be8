"""What each adapter of an ASGI framework owes, in process: websockets, lifespan, sources, where Propylon is mounted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, Protocol

import httpx
import pytest
from tests.http.driving import SESSION_COOKIE, Connect, MakePropylon, bearer, opened, refused, sign_in, sign_up
from tests.verifier.issuer import Issuer, eventually, refuses

from propylon import Propylon, SetupError
from propylon.errors import StoreUnavailable

ORIGIN = "http://localhost:8000"
PUBLIC_URL = f"{ORIGIN}/auth"
OPENS_A_PAGE = {"sec-fetch-mode": "navigate", "accept": "text/html"}


class MakeApp(Protocol):
    """Makes the app of a framework, guarded by a source.

    It has ``GET /`` (open), ``GET /me``, ``GET /maybe``, ``GET /admin``, ``GET /cart`` (session data),
    ``POST /leave``, and websockets ``/live`` (says the user's id), ``/live-admin`` and ``/talk`` (says the user's id
    to every message).
    """

    def __call__(self, source: Any, **how: Any) -> Any:
        """Return it."""


class AsgiRules:
    """Subclass with ``make_app``."""

    make_app: ClassVar[MakeApp]

    @pytest.fixture
    async def propylon(self, make_propylon: MakePropylon) -> Propylon:
        """An open Propylon below ``/auth``."""
        return await make_propylon(store="memory", public_url=PUBLIC_URL)

    @pytest.fixture
    def app(self, propylon: Propylon) -> Any:
        """The app, guarded by it."""
        return type(self).make_app(propylon)

    # Websockets.

    async def test_a_websocket_knows_who_is_calling(self, propylon: Propylon, app: Any, connect: Connect) -> None:
        """By token from anywhere, by cookie from our own pages."""
        cookie, token, user = await credentials(propylon, connect)
        for headers in ({**cookie, "origin": ORIGIN}, token):
            sent = await opened(app, "/live", headers)
            assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
            assert sent[1]["text"] == user

    async def test_a_websocket_is_closed_before_it_is_accepted(
        self, propylon: Propylon, app: Any, connect: Connect
    ) -> None:
        """RFC 6455 section 7.4.1: 1008, with the code as the reason; no page of another site opens one by a cookie."""
        cookie, token, _ = await credentials(propylon, connect)
        refusals = [
            ("/live", {}, "credential_missing"),
            ("/live", bearer("nonsense"), "credential_malformed"),
            ("/live", {**cookie, "origin": "https://evil.example"}, "cross_site_refused"),
            ("/live", {**cookie, "origin": "null"}, "cross_site_refused"),
            ("/live-admin", token, "forbidden"),
            ("/live-admin", {**cookie, "origin": "https://evil.example"}, "cross_site_refused"),
        ]
        for path, headers, code in refusals:
            sent = await opened(app, path, headers)
            assert sent == [{"type": "websocket.close", "code": 1008, "reason": code}]

    @pytest.mark.parametrize("mode", ["cookie", "token"])
    async def test_a_websocket_that_asks_again_hears_of_the_end(
        self, propylon: Propylon, app: Any, connect: Connect, mode: str
    ) -> None:
        """It may stay open for days: an answer is of its moment, and the refusal closes it with its reason."""
        cookie, token, user = await credentials(propylon, connect)
        headers = {**cookie, "origin": ORIGIN} if mode == "cookie" else token
        async with talking(app, "/talk", headers) as ask:
            assert [await ask(), await ask()] == [{"type": "websocket.send", "text": user}] * 2
            await propylon.revoke(user_id=user)
            assert await ask() == {"type": "websocket.close", "code": 1008, "reason": "session_revoked"}

    # What it costs, and when it cannot be said.

    async def test_a_route_that_does_not_ask_pays_nothing(
        self, propylon: Propylon, app: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is parsed, verified or looked up; asked, it would be."""
        cookie, _, _ = await credentials(propylon, connect)
        asked: list[str] = []
        monkeypatch.setattr(type(propylon.runtime.gate), "recall", lambda *_: asked.append("recall"))
        assert (await connect(app).get("/", headers=cookie)).status_code == 200
        assert asked == []
        assert (await connect(app).get("/me", headers=cookie)).status_code == 200
        assert asked == ["recall"]

    async def test_a_store_that_fails_is_a_503(
        self, propylon: Propylon, app: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With ``Retry-After``, and never a visitor: who is signed in is not signed out by a fault of ours."""
        cookie, _, _ = await credentials(propylon, connect)

        async def fail(*_: Any) -> None:
            raise StoreUnavailable

        monkeypatch.setattr(propylon.runtime.store, "find_session", fail)
        for path in ("/me", "/maybe"):
            refused(await connect(app).get(path, headers=cookie), 503, "store_unavailable")

    # Where Propylon is.

    def test_a_mount_without_a_path_is_refused(self) -> None:
        """At the root it would take every address of the app."""
        with pytest.raises(SetupError, match="/auth"):
            type(self).make_app(Propylon(store="memory://", public_url=ORIGIN))

    async def test_without_a_mount_people_are_led_to_where_propylon_runs(
        self, make_propylon: MakePropylon, connect: Connect
    ) -> None:
        """To its public address, and back by a whole one."""
        propylon = await make_propylon(store="memory", public_url="https://id.example")
        app = type(self).make_app(propylon, mount=False)
        answer = await connect(app, "https://app.example").get("/me?a=b%26c", headers=OPENS_A_PAGE)
        assert answer.status_code == 303
        location = httpx.URL(answer.headers["location"])
        assert str(location).startswith("https://id.example/login?next=")
        assert location.params["next"] == "https://app.example/me?a=b%26c"
        assert (await connect(app, "https://app.example").get("/auth/login")).status_code == 404

    async def test_what_was_opened_is_a_path_again(self, app: Any, connect: Connect) -> None:
        """An address with signs in it comes back as it was, and leads nowhere else."""
        answer = await connect(app).get("/me?next=https://evil.example/%3F", headers=OPENS_A_PAGE)
        location = httpx.URL(answer.headers["location"])
        assert location.path == "/auth/login"
        assert location.params["next"] == "/me?next=https://evil.example/%3F"

    # The lifespan.

    async def test_it_lives_as_long_as_the_app(self) -> None:
        """Opened before the app starts, closed after it has stopped."""
        propylon = Propylon(store="memory://", public_url=PUBLIC_URL, password_profile="unsafe_cheapest", key=KEY)
        async with alive(type(self).make_app(propylon)) as started:
            assert started["type"] == "lifespan.startup.complete"
            assert propylon.guarding is not None
        assert propylon.guarding is None

    async def test_it_is_closed_before_the_server_is_told(self) -> None:
        """Whoever hears that the app has stopped ends the loop, and with it the writes that are under way."""
        propylon = Propylon(store="memory://", public_url=PUBLIC_URL, password_profile="unsafe_cheapest", key=KEY)
        events = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))
        open_when: dict[str, bool] = {}

        async def receive() -> dict[str, str]:
            return next(events)

        async def send(message: dict[str, Any]) -> None:
            open_when[message["type"]] = propylon.guarding is not None

        await type(self).make_app(propylon)(
            {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send
        )
        assert open_when == {"lifespan.startup.complete": True, "lifespan.shutdown.complete": False}

    async def test_of_two_apps_that_share_it_the_last_one_closes_it(self) -> None:
        """The one that goes on would have nothing remembered, no keys and no store."""
        propylon = Propylon(store="memory://", public_url=PUBLIC_URL, password_profile="unsafe_cheapest", key=KEY)
        async with AsyncExitStack() as second:
            async with alive(type(self).make_app(propylon)):
                before = propylon.guarding
                await second.enter_async_context(alive(type(self).make_app(propylon)))
            assert propylon.guarding is before is not None
        assert propylon.guarding is None

    async def test_whoever_opened_it_by_hand_closes_it(self) -> None:
        """Not an app that comes and goes meanwhile."""
        propylon = Propylon(store="memory://", public_url=PUBLIC_URL, password_profile="unsafe_cheapest", key=KEY)
        await propylon.open()
        async with alive(type(self).make_app(propylon)):
            pass
        assert propylon.guarding is not None
        await propylon.close()
        assert propylon.guarding is None

    async def test_of_two_apps_that_share_a_verifier_the_last_one_stops_it(self, issuer: Issuer) -> None:
        """The one that goes on would refuse everybody."""
        verifier = issuer.verifier()
        async with AsyncExitStack() as second:
            async with alive(type(self).make_app(verifier)):
                await second.enter_async_context(alive(type(self).make_app(verifier)))
                await asyncio.to_thread(eventually, lambda: refuses(verifier, issuer.token("s")) == "")
            assert refuses(verifier, issuer.token("s")) == ""
        assert refuses(verifier, issuer.token("s")) == "unavailable"

    async def test_what_stops_the_start_is_said(self) -> None:
        """A server that went on would answer every request with 500."""
        propylon = Propylon(store="sqlite:////nowhere/at/all.db", public_url=PUBLIC_URL, key=KEY)
        async with alive(type(self).make_app(propylon)) as started:
            assert started["type"] == "lifespan.startup.failed"
            assert "/nowhere/at/all.db" in started["message"]

    # Elsewhere.

    async def test_a_verifier_guards_alike(self, issuer: Issuer, connect: Connect) -> None:
        """Tokens of a Propylon elsewhere, refused once they ended; its lifespan is the app's."""
        verifier = issuer.verifier()
        async with alive(type(self).make_app(verifier)):
            await asyncio.to_thread(eventually, lambda: refuses(verifier, issuer.token("other")) == "")
            client, token = connect(type(self).make_app(verifier)), bearer(issuer.token("s"))
            assert (await client.get("/me", headers=token)).json()["user"] == "u"
            assert (await client.get("/maybe", headers=token)).json() == {"user": "u"}
            assert (await client.get("/maybe")).json() == {"user": None}
            refused(await client.get("/admin", headers=token), 403, "forbidden")
            assert (await client.get("/auth/login")).status_code == 404
            async with talking(type(self).make_app(verifier), "/talk", token) as ask:
                assert await ask() == {"type": "websocket.send", "text": "u"}
                issuer.ends("s")
                await asyncio.to_thread(eventually, lambda: refuses(verifier, issuer.token("s")) == "session_revoked")
                assert await ask() == {"type": "websocket.close", "code": 1008, "reason": "session_revoked"}
            refused(await client.get("/me", headers=token), 401, "session_revoked")
        assert refuses(verifier, issuer.token("other")) == "unavailable"

    async def test_by_a_verifier_nobody_is_led_to_a_page(self, issuer: Issuer, connect: Connect) -> None:
        """Who signs in there comes back with a cookie, which it does not know: that would go on for ever."""
        with issuer.verifier() as verifier:
            client = connect(type(self).make_app(verifier))
            refused(await client.get("/me", headers=OPENS_A_PAGE), 401, "credential_missing")

    async def test_a_verifier_ends_and_keeps_nothing(self, issuer: Issuer, connect: Connect) -> None:
        """Only the Propylon elsewhere can; that the app asks is its own mistake, and is not taken for done."""
        with issuer.verifier() as verifier:
            client = connect(type(self).make_app(verifier))
            token = bearer(issuer.token("s"))
            for method, path in (("POST", "/leave"), ("GET", "/cart")):
                refused(await client.request(method, path, headers=token), 500, "internal")
            assert (await client.get("/me", headers=token)).status_code == 200


KEY = "a 8f1d3c5b7a9e0f2d4c6b8a0e1f3d5c7b9a8e7f6d5c4b3a291807f6e5d4c3b2a1"


async def credentials(propylon: Propylon, connect: Connect) -> tuple[dict[str, str], dict[str, str], str]:
    """Return the headers of somebody's cookie, those of their token, and their id."""
    client = connect(propylon, PUBLIC_URL)
    user = await sign_up(client)
    await sign_in(client)
    token = (await sign_in(connect(propylon, PUBLIC_URL), "bearer"))["access_token"]
    return {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}, bearer(token), user["id"]


@asynccontextmanager
async def talking(app: Any, path: str, headers: dict[str, str]) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Open a websocket; what it gives sends a message and returns what the app says to it."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    lines = [(b"host", b"localhost:8000"), *((name.encode(), value.encode()) for name, value in headers.items())]
    scope = {"type": "websocket", "scheme": "ws", "path": path, "root_path": "", "query_string": b"", "headers": lines,
             "client": ("127.0.0.1", 40_000), "subprotocols": [], "state": {}}  # fmt: skip

    async def ask() -> dict[str, Any]:
        await told.put({"type": "websocket.receive", "text": "who am I?"})
        answer = await said.get()
        return {name: value for name, value in answer.items() if name != "bytes"}

    conversation = asyncio.create_task(app(scope, told.get, said.put))
    await told.put({"type": "websocket.connect"})
    assert (await said.get())["type"] == "websocket.accept"
    yield ask
    await told.put({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait([conversation])


@asynccontextmanager
async def alive(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Start an app as a server does, and stop it afterwards; what it said of its start."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.create_task(app(scope, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    started = await said.get()
    yield started
    if started["type"] == "lifespan.startup.complete":
        await told.put({"type": "lifespan.shutdown"})
    await asyncio.wait([life])
    if started["type"] == "lifespan.startup.complete":
        life.result()
    else:
        life.exception()
