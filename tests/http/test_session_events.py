"""``GET /v1/session/events``: who hears of the end of a session, when, and what they are told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    MODES,
    PASSWORD,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    held,
    refused,
    sign_in,
    sign_up,
)
from tests.http.following import Following

from propylon import Propylon
from propylon.errors import StoreUnavailable
from propylon.http import session_streams
from propylon.testing import FakeClock

EVENTS = "/v1/session/events"
WITHIN_S = 10.0


def follow(propylon: Propylon, client: httpx.AsyncClient, signed_in: dict[str, Any], **more: str) -> Following:
    """Open a stream with what a sign-in returned: the access token, or the cookie that the client has."""
    token = signed_in.get("access_token", "")
    cookie = "" if token else f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"
    return Following(propylon, token, path=EVENTS, cookie=cookie, **more)


async def opened(stream: Following) -> Following:
    """Read the event that comes first."""
    first = await stream.next()
    assert first is not None
    assert first.name == "session"
    return stream


async def elsewhere(connect: Connect, propylon: Propylon) -> httpx.AsyncClient:
    """Return the same user on another device, signed in with tokens."""
    client = connect(propylon)
    client.headers.update(bearer((await sign_in(client, "bearer"))["access_token"]))
    return client


@pytest.fixture
async def mina(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of somebody with an account, not signed in."""
    await sign_up(client)
    return client


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "credential_missing"),
        ({"authorization": "Bearer x"}, 401, "credential_malformed"),
        ({"authorization": "Bearer propylon_verifier_" + "A" * 43}, 401, "credential_malformed"),
        ({"cookie": f"{SESSION_COOKIE}=x"}, 401, "credential_malformed"),
        ({"cookie": f"{SESSION_COOKIE}=x; {SESSION_COOKIE}=y"}, 400, "credential_ambiguous"),
        ({"cookie": "propylon-refresh=x"}, 401, "credential_missing"),
    ],
)
async def test_nobody_hears_without_a_credential(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, code: str
) -> None:
    """When somebody signs out is nobody else's business."""
    refused(await client.get(EVENTS, headers=headers), status, code)


@pytest.mark.parametrize("mode", MODES)
async def test_an_ended_session_is_told_what_its_next_request_would_be(
    propylon: Propylon, connect: Connect, mina: httpx.AsyncClient, mode: str
) -> None:
    """In every mode: whose it is, then the same problem body in the same language, and then the stream is over."""
    signed_in = await sign_in(mina, mode)
    other = await elsewhere(connect, propylon)
    async with follow(propylon, mina, signed_in, accept_language="ko") as stream:
        first = await stream.next()
        assert first is not None
        assert first.data == {"id": signed_in["session"]["id"], "user": signed_in["user"]["id"]}
        assert (await other.delete(f"/v1/sessions/{signed_in['session']['id']}")).status_code == 204
        ended = await stream.next()
        assert ended is not None
        assert await stream.next() is None
    answer = await mina.get("/v1/session", headers={**held(signed_in), "accept-language": "ko"})
    assert (ended.name, ended.data) == ("ended", refused(answer, 401, "session_revoked"))


async def test_an_evicted_session_is_told_by_which_device(make_propylon: MakePropylon, connect: Connect) -> None:
    """When, and what has taken its place."""
    propylon = await make_propylon(session_limit="1")
    client = connect(propylon)
    await sign_up(client)
    async with follow(propylon, client, await sign_in(client, "hybrid")) as stream:
        await opened(stream)
        await sign_in(connect(propylon), "bearer")
        ended = await stream.next()
    assert ended is not None
    assert (ended.name, ended.data["code"]) == ("ended", "session_evicted")
    assert ended.data["ended_by"]["browser"] == "Firefox"
    assert ended.data["ended_at"]


async def test_who_signs_out_is_not_told_that_somebody_else_did_it(propylon: Propylon, mina: httpx.AsyncClient) -> None:
    """In another tab, or in the app that has handed the session over: ``signed-out``."""
    async with follow(propylon, mina, signed_in := await sign_in(mina, "bearer")) as stream:
        await opened(stream)
        await mina.delete("/v1/session", headers=held(signed_in))
        ended = await stream.next()
    assert ended is not None
    assert (ended.name, ended.data["code"]) == ("signed-out", "session_revoked")


async def test_nobody_hears_of_anybody_else(propylon: Propylon, connect: Connect, mina: httpx.AsyncClient) -> None:
    """Neither of another user's session nor of another one of their own: what comes next is about this one."""
    await sign_up(connect(propylon), "joon@example.com")
    signed_in = await sign_in(mina, "bearer")
    async with follow(propylon, mina, signed_in) as stream:
        await opened(stream)
        for email in (EMAIL, "joon@example.com"):
            other = connect(propylon)
            await other.delete("/v1/session", headers=held(await sign_in(other, "bearer", email=email)))
        await (await elsewhere(connect, propylon)).delete(f"/v1/sessions/{signed_in['session']['id']}")
        ended = await stream.next()
        assert await stream.next() is None
    assert ended is not None
    assert (ended.name, ended.data["code"]) == ("ended", "session_revoked")


async def test_a_new_password_and_a_disabled_user_end_it(
    propylon: Propylon, connect: Connect, mina: httpx.AsyncClient
) -> None:
    """Whatever ends sessions is heard."""
    other = await elsewhere(connect, propylon)
    async with follow(propylon, mina, await sign_in(mina, "hybrid")) as stream:
        await opened(stream)
        passwords = {"current_password": PASSWORD, "new_password": "staple of another kind"}
        assert (await other.put("/v1/user/password", json=passwords)).status_code == 204
        ended = await stream.next()
    assert ended is not None
    assert ended.data["code"] == "session_revoked"
    async with follow(propylon, mina, await sign_in(mina, "hybrid", password="staple of another kind")) as stream:
        await opened(stream)
        await propylon.runtime.administration.disable(EMAIL)
        ended = await stream.next()
    assert ended is not None
    assert ended.data["code"] == "user_disabled"


async def test_a_stream_outlives_its_token_and_not_its_session(
    propylon: Propylon, clock: FakeClock, mina: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token expires and nothing is said; the session runs out, which no feed announces, and that is told."""
    monkeypatch.setattr(session_streams, "HEARTBEAT_S", 0.01)
    async with follow(propylon, mina, await sign_in(mina, "bearer")) as stream:
        await opened(stream)
        clock.advance(propylon.config.access_ttl_s + 1)
        while stream.heartbeats < 3:
            reading = asyncio.create_task(stream.next())
            done, _ = await asyncio.wait([reading], timeout=0.1)
            reading.cancel()
            assert not done
        clock.advance(propylon.config.idle_ttl_s)
        ended = await stream.next()
    assert ended is not None
    assert (ended.name, ended.data["code"]) == ("ended", "session_expired")


async def test_a_stream_is_no_use_of_the_session(
    propylon: Propylon, clock: FakeClock, mina: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open tab alone keeps nobody signed in."""
    monkeypatch.setattr(session_streams, "HEARTBEAT_S", 0.01)
    signed_in = await sign_in(mina, "bearer")
    before = await propylon.runtime.store.find_session(signed_in["session"]["id"])
    async with follow(propylon, mina, signed_in) as stream:
        await opened(stream)
        clock.advance(3_600)
        await asyncio.sleep(0.1)
    after = await propylon.runtime.store.find_session(signed_in["session"]["id"])
    assert before is not None
    assert after is not None
    assert after.last_seen_at == before.last_seen_at


async def test_what_ends_on_another_node_is_heard(make_propylon: MakePropylon, connect: Connect) -> None:
    """Two services on one file: the stream of one hears what the other acknowledged, and nobody asks anything."""
    acting, asked = await make_propylon(), await make_propylon()
    client = connect(acting)
    await sign_up(client)
    signed_in = await sign_in(client, "cookie")
    async with follow(asked, client, signed_in) as stream:
        await opened(stream)
        await (await elsewhere(connect, acting)).delete(f"/v1/sessions/{signed_in['session']['id']}")
        ended = await stream.next()
    assert ended is not None
    assert ended.data["code"] == "session_revoked"


async def test_what_ended_while_the_stream_was_opened_is_told(propylon: Propylon, mina: httpx.AsyncClient) -> None:
    """Between the check of the credential and the first word there is a moment; nothing is lost in it."""
    signed_in = await sign_in(mina, "bearer")
    principal = await propylon.principal({"type": "http", "headers": [
        (name.encode(), value.encode()) for name, value in held(signed_in).items()
    ]})  # fmt: skip
    await mina.delete("/v1/session", headers=held(signed_in))
    await propylon.runtime.gate.listen()
    stream = propylon.runtime.session_streams.open(principal, lambda error: error.code.encode())
    assert [chunk.split(b"\n")[0] async for chunk in stream.chunks()] == [b"event: session", b"event: signed-out"]
    stream.close()


async def test_a_store_that_cannot_say_ends_nothing_and_is_asked_again(
    propylon: Propylon, connect: Connect, mina: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that they are signed out because a disk is full."""
    monkeypatch.setattr(session_streams, "ASK_AGAIN_S", 0)
    signed_in = await sign_in(mina, "bearer")
    other = await elsewhere(connect, propylon)
    find, failed = propylon.runtime.store.find_session, asyncio.Event()

    async def fail(session_id: str) -> None:
        failed.set()
        raise StoreUnavailable

    async with follow(propylon, mina, signed_in) as stream:
        await opened(stream)
        monkeypatch.setattr(propylon.runtime.session_streams._sessions, "find_session", fail)
        propylon.runtime.session_streams._about[signed_in["session"]["id"]].copy().pop().wake()
        await asyncio.wait_for(failed.wait(), WITHIN_S)
        monkeypatch.setattr(propylon.runtime.session_streams._sessions, "find_session", find)
        await other.delete(f"/v1/sessions/{signed_in['session']['id']}")
        ended = await stream.next()
    assert ended is not None
    assert ended.data["code"] == "session_revoked"


async def test_streams_are_bounded_for_a_session_and_for_the_process(
    propylon: Propylon, connect: Connect, mina: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 for the session that has enough of them, 503 where there are enough; who leaves makes room at once."""
    monkeypatch.setattr(session_streams, "MAX_STREAMS_EACH", 2)
    monkeypatch.setattr(session_streams, "MAX_STREAMS", 3)
    one, another = await sign_in(mina, "bearer"), await sign_in(mina, "bearer")
    async with AsyncExitStack() as stack:
        for signed_in in (one, one, another):
            await opened(await stack.enter_async_context(follow(propylon, mina, signed_in)))
        refused(await mina.get(EVENTS, headers=held(another)), 503, "unavailable")
        monkeypatch.setattr(session_streams, "MAX_STREAMS", 4)
        refused(await mina.get(EVENTS, headers=held(one)), 429, "too_many_streams")
    assert len(propylon.runtime.session_streams) == 0
    assert propylon.runtime.session_streams._about == {}
    async with follow(propylon, mina, one) as stream:
        await opened(stream)


async def test_a_process_that_stops_ends_its_streams(propylon: Propylon, mina: httpx.AsyncClient) -> None:
    """Without a word: the client comes back, to another process."""
    async with follow(propylon, mina, signed_in := await sign_in(mina, "bearer")) as stream:
        await opened(stream)
        propylon.runtime.end_streams()
        assert await stream.next() is None
    refused(await mina.get(EVENTS, headers=held(signed_in)), 503, "unavailable")


async def test_a_stream_is_neither_kept_nor_gathered_and_a_question_about_it_opens_none(
    propylon: Propylon, mina: httpx.AsyncClient
) -> None:
    """No cache keeps it, nginx passes on what comes as it comes, HEAD is answered at once."""
    signed_in = await sign_in(mina, "bearer")
    async with follow(propylon, mina, signed_in) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert (stream.headers["cache-control"], stream.headers["x-accel-buffering"]) == ("no-store", "no")
    answer = await mina.head(EVENTS, headers=held(signed_in))
    assert (answer.status_code, answer.content, len(propylon.runtime.session_streams)) == (200, b"", 0)
