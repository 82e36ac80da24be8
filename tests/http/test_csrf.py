"""Requests that another site sent: refused where the browser adds the credential, or would keep what comes back."""

from __future__ import annotations

import sqlite3
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http.driving import (
    EMAIL,
    FORM,
    JSON,
    PASSWORD,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Connect,
    MakePropylon,
    bearer,
    enter,
    refused,
    set_cookies,
    sign_in,
    sign_up,
)

from propylon import Propylon

OWN = "http://localhost:8000"
SHOP = "https://shop.example"
ORIGINS = (None, OWN, SHOP, "http://localhost:3000", "https://id.shop.example", "http://evil.example", "null", "")
SITES = (None, "same-origin", "same-site", "none", "cross-site", "nonsense")
NEW_PASSWORD = "a different horse battery"

CROSS_SITE: tuple[dict[str, str], ...] = (
    {"origin": "https://evil.example"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://sibling.localhost:8000"},
)


def may_pass(site: str | None, origin: str | None, *, strict: bool = False) -> bool:
    """Return what Go's ``CrossOriginProtection`` says, with SHOP configured; written out here on its own."""
    if site in ("same-origin", "none") or origin == SHOP:
        return True
    if site is not None:
        return False
    return (not strict) if origin is None else origin == OWN


def sent_by(site: str | None, origin: str | None) -> dict[str, str]:
    """Return the headers of a browser."""
    given = {"sec-fetch-site": site, "origin": origin}
    return {name: value for name, value in given.items() if value is not None}


@pytest.mark.parametrize("strict", [False, True])
async def test_an_ambient_unsafe_request_follows_the_table(
    make_propylon: MakePropylon, connect: Connect, *, strict: bool
) -> None:
    """C107-C111: every site and origin against each other: by cookie exactly what the table says, by token all."""
    propylon = await make_propylon(store="memory", origins=SHOP, csrf_strict=strict)
    home, elsewhere = connect(propylon), connect(propylon)
    home.headers["origin"] = OWN
    await enter(home)
    jar = {"cookie": f"{SESSION_COOKIE}={home.cookies[SESSION_COOKIE]}"}
    for site, origin in product(SITES, ORIGINS):
        headers = {**jar, **sent_by(site, origin)}
        unsafe = await elsewhere.delete("/v1/sessions", params={"keep": "current"}, headers=headers)
        if may_pass(site, origin, strict=strict):
            assert unsafe.status_code == 204, (site, origin)
        else:
            refused(unsafe, 403, "cross_site_refused")
            assert "set-cookie" not in unsafe.headers
        assert (await elsewhere.get("/v1/session", headers=headers)).status_code == 200, (site, origin)


async def test_a_token_is_never_refused_for_where_it_came_from(make_propylon: MakePropylon, connect: Connect) -> None:
    """A page has to hold the token to send it, so nobody was tricked; not even in strict mode."""
    propylon = await make_propylon(store="memory", origins=SHOP, csrf_strict=True)
    home, elsewhere = connect(propylon), connect(propylon)
    home.headers["origin"] = OWN
    token = (await enter(home, "bearer"))["access_token"]
    for site, origin in product(SITES, ORIGINS):
        headers = {**bearer(token), **sent_by(site, origin)}
        others = await elsewhere.delete("/v1/sessions", params={"keep": "current"}, headers=headers)
        assert others.status_code == 204, (site, origin)
        written = await elsewhere.put("/v1/session/data", json={}, headers={**headers, "if-match": "*"})
        assert written.status_code == 204, (site, origin)
        confirmed = await elsewhere.post("/v1/session/confirm", json={"password": PASSWORD}, headers=headers)
        assert confirmed.status_code == 204, (site, origin)


@pytest.mark.parametrize("headers", CROSS_SITE)
@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("DELETE", "/v1/session", {}),
        ("DELETE", "/v1/sessions", {}),
        ("DELETE", "/v1/sessions/{id}", {}),
        ("POST", "/v1/session/tokens", {}),
        ("POST", "/v1/session/confirm", {"json": {"password": PASSWORD}}),
        ("PUT", "/v1/user/password", {"json": {"current_password": PASSWORD, "new_password": NEW_PASSWORD}}),
        ("PUT", "/v1/session/data", {"json": {"x": 1}}),
        ("POST", "/account/profile", {"data": {"name": "Eve"}}),
        ("POST", "/account/password", {"data": {"current_password": PASSWORD, "new_password": NEW_PASSWORD}}),
        ("POST", "/account/sessions/end", {"data": {"session": "{id}"}}),
        ("POST", "/account/sessions/end-others", {"data": {}}),
        ("POST", "/logout", {"data": {}}),
        ("PUT", "/v1/mode", {"json": {"mode": "bearer"}}),
        ("POST", "/console/mode", {"data": {"mode": "bearer", "for": "all"}}),
        ("POST", "/console/pause", {"data": {"paused": "yes"}}),
    ],
)
async def test_no_ambient_request_of_another_site_changes_anything(
    propylon: Propylon,
    connect: Connect,
    tmp_path: Path,
    headers: dict[str, str],
    method: str,
    path: str,
    more: dict[str, Any],
) -> None:
    """C107, C110, C115: 403, no cookie, and every table as it was: on each operation and each form."""
    client = connect(propylon)
    await sign_up(client)
    await sign_in(connect(propylon), "bearer")
    session_id = (await sign_in(client))["session"]["id"]
    before = contents(tmp_path)
    if "data" in more:
        more = {"data": {name: value.format(id=session_id) for name, value in more["data"].items()}}
    condition = {"if-match": "*"} if path.endswith("/data") else {}
    answer = await client.request(method, path.format(id=session_id), headers={**headers, **condition}, **more)
    assert answer.status_code == 403
    assert "cross_site_refused" in answer.text
    assert "set-cookie" not in answer.headers
    assert contents(tmp_path) == before


def contents(directory: Path) -> dict[str, list[Any]]:
    """Return every row of every table but the heartbeat, which is how ``/readyz`` knows that writing works."""
    with sqlite3.connect(f"file:{directory / 'propylon.db'}?mode=ro", uri=True) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}  # noqa: S608
    database.close()
    del found["heartbeat"]
    return found


@pytest.mark.parametrize("headers", CROSS_SITE)
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/sessions", {"json": {"email": EMAIL, "password": PASSWORD, "mode": "cookie"}}),
        ("/v1/sessions", {"json": {"email": EMAIL, "password": PASSWORD, "mode": "hybrid"}}),
        ("/v1/sessions", {"json": {"email": EMAIL, "password": PASSWORD}}),
        ("/v1/users", {"json": {"email": "new@example.com", "password": PASSWORD}}),
        ("/login", {"data": {"email": EMAIL, "password": PASSWORD}}),
        ("/signup", {"data": {"email": "new@example.com", "password": PASSWORD}}),
        ("/language", {"data": {"language": "ko"}}),
    ],
)
async def test_no_other_site_plants_a_session(
    client: httpx.AsyncClient, tmp_path: Path, headers: dict[str, str], path: str, more: dict[str, Any]
) -> None:
    """C114, login CSRF: somebody would go on in the attacker's account. 403 without a cookie or a row."""
    await sign_up(client)
    before = contents(tmp_path)
    answer = await client.post(path, headers=headers, **more)
    assert answer.status_code == 403
    assert "cross_site_refused" in answer.text
    assert "set-cookie" not in answer.headers
    assert contents(tmp_path) == before


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_a_bearer_sign_in_from_anywhere_is_free(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """It sets no cookie, so there is nothing to plant."""
    await sign_up(client)
    wish = {"email": EMAIL, "password": PASSWORD, "mode": "bearer"}
    answer = await client.post("/v1/sessions", json=wish, headers=headers)
    assert answer.status_code == 201
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", CROSS_SITE)
@pytest.mark.parametrize("mode", ["cookie", "hybrid"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/session/confirm", {"password": PASSWORD}),
        ("PUT", "/v1/user/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}),
    ],
)
async def test_a_token_of_another_site_plants_no_renewed_cookie(
    propylon: Propylon,
    connect: Connect,
    tmp_path: Path,
    headers: dict[str, str],
    mode: str,
    method: str,
    path: str,
    body: dict[str, str],
) -> None:
    """C114: an explicit credential is refused only where the answer would set a cookie, as a step-up does here."""
    client = connect(propylon)
    token = (await enter(client, mode)).get("access_token") or (await client.post("/v1/session/tokens")).json()[
        "access_token"
    ]
    before = contents(tmp_path)
    answer = await connect(propylon).request(method, path, json=body, headers={**bearer(token), **headers})
    refused(answer, 403, "cross_site_refused")
    assert "set-cookie" not in answer.headers
    assert contents(tmp_path) == before
    here = await connect(propylon).request(method, path, json=body, headers={**bearer(token), "origin": OWN})
    assert here.status_code == 204
    assert set(set_cookies(here)) == {SESSION_COOKIE if mode == "cookie" else REFRESH_COOKIE}


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_a_token_of_another_site_signs_out_itself_and_no_browser(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """C115: the token's session ends; the cookies of the browser, somebody else's perhaps, stay."""
    token = (await enter(client, "bearer"))["access_token"]
    answer = await client.delete("/v1/session", headers={**bearer(token), **headers})
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers
    refused(await client.get("/v1/session", headers=bearer(token)), 401, "session_revoked")


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_renewal_by_a_cookie_is_ambient_and_by_the_body_is_not(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """A refresh token in the body is explicit; one in a cookie is the browser's doing."""
    await sign_up(client)
    token = (await sign_in(client, "bearer"))["refresh_token"]
    assert (await client.post("/v1/session/tokens", json={"refresh_token": token}, headers=headers)).status_code == 200
    await sign_in(client, "hybrid")
    refused(await client.post("/v1/session/tokens", headers=headers), 403, "cross_site_refused")
    assert (await client.post("/v1/session/tokens")).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", FORM["content-type"], ""])
async def test_what_a_form_can_send_without_asking_is_no_json(client: httpx.AsyncClient, content_type: str) -> None:
    """C107: a form of another site can send these three types; the JSON in them is not looked at."""
    await sign_up(client)
    body = f'{{"email": "{EMAIL}", "password": "{PASSWORD}", "mode": "bearer"}}'
    answer = await client.post("/v1/sessions", content=body, headers={"content-type": content_type})
    refused(answer, 415, "content_type_wrong")


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", JSON["content-type"]])
@pytest.mark.parametrize("path", ["/login", "/signup", "/language"])
async def test_a_page_takes_its_own_form_alone(client: httpx.AsyncClient, path: str, content_type: str) -> None:
    """A form in another encoding is a 415 page."""
    body = f"email={EMAIL}&password={PASSWORD}&language=ko"
    answer = await client.post(path, content=body, headers={"content-type": content_type})
    assert answer.status_code == 415
    assert "content_type_wrong" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_nothing_changes_by_a_safe_method(
    propylon: Propylon, connect: Connect, tmp_path: Path, method: str
) -> None:
    """C113: on every address there is, signed in, as a prefetch: not a row moves and no cookie is set."""
    client = connect(propylon)
    await sign_up(client)
    session_id = (await sign_in(client))["session"]["id"]
    before = contents(tmp_path)
    for path in addresses():
        where = path.format(id=session_id, name="propylon.css") + "?keep=current&next=/x&language=ko"
        answer = await client.request(method, where, headers={"sec-purpose": "prefetch"})
        assert answer.status_code < 500, where
        assert "set-cookie" not in answer.headers, where
    assert contents(tmp_path) == before
    assert (await client.get("/v1/session")).status_code == 200


def addresses() -> list[str]:
    """Return every path of the contract and of the pages."""
    from propylon.http.operations import OPERATIONS  # noqa: PLC0415 - only here

    pages = ["/", "/login", "/signup", "/logout", "/account", "/account/profile", "/account/password", "/language"]
    more = [
        "/account/sessions/end",
        "/account/sessions/end-others",
        "/console",
        "/console/mode",
        "/console/pause",
        "/docs",
        "/openapi.json",
        "/static/{name}",
    ]
    answered = (operation for operation in OPERATIONS if operation.media_type != "text/event-stream")  # test_feed, ...
    return [*dict.fromkeys(operation.path for operation in answered), *pages, *more]
