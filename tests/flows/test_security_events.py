"""What matters to security is on record: one line of JSON each, in fixed words, whatever callers send."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    FORM,
    PASSWORD,
    Connect,
    MakePropylon,
    bearer,
    enter,
    sign_in,
    sign_up,
)

from propylon import Propylon
from propylon.flows.throttling import PAIR, TAKEN
from propylon.outside.security_log import JsonSecurityLog
from propylon.testing import FakeClock

TOKENS = "/v1/session/tokens"

#: Every event that there is. Operators alert on these words, so a new one is a decision, and none is made of
#: what a caller sends.
VOCABULARY = {
    "authn_confirmed",
    "authn_login_fail",
    "authn_login_success",
    "authn_password_change",
    "excess_rate_limit_exceeded",
    "mode_changed",
    "session_ended",
    "session_evicted",
    "session_limit_reached",
    "sessions_ended",
    "token_late",
    "token_repeated",
    "token_reused",
    "token_rotated",
    "user_created",
    "user_disabled",
    "user_enabled",
}

HOSTILE = [
    '"}\n{"event":"authn_login_success","user":"root"}',
    "line\r\nanother\x0bone\x0cmore\x85and\u2028so\u2029on",
    "\x1b[2J\x1b[31mred\x9b1m\x07\x00\x7f",
    "\ud800 \udfff",
    "\u202egnp.exe",
    "\\u0022, \\n",
    "x" * 1_000_000,
]


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Any:
    """Return what is on record: each line parsed, each one an event of the vocabulary."""
    caplog.set_level(logging.INFO, logger="propylon.security")

    def read() -> list[dict[str, Any]]:
        lines = [record.getMessage() for record in caplog.records if record.name == "propylon.security"]
        found = [json.loads(line) for line in lines]
        assert all(len(line.splitlines()) == 1 and line.isascii() and line.isprintable() for line in lines)
        assert {event["event"] for event in found} <= VOCABULARY
        return found

    return read


def of(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the facts of all events of that name."""
    return [
        {k: v for k, v in event.items() if k not in ("at", "id", "event")} for event in events if event["event"] == name
    ]


async def test_a_sign_in_is_on_record(client: httpx.AsyncClient, events: Any, clock: FakeClock) -> None:
    """Who, which session, and how it travels."""
    user = await sign_up(client)
    session = (await sign_in(client, "bearer"))["session"]
    assert of(events(), "authn_login_success") == [{"user": user["id"], "session": session["id"], "mode": "bearer"}]
    assert events()[-1]["at"] == clock.now()


async def test_a_failed_sign_in_is_on_record_with_its_source(client: httpx.AsyncClient, events: Any) -> None:
    """The account where there is one: an operator may know what the caller may not."""
    user = await sign_up(client)
    for email in (EMAIL, "nobody@example.com"):
        await client.post("/v1/sessions", json={"email": email, "password": "not the password"})
    facts = {"source": "127.0.0.1", "reason": "credentials_wrong"}
    assert of(events(), "authn_login_fail") == [{"user": user["id"], **facts}, {"user": None, **facts}]


async def test_a_disabled_account_is_on_record(client: httpx.AsyncClient, propylon: Propylon, events: Any) -> None:
    """That it was disabled, that somebody with its password came, and that it was enabled."""
    user = await sign_up(client)
    await propylon.runtime.administration.disable(EMAIL)
    await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    await propylon.runtime.administration.enable(EMAIL)
    assert of(events(), "user_disabled") == of(events(), "user_enabled") == [{"user": user["id"]}]
    (failure,) = of(events(), "authn_login_fail")
    assert failure == {"user": user["id"], "source": "127.0.0.1", "reason": "user_disabled"}


async def test_every_ending_is_on_record_with_its_reason(propylon: Propylon, connect: Connect, events: Any) -> None:
    """Signed out, ended from another device, by an operator: each session by its id."""
    client, other = connect(propylon), connect(propylon)
    user = await sign_up(client)
    first = (await sign_in(client))["session"]["id"]
    second = (await sign_in(other))["session"]["id"]
    await client.delete(f"/v1/sessions/{second}")
    await client.delete("/v1/session")
    assert of(events(), "session_ended") == [
        {"user": user["id"], "session": second, "reason": "ended_by_user"},
        {"user": user["id"], "session": first, "reason": "signed_out"},
    ]
    third = (await sign_in(client))["session"]["id"]
    await propylon.revoke(session_id=third)
    await propylon.revoke(user_id=user["id"])
    assert of(events(), "session_ended")[-1] == {"session": third, "reason": "ended_by_administrator"}


async def test_signing_in_again_ends_the_session_before_and_says_so(client: httpx.AsyncClient, events: Any) -> None:
    """The one that this browser loses is on record as any other that its user ended."""
    user = await sign_up(client)
    first = (await sign_in(client))["session"]["id"]
    await sign_in(client)
    facts = {"user": user["id"], "session": first, "reason": "ended_by_user"}
    assert of(events(), "session_ended") == [facts]


async def test_ending_all_others_names_each(propylon: Propylon, connect: Connect, events: Any) -> None:
    """So that each session's story can be told from the log alone."""
    client = connect(propylon)
    await sign_up(client)
    gone = {(await sign_in(connect(propylon)))["session"]["id"] for _ in range(2)}
    await sign_in(client)
    await client.delete("/v1/sessions?keep=current")
    assert {facts["session"] for facts in of(events(), "session_ended")} == gone


async def test_an_eviction_names_both_sessions(make_propylon: MakePropylon, connect: Connect, events: Any) -> None:
    """The one that went, and the one that it went for."""
    propylon = await make_propylon(session_limit="1")
    first = (await enter(connect(propylon)))["session"]["id"]
    second = (await sign_in(connect(propylon)))["session"]["id"]
    (facts,) = of(events(), "session_evicted")
    assert (facts["session"], facts["by"]) == (first, second)


async def test_a_refused_newcomer_is_on_record(make_propylon: MakePropylon, connect: Connect, events: Any) -> None:
    """The limit that was reached."""
    propylon = await make_propylon(session_limit="1", session_limit_policy="refuse_newest")
    await enter(connect(propylon))
    await connect(propylon).post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    assert of(events(), "session_limit_reached")[0]["limit"] == 1


async def test_a_reused_token_is_on_record_with_both_addresses(
    propylon: Propylon, connect: Connect, events: Any
) -> None:
    """From where the copy came, and where the session was last seen."""
    owner, thief = connect(propylon, ip="192.0.2.1"), connect(propylon, ip="203.0.113.9")
    body = await enter(owner, "bearer")
    newer = (await owner.post(TOKENS, json={"refresh_token": body["refresh_token"]})).json()
    await owner.post(TOKENS, json={"refresh_token": newer["refresh_token"]})
    await thief.post(TOKENS, json={"refresh_token": body["refresh_token"]})
    (facts,) = of(events(), "token_reused")
    assert (facts["session"], facts["source"], facts["last_ip"]) == (body["session"]["id"], "203.0.113.9", "192.0.2.1")
    assert len(of(events(), "token_rotated")) == 2


async def test_a_new_password_and_a_step_up_are_on_record(client: httpx.AsyncClient, events: Any) -> None:
    """With the session that did it."""
    session = (await enter(client))["session"]["id"]
    await client.post("/v1/session/confirm", json={"password": PASSWORD})
    body = {"current_password": PASSWORD, "new_password": "another correct horse"}
    await client.put("/v1/user/password", json=body)
    assert of(events(), "authn_confirmed")[0]["session"] == session
    assert of(events(), "authn_password_change")[0]["session"] == session


@pytest.mark.parametrize("kind", ["sign-in", "refresh", "sign-up", "confirm"])
async def test_who_is_told_to_wait_is_on_record(in_memory: Propylon, connect: Connect, events: Any, kind: str) -> None:
    """Of which kind, from where, and for how long."""
    client = connect(in_memory, ip="2001:db8::7")
    await enter(client)
    requests: dict[str, tuple[str, dict[str, str]]] = {
        "sign-in": ("/v1/sessions", {"email": EMAIL, "password": "not the password"}),
        "refresh": (TOKENS, {"refresh_token": "x"}),
        "sign-up": ("/v1/users", {"email": EMAIL, "password": PASSWORD}),
        "confirm": ("/v1/session/confirm", {"password": "not the password"}),
    }
    path, body = requests[kind]
    tries = {"refresh": 101, "sign-up": TAKEN.free + 1}.get(kind, PAIR.free + 1)
    for _ in range(tries):
        await client.post(path, json=body)
    (facts,) = of(events(), "excess_rate_limit_exceeded")
    assert facts == {"kind": kind, "source": "2001:db8::/64", "wait_s": 1}


@pytest.mark.parametrize("hostile", HOSTILE[:-1])
async def test_what_callers_send_makes_no_line_of_its_own(
    propylon: Propylon, connect: Connect, events: Any, hostile: str
) -> None:
    """P194: in the user agent, the address, the name, a session id, a token: one well-formed line an event."""
    client = connect(propylon)
    agent = hostile.encode("utf-8", "surrogatepass").translate(None, b"\r\n\0")
    headers = [(b"content-type", b"application/json"), (b"user-agent", agent)]
    await client.post("/v1/users", content=_json(email=hostile, password=PASSWORD), headers=headers)
    await client.post("/v1/users", content=_json(email=EMAIL, password=PASSWORD, name=hostile), headers=headers)
    await sign_up(client, "jun@example.com")
    await client.post("/v1/sessions", content=_json(email=hostile, password=hostile), headers=headers)
    await client.post("/v1/sessions", json={"email": EMAIL, "password": "not the password"}, headers=headers)
    body = _json(email="jun@example.com", password=PASSWORD, mode="bearer")
    tokens = (await client.post("/v1/sessions", content=body, headers=headers)).json()
    await client.post(TOKENS, content=_json(refresh_token=hostile), headers=headers)
    await client.post(TOKENS, content=_json(refresh_token=tokens["refresh_token"]), headers=headers)
    await client.post("/login", content="email=%0d%0a%1b&password=%00", headers=FORM)
    await client.delete("/v1/sessions/%0a%22%7d", headers=bearer(tokens["access_token"]))
    assert {"user_created", "authn_login_success", "authn_login_fail"} <= {event["event"] for event in events()}
    assert all(event["user"] != "root" for event in events() if "user" in event)


def _json(**body: str) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_fact_is_one_short_line_whatever_it_is(events: Any, hostile: str) -> None:
    """P194: even where a caller's text became a fact, it would be escaped and cut."""
    JsonSecurityLog(FakeClock()).record("authn_login_fail", source=hostile, user=None, wait_s=1)
    (event,) = events()
    assert event["source"] == hostile[:200]
    assert event["user"] is None
