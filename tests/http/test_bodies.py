"""What is sent as a body: bounded, strictly read, and without a trace where it is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import httpx
import pytest
from tests.http.driving import EMAIL, FORM, JSON, PASSWORD, Connect, enter, refused, sign_up

from propylon import Propylon
from propylon.http import bodies
from propylon.http.bodies import MAX_BODY_BYTES, MAX_FORM_FIELDS
from propylon.http.schemas import ConfirmBody, PasswordBody, RefreshBody, SignInBody, SignUpBody

SIGN_IN = "/v1/sessions"
# Every operation that takes a body: method, path, and one that would do.
TAKERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/v1/users", {"email": "new@example.com", "password": PASSWORD, "name": "New"}),
    ("POST", "/v1/sessions", {"email": EMAIL, "password": PASSWORD, "mode": "bearer", "remember": True, "end": "x"}),
    ("POST", "/v1/session/tokens", {"refresh_token": "x"}),
    ("POST", "/v1/session/confirm", {"password": PASSWORD}),
    ("PUT", "/v1/user/password", {"current_password": PASSWORD, "new_password": "a different horse battery"}),
)
STRUCTS = (SignUpBody, SignInBody, RefreshBody, ConfirmBody, PasswordBody)
DATA = ("PUT", "/v1/session/data", {"x": 1})


@pytest.fixture
async def caller(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A client that is signed in and has a good ``If-Match`` at hand."""
    client = connect(in_memory)
    await enter(client)
    client.headers["if-match"] = "*"
    return client


def test_every_field_of_every_body_is_attacked_here() -> None:
    """The samples name all fields that there are, so the tables below leave none out."""
    assert [set(sample) for _, _, sample in TAKERS] == [set(kind.__struct_fields__) for kind in STRUCTS]


WRONG_TYPES: tuple[object, ...] = (None, 0, -1.5, True, [], ["x"], {}, {"$gt": ""}, {"toString": "x"}, [[["x"]]])


@pytest.mark.parametrize(("method", "path", "sample"), TAKERS)
async def test_no_value_of_another_type_is_juggled_into_a_field(
    caller: httpx.AsyncClient, method: str, path: str, sample: dict[str, Any]
) -> None:
    """A171: 422 that names the field; objects, lists, numbers and null are not text, and 0 is not false."""
    for name, value in product(sample, WRONG_TYPES):
        if value is not True or sample[name] is not True:
            answer = await caller.request(method, path, json={**sample, name: value})
            (error,) = refused(answer, 422, "fields_refused")["errors"]
            assert (error["field"], error["code"]) == (name, "wrong_type")


@pytest.mark.parametrize(("method", "path", "sample"), TAKERS)
async def test_no_unknown_field_is_bound_or_passed_over(
    caller: httpx.AsyncClient, method: str, path: str, sample: dict[str, Any]
) -> None:
    """A171: 422 ``unknown_field``: nobody becomes an administrator by saying so."""
    for extra in ("is_admin", "role", "roles", "id", "user_id", "__proto__", "email ", "Email", ""):
        answer = await caller.request(method, path, json={**sample, extra: "admin"})
        (error,) = refused(answer, 422, "fields_refused")["errors"]
        assert (error["field"], error["code"]) == (extra, "unknown_field")


@pytest.mark.parametrize("text", ["\ud800", "x\udfff", "\udbff\ud800"])
async def test_half_a_character_is_malformed_in_every_field(caller: httpx.AsyncClient, text: str) -> None:
    """Lone surrogates are no text: no database, log or header could hold them."""
    for method, path, sample in TAKERS:
        for name in sample:
            content = json.dumps({**sample, name: text})
            refused(await caller.request(method, path, content=content, headers=JSON), 400, "json_malformed")


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\u202e\u2066", "\ufeff", "\uffff", "x\r\ny", "\x1b[31m"])
async def test_odd_characters_in_a_field_are_answered_clearly(caller: httpx.AsyncClient, text: str) -> None:
    """NUL, direction marks, line ends, escapes: refused as what they are, or taken as a password; never a 500."""
    expected = {
        "email": {401, 422},
        "name": {422},
        "mode": {422},
        "remember": {422},
        "end": {201},
        "refresh_token": {401},
        "password": {401, 422},
        "current_password": {401},
        "new_password": {422},
    }
    for method, path, sample in TAKERS:
        for name in sample:
            content = json.dumps({**sample, name: text})
            answer = await caller.request(method, path, content=content, headers=JSON)
            assert answer.status_code in expected[name], (path, name, answer.text)


MALFORMED = {
    "empty": b"",
    "space": b" ",
    "cut": b'{"email":',
    "trailing text": b"{}x",
    "trailing value": b"{} {}",
    "trailing NUL": b"{}\x00",
    "trailing comma": b'{"email":"a",}',
    "comment": b"{/* */}",
    "single quotes": b"{'email':'a'}",
    "bare name": b"{email:1}",
    "NaN": b'{"x":NaN}',
    "infinity": b'{"x":-Infinity}',
    "hex": b'{"x":0x1}',
    "leading zero": b'{"x":01}',
    "plus": b'{"x":+1}',
    "bare NUL": b'{"x":"\x00"}',
    "bare newline": b'{"x":"\n"}',
    "bad escape": b'{"x":"\\x41"}',
    "half escape": b'{"x":"\\ud8',
    "lone surrogate": b'{"x":"\\ud800"}',
    "lone surrogate as name": b'{"\\udc00":1}',
    "surrogate in UTF-8": b'{"x":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"x":"\xc0\xaf"}',
    "Latin-1": b'{"x":"\xe9"}',
    "UTF-16": '{"x":1}'.encode("utf-16"),
    "UTF-32": '{"x":1}'.encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "MessagePack": b"\x81\xa1x\x01",
    "gzip": gzip.compress(b"{}"),
    "XML": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
    "deep arrays": b'{"x":' + b"[" * 15_000,
    "deep closed arrays": b'{"x":' + b"[" * 7_000 + b"]" * 7_000 + b"}",
    "deep objects": b'{"a":' * 2_500 + b"1" + b"}" * 2_500,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_strict_json_is_malformed(caller: httpx.AsyncClient, body: bytes) -> None:
    """J49, P191: 400 on every operation that takes a body, and the parser's own words stay inside."""
    for method, path, _ in TAKERS:
        if body == b"" and path.endswith("/tokens"):
            continue  # there a body is optional: the session cookie renews
        answer = await caller.request(method, path, content=body, headers=JSON)
        if answer.status_code == 422:
            # The type is checked while reading: a body may be wrong in both ways, and the first one is told.
            refused(answer, 422, "fields_refused")
        else:
            refused(answer, 400, "json_malformed")
        assert "msgspec" not in answer.text
        assert "position" not in answer.text


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_session_data_is_malformed_and_changes_nothing(caller: httpx.AsyncClient, body: bytes) -> None:
    """Where any name may stand, none of it passes for a wrong field: 400, and the data is as it was."""
    await caller.put("/v1/session/data", json={"kept": True})
    refused(await caller.put("/v1/session/data", content=body, headers=JSON), 400, "json_malformed")
    assert (await caller.get("/v1/session/data")).json() == {"kept": True}


@pytest.mark.parametrize(
    "body",
    [
        '{"email":"eve@example.com","email":"%s","password":"%s"}',
        '{"email":"%s","\\u0065mail":"eve@example.com","password":"%s"}',
        '{"email":"%s","password":"x","password":"%s"}',
        '{"email":"%s","password":"%s","remember":true,"remember":false}',
        '{"email":"%s","password":"%s","mode":"bearer","mode":"bearer"}',
    ],
)
async def test_a_member_named_twice_is_malformed(caller: httpx.AsyncClient, body: str) -> None:
    """J49: what one parser takes for Eve's sign-in, another takes for Mina's; also where an escape spells it."""
    answer = await caller.post(SIGN_IN, content=body % (EMAIL, PASSWORD), headers=JSON)
    refused(answer, 400, "json_malformed")
    inner = b'{"cart":{"n":1,"n":2}}'
    refused(await caller.put("/v1/session/data", content=inner, headers=JSON), 400, "json_malformed")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5_000, "1" + "0" * 5_000 + ".0"])
async def test_a_number_that_does_not_fit_is_refused(caller: httpx.AsyncClient, number: str) -> None:
    """Python would read some of them in quadratic time, and JSON readers elsewhere lose them."""
    answer = await caller.put("/v1/session/data", content=f'{{"x":{number}}}', headers=JSON)
    refused(answer, 422, "fields_refused")
    assert (await caller.get("/v1/session/data")).json() == {}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json; charset=utf-8; boundary=x",
        "application/json;text/plain",
        "application/json, text/plain",
        "application/problem+json",
        "application/xml",
        "multipart/form-data; boundary=x",
        FORM["content-type"],
        "application/octet-stream",
        "*/*",
        "\x80",
    ],
)
async def test_a_body_that_does_not_say_json_is_not_looked_at(caller: httpx.AsyncClient, content_type: str) -> None:
    """415 on every operation, whatever the bytes would mean."""
    given = httpx.Headers([(b"content-type", content_type.encode("latin-1"))])
    for method, path, sample in (*TAKERS, DATA):
        answer = await caller.request(method, path, content=json.dumps(sample), headers=given)
        assert "application/json" in refused(answer, 415, "content_type_wrong")["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json;charset=utf-8", 'application/json; charset="UTF-8"'],
)
async def test_json_is_known_in_its_usual_spellings(caller: httpx.AsyncClient, content_type: str) -> None:
    """Upper case and UTF-8 said aloud are the same type."""
    answer = await caller.put("/v1/session/data", content=b"{}", headers={"content-type": content_type})
    assert answer.status_code == 204


@pytest.mark.parametrize("path", ["/v1/users", SIGN_IN, "/v1/session/confirm", "/login", "/signup"])
async def test_a_megabyte_of_password_is_turned_away_unread(
    in_memory: Propylon, caller: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A166: 413 before a single hash; nothing is truncated and then taken for right."""

    async def never(_work: object) -> None:
        raise AssertionError("a hash for a password that nobody can have")

    monkeypatch.setattr(in_memory.runtime.hashing, "_run", never)
    body: dict[str, Any] = {"email": "big@example.com", "password": "x" * 1_000_000}
    how = {"data": body} if path.startswith("/log") or path == "/signup" else {"json": body}
    answer = await caller.post(path, **how)  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert "body_too_large" in answer.text


async def test_a_declared_length_is_believed_before_anything_is_read(caller: httpx.AsyncClient) -> None:
    """10 MB announced: 413 without asking for the first byte."""
    asked = []

    async def body() -> AsyncIterator[bytes]:
        asked.append(1)
        yield b"{}"

    headers = {**JSON, "content-length": "10000000"}
    for method, path, _ in (*TAKERS, DATA):
        refused(await caller.request(method, path, content=body(), headers=headers), 413, "body_too_large")


async def test_a_body_of_unknown_length_is_read_up_to_the_bound(caller: httpx.AsyncClient) -> None:
    """P191: 10 GB in chunks would be cut off after 32 KiB; memory stays bounded."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1_024

    for method, path, _ in (*TAKERS, DATA):
        refused(await caller.request(method, path, content=body(), headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize("pause_s", [0.01, 3_600])
async def test_a_body_is_not_waited_for_without_end(
    caller: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, pause_s: float
) -> None:
    """P191: one that stops, and one of which a byte comes now and then: 408, and nothing was changed."""
    monkeypatch.setattr(bodies, "BODY_WITHIN_S", 0.1)

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(pause_s)

    for method, path, _ in (*TAKERS, DATA):
        answer = await caller.request(method, path, content=body(), headers=JSON)
        assert "0.1" in refused(answer, 408, "body_too_slow")["detail"]
    for path in ("/login", "/signup", "/language", "/account/profile", "/confirm"):
        answer = await caller.post(path, content=body(), headers=FORM)
        assert answer.status_code == 408, path
        assert "body_too_slow" in answer.text
    assert (await caller.get("/v1/session/data")).json() == {}


async def test_a_body_that_comes_in_time_may_come_in_parts(
    caller: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the whole, and not how long one part lets itself be waited for; the bound is for honest modems."""
    assert MAX_BODY_BYTES / bodies.BODY_WITHIN_S < 14_400 / 8
    monkeypatch.setattr(bodies, "BODY_WITHIN_S", 10)

    async def body() -> AsyncIterator[bytes]:
        for part in (b'{"par', b'ts": ', b"3}"):
            yield part
            await asyncio.sleep(0.01)

    method, path, _ = DATA
    assert (await caller.request(method, path, content=body(), headers=JSON)).status_code == 204
    assert (await caller.get(path)).json() == {"parts": 3}


async def test_the_bound_of_a_body_is_exact(caller: httpx.AsyncClient) -> None:
    """32 KiB are read, one byte more is not."""
    body = json.dumps({"email": EMAIL, "password": PASSWORD, "mode": "bearer"}).encode()
    fits = body + b" " * (MAX_BODY_BYTES - len(body))
    assert (await caller.post(SIGN_IN, content=fits, headers=JSON)).status_code == 201
    refused(await caller.post(SIGN_IN, content=fits + b" ", headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "abc", "1e9", "0x10", "+2", "", "00000000000000000000000002"])
async def test_an_odd_length_is_not_believed(caller: httpx.AsyncClient, length: str) -> None:
    """Servers refuse most of them before us; what comes through is measured instead."""
    headers = httpx.Headers([(b"content-type", b"application/json"), (b"content-length", length.encode())])
    answer = await caller.put("/v1/session/data", content=b"{}", headers=headers)
    assert answer.status_code == 204


@pytest.mark.parametrize("kilobytes", [17, 40])
async def test_headers_are_bounded(caller: httpx.AsyncClient, kilobytes: int) -> None:
    """431: one big header, many small ones, a cookie, a token."""
    size = kilobytes * 1_024
    for headers in (
        {"x-big": "a" * size},
        {f"x-{number}": "a" * 90 for number in range(size // 90)},
        {"cookie": "a=" + "b" * size},
        {"authorization": "Bearer " + "a" * size},
        {"accept-language": "ko, " * (size // 4)},
        {"if-match": '"1", ' * (size // 5)},
    ):
        refused(await caller.get("/v1/session/data", headers=headers), 431, "headers_too_large")


@pytest.mark.parametrize("path", ["/v1/sessions/" + "a" * 60_000, "/" + "a/" * 20_000, "/v1/session?x=" + "a" * 60_000])
async def test_a_long_address_is_answered(caller: httpx.AsyncClient, path: str) -> None:
    """It names nothing, and costs nothing."""
    answer = await caller.delete(path)
    assert answer.status_code in (204, 404)


@pytest.mark.parametrize(
    "body",
    [
        b"email=%ff&password=x",
        "email=미나".encode(),
        b"\x00\xff",
        b"&".join(b"f%d=1" % number for number in range(MAX_FORM_FIELDS + 1)),
        b"&".join(b"f%d=1" % number for number in range(4_000)),
    ],
)
async def test_a_form_that_is_none_is_refused(caller: httpx.AsyncClient, body: bytes) -> None:
    """P191: not UTF-8, not ASCII outside, or more fields than any page has: 400."""
    answer = await caller.post("/login", content=body, headers=FORM)
    assert answer.status_code == 400
    assert "request_malformed" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        "email={email}&password={password}&password={password}",
        "email={email}&password={password}&email=eve%40example.com",
        "email={email}&password[]={password}",
        "email={email}&Password={password}",
        "email={email};password={password}",
        "email={email}&password={password}%00",
        "email={email}&password=",
        "",
    ],
)
async def test_of_a_field_named_twice_or_otherwise_none_counts(caller: httpx.AsyncClient, body: str) -> None:
    """Nothing chooses between two values; what is not exactly our field is no field."""
    caller.cookies.clear()
    content = body.format(email="mina%40example.com", password="correct+horse+battery")
    answer = await caller.post("/login", content=content, headers=FORM)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_nothing_was_made_by_all_that_was_refused(in_memory: Propylon, connect: Connect) -> None:
    """No partial effect: after a hundred refused sign-ups there is no account."""
    client = connect(in_memory)
    for body in MALFORMED.values():
        await client.post("/v1/users", content=body, headers=JSON)
    for extra in ("is_admin", "roles"):
        await client.post("/v1/users", json={"email": EMAIL, "password": PASSWORD, extra: ["admin"]})
    assert await in_memory.runtime.administration.users() == []
    await sign_up(client)
    assert (await in_memory.runtime.administration.users())[0].roles == ()
