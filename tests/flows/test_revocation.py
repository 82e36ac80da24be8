"""What was ended is over: for every credential, on every node, from the answer on - and no race brings it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    PASSWORD,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    cookie_value,
    sign_in,
    sign_up,
)
from tests.http.serving import Served

from propylon import Propylon
from propylon.testing import FakeClock

TOKENS = "/v1/session/tokens"


@dataclass(frozen=True)
class Victim:
    """A session that travels in every way at once."""

    session_id: str
    cookie: str
    access: str
    refresh: str

    async def verdicts(self, node: httpx.AsyncClient) -> list[int]:
        """Present each credential to a node."""
        node.cookies.clear()
        by_cookie = {"cookie": f"{SESSION_COOKIE}={self.cookie}"}
        answers = [
            await node.get("/v1/verify", headers=by_cookie),
            await node.get("/v1/verify", headers=bearer(self.access)),
            await node.get("/v1/session", headers=by_cookie),
            await node.get("/v1/session", headers=bearer(self.access)),
            await node.post(TOKENS, json={}, headers=by_cookie),
            await node.put("/v1/session/data", json={}, headers={**by_cookie, "if-match": "*"}),
            await node.post("/v1/session/cookie", headers=bearer(self.access)),
        ]
        node.cookies.clear()
        return [answer.status_code for answer in answers]

    async def renewed(self, node: httpx.AsyncClient) -> int:
        """Present the refresh token, once: it rotates."""
        return (await node.post(TOKENS, json={"refresh_token": self.refresh})).status_code


async def a_victim(client: httpx.AsyncClient) -> Victim:
    """Sign in and take every credential that there is."""
    body = await sign_in(client, "bearer")
    answer = await client.post("/v1/session/cookie", headers=bearer(body["access_token"]))
    client.cookies.clear()
    return Victim(body["session"]["id"], cookie_value(answer), body["access_token"], body["refresh_token"])


async def signs_out(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """End it by itself."""
    assert (await client.delete("/v1/session", headers=bearer(victim.access))).status_code == 204


async def is_ended(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """End it from another device."""
    await sign_in(client)
    assert (await client.delete(f"/v1/sessions/{victim.session_id}")).status_code == 204


async def is_ended_with_all_others(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """End all but another device."""
    await sign_in(client)
    assert (await client.delete("/v1/sessions?keep=current")).status_code == 204


async def is_ended_everywhere(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """End everything."""
    await sign_in(client)
    assert (await client.delete("/v1/sessions")).status_code == 204


async def loses_its_password(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """Change the password on another device."""
    await sign_in(client)
    body = {"current_password": PASSWORD, "new_password": "another correct horse"}
    assert (await client.put("/v1/user/password", json=body)).status_code == 204


async def is_disabled(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """Stop the account."""
    await node.runtime.administration.disable(EMAIL)


async def is_evicted(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """Sign in twice more, where two are allowed."""
    await sign_in(client, "bearer")
    await sign_in(client, "bearer")


async def is_stolen(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """Present its first refresh token after the second was used."""
    body = (await client.post(TOKENS, json={"refresh_token": victim.refresh})).json()
    await client.post(TOKENS, json={"refresh_token": body["refresh_token"]})
    assert (await client.post(TOKENS, json={"refresh_token": victim.refresh})).status_code == 401


async def is_ended_by_an_operator(node: Propylon, client: httpx.AsyncClient, victim: Victim) -> None:
    """End it by its id, as the command line does."""
    await node.revoke(session_id=victim.session_id)


ENDINGS = [
    signs_out,
    is_ended,
    is_ended_with_all_others,
    is_ended_everywhere,
    loses_its_password,
    is_disabled,
    is_evicted,
    is_stolen,
    is_ended_by_an_operator,
]
End = Callable[[Propylon, httpx.AsyncClient, Victim], Awaitable[None]]


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("nodes", [1, 2])
async def test_no_credential_of_an_ended_session_is_good_for_anything(
    make_propylon: MakePropylon, connect: Connect, nodes: int, end: End
) -> None:
    """S95: whichever way it ended and wherever, all that was verified a moment before is refused at once."""
    settings: dict[str, Any] = {"session_limit": "2"}
    acting = await make_propylon(**settings)
    asked = acting if nodes == 1 else await make_propylon(**settings)
    here, there = connect(acting), connect(asked)
    await sign_up(here)
    victim = await a_victim(here)
    for node in (here, there):
        assert set(await victim.verdicts(node)) == {200, 204}
    await end(acting, here, victim)
    for node in (there, here):
        assert set(await victim.verdicts(node)) == {401}
        assert await victim.renewed(node) == 401


async def test_ending_one_session_ends_no_other(make_propylon: MakePropylon, connect: Connect) -> None:
    """The others, remembered or not, go on."""
    propylon, asked = await make_propylon(), await make_propylon()
    client = connect(propylon)
    await sign_up(client)
    victim, other = await a_victim(client), await a_victim(client)
    assert set(await other.verdicts(connect(asked))) == {200, 204}
    await signs_out(propylon, client, victim)
    for node in (client, connect(asked)):
        assert set(await other.verdicts(node)) == {200, 204}
    assert await other.renewed(client) == 200


class Pausing:
    """Passes everything on to a store, and stands still when one verb has done its work."""

    def __init__(self, store: Any, verb: str) -> None:
        self._store, self._verb = store, verb
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name != self._verb:
            return method

        async def paused(*values: Any, **named: Any) -> Any:
            answer = await method(*values, **named)
            self.reached.set()
            await self.go_on.wait()
            return answer

        return paused


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("verb", ["find_session", "find_user", "touch"])
async def test_a_look_up_that_overlaps_an_ending_is_not_remembered(
    make_propylon: MakePropylon,
    connect: Connect,
    clock: FakeClock,
    verb: str,
    elsewhere: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A cache that writes back what it read before the ending would bring the session back to life."""
    propylon = await make_propylon()
    ending = await make_propylon() if elsewhere else propylon
    client = connect(propylon)
    await sign_up(client)
    session_id = (await sign_in(client))["session"]["id"]
    clock.advance(3_600)  # so that the use is noted
    store = Pausing(propylon.runtime.store, verb)
    propylon.runtime.gate._store = store
    overlapping = asyncio.ensure_future(client.get("/v1/verify"))
    await store.reached.wait()
    await ending.runtime.administration.end_session(session_id)
    store.go_on.set()
    await overlapping
    for _ in range(2):
        assert (await client.get("/v1/verify")).status_code == 401


@pytest.mark.parametrize("verb", ["find_session", "find_user"])
async def test_a_look_up_that_overlaps_a_change_of_the_account_is_not_remembered(
    propylon: Propylon, client: httpx.AsyncClient, verb: str
) -> None:
    """Disabled while somebody was being verified: the next request is refused."""
    await sign_up(client)
    await sign_in(client)
    store = Pausing(propylon.runtime.store, verb)
    propylon.runtime.gate._store = store
    overlapping = asyncio.ensure_future(client.get("/v1/verify"))
    await store.reached.wait()
    await propylon.runtime.administration.disable(EMAIL)
    store.go_on.set()
    await overlapping
    assert (await client.get("/v1/verify")).status_code == 401


async def test_a_token_verified_while_its_session_ends_is_not_remembered(
    propylon: Propylon, client: httpx.AsyncClient
) -> None:
    """The keys are being loaded when the session ends: the token is dead all the same."""
    await sign_up(client)
    body = await sign_in(client, "bearer")
    store = Pausing(propylon.runtime.store, "signing_keys")
    propylon.runtime.keys._store = store
    propylon.runtime.keys.changed()
    overlapping = asyncio.ensure_future(client.get("/v1/verify", headers=bearer(body["access_token"])))
    await store.reached.wait()
    await propylon.runtime.administration.end_session(body["session"]["id"])
    store.go_on.set()
    await overlapping
    for _ in range(2):
        assert (await client.get("/v1/verify", headers=bearer(body["access_token"]))).status_code == 401


async def test_a_renewal_that_overlaps_the_ending_hands_out_nothing_that_is_good(
    propylon: Propylon, connect: Connect
) -> None:
    """The session ends between the rotation and the answer: the new tokens are dead on arrival."""
    client = connect(propylon)
    await sign_up(client)
    body = await sign_in(client, "bearer")
    store = Pausing(propylon.runtime.store, "rotate")
    propylon.runtime.renew._store = store
    renewing = asyncio.ensure_future(client.post(TOKENS, json={"refresh_token": body["refresh_token"]}))
    await store.reached.wait()
    await propylon.runtime.administration.end_session(body["session"]["id"])
    store.go_on.set()
    tokens = (await renewing).json()
    assert (await client.get("/v1/verify", headers=bearer(tokens["access_token"]))).status_code == 401
    answer = await connect(propylon).post(TOKENS, json={"refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 401


async def test_an_ending_holds_after_a_restart(make_propylon: MakePropylon, connect: Connect) -> None:
    """A node that starts knows the dead: an access token needs no store to be verified, and is refused."""
    before = await make_propylon()
    client = connect(before)
    await sign_up(client)
    victim = await a_victim(client)
    await signs_out(before, client, victim)
    await before.close()
    after = await make_propylon()
    assert set(await victim.verdicts(connect(after))) == {401}


def test_the_other_worker_refuses_at_once(serve: Callable[..., Served]) -> None:
    """Two processes that both remember a session: what one ends, the other refuses at the next request."""
    served = serve(workers="2")
    # Each request on a connection of its own: whichever worker takes it.
    with httpx.Client(base_url=served.url, headers={"connection": "close"}) as client:
        client.post("/v1/users", json={"email": EMAIL, "password": PASSWORD})
        for _ in range(12):
            answer = client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "cookie"})
            cookie = {"cookie": f"{SESSION_COOKIE}={cookie_value(answer)}"}
            assert {client.get("/v1/verify").status_code for _ in range(8)} == {204}
            assert client.delete("/v1/session").status_code == 204
            assert {client.get("/v1/verify", headers=cookie).status_code for _ in range(8)} == {401}
