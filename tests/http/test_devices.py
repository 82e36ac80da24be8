"""``/v1/sessions``: the list of devices, and ending one, all others, or all of them."""

from __future__ import annotations

import httpx
import pytest
from tests.http.driving import CHROME, MODES, Connect, enter, held, refused, sign_in, sign_up

from propylon import Propylon
from propylon.testing import FakeClock

FIELDS = {"id", "current", "mode", "created_at", "last_seen_at", "expires_at", "device", "ip", "sign_in_method"}


async def listed(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> list[dict[str, object]]:
    """Return the caller's devices."""
    answer = await client.get("/v1/sessions", headers=headers)
    assert answer.status_code == 200
    sessions: list[dict[str, object]] = answer.json()["sessions"]
    return sessions


async def test_the_list_shows_every_device_and_which_is_this_one(
    propylon: Propylon, connect: Connect, clock: FakeClock
) -> None:
    """Newest first, each with mode, device and address, exactly one of them current; no secret, no other user."""
    laptop, phone = connect(propylon), connect(propylon, ip="192.0.2.9", user_agent=CHROME)
    await enter(laptop)
    clock.advance(10)
    await sign_in(phone, "bearer")
    await sign_up(phone, "jun@example.com")
    await sign_in(connect(propylon), email="jun@example.com")
    sessions = await listed(laptop)
    assert [(session["mode"], session["current"], session["ip"]) for session in sessions] == [
        ("bearer", False, "192.0.2.9"),
        ("cookie", True, "127.0.0.1"),
    ]
    assert all(set(session) == FIELDS for session in sessions)


async def test_an_expired_device_is_not_listed(propylon: Propylon, connect: Connect, clock: FakeClock) -> None:
    """Sessions that have expired are over, whether or not anybody has swept them away."""
    laptop, phone = connect(propylon), connect(propylon)
    await enter(phone)
    clock.advance(6 * 86_400)
    await sign_in(laptop)
    clock.advance(86_400)
    assert [session["current"] for session in await listed(laptop)] == [True]


@pytest.mark.parametrize("mode", MODES)
async def test_ending_another_device_ends_it_in_its_mode(propylon: Propylon, connect: Connect, mode: str) -> None:
    """204, no cookie is touched here, and the other device is refused at its very next request."""
    laptop, other = connect(propylon), connect(propylon)
    await enter(laptop)
    body = await sign_in(other, mode)
    answer = await laptop.delete(f"/v1/sessions/{body['session']['id']}")
    assert (answer.status_code, answer.headers.get("set-cookie")) == (204, None)
    refused(await other.get("/v1/session", headers=held(body)), 401, "session_revoked")
    assert (await laptop.get("/v1/session")).status_code == 200


async def test_ending_this_device_is_a_sign_out(client: httpx.AsyncClient) -> None:
    """The cookies go too."""
    body = await enter(client)
    answer = await client.delete(f"/v1/sessions/{body['session']['id']}")
    assert answer.status_code == 204
    assert len(answer.headers.get_list("set-cookie")) == 2


async def test_somebody_elses_session_cannot_be_told_from_none(propylon: Propylon, connect: Connect) -> None:
    """S102: foreign, unknown, ended and odd ids get one and the same 404, and nothing is ended."""
    client, stranger = connect(propylon), connect(propylon)
    await enter(client)
    await sign_up(stranger, "jun@example.com")
    theirs = (await sign_in(stranger, email="jun@example.com"))["session"]["id"]
    gone = (await sign_in(connect(propylon)))["session"]["id"]
    await client.delete(f"/v1/sessions/{gone}")
    answers = [
        await client.delete(f"/v1/sessions/{session_id}")
        for session_id in (theirs, "A" * 22, gone, "%00", "%ED%A0%80", "..%2f", "'%20OR%201=1--", "x" * 5_000)
    ]
    refused(answers[0], 404, "not_found")
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert (await stranger.get("/v1/session")).status_code == 200


async def test_all_others_can_be_ended_at_once(propylon: Propylon, connect: Connect) -> None:
    """``keep=current`` spares the caller and strangers alone."""
    client, stranger = connect(propylon), connect(propylon)
    await enter(client)
    others = [connect(propylon) for _ in MODES]
    bodies = [await sign_in(other, mode) for other, mode in zip(others, MODES, strict=True)]
    await sign_up(stranger, "jun@example.com")
    await sign_in(stranger, email="jun@example.com")
    answer = await client.delete("/v1/sessions?keep=current")
    assert (answer.status_code, answer.headers.get("set-cookie")) == (204, None)
    for other, body in zip(others, bodies, strict=True):
        refused(await other.get("/v1/session", headers=held(body)), 401, "session_revoked")
    assert len(await listed(client)) == 1
    assert (await stranger.get("/v1/session")).status_code == 200


async def test_all_of_them_can_be_ended_at_once(propylon: Propylon, connect: Connect) -> None:
    """Without ``keep`` this device goes too, and its cookies are cleared."""
    client, other = connect(propylon), connect(propylon)
    await enter(client)
    body = await sign_in(other, "bearer")
    answer = await client.delete("/v1/sessions")
    assert answer.status_code == 204
    assert len(answer.headers.get_list("set-cookie")) == 2
    refused(await other.get("/v1/session", headers=held(body)), 401, "session_revoked")
    assert await sign_in(client)


@pytest.mark.parametrize("keep", ["", "Current", "all", "current,", "others"])
async def test_a_misspelt_keep_ends_nothing(client: httpx.AsyncClient, keep: str) -> None:
    """A slip must not end what was to be kept."""
    await enter(client)
    refused(await client.delete(f"/v1/sessions?keep={keep}"), 400, "request_malformed")
    assert (await client.get("/v1/session")).status_code == 200
