"""Limits on concurrent sign-ins over HTTP: who goes, what they are told, and how to make room."""

from __future__ import annotations

import asyncio

import pytest
from tests.http.driving import (
    CHROME,
    EMAIL,
    MODES,
    PASSWORD,
    Connect,
    MakePropylon,
    enter,
    held,
    refused,
    sign_in,
    sign_up,
)

from propylon.testing import FakeClock

SIGN_IN = {"email": EMAIL, "password": PASSWORD}


@pytest.mark.parametrize("mode", MODES)
async def test_the_evicted_device_is_told_when_and_by_what(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock, mode: str
) -> None:
    """The oldest goes; its next request is 401 ``session_evicted`` with the time and the newcomer's device."""
    propylon = await make_propylon(session_limit="1")
    first, second = connect(propylon), connect(propylon, user_agent=CHROME)
    body = await enter(first, mode)
    clock.advance(90)
    await sign_in(second, "bearer")
    problem = refused(await first.get("/v1/session", headers=held(body)), 401, "session_evicted")
    assert problem["ended_at"] == "2027-01-15T08:01:30Z"
    assert problem["ended_by"] == {"browser": "Chrome", "os": "Windows", "kind": "desktop"}
    assert "2027-01-15 08:01" in problem["detail"]
    assert "Chrome" in problem["detail"]


async def test_the_evicted_device_is_told_at_renewal_too(make_propylon: MakePropylon, connect: Connect) -> None:
    """An app that comes back with its refresh token hears the same reason."""
    propylon = await make_propylon(session_limit="1")
    client = connect(propylon)
    body = await enter(client, "bearer")
    await sign_in(connect(propylon), "bearer")
    answer = await client.post("/v1/session/tokens", json={"refresh_token": body["refresh_token"]})
    assert refused(answer, 401, "session_evicted")["ended_at"]


async def test_the_korean_reader_is_told_in_korean(make_propylon: MakePropylon, connect: Connect) -> None:
    """The sentence is in the caller's language; the facts beside it are the same."""
    propylon = await make_propylon(session_limit="1")
    client = connect(propylon)
    await enter(client)
    await sign_in(connect(propylon))
    answer = await client.get("/v1/session", headers={"accept-language": "ko-KR,ko;q=0.9"})
    problem = refused(answer, 401, "session_evicted")
    assert answer.headers["content-language"] == "ko"
    assert "Firefox" in problem["detail"]
    assert not problem["title"].isascii()


async def test_with_refuse_newest_the_newcomer_chooses_who_goes(make_propylon: MakePropylon, connect: Connect) -> None:
    """409 with the sessions that could be ended and the limit; ``end`` makes room in the same step."""
    propylon = await make_propylon(session_limit="2", session_limit_policy="refuse_newest")
    first, second, third = (connect(propylon) for _ in range(3))
    oldest = (await enter(first))["session"]
    await sign_in(second, "bearer")
    answer = await third.post("/v1/sessions", json=SIGN_IN)
    problem = refused(answer, 409, "session_limit_reached")
    assert problem["limit"] == 2
    assert problem["sessions"][0]["id"] == oldest["id"]
    assert all(not session["current"] for session in problem["sessions"])
    assert "set-cookie" not in answer.headers
    assert await sign_in(third, end=oldest["id"])
    refused(await first.get("/v1/session"), 401, "session_revoked")


async def test_a_wrong_password_does_not_show_the_list(make_propylon: MakePropylon, connect: Connect) -> None:
    """Who is signed in where is told only to who knows the password."""
    propylon = await make_propylon(session_limit="1", session_limit_policy="refuse_newest")
    await enter(connect(propylon))
    answer = await connect(propylon).post("/v1/sessions", json={**SIGN_IN, "password": "not the password"})
    assert "sessions" not in refused(answer, 401, "credentials_wrong")


async def test_nobody_elses_session_can_be_ended_to_make_room(make_propylon: MakePropylon, connect: Connect) -> None:
    """S102: ``end`` with a foreign id ends nothing and makes no room."""
    propylon = await make_propylon(session_limit="1", session_limit_policy="refuse_newest")
    first, stranger = connect(propylon), connect(propylon)
    await enter(first)
    await sign_up(stranger, "jun@example.com")
    theirs = (await sign_in(stranger, email="jun@example.com"))["session"]["id"]
    for chosen in (theirs, "A" * 22, "", "\x00"):
        answer = await connect(propylon).post("/v1/sessions", json={**SIGN_IN, "end": chosen})
        refused(answer, 409, "session_limit_reached")
    assert (await stranger.get("/v1/session")).status_code == 200


@pytest.mark.parametrize("policy", ["evict_oldest", "refuse_newest"])
async def test_signing_in_again_on_the_same_device_pushes_nobody_out(
    make_propylon: MakePropylon, connect: Connect, policy: str
) -> None:
    """The session that this browser replaces makes the room, not the other device."""
    propylon = await make_propylon(session_limit="2", session_limit_policy=policy)
    laptop, phone = connect(propylon), connect(propylon)
    await enter(phone)
    await sign_in(laptop)
    await sign_in(laptop)
    assert (await phone.get("/v1/session")).status_code == 200
    assert len((await laptop.get("/v1/sessions")).json()["sessions"]) == 2


async def test_fifty_sign_ins_at_once_leave_exactly_the_limit(make_propylon: MakePropylon, connect: Connect) -> None:
    """No race lets one more in, and none throws everybody out."""
    propylon = await make_propylon(session_limit="3")
    client = connect(propylon)
    await sign_up(client)
    wish = {**SIGN_IN, "mode": "bearer"}
    answers = await asyncio.gather(*(client.post("/v1/sessions", json=wish) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    verdicts = [(await client.get("/v1/session", headers=held(answer.json()))).status_code for answer in answers]
    assert sorted(verdicts) == [200] * 3 + [401] * 47
