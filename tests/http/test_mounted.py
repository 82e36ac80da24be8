"""Below a prefix: mounted in another app, or behind a proxy that serves it there."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.http.driving import EMAIL, PASSWORD, Connect, MakePropylon, refused, set_cookies

from propylon import Propylon
from propylon.adapters.fastapi import Auth, SignedIn

PREFIX = "/auth"


@pytest.fixture(params=["FastAPI", "Starlette", "a proxy that takes the prefix off", "a proxy that leaves it on"])
async def below(request: pytest.FixtureRequest, make_propylon: MakePropylon, connect: Connect) -> httpx.AsyncClient:
    """A client that reaches Propylon below ``/auth``, by each of the ways there are."""
    propylon = await make_propylon(store="memory", public_url=f"http://localhost:8000{PREFIX}")
    return connect(arranged(request.param, propylon))


def arranged(how: str, propylon: Propylon) -> Any:
    """Return what a browser talks to."""
    if how == "FastAPI":
        app = FastAPI()
        Auth(propylon).guard(app)
        return app
    if how == "Starlette":
        return Starlette(routes=[Mount(PREFIX, propylon)])
    if how == "a proxy that leaves it on":
        return propylon

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix(PREFIX)
        await propylon({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    return proxy


async def test_every_page_links_below_the_prefix(below: httpx.AsyncClient) -> None:
    """Links, forms, styles and scripts: followed as they stand, each is found."""
    seen: set[str] = set()
    for path in ("/", "/login", "/signup", "/docs"):
        page = await below.get(PREFIX + path)
        assert page.status_code == 200
        addresses = set(re.findall(r'(?:href|src|action)="([^"#]+)"', page.text))
        assert addresses
        assert all(address.startswith(f"{PREFIX}/") for address in addresses)
        seen |= addresses
    for address in seen - {f"{PREFIX}/language", f"{PREFIX}/logout"}:
        assert (await below.get(address.replace("&amp;", "&"))).status_code == 200, address


async def test_the_pages_lead_to_each_other(below: httpx.AsyncClient) -> None:
    """Each redirect carries the prefix, and the way back after a sign-in does too."""
    made = await below.post(f"{PREFIX}/signup", data={"email": EMAIL, "password": PASSWORD})
    assert made.headers["location"] == f"{PREFIX}/login?notice=account_created"
    away = await below.get(f"{PREFIX}/account")
    assert away.headers["location"] == f"{PREFIX}/login?next={PREFIX}/account"
    form = await below.get(away.headers["location"])
    assert f'name="next" value="{PREFIX}/account"' in form.text
    entered = await below.post(
        f"{PREFIX}/login", data={"email": EMAIL, "password": PASSWORD, "next": f"{PREFIX}/account"}
    )
    assert entered.headers["location"] == f"{PREFIX}/account"
    plain = await below.post(f"{PREFIX}/login", data={"email": EMAIL, "password": PASSWORD})
    assert plain.headers["location"] == f"{PREFIX}/account"
    assert (await below.get(f"{PREFIX}/account")).status_code == 200
    saved = await below.post(f"{PREFIX}/account/profile", data={"name": "Mina"})
    assert saved.headers["location"] == f"{PREFIX}/account?notice=profile_saved"
    switched = await below.post(f"{PREFIX}/language", data={"language": "ko", "next": f"{PREFIX}/account"})
    assert switched.headers["location"] == f"{PREFIX}/account"
    assert (await below.post(f"{PREFIX}/logout")).headers["location"] == f"{PREFIX}/login?notice=signed_out"


async def test_a_sign_in_may_lead_back_into_the_app_around_it(below: httpx.AsyncClient) -> None:
    """``next`` counts from the root of the host: the page that sent somebody here is not below the prefix."""
    await below.post(f"{PREFIX}/signup", data={"email": EMAIL, "password": PASSWORD})
    data = {"email": EMAIL, "password": PASSWORD, "next": "/orders/7"}
    assert (await below.post(f"{PREFIX}/login", data=data)).headers["location"] == "/orders/7"


async def test_cookies_fit_the_prefix(below: httpx.AsyncClient) -> None:
    """The session cookie serves the whole host, the refresh cookie its one address below the prefix."""
    await below.post(f"{PREFIX}/v1/users", json={"email": EMAIL, "password": PASSWORD})
    wish = {"email": EMAIL, "password": PASSWORD}
    cookie = await below.post(f"{PREFIX}/v1/sessions", json={**wish, "mode": "cookie"})
    assert "Path=/" in set_cookies(cookie)["propylon"][1]
    hybrid = await below.post(f"{PREFIX}/v1/sessions", json={**wish, "mode": "hybrid"})
    assert f"Path={PREFIX}/v1/session/tokens" in set_cookies(hybrid)["propylon-refresh"][1]
    below.cookies.delete("propylon")
    renewed = await below.post(f"{PREFIX}/v1/session/tokens")  # the jar sends it by that path alone
    assert renewed.status_code == 200
    assert f"Path={PREFIX}/v1/session/tokens" in set_cookies(renewed)["propylon-refresh"][1]
    token = {"authorization": f"Bearer {renewed.json()['access_token']}"}
    cleared = set_cookies(await below.delete(f"{PREFIX}/v1/session", headers=token))
    assert f"Path={PREFIX}/v1/session/tokens" in cleared["propylon-refresh"][1]
    assert "propylon-refresh" not in below.cookies


async def test_problems_and_documents_name_the_public_address(below: httpx.AsyncClient) -> None:
    """Types of problems, servers, issuer: the public URL with its path."""
    answer = await below.get(f"{PREFIX}/v1/session")
    problem = refused(answer, 401, "credential_missing")
    assert problem["type"] == f"http://localhost:8000{PREFIX}/docs#credential_missing"
    document = (await below.get(f"{PREFIX}/openapi.json")).json()
    assert document["servers"] == [{"url": f"http://localhost:8000{PREFIX}"}]
    refused(await below.get(f"{PREFIX}/nowhere"), 404, "not_found")
    refused(await below.patch(f"{PREFIX}/v1/session"), 405, "method_not_allowed")


async def test_health_is_told_under_any_host_below_the_prefix(below: httpx.AsyncClient) -> None:
    """And nothing else is."""
    other = {"host": "10.1.2.3"}
    assert (await below.get(f"{PREFIX}/healthz", headers=other)).status_code == 200
    refused(await below.get(f"{PREFIX}/v1/session", headers=other), 400, "host_unknown")


async def test_a_mount_that_the_public_url_does_not_name_works_too(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """The app's own prefix counts for pages and cookies."""
    app = Starlette(routes=[Mount("/id", await make_propylon(store="memory"))])
    client = connect(app)
    await client.post("/id/v1/users", json={"email": EMAIL, "password": PASSWORD})
    answer = await client.post("/id/login", data={"email": EMAIL, "password": PASSWORD})
    assert answer.headers["location"] == "/id/account"
    assert (await client.get("/id/account")).status_code == 200


async def test_one_session_serves_the_app_and_what_is_mounted_in_it(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """The guard of the app and the mount are one Propylon."""
    propylon = await make_propylon(store="memory", public_url=f"http://localhost:8000{PREFIX}")
    app = arranged("FastAPI", propylon)
    assert isinstance(app, FastAPI)

    @app.get("/me")
    async def me(who: SignedIn) -> dict[str, str]:
        return {"user": who.user_id}

    client = connect(app)
    await client.post(f"{PREFIX}/v1/users", json={"email": EMAIL, "password": PASSWORD})
    answer = await client.post(f"{PREFIX}/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    assert (await client.get("/me")).json() == {"user": answer.json()["user"]["id"]}
