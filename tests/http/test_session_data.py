"""``/v1/session/data``: versions, bounds, and that no write is lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from tests.http.driving import JSON, SESSION_COOKIE, Connect, bearer, enter, held, refused, sign_in, sign_up

from propylon import Propylon
from propylon.flows.session_data import MAX_DATA_BYTES, MAX_DATA_DEPTH

DATA = "/v1/session/data"


@pytest.fixture
async def holder(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A client with a cookie session, whose data is at version 1."""
    client = connect(in_memory)
    await enter(client)
    assert (await write(client, {"cart": ["tea"]}, '"0"')).status_code == 204
    return client


async def write(client: httpx.AsyncClient, value: object, condition: str) -> httpx.Response:
    """Replace the data under a condition."""
    return await client.put(DATA, content=json.dumps(value), headers={**JSON, "if-match": condition})


async def test_data_begins_empty_and_every_write_has_its_tag(in_memory: Propylon, connect: Connect) -> None:
    """200 ``{}``; 204 with the new tag, which the next read shows."""
    client = connect(in_memory)
    await enter(client)
    first = await client.get(DATA)
    assert (first.status_code, first.json(), first.headers["etag"]) == (200, {}, '"0"')
    written = await write(client, {"a": [1, 2.5, None, True, "미"]}, '"0"')
    assert (written.status_code, written.content, written.headers["etag"]) == (204, b"", '"1"')
    again = await client.get(DATA)
    assert (again.json(), again.headers["etag"]) == ({"a": [1, 2.5, None, True, "미"]}, '"1"')


@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*"}, {"if-unmodified-since": "x"}])
async def test_a_write_without_a_condition_is_refused(holder: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """428: who has not read cannot know what would be lost."""
    refused(await holder.put(DATA, json={}, headers=headers), 428, "if_match_missing")
    assert (await holder.get(DATA)).headers["etag"] == '"1"'


@pytest.mark.parametrize("condition", ['"1"', ' "1" ', "*", '"0", "1"', '"9","1","7"', 'W/"7", "1"', '"x", "1"'])
async def test_a_condition_that_names_the_current_version_is_met(holder: httpx.AsyncClient, condition: str) -> None:
    """RFC 9110 13.1.1: the tag, one of a list, or any at all."""
    answer = await write(holder, {"new": True}, condition)
    assert (answer.status_code, answer.headers["etag"]) == (204, '"2"')


async def test_a_list_may_come_in_two_lines(holder: httpx.AsyncClient) -> None:
    """RFC 9110 5.3: two lines are one list."""
    headers = [("if-match", '"0"'), ("if-match", '"1"')]
    assert (await holder.put(DATA, json={}, headers=headers)).status_code == 204


@pytest.mark.parametrize(
    "condition",
    [
        '"0"',
        '"2"',
        '"999999999999999999"',
        '"9999999999999999999999"',
        'W/"1"',
        "1",
        "'1'",
        '"1',
        '"01"',
        '"+1"',
        '"-1"',
        '"1.0"',
        '" 1"',
        '""',
        "*,*",
        '*, "2"',
        "**",
        ",",
        "\x00",
        "\xb91",
        '"\xb9"',
        '"0", "2"',
    ],
)
async def test_any_other_condition_is_not_met(holder: httpx.AsyncClient, condition: str) -> None:
    """412, and nothing was written; a weak tag never matches (RFC 9110 8.8.3.2)."""
    headers = httpx.Headers([(b"if-match", condition.encode("latin-1"))])
    refused(await holder.put(DATA, json={"new": True}, headers=headers), 412, "data_changed")
    now = await holder.get(DATA)
    assert (now.json(), now.headers["etag"]) == ({"cart": ["tea"]}, '"1"')


@pytest.mark.parametrize("value", [[], "x", 1, None, True, [{}]])
async def test_data_is_an_object(holder: httpx.AsyncClient, value: object) -> None:
    """422 for any other JSON value."""
    (error,) = refused(await write(holder, value, "*"), 422, "fields_refused")["errors"]
    assert error["code"] == "not_an_object"


async def test_the_size_is_bounded_to_the_byte(holder: httpx.AsyncClient) -> None:
    """16 KiB fit, one byte more is 413, in ASCII and in characters of three bytes."""
    for letter in ("x", "미"):
        room = MAX_DATA_BYTES - len('{"x":""}')
        text = letter * (room // len(letter.encode())) + "x" * (room % len(letter.encode()))
        fits = json.dumps({"x": text}, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(fits) == MAX_DATA_BYTES
        headers = {**JSON, "if-match": "*"}
        assert (await holder.put(DATA, content=fits, headers=headers)).status_code == 204
        assert (await holder.get(DATA)).content == fits
        refused(await holder.put(DATA, content=fits + b" ", headers=headers), 413, "body_too_large")
        assert (await holder.get(DATA)).content == fits


async def test_a_spelling_that_grows_when_it_is_kept_is_measured_as_kept(holder: httpx.AsyncClient) -> None:
    """``1e15`` is four bytes on the way and eighteen in the store: 422, not 24 KiB in a 16 KiB place."""
    body = ('{"x":[' + ",".join(["1e15"] * 3_000) + "]}").encode()
    assert len(body) < MAX_DATA_BYTES
    answer = await holder.put(DATA, content=body, headers={**JSON, "if-match": "*"})
    (error,) = refused(answer, 422, "fields_refused")["errors"]
    assert error["code"] == "data_too_large"


async def test_the_depth_is_bounded(holder: httpx.AsyncClient) -> None:
    """What one call can just parse, another, deeper in an app, could not: the record would be lost to everyone."""

    def nested(levels: int) -> dict[str, Any]:
        value: Any = 1
        for level in range(levels - 1):
            value = [value] if level % 2 else {"x": value}
        return {"x": value}

    for levels in range(1, MAX_DATA_DEPTH + 1):
        assert (await write(holder, nested(levels), "*")).status_code == 204
        assert (await holder.get(DATA)).json() == nested(levels)
    for levels in (MAX_DATA_DEPTH + 1, MAX_DATA_DEPTH + 2, 300, 900):
        (error,) = refused(await write(holder, nested(levels), "*"), 422, "fields_refused")["errors"]
        assert error["code"] == "too_deep"
    assert (await holder.get(DATA)).json() == nested(MAX_DATA_DEPTH)


async def test_forty_clients_that_read_change_and_write_lose_nothing(propylon: Propylon, connect: Connect) -> None:
    """Each adds its own line to one cart, at the same time, again whenever somebody else was first."""
    client = connect(propylon)
    await enter(client)
    jar = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}
    clients = [connect(propylon) for _ in range(40)]

    async def add(number: int) -> int:
        tries = 0
        while True:
            tries += 1
            read = await clients[number].get(DATA, headers=jar)
            value = {"cart": [*read.json().get("cart", []), number]}
            headers = {**jar, "if-match": read.headers["etag"]}
            answer = await clients[number].put(DATA, json=value, headers=headers)
            if answer.status_code == 204:
                return tries
            refused(answer, 412, "data_changed")

    tries = await asyncio.gather(*(add(number) for number in range(40)))
    final = await client.get(DATA)
    assert sorted(final.json()["cart"]) == list(range(40))
    assert final.headers["etag"] == '"40"'
    assert max(tries) > 1  # they did meet


async def test_two_writers_of_one_version_are_one_winner(propylon: Propylon, connect: Connect) -> None:
    """Twenty writes under the same tag at once: one 204, the others 412, and the winner's value is there."""
    client = connect(propylon)
    await enter(client)
    answers = await asyncio.gather(*(write(client, {"winner": number}, '"0"') for number in range(20)))
    won = [number for number, answer in enumerate(answers) if answer.status_code == 204]
    assert len(won) == 1
    assert sorted(answer.status_code for answer in answers) == [204] + [412] * 19
    assert (await client.get(DATA)).json() == {"winner": won[0]}


async def test_nobody_reaches_the_data_of_another_session(in_memory: Propylon, connect: Connect) -> None:
    """Another user's, and another session of one's own: each sees its own alone, and no address names one."""
    mina, mina_elsewhere, jun = connect(in_memory), connect(in_memory), connect(in_memory)
    await enter(mina)
    await sign_in(mina_elsewhere)
    await sign_up(jun, "jun@example.com")
    await sign_in(jun, email="jun@example.com")
    await write(mina, {"secret": 1}, "*")
    session_id = (await mina.get("/v1/session")).json()["session"]["id"]
    for other in (mina_elsewhere, jun):
        assert (await other.get(DATA)).json() == {}
        assert (await other.get(DATA, params={"session": session_id, "id": session_id})).json() == {}
        refused(await other.get(f"{DATA}/{session_id}"), 404, "not_found")
        refused(await other.get(f"/v1/sessions/{session_id}/data"), 404, "not_found")
        assert (await write(other, {"mine": 1}, "*")).status_code == 204
    assert (await mina.get(DATA)).json() == {"secret": 1}


async def test_data_is_the_sessions_in_every_form(in_memory: Propylon, connect: Connect) -> None:
    """A page with the cookie and an app with the tokens of one session share it."""
    app, web_view = connect(in_memory), connect(in_memory)
    body = await enter(app, "bearer")
    await web_view.post("/v1/session/cookie", headers=held(body))
    await web_view.put(DATA, json={"from": "page"}, headers={"if-match": '"0"'})
    assert (await app.get(DATA, headers=held(body))).json() == {"from": "page"}


async def test_data_dies_with_its_session(propylon: Propylon, connect: Connect) -> None:
    """After the sign-out nobody reads or writes it, and the next session begins empty."""
    client = connect(propylon)
    await enter(client)
    token = (await client.post("/v1/session/tokens")).json()["access_token"]
    await write(client, {"cart": ["tea"]}, "*")
    await client.delete("/v1/session")
    refused(await client.get(DATA, headers=bearer(token)), 401, "session_revoked")
    answer = await client.put(DATA, json={}, headers={**bearer(token), "if-match": "*"})
    refused(answer, 401, "session_revoked")
    await sign_in(client)
    fresh = await client.get(DATA)
    assert (fresh.json(), fresh.headers["etag"]) == ({}, '"0"')


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 401), ("PUT", 401), ("POST", 405), ("DELETE", 405), ("PATCH", 405)]
)
async def test_nobody_in_particular_has_no_data(
    in_memory: Propylon, connect: Connect, method: str, status: int
) -> None:
    """401 before the condition and the body are looked at; there are two methods."""
    answer = await connect(in_memory).request(method, DATA)
    refused(answer, status, "credential_missing" if status == 401 else "method_not_allowed")
