"""``POST /v1/users``: one account for one person, however its address is spelled, and what its name may be."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from tests.http.driving import EMAIL, JSON, PASSWORD, Connect, MakePropylon, refused, sign_up

from propylon import Propylon


@pytest.fixture
async def visitor(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """Somebody without an account."""
    return connect(in_memory)


async def make(client: httpx.AsyncClient, email: str, name: str = "", password: str = PASSWORD) -> httpx.Response:
    """Ask for an account, in ASCII JSON so that any character gets through."""
    body = json.dumps({"email": email, "password": password, "name": name})
    return await client.post("/v1/users", content=body, headers=JSON)


SPELLINGS = (
    ("mike@example.org", "MIKE@EXAMPLE.ORG"),
    ("mike@example.org", "ｍｉｋｅ@ｅｘａｍｐｌｅ.ｏｒｇ"),  # noqa: RUF001 - full-width
    ("mike@example.org", "mi\u212ae@example.org"),  # the Kelvin sign
    ("mike@example.org", " mike@example.org\t"),
    ("mike@example.org", "mike@example.ORG"),
    ("office@example.org", "o\ufb00ice@example.org"),  # the ligature ff
    ("strasse@example.org", "stra\u00dfe@example.org"),
    ("a@m\u00fcnchen.example", "a@xn--mnchen-3ya.example"),
    ("a@m\u00fcnchen.example", "a@mu\u0308nchen.example"),
    ("a@m\u00fcnchen.example", "a@M\u00dcNCHEN.example"),
    ("\uc608@example.org", "\u110b\u1168@example.org"),  # composed and decomposed Hangul
)


@pytest.mark.parametrize(("one", "other"), [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
async def test_two_spellings_of_one_address_are_one_account(visitor: httpx.AsyncClient, one: str, other: str) -> None:
    """A169: the second is taken, and either signs in to the first; the address stays as its owner wrote it."""
    assert (await make(visitor, one)).status_code == 201
    refused(await make(visitor, other), 409, "email_taken")
    answer = await visitor.post("/v1/sessions", json={"email": other, "password": PASSWORD, "mode": "bearer"})
    assert answer.status_code == 201
    assert answer.json()["user"]["email"] == one.strip(" \t")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mike@example.org", "m\u0131ke@example.org"),  # dotless i
        ("mike@example.org", "mike+shop@example.org"),
        ("mike@example.org", "m.ike@example.org"),
        ("mike@example.org", "mik\u0435@example.org"),  # Cyrillic e
        ("mike@example.org", "mike@example.com"),
    ],
)
async def test_two_addresses_are_two_accounts(visitor: httpx.AsyncClient, one: str, other: str) -> None:
    """A169: what is another letter, tag or dot for the mail host is another address for us."""
    assert (await make(visitor, one)).status_code == 201
    assert (await make(visitor, other)).status_code == 201
    answer = await visitor.post("/v1/sessions", json={"email": other, "password": PASSWORD, "mode": "bearer"})
    assert answer.json()["user"]["email"] == other


@pytest.mark.parametrize(
    "email",
    [
        "",
        "@",
        "mike",
        "mike@",
        "@example.org",
        "a@b@example.org",
        "mike\uff20evil.example@example.org",  # a full-width @
        "mike@example.org\r\nBcc: eve@example.org",
        "mike@example.org\x00",
        "mike@exam\x00ple.org",
        "mike@example.org,eve@example.org",
        "mike@example.org;eve@example.org",
        "Mike <mike@example.org>",
        "mike(comment)@example.org",
        "mike @example.org",
        "mike@[127.0.0.1]",
        "mike@example..org",
        "mike@-example.org",
        "mike@example.org/",
        ".mike@example.org",
        "mike..x@example.org",
        "mike@" + "a" * 250 + ".org",
        "m" * 30_000,
        "' OR 1=1--",
        "\u202emike@example.org",
        "mike@example.org\u0085",
    ],
)
async def test_what_is_no_address_makes_no_account(in_memory: Propylon, visitor: httpx.AsyncClient, email: str) -> None:
    """A169, A175: 422 at the field ``email``, and nothing was made."""
    (error,) = refused(await make(visitor, email), 422, "fields_refused")["errors"]
    assert (error["field"], error["code"]) == ("email", "email_invalid")
    assert await in_memory.runtime.administration.users() == []


@pytest.mark.parametrize(
    "name",
    ["a\x00b", "a\nb", "a\r\nSet-Cookie: x=1", "\x1b[31mred", "a\u2028b", "\u202eevil", "a\u200bb", "\x7f", "\ufeffa"],
)
async def test_a_name_with_control_characters_is_refused(visitor: httpx.AsyncClient, name: str) -> None:
    """A175, P194: what would break lines, logs, mail headers or the direction of reading is no name."""
    (error,) = refused(await make(visitor, EMAIL, name), 422, "fields_refused")["errors"]
    assert (error["field"], error["code"]) == ("name", "invalid")


@pytest.mark.parametrize(
    "name",
    ["김미나", "Zo\u00eb O'Neil-\u0160", "<script>alert(1)</script>", "{{7*7}}", "미 나", "\U0001f600", "x" * 100],
)
async def test_a_name_is_kept_as_it_is(visitor: httpx.AsyncClient, name: str) -> None:
    """Anything that can be read, in any script; escaping is the business of the page that shows it."""
    assert (await make(visitor, EMAIL, name)).json()["user"]["name"] == name


async def test_a_name_is_bounded(visitor: httpx.AsyncClient) -> None:
    """100 characters, counted after trimming."""
    (error,) = refused(await make(visitor, EMAIL, "x" * 101), 422, "fields_refused")["errors"]
    assert (error["field"], error["code"]) == ("name", "too_long")
    assert (await make(visitor, EMAIL, f"  {'x' * 100}  ")).json()["user"]["name"] == "x" * 100


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "too_short"),
        ("1234567", "too_short"),
        ("\U0001f600" * 7, "too_short"),
        ("x" * 257, "too_long"),
        ("password123", "common"),
        (EMAIL, "same_as_account"),
    ],
)
async def test_a_poor_password_is_refused_with_the_reason(
    visitor: httpx.AsyncClient, password: str, reason: str
) -> None:
    """A182: at the field ``password``; length and commonness, no rules of composition."""
    (error,) = refused(await make(visitor, EMAIL, password=password), 422, "password_refused")["errors"]
    assert (error["field"], error["code"]) == ("password", reason)


@pytest.mark.parametrize(
    "password", ["        x", "x" * 256, "비밀번호비밀번호 여덟", "\x00\x01\x02\x03\x04\x05\x06\x07", "\u00e9" * 128]
)
async def test_the_whole_of_a_password_counts(visitor: httpx.AsyncClient, password: str) -> None:
    """A166: any characters, up to 256; one more, one less or one other at the end is another password."""
    assert (await make(visitor, EMAIL, password=password)).status_code == 201
    for other in (password[:-1], password + "y", password[:-1] + "z"):
        body = {"email": EMAIL, "password": other, "mode": "bearer"}
        refused(await visitor.post("/v1/sessions", json=body), 401, "credentials_wrong")
    body = {"email": EMAIL, "password": password, "mode": "bearer"}
    assert (await visitor.post("/v1/sessions", json=body)).status_code == 201


async def test_fifty_sign_ups_at_once_make_one_account(propylon: Propylon, connect: Connect) -> None:
    """A183: the same address in fifty spellings of case: one wins, the rest hear that it is taken, or to slow down."""
    clients = [connect(propylon) for _ in range(5)]
    spelled = [
        "".join(letter.upper() if number >> place & 1 else letter for place, letter in enumerate(EMAIL))
        for number in range(50)
    ]
    answers = await asyncio.gather(*(make(clients[number % 5], email) for number, email in enumerate(spelled)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), set(codes)) == (1, {201, 409, 429})
    assert len(await propylon.runtime.administration.users()) == 1


async def test_a_closed_sign_up_is_closed_for_everyone(make_propylon: MakePropylon, connect: Connect) -> None:
    """403 before anything of the body is read, so nobody learns from it whose address is known."""
    client = connect(await make_propylon(store="memory", sign_up="closed"))
    for content in (b"", b"{", json.dumps({"email": EMAIL, "password": PASSWORD}).encode()):
        refused(await client.post("/v1/users", content=content, headers=JSON), 403, "sign_up_closed")
    page = await client.post("/signup", data={"email": EMAIL, "password": PASSWORD})
    assert page.status_code == 403
    assert "<form" in page.text  # the language switch alone
    assert 'name="password"' not in (await client.get("/signup")).text


async def test_a_sign_up_signs_nobody_in(visitor: httpx.AsyncClient) -> None:
    """201 with the account, without a cookie or a token."""
    answer = await make(visitor, EMAIL)
    assert set(answer.json()) == {"user"}
    assert "set-cookie" not in answer.headers
    await sign_up(visitor, "second@example.com")
    refused(await visitor.get("/v1/session"), 401, "credential_missing")
