"""Websockets of a guarded app: who is calling, and that no page of another site opens one in somebody's name."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from tests.http.driving import SESSION_COOKIE, Connect, bearer, enter, opened, refused, sign_in

from propylon import CredentialRefused, Propylon
from propylon.adapters.fastapi import Auth, SignedIn


def live(propylon: Propylon) -> FastAPI:
    """Return a guarded app with a websocket that says who opened it."""
    app = FastAPI()
    Auth(propylon).guard(app, mount=False)

    @app.websocket("/live")
    async def live(socket: WebSocket, who: SignedIn) -> None:
        await socket.accept()
        await socket.send_text(who.user_id)
        await socket.close()

    return app


async def test_a_websocket_knows_who_is_calling(propylon: Propylon, connect: Connect) -> None:
    """S105: by token from anywhere, by cookie from our own pages."""
    client = connect(propylon)
    token = bearer((await enter(client, "bearer"))["access_token"])
    await sign_in(client)
    cookie = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}", "origin": "http://localhost:8000"}
    for headers in (cookie, token):
        sent = await opened(live(propylon), "/live", headers)
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]


async def test_no_page_of_another_site_opens_a_websocket_with_a_cookie(propylon: Propylon, connect: Connect) -> None:
    """S105: browsers let every page try, with the cookies: refused before it is accepted."""
    client = connect(propylon)
    await enter(client)
    cookie = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}
    refusals = [
        ({**cookie, "origin": "https://evil.example"}, "cross_site_refused"),
        ({**cookie, "origin": "null"}, "cross_site_refused"),
        ({**cookie, "origin": "http://localhost:8000", "sec-fetch-site": "same-site"}, "cross_site_refused"),
        ({}, "credential_missing"),
        (bearer("nonsense"), "credential_malformed"),
    ]
    for headers, code in refusals:
        assert await opened(live(propylon), "/live", headers) == [
            {"type": "websocket.close", "code": 1008, "reason": code}
        ]


@pytest.mark.parametrize("handshake", [{"upgrade": "websocket"}, {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}])
async def test_a_handshake_that_arrives_as_a_get_is_held_to_its_page(
    propylon: Propylon, connect: Connect, handshake: dict[str, str]
) -> None:
    """S105: where no server has made a websocket of it yet, an app that passes it on would open one."""
    await enter(connect(propylon))
    app = FastAPI()
    Auth(propylon).guard(app, mount=False)

    @app.get("/live")
    async def live(who: SignedIn) -> str:
        return who.user_id

    somebody = connect(propylon)
    cookie = {"cookie": f"{SESSION_COOKIE}={(await sign_in(somebody)) and somebody.cookies[SESSION_COOKIE]}"}
    client = connect(app)
    for page in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "same-site"}):
        assert (await client.get("/live", headers=cookie | page)).status_code == 200
        refused(await client.get("/live", headers=cookie | page | handshake), 403, "cross_site_refused")
    own = {**cookie, **handshake, "origin": "http://localhost:8000"}
    assert (await client.get("/live", headers=own)).status_code == 200


@pytest.mark.parametrize("begun", [[], ["accept"], ["accept", "send"]])
async def test_bare_asgi_is_closed_with_the_reason_at_any_time(in_memory: Propylon, begun: list[str]) -> None:
    """Before it is accepted and in the middle of a conversation, as long as nobody has closed it."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        for step in begun:
            await send({"type": f"websocket.{step}"})
        await scope["propylon"].principal()

    sent = await opened(in_memory.protect(app), "/live", {})
    assert sent[len(begun) :] == [{"type": "websocket.close", "code": 1008, "reason": "credential_missing"}]


@pytest.mark.parametrize("last", ["websocket.close", "websocket.http.response.start"])
async def test_a_websocket_that_is_over_is_not_closed_again(in_memory: Propylon, last: str) -> None:
    """The error goes on to the server."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": last})
        await scope["propylon"].principal()

    with pytest.raises(CredentialRefused):
        await opened(in_memory.protect(app), "/live", {})


async def test_propylon_itself_has_no_websockets(in_memory: Propylon) -> None:
    """Its own address closes them, without a look at who asks."""
    (closed,) = await opened(in_memory, "/live", {})
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    refused_path = await opened(in_memory.protect(in_memory), "/live", bearer("x"))
    assert refused_path[0]["type"] == "websocket.close"
