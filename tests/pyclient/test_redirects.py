"""Redirects: what was refused is sent once more, and never what led there, which has been done."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from tests.pyclient.stage import (
    CONFIRM,
    FRESH,
    ISSUER,
    ORDER,
    RENEW,
    WHO,
    Stage,
    answering,
    ask,
    problem,
)

from propylon import CredentialRefused

ELSEWHERE = ("GET", "/elsewhere")
API = "http://localhost"
PLACED = answering(303, headers={"location": "/v1/session"})
MOVED = answering(307, headers={"location": "/fresh"})


@pytest.fixture(params=["plain", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of client."""
    return str(request.param)


async def send(stage: Stage, auth: httpx.Auth, kind: str, url: str = "/orders", **how: Any) -> httpx.Response:
    """Send a POST that follows redirects, by that kind of client."""
    if kind == "plain":
        with stage.client(auth, follow_redirects=True) as client:
            return client.post(url, **how)
    async with stage.async_client(auth, follow_redirects=True) as client:
        return await client.post(url, **how)


async def test_an_order_is_placed_once_though_its_receipt_is_refused(stage: Stage, kind: str) -> None:
    """A form leads to its result (303): the result is asked for again, the form is not sent again."""
    auth = stage.auth()
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults = {ORDER: [PLACED], WHO: [problem("token_expired")]}
    answer = await send(stage, auth, kind, json={})
    assert answer.json()["user"]["id"] == stage.user_id
    assert stage.network.sent == [ORDER, WHO, RENEW, WHO]


async def test_an_order_is_placed_once_though_its_receipt_wants_a_recent_sign_in(stage: Stage, kind: str) -> None:
    """It confirms, renews, and asks for the result again."""
    auth = stage.auth()
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults = {ORDER: [PLACED], WHO: [problem("reauthentication_required", max_age=60)]}
    assert (await send(stage, auth, kind, json={})).status_code == 200
    assert stage.network.sent == [ORDER, WHO, CONFIRM, RENEW, WHO]


async def test_a_body_that_was_sent_on_is_sent_again_where_it_was_refused(stage: Stage, kind: str) -> None:
    """307 takes method and body along, and only the last address has not taken them."""
    auth = stage.auth()
    ask(stage, auth)
    stage.advance(61)  # more than ``/fresh`` allows
    stage.network.forget()
    stage.network.faults[ORDER] = [MOVED]
    answer = await send(stage, auth, kind, content=b"two apples")
    assert answer.json() == {"user": stage.user_id}
    assert stage.network.sent == [ORDER, FRESH, CONFIRM, RENEW, FRESH]
    asked = [body for sent, body in zip(stage.network.sent, stage.network.bodies, strict=True) if sent == FRESH]
    assert asked == [b"two apples"] * 2


async def test_a_small_file_that_was_sent_on_is_sent_again_whole(stage: Stage, kind: str) -> None:
    """It is read into memory before it leaves."""
    auth = stage.auth()
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults = {ORDER: [MOVED], FRESH: [problem("token_expired")]}
    await send(stage, auth, kind, files={"list": io.BytesIO(b"two apples")})
    assert stage.network.sent == [ORDER, FRESH, RENEW, FRESH]
    assert len(set(stage.network.bodies) - {b""}) == 2  # the form, and the renewal's
    assert stage.network.bodies[0] == stage.network.bodies[1] == stage.network.bodies[3]


async def test_a_body_that_cannot_be_sent_again_need_not_be(stage: Stage, kind: str) -> None:
    """A stream was taken, and what is refused behind it has no body."""

    def parts() -> Iterator[bytes]:
        yield b"two apples"

    async def parts_async() -> AsyncIterator[bytes]:
        yield b"two apples"

    auth = stage.auth()
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults = {ORDER: [PLACED], WHO: [problem("token_expired")]}
    answer = await send(stage, auth, kind, content=parts() if kind == "plain" else parts_async())
    assert answer.status_code == 200
    assert stage.network.sent == [ORDER, WHO, RENEW, WHO]


async def test_what_is_refused_before_a_redirect_is_repeated_and_then_followed(stage: Stage, kind: str) -> None:
    """Nothing had been done: the order is placed by the second try."""
    auth = stage.auth()
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults[ORDER] = [problem("token_expired"), PLACED]
    assert (await send(stage, auth, kind, json={})).status_code == 200
    assert stage.network.sent == [ORDER, RENEW, ORDER, WHO]


async def test_what_is_refused_twice_behind_a_redirect_is_raised(stage: Stage, kind: str) -> None:
    """Never a third time, and the order is still placed once."""
    auth = stage.auth()
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults = {ORDER: [PLACED], WHO: [problem("token_expired")] * 2}
    with pytest.raises(CredentialRefused, match="token_expired"):
        await send(stage, auth, kind, json={})
    assert stage.network.sent == [ORDER, WHO, RENEW, WHO]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_carries_no_token_and_renews_nothing(
    stage: Stage, kind: str, status: int
) -> None:
    """Also to one of ``apis``: httpx takes the token off, and that answer is the caller's."""
    auth = stage.auth(apis=[API])
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults[ORDER] = [answering(status, headers={"location": f"{API}/elsewhere"})]
    for method in ("GET", "POST"):
        stage.network.faults[method, "/elsewhere"] = [problem("token_expired")]
    assert (await send(stage, auth, kind, json={})).status_code == 401
    assert [sent.url.host for sent in stage.network.seen] == ["localhost"] * 2
    assert stage.network.seen[0].url.port == httpx.URL(ISSUER).port
    assert "authorization" not in stage.network.seen[1].headers


async def test_a_new_token_does_not_follow_to_https_that_nobody_named(stage: Stage, kind: str) -> None:
    """The library lets a token pass from http to https of one host; what answers there is not renewed for."""
    auth = stage.auth(apis=[API])
    ask(stage, auth)
    stage.network.forget()
    stage.network.faults = {
        ORDER: [answering(303, headers={"location": "https://localhost/elsewhere"})],
        ELSEWHERE: [problem("token_expired")],
    }
    assert (await send(stage, auth, kind, f"{API}/orders", json={})).status_code == 401
    assert stage.network.sent == [ORDER, ELSEWHERE]
