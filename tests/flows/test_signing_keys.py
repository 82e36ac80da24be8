"""Keys that sign access tokens: every algorithm, changed while people are signed in, on several nodes."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import msgspec
import pytest
from tests.http.driving import Connect, MakePropylon, bearer, enter, refused, sign_in

from propylon import Propylon
from propylon.core.jose.access_token import issue, verify
from propylon.flows.signing import OVERLAP_S
from propylon.testing import FakeClock

ALGORITHMS = ("ES256", "EdDSA", "RS256", "HS256")


async def verdict(client: httpx.AsyncClient, token: str) -> int:
    """Present an access token."""
    return (await client.get("/v1/verify", headers=bearer(token))).status_code


async def published(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Return the published keys by their names."""
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    return {key["kid"]: key for key in answer.json()["keys"]}


def head(token: str) -> dict[str, str]:
    """Return the header of a token."""
    decoded: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return decoded


def forged(propylon: Propylon, token: str, now: int, **claims: Any) -> str:
    """Return a token of other claims, signed with the key that a thief took from the service just now."""
    runtime = propylon.runtime
    known = verify(
        token,
        runtime.keys.published,
        issuer=propylon.config.issuer,
        audience=propylon.config.token_audience,
        algorithms=runtime.keys.algorithms,
        now=now,
        leeway_s=0,
    )
    return issue(msgspec.structs.replace(known, **claims), runtime.keys.current)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_algorithm_works_from_sign_in_to_renewal(
    make_propylon: MakePropylon, connect: Connect, algorithm: str
) -> None:
    """The header names it, the token is good here and on another node, and so is the one after it."""
    client = connect(await make_propylon(algorithm=algorithm))
    other = connect(await make_propylon(algorithm=algorithm))
    body = await enter(client, "bearer")
    assert head(body["access_token"]) == {
        "alg": algorithm,
        "typ": "at+jwt",
        "kid": head(body["access_token"])["kid"],
    }
    assert await verdict(client, body["access_token"]) == await verdict(other, body["access_token"]) == 204
    renewed = (await other.post("/v1/session/tokens", json={"refresh_token": body["refresh_token"]})).json()
    assert await verdict(client, renewed["access_token"]) == 204


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_published_set_holds_public_keys_alone(
    make_propylon: MakePropylon, connect: Connect, algorithm: str
) -> None:
    """A verifier elsewhere finds the key by its name; a symmetric key is never published."""
    client = connect(await make_propylon(algorithm=algorithm))
    token = (await enter(client, "bearer"))["access_token"]
    keys = await published(client)
    assert set(keys) == (set() if algorithm == "HS256" else {head(token)["kid"]})
    assert all(key["alg"] == algorithm and key["use"] == "sig" for key in keys.values())
    assert all({"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(key) for key in keys.values())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_another_installation_is_refused(
    make_propylon: MakePropylon, connect: Connect, algorithm: str
) -> None:
    """The same user and session, the right issuer, a sound signature - by somebody else's key."""
    client = connect(await make_propylon(algorithm=algorithm))
    foreign = await make_propylon(store="memory", algorithm=algorithm)
    body = await enter(client, "bearer")
    theirs = (await enter(connect(foreign), "bearer"))["access_token"]
    answer = await client.get("/v1/session", headers=bearer(theirs))
    refused(answer, 401, "credential_malformed")
    swapped = ".".join((*theirs.split(".")[:2], body["access_token"].split(".")[2]))
    refused(await client.get("/v1/session", headers=bearer(swapped)), 401, "credential_malformed")


@pytest.mark.parametrize("after", ALGORITHMS)
@pytest.mark.parametrize("before", ["ES256", "HS256"])
async def test_another_algorithm_after_a_restart_signs_nobody_out(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock, before: str, after: str
) -> None:
    """Old tokens stay good until they expire, new ones are of the new kind, renewal goes on."""
    old = await make_propylon(algorithm=before)
    body = await enter(connect(old), "bearer")
    await old.close()
    client = connect(await make_propylon(algorithm=after))
    assert await verdict(client, body["access_token"]) == 204
    renewed = (await client.post("/v1/session/tokens", json={"refresh_token": body["refresh_token"]})).json()
    assert head(renewed["access_token"])["alg"] == after
    clock.advance(body["expires_in"])
    refused(await client.get("/v1/session", headers=bearer(body["access_token"])), 401, "token_expired")


async def test_a_node_that_was_not_restarted_follows_another_algorithm(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """While nodes are restarted one by one, old and new do not replace each other's keys in turn."""
    old = await make_propylon(algorithm="ES256")
    client = connect(old)
    await enter(client)
    new = connect(await make_propylon(algorithm="EdDSA"))
    kid = head((await sign_in(new, "bearer"))["access_token"])["kid"]
    for node in (client, new, client, new):
        token = (await sign_in(node, "bearer"))["access_token"]
        assert await verdict(new, token) == await verdict(client, token) == 204
    assert head(token)["kid"] == kid
    assert len(old.runtime.keys.stored) == 2


async def test_after_a_rotation_tokens_of_both_keys_are_good(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock
) -> None:
    """On the node that rotated and on the other one, which signs with the new key from then on too."""
    one, two = await make_propylon(), await make_propylon()
    here, there = connect(one), connect(two)
    earlier = (await enter(here, "bearer"))["access_token"]
    key = await one.runtime.keys.rotate()
    assert set(await published(there)) == set(await published(here)) == {head(earlier)["kid"], key.kid}
    for node in (here, there):
        token = (await sign_in(node, "bearer"))["access_token"]
        assert head(token)["kid"] == key.kid
        assert {await verdict(asked, held) for asked in (here, there) for held in (token, earlier)} == {204}


@pytest.mark.parametrize("how", ["sign-in", "renewal"])
async def test_a_key_that_another_node_replaced_signs_nothing_more(
    make_propylon: MakePropylon, connect: Connect, how: str
) -> None:
    """Whoever rotates because a key was stolen gets no token signed with it, not even the next one elsewhere."""
    here, there = await make_propylon(), await make_propylon()
    client = connect(there)
    before = await enter(client, "bearer")
    replaced = await here.runtime.keys.rotate()
    if how == "sign-in":
        after = await sign_in(client, "bearer")
    else:
        answer = await client.post("/v1/session/tokens", json={"refresh_token": before["refresh_token"]})
        after = answer.json()
    assert head(before["access_token"])["kid"] != replaced.kid
    assert head(after["access_token"])["kid"] == replaced.kid


async def test_two_nodes_that_rotate_at_once_agree(make_propylon: MakePropylon, connect: Connect) -> None:
    """One publishes; both sign with its key."""
    one, two = await make_propylon(), await make_propylon()
    await enter(connect(one))
    first, second = await asyncio.gather(one.runtime.keys.rotate(), two.runtime.keys.rotate())
    kids = {head((await sign_in(connect(node), "bearer"))["access_token"])["kid"] for node in (one, two)}
    assert kids == {first.kid} == {second.kid}
    assert len(one.runtime.keys.stored) == 2


async def test_a_retired_key_is_good_for_the_overlap_and_no_longer(
    propylon: Propylon, client: httpx.AsyncClient, clock: FakeClock
) -> None:
    """A thief who took it can sign what he likes: it is worth nothing once the overlap is over."""
    body = await enter(client, "bearer")
    stolen = forged(propylon, body["access_token"], clock.now(), expires_at=clock.now() + 10 * 365 * 86_400)
    await propylon.runtime.keys.rotate()
    clock.advance(OVERLAP_S)
    await propylon.runtime.tend()
    assert await verdict(client, stolen) == 204
    clock.advance(1)
    await propylon.runtime.tend()
    refused(await client.get("/v1/session", headers=bearer(stolen)), 401, "credential_malformed")
    assert len(await published(client)) == 1


async def test_what_a_dropped_key_signed_is_forgotten_on_every_node(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock
) -> None:
    """Also where it had been verified and remembered, and also where another node dropped the key."""
    one, two = await make_propylon(), await make_propylon()
    here, there = connect(one), connect(two)
    body = await enter(here, "bearer")
    stolen = forged(one, body["access_token"], clock.now(), expires_at=clock.now() + 10 * 365 * 86_400)
    assert await verdict(here, stolen) == await verdict(there, stolen) == 204
    await one.runtime.keys.rotate()
    clock.advance(OVERLAP_S + 1)
    await one.runtime.tend()
    assert await verdict(here, stolen) == await verdict(there, stolen) == 401


async def test_a_key_that_has_served_its_time_is_replaced(
    make_propylon: MakePropylon, connect: Connect, clock: FakeClock
) -> None:
    """By upkeep, once, however many nodes there are."""
    one, two = await make_propylon(signing_key_ttl_s=86_400), await make_propylon(signing_key_ttl_s=86_400)
    await enter(connect(one))
    clock.advance(86_399)
    await one.runtime.tend()
    assert len(one.runtime.keys.stored) == 1
    clock.advance(1)
    await one.runtime.tend()
    await two.runtime.gate.listen()
    await two.runtime.tend()
    assert len(two.runtime.keys.stored) == 2
    tokens = [(await sign_in(connect(node), "bearer"))["access_token"] for node in (one, two)]
    assert {head(token)["kid"] for token in tokens} == {one.runtime.keys.current.kid}
