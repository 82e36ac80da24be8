"""One credential a request: which one is picked, by its form alone, and what is none."""

from __future__ import annotations

import httpx
import pytest
from tests.http.driving import (
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    cookie_value,
    enter,
    refused,
    sign_in,
)

from propylon import Propylon

WHO = "/v1/session"
RENEW = "/v1/session/tokens"
Lines = list[tuple[bytes, bytes]]


@pytest.fixture
async def both(in_memory: Propylon, connect: Connect) -> tuple[str, str, str]:
    """The cookie of one session, and the access and refresh token of another, all good."""
    client = connect(in_memory)
    await enter(client)
    cookie = client.cookies[SESSION_COOKIE]
    body = await sign_in(connect(in_memory), "bearer")
    return cookie, body["access_token"], body["refresh_token"]


@pytest.fixture
async def stranger(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A client that holds nothing by itself."""
    return connect(in_memory)


def cookies(*lines: str) -> Lines:
    """Return one ``Cookie`` line each."""
    return [(b"cookie", line.encode("latin-1")) for line in lines]


@pytest.mark.parametrize(
    "lines",
    [
        ["{name}={good}; {name}=x"],
        ["{name}=x; {name}={good}"],
        ["{name}={good}; {name}={good}"],
        ["{name}={good}", "{name}=x"],
        ["{name}=", "{name}={good}"],
        ["a=b;{name}={good};\t{name}=x"],
    ],
)
async def test_two_session_cookies_are_ambiguous(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], lines: list[str]
) -> None:
    """S85, S86: whoever tossed the second one must not choose, in one header line or in two."""
    given = cookies(*(line.format(name=SESSION_COOKIE, good=both[0]) for line in lines))
    refused(await stranger.get(WHO, headers=given), 400, "credential_ambiguous")


async def test_other_cookies_may_come_in_lines_of_their_own(
    stranger: httpx.AsyncClient, both: tuple[str, str, str]
) -> None:
    """S86: HTTP/2 splits the header; one session cookie among many is one."""
    given = cookies("a=b", f"{SESSION_COOKIE}={both[0]}", "c=d; e", f"{SESSION_COOKIE}x=1", f"x{SESSION_COOKIE}=1")
    assert (await stranger.get(WHO, headers=given)).status_code == 200


@pytest.mark.parametrize("first", ["Bearer", "Basic eDp5"])
async def test_two_authorization_headers_are_ambiguous(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], first: str
) -> None:
    """P190: two of them are refused, whatever their schemes: a proxy in front may have believed the other."""
    lines = [("authorization", first), ("authorization", f"Bearer {both[1]}")]
    refused(await stranger.get(WHO, headers=lines), 400, "credential_ambiguous")


async def test_bearer_and_cookie_together_are_the_bearer(
    stranger: httpx.AsyncClient, both: tuple[str, str, str]
) -> None:
    """The token's session answers, not the cookie's."""
    headers = {**bearer(both[1]), "cookie": f"{SESSION_COOKIE}={both[0]}"}
    assert (await stranger.get(WHO, headers=headers)).json()["session"]["mode"] == "bearer"


@pytest.mark.parametrize("lines", ["{name}={good}", "{name}={good}; {name}=x"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", WHO), ("DELETE", WHO), ("POST", RENEW), ("GET", "/v1/verify"), ("GET", "/v1/sessions")]
)
async def test_a_refused_bearer_is_not_rescued_by_a_good_cookie(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], method: str, path: str, lines: str
) -> None:
    """Cookies are not even looked at: trying the next thing is how one user is taken for another."""
    cookie = lines.format(name=SESSION_COOKIE, good=both[0])
    answer = await stranger.request(method, path, headers={**bearer("nonsense"), "cookie": cookie})
    refused(answer, 401, "credential_malformed")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    still = await stranger.get(WHO, headers={"cookie": f"{SESSION_COOKIE}={both[0]}"})
    assert still.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        b"Bearer",
        b"Bearer ",
        b"bearer",
        b"BEARER   ",
        b"Bearer a b",
        b"Bearer a, Bearer b",
        b"Bearer \x80\xff",
        b"Bearer \tx",
        b'Bearer "x"',
        b"Bearer " + b"a." * 4_000,
        b"Bearer ..",
        b"Bearer null",
        b"DPoP x",
        b"dpop",
        b"Bearer\tx",
        b"Bearer,x",
        b"Bearer=x",
        b"DPoP\tx",
    ],
)
async def test_an_odd_bearer_header_is_malformed(stranger: httpx.AsyncClient, authorization: bytes) -> None:
    """P190: 401, and the challenge says that the token is the trouble."""
    answer = await stranger.get(WHO, headers=[(b"authorization", authorization)])
    refused(answer, 401, "credential_malformed")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("form", ["Bearer\t{}", "bearer\t {}", "Bearer,{}", 'Bearer="{}"', "DPoP\t{}", "dpop;{}"])
@pytest.mark.parametrize(("method", "path"), [("GET", WHO), ("DELETE", WHO), ("POST", RENEW), ("GET", "/v1/verify")])
async def test_our_scheme_without_its_space_does_not_give_way_to_the_cookie(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], method: str, path: str, form: str
) -> None:
    """RFC 9110 11.1: the scheme ends where its characters do, so it is ours, and the cookie is not looked at."""
    cookie = f"{SESSION_COOKIE}={both[0]}"
    headers = {"authorization": form.format(both[1]), "cookie": cookie}
    answer = await stranger.request(method, path, headers=headers)
    refused(answer, 401, "credential_malformed")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert (await stranger.get(WHO, headers={"cookie": cookie})).status_code == 200


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "Bearer {} "])
async def test_the_scheme_is_known_in_any_case_and_spacing(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], form: str
) -> None:
    """P190, RFC 9110 11.1: schemes are case-insensitive."""
    assert (await stranger.get(WHO, headers={"authorization": form.format(both[1])})).status_code == 200


async def test_a_dpop_scheme_does_not_pass_a_token_off_as_bound(
    stranger: httpx.AsyncClient, both: tuple[str, str, str]
) -> None:
    """A good token under the scheme DPoP has no proof with it, so it is refused."""
    answer = await stranger.get(WHO, headers={"authorization": f"DPoP {both[1]}"})
    refused(answer, 401, "credential_malformed")


@pytest.mark.parametrize(
    "scheme", ["Basic bWluYTpwdw==", "Basic", "Basic \x01", "Negotiate x", "Bearerx y", "Bearer-x y", "", " "]
)
async def test_other_schemes_are_not_ours(stranger: httpx.AsyncClient, both: tuple[str, str, str], scheme: str) -> None:
    """A proxy's own sign-in neither stands in for ours nor gets in its way."""
    lines = [(b"authorization", scheme.encode()), *cookies(f"{SESSION_COOKIE}={both[0]}")]
    assert (await stranger.get(WHO, headers=lines)).status_code == 200
    alone = await stranger.get(WHO, headers=lines[:1])
    refused(alone, 401, "credential_missing")
    assert alone.headers["www-authenticate"] == "Bearer"


async def test_a_dead_cookie_beside_a_proxys_basic_is_no_bad_token(
    stranger: httpx.AsyncClient, both: tuple[str, str, str]
) -> None:
    """RFC 6750 3.1: no error code where no token was presented."""
    headers = {"cookie": f"{SESSION_COOKIE}={both[0]}"}
    await stranger.delete(WHO, headers=headers)
    answer = await stranger.get(WHO, headers={**headers, "authorization": "Basic bWluYTpwdw=="})
    refused(answer, 401, "session_revoked")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00",
        b"\x80\xff",
        "미나".encode(),
        b'"quoted"',
        b"a\\b",
        b"a,b",
        b"%00",
        b"%0d%0aSet-Cookie:%20evil=1",
        b"a" * 5_000,
        b"' OR 1=1--",
        b"../../etc/passwd",
        b"{{7*7}}",
    ],
)
async def test_a_session_cookie_of_any_bytes_is_malformed_and_not_reflected(
    stranger: httpx.AsyncClient, value: bytes
) -> None:
    """S89, S90: 401, never a 500, and nothing of it comes back in a header."""
    answer = await stranger.get(WHO, headers=[(b"cookie", SESSION_COOKIE.encode() + b"=" + value)])
    refused(answer, 401, "credential_malformed")
    assert "set-cookie" not in answer.headers
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize(
    "change",
    [
        lambda good: good[:-1],
        lambda good: good + "A",
        lambda good: good[1:],
        lambda good: good.swapcase(),
        lambda good: f'"{good}"',
        lambda good: good + "=",
        lambda good: f"{good}, {good}",
        lambda good: good[:10] + ("A" if good[10] != "A" else "B") + good[11:],
        lambda good: good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:],
    ],
)
async def test_a_damaged_cookie_is_malformed(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], change: object
) -> None:
    """S90: cut, lengthened, quoted or with one bit flipped, it is not what we issued."""
    damaged = change(both[0])  # type: ignore[operator]
    answer = await stranger.get(WHO, headers={"cookie": f"{SESSION_COOKIE}={damaged}"})
    refused(answer, 401, "credential_malformed")


@pytest.mark.parametrize(
    "pair",
    [
        "__host-propylon={}",
        "__HOST-propylon={}",
        "__Host-Propylon={}",
        "=__Host-propylon={}",
        "propylon={}",
        "__Secure-propylon={}",
        "__Host-propylon ={}",
        " =__Host-propylon={}",
        "x=__Host-propylon={}",
        "__Host-propylon",
        '"__Host-propylon"={}',
        "$Version=1, __Host-propylon={}",
        "__Host-propylon%3D={}",
    ],
)
async def test_a_look_alike_of_the_prefixed_name_is_not_the_session_cookie(
    make_propylon: MakePropylon, connect: Connect, pair: str
) -> None:
    """S87: browsers guard the exact name alone; a sibling domain may have planted the others."""
    propylon = await make_propylon(store="memory", public_url="https://id.example", sign_up="open")
    client = connect(propylon, "https://id.example")
    await enter(client)
    good = client.cookies["__Host-propylon"]
    client.cookies.clear()
    assert (await client.get(WHO, headers={"cookie": f"__Host-propylon={good}"})).status_code == 200
    refused(await client.get(WHO, headers={"cookie": pair.format(good)}), 401, "credential_missing")


@pytest.mark.parametrize("header", ["x-session", "x-session-id", "session", "x-propylon-session", "x-access-token"])
@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_credential_in_another_header_is_not_looked_at(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], header: str, which: int
) -> None:
    """S91: cookie and ``Authorization`` are the only places."""
    refused(await stranger.get(WHO, headers={header: both[which]}), 401, "credential_missing")


@pytest.mark.parametrize("name", ["sid", "session", SESSION_COOKIE, "access_token", "token", "refresh_token"])
async def test_a_credential_in_the_address_is_not_looked_at(
    stranger: httpx.AsyncClient, both: tuple[str, str, str], name: str
) -> None:
    """S91: addresses end in logs and histories."""
    for value in both:
        refused(await stranger.get(WHO, params={name: value}), 401, "credential_missing")
        refused(await stranger.post(RENEW, params={name: value}), 401, "credential_missing")


async def test_a_session_id_alone_opens_nothing(stranger: httpx.AsyncClient, both: tuple[str, str, str]) -> None:
    """Public ids are no secrets: as cookie, as token, as refresh token."""
    session_id = (await stranger.get(WHO, headers=bearer(both[1]))).json()["session"]["id"]
    as_cookie = {"cookie": f"{SESSION_COOKIE}={session_id}"}
    refused(await stranger.get(WHO, headers=as_cookie), 401, "credential_malformed")
    refused(await stranger.get(WHO, headers=bearer(session_id)), 401, "credential_malformed")
    refused(await stranger.post(RENEW, json={"refresh_token": session_id}), 401, "credential_malformed")


async def test_no_kind_of_credential_passes_for_another(
    stranger: httpx.AsyncClient, both: tuple[str, str, str]
) -> None:
    """S90: cookie, access token and refresh token are each good in their own place alone."""
    cookie, access, refresh = both
    for value in (access, refresh):
        as_cookie = {"cookie": f"{SESSION_COOKIE}={value}"}
        refused(await stranger.get(WHO, headers=as_cookie), 401, "credential_malformed")
    for value in (cookie, refresh):
        refused(await stranger.get(WHO, headers=bearer(value)), 401, "credential_malformed")
    for value in (cookie, access):
        refused(await stranger.post(RENEW, json={"refresh_token": value}), 401, "credential_malformed")
        as_refresh = {"cookie": f"{REFRESH_COOKIE}={value}"}
        refused(await stranger.post(RENEW, headers=as_refresh), 401, "credential_malformed")
    as_refresh = {"cookie": f"{REFRESH_COOKIE}={refresh}"}
    refused(await stranger.get(WHO, headers=as_refresh), 401, "credential_missing")


async def test_a_never_issued_cookie_is_not_adopted_at_sign_in(in_memory: Propylon, connect: Connect) -> None:
    """S81: who was handed a session id by an attacker gets a new one, and the planted one stays worthless."""
    planted = {"cookie": f"{SESSION_COOKIE}=planted-by-somebody"}
    client = connect(in_memory)
    await enter(client)
    client.cookies.clear()
    body = {"email": "mina@example.com", "password": "correct horse battery", "mode": "cookie"}
    answer = await client.post("/v1/sessions", json=body, headers=planted)
    assert "planted" not in cookie_value(answer)
    refused(await connect(in_memory).get(WHO, headers=planted), 401, "credential_malformed")


async def test_a_tossed_second_cookie_cannot_keep_anybody_from_signing_in(
    in_memory: Propylon, connect: Connect
) -> None:
    """S85: the way out of an ambiguous state is open."""
    client = connect(in_memory)
    await enter(client)
    client.cookies.clear()
    tossed = cookies(f"{SESSION_COOKIE}=a; {SESSION_COOKIE}=b")
    body = {"email": "mina@example.com", "password": "correct horse battery"}
    assert (await client.post("/v1/sessions", json=body, headers=tossed)).status_code == 201
