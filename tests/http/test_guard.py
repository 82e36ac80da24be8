"""A guard in one's own app: who is calling, by FastAPI, Starlette and bare ASGI, and what it costs not to ask."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.http.driving import (
    PASSWORD,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    enter,
    kept_after_its_answer,
    sign_in,
    sign_up,
)

from propylon import CredentialRefused, Propylon
from propylon.adapters import starlette
from propylon.adapters.fastapi import Auth, SignedIn
from propylon.core import access
from propylon.flows import gate
from propylon.flows.account import NewAccount
from propylon.stores import make_store
from propylon.testing import CountingStore, FakeClock

# What asks how far the feed was heard; none of it asks a store across a network.
OF_THE_FEED = {"news", "bookmark", "history"}
READS = ("find_session", "find_user", "find_user_by_email", "read_data", "signing_keys", "read_setting")


def shop(propylon: Propylon) -> FastAPI:
    """Return a FastAPI app as somebody would write it, guarded."""
    app = FastAPI()
    Auth(propylon).guard(app, mount=False)

    @app.get("/open")
    async def anyone() -> dict[str, str]:
        return {"hello": "everybody"}

    @app.api_route("/me", methods=["GET", "POST"])
    async def me(who: SignedIn) -> dict[str, Any]:
        return {"user": who.user_id, "session": who.session_id, "credential": who.credential}

    @app.get("/twice")
    async def twice(request: Request, who: SignedIn) -> dict[str, bool]:
        return {"same": who is await request.scope["propylon"].principal()}

    @app.get("/maybe")
    async def maybe(request: Request) -> dict[str, str | None]:
        who = await request.scope["propylon"].principal_or_none()
        return {"user": who.user_id if who else None}

    @app.get("/editors")
    async def editors(who: SignedIn) -> dict[str, list[str]]:
        who.require_role("editor")
        return {"roles": sorted(who.roles)}

    @app.get("/publish")
    async def publish(who: SignedIn) -> dict[str, list[str]]:
        who.require_permission("posts.publish")
        return {"permissions": sorted(who.permissions)}

    @app.post("/cart/{item}")
    async def put_into_cart(item: str, who: SignedIn) -> dict[str, Any]:
        return (await who.update_data(lambda data: {"cart": [*data.get("cart", []), item]})).value

    @app.get("/profile")
    async def profile(who: SignedIn) -> dict[str, str]:
        user = await who.user()
        return {"email": user.email, "name": user.name}

    return app


class Guarded:
    """A service whose store counts, a shop that it guards, and clients of both."""

    def __init__(self, propylon: Propylon, store: CountingStore, connect: Connect) -> None:
        self.propylon, self.store = propylon, store
        self.app = shop(propylon)
        self.home, self.shop = connect(propylon), connect(self.app)

    def reads(self) -> int:
        """Return how many look-ups there were; listening to the feed is none."""
        return sum(self.store.calls[name] for name in READS)


@pytest.fixture
async def guarded(make_propylon: MakePropylon, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """The whole of it, with one account."""
    stores: list[CountingStore] = []

    def counted(*urls: str, max_silence_s: float) -> CountingStore:
        stores.append(CountingStore(make_store(*urls, max_silence_s=max_silence_s)))
        return stores[-1]

    monkeypatch.setattr("propylon.app.make_store", counted)
    propylon = await make_propylon(store="memory", roles="editor=posts.write posts.publish, reader=posts.read")
    everything = Guarded(propylon, stores[0], connect)
    await sign_up(everything.home)
    return everything


async def cookie_of(guarded: Guarded) -> dict[str, str]:
    """Sign in by cookie and return the header that presents it."""
    await sign_in(guarded.home)
    return {"cookie": f"{SESSION_COOKIE}={guarded.home.cookies[SESSION_COOKIE]}"}


async def token_of(guarded: Guarded) -> dict[str, str]:
    """Sign in by tokens and return the header that presents the access token."""
    return bearer((await sign_in(guarded.home, "bearer"))["access_token"])


async def test_a_route_knows_who_is_calling_in_either_form(guarded: Guarded) -> None:
    """The same principal from a cookie and from a token."""
    for kind, headers in (("cookie", await cookie_of(guarded)), ("access_token", await token_of(guarded))):
        who = (await guarded.home.get("/v1/session", headers=headers)).json()
        answer = await guarded.shop.get("/me", headers=headers)
        assert answer.json() == {"user": who["user"]["id"], "session": who["session"]["id"], "credential": kind}


async def test_a_visitor_is_told_to_sign_in(guarded: Guarded) -> None:
    """401 as problem+json, with a challenge, in the caller's language."""
    answer = await guarded.shop.get("/me", headers={"accept-language": "ko"})
    assert problem(answer) == (401, "credential_missing")
    assert (answer.headers["www-authenticate"], answer.headers["content-language"]) == ("Bearer", "ko")
    assert answer.json()["title"] != (await guarded.shop.get("/me")).json()["title"]


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem answer of a guarded app."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("path", ["/me", "/maybe", "/editors"])
async def test_a_bad_credential_is_refused_also_where_visitors_are_welcome(guarded: Guarded, path: str) -> None:
    """Who presents something wrong is told so, and is not taken for a visitor."""
    answer = await guarded.shop.get(path, headers=bearer("nonsense"))
    assert problem(answer) == (401, "credential_malformed")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    twice = {"cookie": f"{SESSION_COOKIE}=a; {SESSION_COOKIE}=b"}
    assert problem(await guarded.shop.get(path, headers=twice)) == (400, "credential_ambiguous")


async def test_a_visitor_may_be_welcome(guarded: Guarded) -> None:
    """``principal_or_none``: None for who presents nothing, the user for who is signed in."""
    assert (await guarded.shop.get("/maybe")).json() == {"user": None}
    signed_in = await guarded.shop.get("/maybe", headers=await cookie_of(guarded))
    assert signed_in.json()["user"] is not None


async def test_roles_and_permissions_are_demanded(guarded: Guarded) -> None:
    """403 ``forbidden`` without the role or the permission, by cookie and by token; the answer with them."""
    for mode in ("cookie", "bearer"):
        for email, roles in ((f"reader-{mode}@example.com", ("reader",)), (f"ed-{mode}@example.com", ("editor",))):
            account = NewAccount(email=email, password=PASSWORD, roles=roles)
            await guarded.propylon.runtime.accounts.add(account)
            body = await sign_in(guarded.home, mode, email=email)
            headers = (
                bearer(body["access_token"])
                if mode == "bearer"
                else {"cookie": f"{SESSION_COOKIE}={guarded.home.cookies[SESSION_COOKIE]}"}
            )
            role = await guarded.shop.get("/editors", headers=headers)
            permission = await guarded.shop.get("/publish", headers=headers)
            if roles == ("editor",):
                assert role.json() == {"roles": ["editor"]}
                assert permission.json() == {"permissions": ["posts.publish", "posts.write"]}
            else:
                assert problem(role) == problem(permission) == (403, "forbidden")


async def test_an_unsafe_request_of_another_site_is_refused_by_cookie_alone(guarded: Guarded) -> None:
    """C107: the guard holds one's own forms to the same rule; a token passes."""
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    cookie, token = await cookie_of(guarded), await token_of(guarded)
    assert problem(await guarded.shop.post("/me", headers={**cookie, **elsewhere})) == (403, "cross_site_refused")
    assert problem(await guarded.shop.post("/cart/tea", headers={**cookie, **elsewhere})) == (403, "cross_site_refused")
    assert (await guarded.shop.get("/me", headers={**cookie, **elsewhere})).status_code == 200
    assert (await guarded.shop.post("/me", headers=cookie)).status_code == 200
    assert (await guarded.shop.post("/me", headers={**token, **elsewhere})).status_code == 200


async def test_an_ended_session_is_out_at_its_next_request(guarded: Guarded) -> None:
    """Also where cookie and token were remembered a moment ago."""
    for headers in (await cookie_of(guarded), await token_of(guarded)):
        for _ in range(2):
            assert (await guarded.shop.get("/me", headers=headers)).status_code == 200
        await guarded.home.delete("/v1/session", headers=headers)
        assert problem(await guarded.shop.get("/me", headers=headers)) == (401, "session_revoked")


async def test_an_app_keeps_things_with_a_session(guarded: Guarded) -> None:
    """``update_data`` and ``user`` of the principal, in either form."""
    for headers in (await cookie_of(guarded), await token_of(guarded)):
        await guarded.shop.post("/cart/tea", headers=headers)
        assert (await guarded.shop.post("/cart/cup", headers=headers)).json() == {"cart": ["tea", "cup"]}
        profile = await guarded.shop.get("/profile", headers=headers)
        assert profile.json() == {"email": "mina@example.com", "name": "Mina"}


@pytest.mark.parametrize("kind", ["nothing", "garbage", "two of each", "cookie", "token"])
async def test_a_route_that_never_asks_pays_nothing(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """No store call, not even the feed, and no cryptography, whatever the request presents."""
    headers: list[tuple[str, str]] = {
        "nothing": [],
        "garbage": [("authorization", "Bearer x.y.z"), ("cookie", f"{SESSION_COOKIE}=x")],
        "two of each": [
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            ("cookie", "propylon=a;propylon=b"),
        ],
        "cookie": list((await cookie_of(guarded)).items()),
        "token": list((await token_of(guarded)).items()),
    }[kind]

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("nobody asked")

    for name in ("recall", "verify", "authenticate", "listen"):
        monkeypatch.setattr(gate.Gate, name, never)
    monkeypatch.setattr(access, "verify", never)
    guarded.store.calls.clear()
    for _ in range(3):
        assert (await guarded.shop.get("/open", headers=headers)).status_code == 200
    assert guarded.store.calls == {}


async def test_a_cookie_costs_two_reads_once_and_then_none(guarded: Guarded) -> None:
    """The session and its user at the first ask; from memory afterwards, and no write at all."""
    headers = await cookie_of(guarded)
    guarded.store.calls.clear()
    await guarded.shop.get("/me", headers=headers)
    assert 0 < guarded.reads() <= 2
    assert set(guarded.store.calls) <= {"find_session", "find_user", *OF_THE_FEED}
    guarded.store.calls.clear()
    for _ in range(10):
        await guarded.shop.get("/me", headers=headers)
    assert set(guarded.store.calls) <= OF_THE_FEED


async def test_an_access_token_costs_no_read_at_all(guarded: Guarded) -> None:
    """Neither the first time nor later: the signature is enough, and the feed says who is dead."""
    headers = await token_of(guarded)
    guarded.store.calls.clear()
    for _ in range(10):
        await guarded.shop.get("/me", headers=headers)
    assert set(guarded.store.calls) <= OF_THE_FEED


async def test_a_repeated_token_costs_no_cryptography(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verified once, then remembered."""
    headers = await token_of(guarded)
    await guarded.shop.get("/me", headers=headers)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it was verified already")

    monkeypatch.setattr(access, "verify", never)
    assert (await guarded.shop.get("/me", headers=headers)).status_code == 200


async def test_garbage_costs_no_read(guarded: Guarded) -> None:
    """What we did not issue is refused by its form, before any look-up."""
    await token_of(guarded)  # by now the keys are known
    guarded.store.calls.clear()
    for headers in (bearer("a.b.c"), {"cookie": f"{SESSION_COOKIE}=garbage"}, bearer("é"), {"cookie": "propylon="}):
        given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        assert (await guarded.shop.get("/me", headers=given)).status_code == 401
    assert guarded.reads() == 0


async def test_asking_twice_in_one_request_asks_once(guarded: Guarded) -> None:
    """A dependency and a middleware of one request share the answer."""
    headers = await cookie_of(guarded)
    guarded.store.calls.clear()
    assert (await guarded.shop.get("/twice", headers=headers)).json() == {"same": True}
    assert guarded.store.calls["find_session"] == 1


async def test_activity_is_written_at_most_once_an_interval(guarded: Guarded, clock: FakeClock) -> None:
    """Twenty requests a second for five minutes are five writes, not six thousand."""
    headers = await cookie_of(guarded)
    guarded.store.calls.clear()
    for _ in range(150):
        for _ in range(3):
            assert (await guarded.shop.get("/me", headers=headers)).status_code == 200
        clock.advance(2)
    assert guarded.store.calls["touch"] == 300 // 60 - 1
    assert guarded.reads() <= 2 * (300 // 60 + 1)


async def test_a_page_that_loads_fifty_things_at_once_is_one_activity(
    guarded: Guarded, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that come while the first write is under way do not write again."""
    headers = await cookie_of(guarded)
    touch = guarded.store.touch

    async def slow_touch(*given: Any, **named: Any) -> None:
        await asyncio.sleep(0.01)
        await touch(*given, **named)

    monkeypatch.setattr(guarded.store, "touch", slow_touch, raising=False)
    clock.advance(61)
    guarded.store.calls.clear()
    answers = await asyncio.gather(*(guarded.shop.get("/me", headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert guarded.store.calls["touch"] == 1


async def test_starlette_is_guarded_the_same_way(in_memory: Propylon, connect: Connect) -> None:
    """By the adapter's ``user(request)`` in an endpoint."""

    async def me(request: Request) -> Response:
        return JSONResponse({"user": (await starlette.user(request)).user_id})

    app = Starlette(routes=[Route("/me", me)])
    starlette.Auth(in_memory).guard(app, mount=False)
    home, client = connect(in_memory), connect(app)
    assert problem(await client.get("/me")) == (401, "credential_missing")
    user = (await enter(home))["user"]["id"]
    jar = {"cookie": f"{SESSION_COOKIE}={home.cookies[SESSION_COOKIE]}"}
    assert (await client.get("/me", headers=jar)).json() == {"user": user}


async def test_bare_asgi_is_guarded_by_protect(in_memory: Propylon, connect: Connect) -> None:
    """``protect`` puts the question into the scope, and passes everything else on as it was."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        who = await scope["propylon"].principal_or_none()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": who.user_id.encode() if who else b"nobody"})

    home, client = connect(in_memory), connect(in_memory.protect(app))
    assert (await client.get("/")).text == "nobody"
    token = (await enter(home, "bearer"))["access_token"]
    assert len((await client.get("/", headers=bearer(token))).text) == 36


async def test_what_bare_asgi_refuses_is_answered(in_memory: Propylon, connect: Connect) -> None:
    """By the whole problem; or by the way to the sign-in, where it is known."""

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        await scope["propylon"].principal()

    opens_a_page = {"sec-fetch-mode": "navigate", "accept": "text/html"}
    for headers in ({}, opens_a_page):
        assert problem(await connect(in_memory.protect(app)).get("/", headers=headers)) == (401, "credential_missing")
    led = in_memory.protect(app, pages="https://id.example")
    assert problem(await connect(led).get("/")) == (401, "credential_missing")
    answer = await connect(led).get("/me", headers=opens_a_page)
    assert (answer.status_code, answer.text) == (303, "")
    assert answer.headers["location"] == "https://id.example/login?next=http%3A//localhost%3A8000/me"


async def test_bare_asgi_that_has_begun_to_answer_is_not_answered_for(in_memory: Propylon, connect: Connect) -> None:
    """The error goes on to the server, which ends the connection."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await scope["propylon"].principal()

    with pytest.raises(CredentialRefused):
        await connect(in_memory.protect(app)).get("/")


async def test_a_request_is_freed_with_its_answer(in_memory: Propylon, connect: Connect) -> None:
    """The question lies in the request and does not hold it: the garbage collector would cost every request time."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await scope["propylon"].principal()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    token = (await enter(connect(in_memory), "bearer"))["access_token"]
    assert not await kept_after_its_answer(in_memory.protect(app), bearer(token))


async def test_a_guard_opens_itself_where_nobody_did(tmp_path: Any, connect: Connect) -> None:
    """An app without the lifespan works from its first request on."""
    propylon = Propylon(store="memory://", key_file=str(tmp_path / "key"), password_profile="unsafe_cheapest")
    client = connect(shop(propylon))
    try:
        assert (await client.get("/open")).status_code == 200
        assert problem(await client.get("/me")) == (401, "credential_missing")
    finally:
        await propylon.close()
