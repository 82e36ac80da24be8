"""An address that leads nowhere: a person is shown a page with a way back, a program a problem."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.http.driving import EMAIL, Connect, MakePropylon, enter, refused
from tests.web.parsing import Page

from propylon import Propylon
from propylon.errors import StoreUnavailable
from propylon.language import LANGUAGES, say

TYPED = {"sec-fetch-mode": "navigate", "accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OLD_BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
async def visitor(in_memory: Propylon, connect: Connect) -> httpx.AsyncClient:
    """Somebody who is not signed in."""
    return connect(in_memory)


def shown(answer: httpx.Response, status: int, code: str, language: str = "en") -> Page:
    """Return the page of a refusal, whole and in one language."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), answer.text
    assert (answer.headers["content-language"], answer.headers["cache-control"]) == (language, "no-store")
    assert "nonce-" in answer.headers["content-security-policy"]
    page = Page(answer.text)
    assert page.all("h1")[0].text == say(language, f"problem.{code}.title")
    return page


def leads_to(page: Page) -> str:
    """Return where the first button leads."""
    return next(link.attributes["href"] for link in page.all("a") if "button" in link.attributes.get("class", ""))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("headers", [TYPED, OLD_BROWSER])
@pytest.mark.parametrize(
    "path", ["/nothing", "/account/nothing", "/login/", "/static/nothing.js", "/v2", "/%ff", "/%00"]
)
async def test_a_mistyped_address_is_told_on_a_page(
    visitor: httpx.AsyncClient, path: str, headers: dict[str, str], language: str
) -> None:
    """404 in the person's language, with a way to the start."""
    page = shown(await visitor.get(path, headers={**headers, "accept-language": language}), 404, "not_found", language)
    assert leads_to(page) == "/"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/logout", {"POST"}), ("PUT", "/login", {"GET", "HEAD", "POST"}), ("POST", "/account", {"GET", "HEAD"})],
)
async def test_a_method_that_a_page_does_not_take_is_told_on_a_page(
    visitor: httpx.AsyncClient, method: str, path: str, allow: set[str]
) -> None:
    """405 with an exact ``Allow``."""
    answer = await visitor.request(method, path, headers=TYPED)
    shown(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allow


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1", TYPED),
        ("/v1/nothing", TYPED),
        ("/v1/sessions/", OLD_BROWSER),
        ("/.well-known/nothing", TYPED),
        ("/nothing", {"sec-fetch-mode": "cors", "accept": "text/html"}),
        ("/nothing", {"sec-fetch-mode": "no-cors", "accept": "*/*"}),
        ("/nothing", {"accept": "*/*"}),
        ("/nothing", {"accept": "application/json"}),
    ],
)
async def test_a_program_is_told_as_ever(visitor: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    """The paths of the API are for programs whoever opens them, and a script is no person."""
    refused(await visitor.get(path, headers=headers), 404, "not_found")


async def test_a_refusal_of_the_api_stays_a_problem(visitor: httpx.AsyncClient) -> None:
    """Opened in a browser, too: nothing but a wrong address is told on a page."""
    refused(await visitor.get("/v1/session", headers=TYPED), 401, "credential_missing")
    refused(await visitor.patch("/v1/session", headers=TYPED), 405, "method_not_allowed")


async def test_who_is_signed_in_is_led_to_the_account(in_memory: Propylon, connect: Connect) -> None:
    """The page knows them, as every page does."""
    client = connect(in_memory)
    await enter(client)
    page = shown(await client.get("/account/nothing", headers=TYPED), 404, "not_found")
    assert leads_to(page) == "/account"
    assert EMAIL not in page.all("main")[0].text


async def test_the_page_needs_no_store(in_memory: Propylon, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong address is wrong while the store is away."""
    client = connect(in_memory)
    await enter(client)

    async def gone(*_: Any, **__: Any) -> None:
        raise StoreUnavailable

    for name in ("find_session", "find_user"):
        monkeypatch.setattr(in_memory.runtime.store, name, gone)
    assert leads_to(shown(await client.get("/nothing", headers=TYPED), 404, "not_found")) == "/"


@pytest.mark.parametrize(
    "path", ["/a%20b%3Fc%22%3E", "/%EA%B0%80%EA%B2%8C", "/a%0D%0Aset-cookie:%20x=y", "/%5C%5Cevil.example"]
)
async def test_the_language_switch_leads_back_to_what_was_typed(visitor: httpx.AsyncClient, path: str) -> None:
    """Quoted as an address is: nothing in it becomes a query, a header or markup."""
    page = shown(await visitor.get(path, headers=TYPED), 404, "not_found")
    (back,) = [field.attributes["value"] for field in page.all("input") if field.attributes.get("name") == "next"]
    assert httpx.URL(back).raw_path == httpx.URL(path).raw_path
    chosen = await visitor.post("/language", data={"language": "ko", "next": back})
    assert (chosen.status_code, chosen.headers["location"]) == (303, back)


async def test_the_language_switch_leads_to_no_other_host(visitor: httpx.AsyncClient) -> None:
    """Two slashes begin an address of somebody else, so the switch leads to the start."""
    page = shown(await visitor.get("http://localhost:8000//evil.example/", headers=TYPED), 404, "not_found")
    (back,) = [field.attributes["value"] for field in page.all("input") if field.attributes.get("name") == "next"]
    chosen = await visitor.post("/language", data={"language": "ko", "next": back})
    assert chosen.headers["location"] == "/"


async def test_below_a_prefix_the_way_back_is_below_it(make_propylon: MakePropylon, connect: Connect) -> None:
    """And so are the paths of the API."""
    client = connect(await make_propylon(store="memory", public_url="http://localhost:8000/auth"))
    page = shown(await client.get("/auth/nothing", headers=TYPED), 404, "not_found")
    assert leads_to(page) == "/auth/"
    assert page.having("value", "/auth/nothing")
    refused(await client.get("/auth/v1/nothing", headers=TYPED), 404, "not_found")
