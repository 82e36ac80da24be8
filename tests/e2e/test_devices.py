"""The story a newcomer tries first: two devices, one ends the other."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.e2e.conftest import Serve
from tests.e2e.stories import EMAIL, PASSWORD, send_sign_in, sign_in, sign_up

Arrive = Callable[..., Page]
Look = Callable[[Page, str], None]


@pytest.mark.parametrize("javascript", [True, False], ids=["with script", "without script"])
def test_one_device_ends_the_other_which_is_out_at_its_next_request(
    serve: Serve, visitor: Arrive, look: Look, *, javascript: bool
) -> None:
    """Sign up, sign in on two devices, see both, end one: it is out, and is told why."""
    url = serve()
    laptop, phone = visitor(java_script_enabled=javascript), visitor(java_script_enabled=javascript)
    sign_up(laptop, url)
    expect(laptop.get_by_role("status")).to_be_visible()
    send_sign_in(laptop)
    laptop.wait_for_url("**/account")
    sign_in(phone, url)
    laptop.reload()
    expect(laptop.locator("li.device")).to_have_count(2)
    expect(laptop.locator("li.device--current")).to_have_count(1)
    look(laptop, f"devices-{'script' if javascript else 'plain'}")
    laptop.locator("li.device:not(.device--current) form button").click()
    laptop.wait_for_url("**/account?notice=session_ended")
    expect(laptop.locator("li.device")).to_have_count(1)
    answer = phone.goto(f"{url}/account")
    assert answer is not None
    assert answer.status == 401
    expect(phone.locator("input[name=password]")).to_be_visible()
    expect(phone.get_by_role("alert").or_(phone.locator(".summary")).first).to_contain_text("ended")


def test_ending_all_others_leaves_this_device(serve: Serve, visitor: Arrive) -> None:
    """Three devices, one button: one device."""
    url = serve()
    here, there, elsewhere = visitor(), visitor(), visitor()
    sign_up(here, url)
    for page in (here, there, elsewhere):
        sign_in(page, url)
    here.reload()
    here.locator("form[action$=end-others] button").click()
    here.wait_for_url("**/account?notice=others_ended")
    expect(here.locator("li.device")).to_have_count(1)
    for page in (there, elsewhere):
        page.goto(f"{url}/account")
        expect(page.locator("input[name=password]")).to_be_visible()


def test_a_device_that_signed_in_with_tokens_is_listed_and_ended_by_the_page(serve: Serve, visitor: Arrive) -> None:
    """One revocation for every mode: the page ends a session that travels as tokens, refresh token and all."""
    url = serve()
    page = visitor()
    sign_up(page, url)
    sign_in(page, url)
    app = httpx.post(f"{url}/v1/sessions", json={"email": EMAIL, "password": PASSWORD, "mode": "bearer"}).json()
    bearer = {"authorization": f"Bearer {app['access_token']}"}
    assert httpx.get(f"{url}/v1/session", headers=bearer).status_code == 200
    page.reload()
    page.locator("li.device:not(.device--current) form button").click()
    page.wait_for_url("**/account?notice=session_ended")
    refused = httpx.get(f"{url}/v1/session", headers=bearer)
    assert (refused.status_code, refused.json()["code"]) == (401, "session_revoked")
    renewal = httpx.post(f"{url}/v1/session/tokens", json={"refresh_token": app["refresh_token"]})
    assert (renewal.status_code, renewal.json()["code"]) == (401, "session_revoked")


def test_an_evicted_device_is_told_when_and_by_what(serve: Serve, visitor: Arrive, look: Look) -> None:
    """With a limit of one, the second sign-in takes the place of the first, which is told so."""
    url = serve(session_limit="1")
    first, second = visitor(), visitor()
    sign_up(first, url)
    sign_in(first, url)
    sign_in(second, url)
    first.goto(f"{url}/account")
    message = first.locator("main").inner_text()
    assert "UTC" in message
    assert "Chrome" in message
    look(first, "evicted")


def test_with_refuse_newest_the_page_offers_which_device_to_end(serve: Serve, visitor: Arrive, look: Look) -> None:
    """The newcomer chooses a device to end, and is in."""
    url = serve(session_limit="1", session_limit_policy="refuse_newest")
    first, second = visitor(), visitor()
    sign_up(first, url)
    sign_in(first, url)
    second.goto(f"{url}/login")
    send_sign_in(second)
    expect(second.locator("input[name=end]")).to_have_count(1)
    look(second, "chooser")
    second.locator("input[name=end]").check()
    second.fill("input[name=password]", PASSWORD)
    second.click("main button[type=submit]")
    second.wait_for_url("**/account")
    first.goto(f"{url}/account")
    expect(first.locator("input[name=password]")).to_be_visible()
