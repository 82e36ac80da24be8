"""``/v1/mode``: who may look at how sessions travel, who may change it, and how often the store is made to count."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from tests.http.driving import EMAIL, MODES, PASSWORD, Connect, MakePropylon, bearer, held, refused, sign_in

from propylon import Propylon
from propylon.core.jose.access_token import issue
from propylon.errors import StoreUnavailable
from propylon.flows.account import NewAccount
from propylon.http.mode_api import FRESH_S, MODE_PERMISSION
from propylon.testing import FakeClock, SecurityEvents

MODE, WHO = "/v1/mode", "/v1/session"
SOMEBODY = "joon@example.com"
ROLES = {"operator": [MODE_PERMISSION], "editor": ["articles:write"]}
CROSS = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}


@pytest.fixture
async def propylon(make_propylon: MakePropylon) -> Propylon:
    """A service with an administrator and somebody else."""
    made = await make_propylon(store="memory", roles=ROLES)
    await made.runtime.accounts.add(NewAccount(email=EMAIL, password=PASSWORD, roles=("operator",)))
    await made.runtime.accounts.add(NewAccount(email=SOMEBODY, password=PASSWORD, roles=("editor",)))
    return made


@pytest.fixture
async def administrator(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser in which the administrator has just signed in."""
    await sign_in(client)
    return client


@pytest.fixture
def counted(propylon: Propylon, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """When the store was made to count."""
    times: list[int] = []
    count = propylon.runtime.store.count_by_mode

    async def noted(now: int) -> Any:
        times.append(now)
        await asyncio.sleep(0)
        return await count(now)

    monkeypatch.setattr(propylon.runtime.store, "count_by_mode", noted)
    return times


async def mode_of(propylon: Propylon) -> tuple[str, str, bool]:
    """Return what is decided: the mode of browsers, that of apps, and whether it is paused."""
    plan = await propylon.runtime.gate.plan()
    return plan.browsers.mode, plan.apps.mode, plan.paused


async def test_an_administrator_sees_how_sessions_travel(administrator: httpx.AsyncClient, clock: FakeClock) -> None:
    """All fields are always there, whatever their values."""
    answer = await administrator.get(MODE)
    told = answer.json()
    assert told.pop("counted_at").endswith("Z")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert told == {
        "mode": "cookie", "previous": None, "moved": 1, "left": 0, "errors": 0, "paused": False, "apps": None
    }  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
async def test_a_change_goes_there_is_paused_and_comes_back(
    propylon: Propylon, client: httpx.AsyncClient, mode: str
) -> None:
    """By any credential of an administrator; each answer is the report, and each takes effect at once."""
    headers = held(await sign_in(client, mode))
    target = "hybrid" if mode == "bearer" else "bearer"
    first = (await client.put(MODE, json={"mode": target, "paused": True}, headers=headers)).json()
    assert (first["mode"], first["previous"], first["paused"]) == (target, "cookie", True)
    assert await mode_of(propylon) == (target, target, True)
    going_on = (await client.put(MODE, json={"paused": False}, headers=headers)).json()
    assert (going_on["mode"], going_on["paused"]) == (target, False)
    back = (await client.put(MODE, json={"mode": "cookie"}, headers=headers)).json()
    assert (back["mode"], back["previous"]) == ("cookie", target)
    assert await mode_of(propylon) == ("cookie", "cookie", False)


async def test_one_kind_of_client_changes_alone(propylon: Propylon, administrator: httpx.AsyncClient) -> None:
    """``for`` names it, and the report tells both apart."""
    told = (await administrator.put(MODE, json={"mode": "bearer", "for": ["apps"]})).json()
    assert (told["mode"], told["moved"]) == ("cookie", 1)
    assert told["apps"] == {"mode": "bearer", "previous": "cookie", "moved": 0, "left": 0}
    assert await mode_of(propylon) == ("cookie", "bearer", False)


async def test_whose_sessions_are_to_move_is_told_by_the_next_answer(
    propylon: Propylon, administrator: httpx.AsyncClient
) -> None:
    """The administrator's own is no exception."""
    assert (await administrator.put(MODE, json={"mode": "bearer"})).status_code == 200
    assert (await administrator.get(WHO)).headers["propylon-mode"] == "bearer"


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"mode": "bearer"})])
class TestRefused:
    """Who has no business here, whether to look or to change; nothing is counted for them, and nothing changes."""

    @pytest.fixture(autouse=True)
    async def nothing_happens(self, propylon: Propylon, counted: list[int]) -> Any:
        """Check it afterwards."""
        yield
        assert (await mode_of(propylon), counted) == (("cookie", "cookie", False), [])

    async def test_a_visitor(self, client: httpx.AsyncClient, method: str, body: Any) -> None:
        """Nobody is signed in."""
        refused(await client.request(method, MODE, json=body), 401, "credential_missing")

    @pytest.mark.parametrize("mode", MODES)
    async def test_somebody_without_the_permission(
        self, client: httpx.AsyncClient, method: str, body: Any, mode: str
    ) -> None:
        """A role with other permissions gives none here; fresh or not, by cookie and by token."""
        headers = held(await sign_in(client, mode, email=SOMEBODY))
        refused(await client.request(method, MODE, json=body, headers=headers), 403, "forbidden")

    async def test_a_role_of_a_great_name(
        self, make_propylon: MakePropylon, connect: Connect, method: str, body: Any
    ) -> None:
        """Where no role grants the permission nobody has it, whatever their role is called."""
        plain = await make_propylon(store="memory")
        roles = ("admin", "operator", "propylon:mode")
        await plain.runtime.accounts.add(NewAccount(email=EMAIL, password=PASSWORD, roles=roles))
        client = connect(plain)
        await sign_in(client)
        refused(await client.request(method, MODE, json=body), 403, "forbidden")

    @pytest.mark.parametrize("scopes", [("read",), ("propylon:modes", "openid"), ("propylon",)])
    async def test_a_token_that_was_narrowed_to_something_else(
        self, propylon: Propylon, client: httpx.AsyncClient, method: str, body: Any, scopes: tuple[str, ...]
    ) -> None:
        """An app that somebody let read their calendar does not turn the whole service."""
        token = await narrowed(propylon, await sign_in(client, "bearer"), scopes)
        answer = await client.request(method, MODE, json=body, headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
        assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{MODE_PERMISSION}"'

    async def test_a_token_from_before_the_role_was_taken_away(
        self, propylon: Propylon, client: httpx.AsyncClient, method: str, body: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The token still says so; the account does not."""
        headers = held(await sign_in(client, "bearer"))
        find = propylon.runtime.store.find_user

        async def demoted(user_id: str) -> Any:
            return msgspec.structs.replace(await find(user_id), roles=())  # type: ignore[type-var]

        monkeypatch.setattr(propylon.runtime.store, "find_user", demoted)
        refused(await client.request(method, MODE, json=body, headers=headers), 403, "forbidden")

    async def test_an_account_that_was_disabled(
        self, propylon: Propylon, client: httpx.AsyncClient, method: str, body: Any
    ) -> None:
        """Its sessions have ended with it."""
        headers = held(await sign_in(client, "bearer"))
        await propylon.runtime.administration.disable(EMAIL)
        assert (await client.request(method, MODE, json=body, headers=headers)).status_code == 401


async def narrowed(propylon: Propylon, signed_in: dict[str, Any], scopes: tuple[str, ...]) -> str:
    """Return an access token of ours that covers ``scopes`` alone."""
    runtime = propylon.runtime
    token, now = signed_in["access_token"], runtime.clock.now()
    claims = runtime.gate.tokens.read(token, runtime.keys.published, runtime.keys.algorithms, now)
    return issue(msgspec.structs.replace(claims, scopes=scopes), runtime.keys.current)


async def test_a_token_that_was_narrowed_to_this_is_for_this(propylon: Propylon, client: httpx.AsyncClient) -> None:
    """Scopes narrow: with the permission it passes, and without it the scope gives nobody anything."""
    for email, status in ((EMAIL, 200), (SOMEBODY, 403)):
        token = await narrowed(propylon, await sign_in(client, "bearer", email=email), (MODE_PERMISSION,))
        assert (await client.get(MODE, headers=bearer(token))).status_code == status


@pytest.mark.parametrize("headers", [CROSS, {"sec-fetch-site": "same-site"}, {"origin": "null"}])
async def test_another_site_changes_nothing_with_the_cookie(
    propylon: Propylon, administrator: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """Nor a page of a neighbour, nor a sandboxed frame."""
    refused(await administrator.put(MODE, json={"mode": "bearer"}, headers=headers), 403, "cross_site_refused")
    assert await mode_of(propylon) == ("cookie", "cookie", False)


@pytest.mark.parametrize("mode", MODES)
async def test_a_change_needs_a_fresh_confirmation_and_looking_does_not(
    propylon: Propylon, client: httpx.AsyncClient, clock: FakeClock, mode: str
) -> None:
    """To the second; the refusal says how fresh (RFC 9470). An unlocked screen is not enough to change it."""
    body = await sign_in(client, mode)
    clock.advance(FRESH_S + 1)
    if mode != "cookie":
        renewal = {"json": {"refresh_token": body["refresh_token"]}} if mode == "bearer" else {}
        body = (await client.post("/v1/session/tokens", **renewal)).json()  # type: ignore[arg-type]
    answer = await client.put(MODE, json={"mode": "bearer"}, headers=held(body))
    assert refused(answer, 401, "reauthentication_required")["max_age"] == FRESH_S
    assert (await client.get(MODE, headers=held(body))).status_code == 200
    assert await mode_of(propylon) == ("cookie", "cookie", False)


async def test_confirming_lets_the_change_pass(administrator: httpx.AsyncClient, clock: FakeClock) -> None:
    """With the new cookie, up to the last second."""
    clock.advance(FRESH_S + 1)
    await administrator.post("/v1/session/confirm", json={"password": PASSWORD})
    clock.advance(FRESH_S)
    assert (await administrator.put(MODE, json={"mode": "bearer"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "mode", "required"),
        ({"for": ["apps"]}, "mode", "required"),
        ({"for": ["apps"], "paused": True}, "mode", "required"),
        ({"mode": "jwt"}, "mode", "mode_unknown"),
        ({"mode": "Cookie"}, "mode", "mode_unknown"),
        ({"mode": None}, "mode", "wrong_type"),
        ({"mode": "bearer", "for": ["browsers", "phones"]}, "for", "clients_unknown"),
        ({"mode": "bearer", "for": []}, "for", "wrong_type"),
        ({"mode": "bearer", "for": "browsers"}, "for", "wrong_type"),
        ({"mode": "bearer", "for": [1]}, "for", "wrong_type"),
        ({"mode": "bearer", "paused": "yes"}, "paused", "wrong_type"),
        ({"mode": "bearer", "clients": ["apps"]}, "clients", "unknown_field"),
        ([], "", "not_an_object"),
    ],
)
async def test_what_makes_no_sense_changes_nothing(
    propylon: Propylon, administrator: httpx.AsyncClient, body: Any, field: str, code: str
) -> None:
    """422 with the field at fault; no half of it is done."""
    told = refused(await administrator.put(MODE, json=body), 422, "fields_refused")
    assert [(error["field"], error["code"]) for error in told["errors"]] == [(field, code)]
    assert await mode_of(propylon) == ("cookie", "cookie", False)


async def test_of_two_administrators_at_once_one_is_told(
    propylon: Propylon, administrator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of what the later one sent is done."""
    write = propylon.runtime.store.write_setting

    async def after_somebody_else(name: str, value: str, *, expected: str | None) -> bool:
        monkeypatch.undo()
        await propylon.runtime.mode_change.turn("hybrid")
        return await write(name, value, expected=expected)

    monkeypatch.setattr(propylon.runtime.store, "write_setting", after_somebody_else)
    refused(await administrator.put(MODE, json={"mode": "bearer", "paused": True}), 409, "mode_changed_meanwhile")
    assert await mode_of(propylon) == ("hybrid", "hybrid", False)


async def test_who_changed_it_is_on_record(client: httpx.AsyncClient, propylon: Propylon) -> None:
    """The user and the session, for each step; what changes nothing is no event."""
    events = SecurityEvents()
    propylon.runtime.mode_change._log = events
    signed_in = await sign_in(client)
    who = {"user": signed_in["user"]["id"], "session": signed_in["session"]["id"]}
    for body in ({"mode": "bearer", "for": ["apps"], "paused": True}, {"paused": True}, {"paused": False}):
        assert (await client.put(MODE, json=body)).status_code == 200
    change = {"mode": "bearer", "previous": "cookie", "clients": "apps"}
    assert [(event.name, event.facts) for event in events] == [
        ("mode_changed", {**change, **who}),
        ("mode_paused", who),
        ("mode_resumed", who),
    ]


async def test_the_record_names_who_turned(client: httpx.AsyncClient, propylon: Propylon) -> None:
    """Not who was in that mode already, and what they had before."""
    events = SecurityEvents()
    propylon.runtime.mode_change._log = events
    await sign_in(client)
    for body in ({"mode": "bearer", "for": ["apps"]}, {"mode": "hybrid", "for": ["browsers"]}, {"mode": "bearer"}):
        assert (await client.put(MODE, json=body)).status_code == 200
    told = events.all("mode_changed")[-1].facts
    assert (told["clients"], told["mode"], told["previous"]) == ("browsers", "bearer", "hybrid")


async def test_a_count_that_fails_changes_nothing(
    propylon: Propylon, administrator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says so, and it is true."""

    async def away(_: int) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(propylon.runtime.store, "count_by_mode", away)
    refused(await administrator.put(MODE, json={"mode": "bearer"}), 503, "store_unavailable")
    assert await mode_of(propylon) == ("cookie", "cookie", False)


class TestCounting:
    """A store with millions of sessions is counted rarely, however often it is asked, and the answer says when."""

    async def test_within_some_seconds_the_store_counts_once(
        self, administrator: httpx.AsyncClient, counted: list[int], clock: FakeClock
    ) -> None:
        """For both methods together; then it counts again."""
        first = (await administrator.get(MODE)).json()
        clock.advance(4)
        changed = (await administrator.put(MODE, json={"mode": "bearer"})).json()
        assert (changed["mode"], changed["moved"], changed["left"]) == ("bearer", 0, 1)
        assert changed["counted_at"] == first["counted_at"]
        assert len(counted) == 1
        clock.advance(1)
        assert (await administrator.get(MODE)).json()["counted_at"] > first["counted_at"]
        assert len(counted) == 2

    async def test_many_at_once_share_one_count(self, administrator: httpx.AsyncClient, counted: list[int]) -> None:
        """Fifty consoles cost as much as one."""
        answers = await asyncio.gather(*(administrator.get(MODE) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(counted) == 1

    async def test_a_slow_count_is_kept_for_ten_times_as_long(
        self, propylon: Propylon, administrator: httpx.AsyncClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store that takes three seconds to count is kept busy for a tenth of the time, not for most of it."""
        times = []

        async def slow(now: int) -> Any:
            times.append(now)
            clock.advance(3)
            return {}

        monkeypatch.setattr(propylon.runtime.store, "count_by_mode", slow)
        for _ in range(7):
            await administrator.get(MODE)
            clock.advance(5)
        assert len(times) == 2

    async def test_the_decision_is_never_an_old_one(
        self, propylon: Propylon, administrator: httpx.AsyncClient, counted: list[int]
    ) -> None:
        """What another node or the command line decides is in the next answer, with the count from before."""
        await administrator.get(MODE)
        before = len(counted)
        await propylon.runtime.mode_change.decide(mode="hybrid")
        told = (await administrator.get(MODE)).json()
        assert (told["mode"], told["moved"], told["left"], len(counted)) == ("hybrid", 0, 1, before)


async def test_a_change_on_one_node_is_followed_by_the_other(make_propylon: MakePropylon, connect: Connect) -> None:
    """On one store: sign-ins there take the new mode, and sessions there are asked to move."""
    here, there = [await make_propylon(roles=ROLES) for _ in range(2)]
    await here.runtime.accounts.add(NewAccount(email=EMAIL, password=PASSWORD, roles=("operator",)))
    console, elsewhere = connect(here), connect(there)
    await sign_in(console)
    await sign_in(elsewhere)
    assert "propylon-mode" not in (await elsewhere.get(WHO)).headers
    assert (await console.put(MODE, json={"mode": "bearer"})).status_code == 200
    async with asyncio.timeout(30):
        while "propylon-mode" not in (answer := await elsewhere.get(WHO)).headers:  # noqa: ASYNC110 - of another node
            await asyncio.sleep(0.02)
    assert answer.headers["propylon-mode"] == "bearer"
    assert (await elsewhere.get(MODE)).json()["mode"] == "bearer"
    opened = await connect(there).post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    assert opened.json()["session"]["mode"] == "bearer"
