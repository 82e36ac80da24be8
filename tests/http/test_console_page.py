"""``/console``: only for whom a role allows it, with a password of just now, by a form of our own page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.http.driving import EMAIL, PASSWORD, SESSION_COOKIE, Connect, MakePropylon, bearer, sign_in
from tests.web.parsing import Page

from propylon import Propylon
from propylon.core.mode import ModePlan
from propylon.errors import Conflict
from propylon.flows.account import NewAccount
from propylon.testing import FakeClock, SecurityEvents

CONSOLE, MODE, PAUSE = "/console", "/console/mode", "/console/pause"
TO_TOKENS = {"mode": "bearer", "for": "all"}
FRESH_S = 600
FORMS: list[tuple[str, dict[str, str]]] = [(MODE, TO_TOKENS), (PAUSE, {"paused": "yes"})]
ELSEWHERE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


@pytest.fixture
def log() -> SecurityEvents:
    """The security log of the service."""
    return SecurityEvents()


@pytest.fixture
async def service(make_propylon: MakePropylon, log: SecurityEvents) -> Propylon:
    """A service with an administrator, Mina, and an editor, Ed."""
    propylon = await make_propylon(
        store="memory", roles={"admin": ["propylon:mode"], "editor": ["posts:write"]}, log=log
    )
    for email, role in ((EMAIL, "admin"), ("ed@example.com", "editor")):
        await propylon.runtime.accounts.add(NewAccount(email=email, password=PASSWORD, roles=(role,)))
    return propylon


@pytest.fixture
async def mina(service: Propylon, connect: Connect) -> httpx.AsyncClient:
    """The administrator's browser, signed in."""
    client = connect(service)
    await sign_in(client)
    return client


@pytest.fixture
async def ed(service: Propylon, connect: Connect) -> httpx.AsyncClient:
    """A browser of somebody whose role allows something else."""
    client = connect(service)
    await sign_in(client, email="ed@example.com")
    return client


async def plan(service: Propylon) -> ModePlan:
    """Return what has been decided."""
    return await service.runtime.gate.plan()


async def untouched(service: Propylon) -> bool:
    """Whether nothing was decided."""
    return await plan(service) == ModePlan.steady("cookie")


def led_to(answer: httpx.Response) -> str:
    """Return where a 303 leads."""
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def test_it_shows_each_kind_of_client(service: Propylon, mina: httpx.AsyncClient, connect: Connect) -> None:
    """How new sign-ins travel, who has moved and who has not, and when that was counted."""
    await sign_in(connect(service, user_agent="ShopApp/3.1 okhttp/4.12.0"), "bearer", email="ed@example.com")
    await mina.post(MODE, data=TO_TOKENS)
    page = Page((await mina.get(CONSOLE)).text)
    assert page.by_id("live-state").text == "Sessions are moving."
    browsers, apps = [item.text for item in page.all("li") if item.attributes.get("class") == "course"]
    assert browsers.startswith("Browsers Tokens before: Cookie")
    assert browsers.endswith("Moved0 Still to move1")
    assert apps.endswith("Moved1 Still to move0")
    assert [bar.attributes["value"] for bar in page.all("progress")] == ["0", "1"]
    assert page.having("data-ago")


async def test_a_form_turns_the_mode_pauses_goes_on_and_turns_round(
    service: Propylon, mina: httpx.AsyncClient, log: SecurityEvents
) -> None:
    """By the forms that the page itself shows; the security log says who it was."""
    assert led_to(await mina.post(MODE, data=TO_TOKENS)) == "/console?notice=mode_changed"
    me = (await mina.get("/v1/session")).json()
    who = {"user": me["user"]["id"], "session": me["session"]["id"]}
    log.assert_recorded("mode_changed", mode="bearer", previous="cookie", clients="apps browsers", **who)
    assert led_to(await press(mina, "Pause")) == "/console?notice=mode_paused"
    assert (await plan(service)).paused
    log.assert_recorded("mode_paused", **who)
    assert led_to(await press(mina, "Go on")) == "/console?notice=mode_resumed"
    assert led_to(await press(mina, "Turn round, back to: Cookie")) == "/console?notice=mode_changed"
    now = await plan(service)
    assert (now.browsers.mode, now.apps.mode, now.paused) == ("cookie", "cookie", False)


async def press(browser: httpx.AsyncClient, name: str) -> httpx.Response:
    """Send the form whose button says so, as it stands on the page."""
    page = Page((await browser.get(CONSOLE)).text)
    (button,) = [one for one in page.all("button") if one.text == name]
    form = button.inside("form")
    assert form is not None
    fields = [one for one in page.all("input") if one.inside("form") is form]
    return await browser.post(
        form.attributes["action"], data={one.attributes["name"]: one.attributes["value"] for one in fields}
    )


async def test_one_kind_of_client_changes_and_turns_round_alone(service: Propylon, mina: httpx.AsyncClient) -> None:
    """The other stays; where they go different ways each has its own way back."""
    await mina.post(MODE, data={"mode": "hybrid", "for": "browsers"})
    now = await plan(service)
    assert (now.browsers.mode, now.apps.mode) == ("hybrid", "cookie")
    assert "Apps back to" not in (await mina.get(CONSOLE)).text
    await press(mina, "Browsers back to: Cookie")
    assert (await plan(service)).browsers.mode == "cookie"


async def test_what_is_so_already_is_said_and_not_logged(
    service: Propylon, mina: httpx.AsyncClient, log: SecurityEvents
) -> None:
    """Two presses of one button decide once."""
    await mina.post(MODE, data=TO_TOKENS)
    assert led_to(await mina.post(MODE, data=TO_TOKENS)) == "/console?notice=mode_same"
    log.assert_recorded("mode_changed", times=1)
    assert (await plan(service)).change == 1


async def test_who_is_not_signed_in_signs_in_and_comes_back(service: Propylon, connect: Connect) -> None:
    """Mounted somewhere too."""
    assert led_to(await connect(service).get(CONSOLE)) == "/login?next=/console"
    mounted = connect(Starlette(routes=[Mount("/auth", service)]))
    assert led_to(await mounted.get("/auth/console")) == "/auth/login?next=/auth/console"


async def test_who_was_signed_out_is_told_so(service: Propylon, mina: httpx.AsyncClient) -> None:
    """The form to sign in stands below the reason."""
    cookie = {"cookie": f"{SESSION_COOKIE}={mina.cookies[SESSION_COOKIE]}"}
    await mina.delete("/v1/session")
    answer = await mina.get(CONSOLE, headers=cookie)
    assert answer.status_code == 401
    assert Page(answer.text).having("name", "next")[0].attributes["value"] == "/console"


@pytest.mark.parametrize("role", ["editor", None])
async def test_nobody_has_the_permission_by_default(
    service: Propylon, connect: Connect, role: str | None, log: SecurityEvents
) -> None:
    """403 on the page and on each form, whatever other roles there are; nothing is shown and nothing changes."""
    email = "joon@example.com"
    await service.runtime.accounts.add(NewAccount(email=email, password=PASSWORD, roles=(role,) if role else ()))
    client = connect(service)
    await sign_in(client, email=email)
    nonsense = (MODE, {"mode": "tokens"})
    answers = [await client.get(CONSOLE), *[await client.post(path, data=data) for path, data in (*FORMS, nonsense)]]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    assert not any("progress" in answer.text for answer in answers)
    assert await untouched(service)
    log.assert_not_recorded("mode_changed")


@pytest.mark.parametrize("path", ["/", "/account"])
async def test_only_who_may_open_it_is_led_there(mina: httpx.AsyncClient, ed: httpx.AsyncClient, path: str) -> None:
    """A link that ends at a refusal helps nobody."""
    assert Page((await mina.get(path)).text).having("href", "/console")
    assert not Page((await ed.get(path)).text).having("href", "/console")


@pytest.mark.parametrize(("path", "data"), FORMS)
async def test_a_password_from_long_ago_is_asked_for_again(
    service: Propylon, mina: httpx.AsyncClient, clock: FakeClock, path: str, data: dict[str, str]
) -> None:
    """To the second; back from there nothing has changed yet, and the choice is made again."""
    clock.advance(FRESH_S + 1)
    before = await mina.get(CONSOLE)
    assert "asked for your password" in before.text
    target = led_to(await mina.post(path, data=data))
    assert target.startswith("/confirm?next=/console%3F")
    assert await untouched(service)
    form = Page((await mina.get(target)).text)
    back = form.having("name", "next")[0].attributes["value"]
    target = led_to(await mina.post("/confirm", data={"password": PASSWORD, "next": back}))
    page = Page((await mina.get(target)).text)
    assert await untouched(service)
    ticked = [one.attributes["value"] for one in page.having("checked")]
    assert ticked == (["bearer", "all"] if path == MODE else ["all"])
    clock.advance(FRESH_S)
    assert led_to(await mina.post(path, data=data)).startswith("/console?notice=mode_")


@pytest.mark.parametrize(("path", "data"), FORMS)
@pytest.mark.parametrize("headers", [ELSEWHERE, {"sec-fetch-site": "same-site"}, {"origin": "null"}])
async def test_another_site_changes_nothing(
    service: Propylon, mina: httpx.AsyncClient, path: str, data: dict[str, str], headers: dict[str, str]
) -> None:
    """Its form carries the administrator's cookie, and is refused."""
    answer = await mina.post(path, data=data, headers=headers)
    assert (answer.status_code, "cross_site_refused" in answer.text) == (403, True)
    assert await untouched(service)


@pytest.mark.parametrize("path", [CONSOLE, MODE, PAUSE])
async def test_a_get_changes_nothing(service: Propylon, mina: httpx.AsyncClient, path: str) -> None:
    """Whatever stands in the address; a link, an image or a prefetch is no decision."""
    await mina.get(path, params={**TO_TOKENS, "paused": "yes", "notice": "confirmed"})
    assert await untouched(service)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"for": "all"}, "mode"),
        ({"mode": "tokens", "for": "all"}, "mode"),
        ({"mode": "BEARER", "for": "all"}, "mode"),
        ({"mode": ["bearer", "cookie"], "for": "all"}, "mode"),
        ({"mode": "bearer"}, "for"),
        ({"mode": "bearer", "for": "everybody"}, "for"),
        ({"mode": "bearer", "for": ["apps", "browsers"]}, "for"),
    ],
)
async def test_what_is_not_said_clearly_is_not_guessed(
    service: Propylon, mina: httpx.AsyncClient, data: dict[str, Any], field: str
) -> None:
    """422 with the page, the fault beside its field and linked from the top."""
    answer = await mina.post(MODE, data=data)
    assert answer.status_code == 422
    page = Page(answer.text)
    assert page.by_id(f"change-{field}-error").text
    assert page.having("href", f"#change-{field}")
    assert await untouched(service)


async def test_an_access_token_opens_no_page(service: Propylon, mina: httpx.AsyncClient, connect: Connect) -> None:
    """The pages take the cookie alone."""
    body = await sign_in(connect(service), "bearer")
    visitor = connect(service)
    assert led_to(await visitor.get(CONSOLE, headers=bearer(body["access_token"]))).startswith("/login")
    assert (await visitor.post(MODE, data=TO_TOKENS, headers=bearer(body["access_token"]))).status_code == 401
    assert await untouched(service)


async def test_of_two_administrators_at_once_one_is_told(
    service: Propylon, mina: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """409 above the form, with what was chosen."""

    async def overtaken(**_: object) -> None:
        raise Conflict("mode_changed_meanwhile")

    monkeypatch.setattr(service.runtime.mode_change, "decide", overtaken)
    answer = await mina.post(MODE, data=TO_TOKENS)
    assert answer.status_code == 409
    page = Page(answer.text)
    assert "Somebody else" in page.by_id("change-errors").text
    assert [one.attributes["value"] for one in page.having("checked")] == ["bearer", "all"]


async def test_the_page_may_ask_for_itself_and_nothing_else(mina: httpx.AsyncClient) -> None:
    """Its policy is that of every page, and one word more."""
    policy = (await mina.get(CONSOLE)).headers["content-security-policy"]
    assert policy.endswith("; connect-src 'self'")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src" not in (await mina.get("/account")).headers["content-security-policy"]
