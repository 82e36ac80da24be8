"""A route that asks for a recent sign-in: the password once, the request once more, and no more than that."""

from __future__ import annotations

import asyncio
import threading

import httpx
import pytest
from tests.pyclient.stage import (
    CONFIRM,
    FRESH,
    PASSWORD,
    RENEW,
    SIGN_IN,
    Stage,
    ask,
    entered,
    eventually_async,
    failing,
    problem,
)

from propylon import CredentialRefused, PropylonError, Unavailable
from propylon.client import MemoryPlace, PropylonAuth

RECENT_S = 60


def step(stage: Stage, auth: PropylonAuth) -> httpx.Response:
    """Ask for what needs a recent sign-in."""
    with stage.client(auth) as client:
        return client.post("/fresh", json={})


def refused(stage: Stage, auth: PropylonAuth) -> PropylonError:
    """Return what the same is refused with."""
    with pytest.raises(PropylonError) as refusal:
        step(stage, auth)
    return refusal.value


def long_ago(stage: Stage, auth: PropylonAuth) -> None:
    """Sign in, and let more time pass than the route allows."""
    ask(stage, auth)
    stage.advance(RECENT_S + 1)
    stage.network.forget()


def test_it_confirms_with_the_password_and_repeats_the_request(stage: Stage) -> None:
    """Once; the session stays the same, and the next step needs nothing."""
    auth = stage.auth()
    long_ago(stage, auth)
    assert step(stage, auth).json() == {"user": stage.user_id}
    assert stage.network.sent == [FRESH, CONFIRM, RENEW, FRESH]
    assert step(stage, auth).status_code == 200
    assert stage.network.count(CONFIRM) == 1


def test_without_a_password_it_says_how_recent_it_has_to_be(stage: Stage) -> None:
    """And the session goes on for everything else."""
    auth = entered(stage, MemoryPlace())
    long_ago(stage, auth)
    error = refused(stage, auth)
    assert (type(error), error.code) == (CredentialRefused, "reauthentication_required")
    assert error.facts == {"max_age_s": RECENT_S}
    assert stage.network.sent == [FRESH]
    assert ask(stage, auth).status_code == 200


def test_a_wrong_password_confirms_nothing_and_is_not_tried_again(stage: Stage) -> None:
    """It has changed since; the session goes on for everything else."""
    place = MemoryPlace()
    entered(stage, place)
    auth = stage.auth(place=place, password="something else")
    long_ago(stage, auth)
    assert refused(stage, auth).code == "credentials_wrong"
    assert [refused(stage, auth).code for _ in range(2)] == ["reauthentication_required"] * 2
    assert stage.network.count(CONFIRM) == 1
    assert ask(stage, auth).status_code == 200


def test_a_route_that_is_never_content_is_not_asked_for_ever(stage: Stage) -> None:
    """One confirmation, one repetition."""
    stage.network.faults[FRESH] = [problem("reauthentication_required", max_age=1) for _ in range(9)]
    auth = stage.auth()
    ask(stage, auth)
    error = refused(stage, auth)
    assert (error.code, error.facts) == ("reauthentication_required", {"max_age_s": 1})
    assert (stage.network.count(FRESH), stage.network.count(CONFIRM)) == (2, 1)


def test_a_renewal_in_between_is_no_confirmation(stage: Stage) -> None:
    """A token that is merely newer than the refused one would be refused as well."""
    auth = stage.auth()
    long_ago(stage, auth)

    def renewed_meanwhile(request: httpx.Request) -> httpx.Response | None:
        stage.advance(300)
        ask(stage, auth)
        return problem("reauthentication_required", max_age=RECENT_S)(request)

    stage.network.faults[FRESH] = [renewed_meanwhile]
    assert step(stage, auth).status_code == 200
    assert (stage.network.count(CONFIRM), stage.network.count(FRESH)) == (1, 2)


async def test_many_tasks_confirm_once(stage: Stage) -> None:
    """Nobody is asked for the password twenty times, and the loop turns while they think."""
    asked, thinking = [], threading.Event()

    def think() -> str:
        asked.append(threading.current_thread())
        thinking.wait(20)
        return PASSWORD

    place = MemoryPlace()
    entered(stage, place)
    auth = stage.auth(place=place, password=think)
    long_ago(stage, auth)
    async with stage.async_client(auth) as client:
        steps = [asyncio.create_task(client.post("/fresh", json={})) for _ in range(20)]
        await eventually_async(lambda: stage.network.count(FRESH) == 20)
        assert (await client.get("/v1/session")).status_code == 200  # others go on meanwhile
        thinking.set()
        assert {answer.status_code for answer in await asyncio.gather(*steps)} == {200}
    assert (len(asked), stage.network.count(CONFIRM)) == (1, 1)
    assert asked != [threading.main_thread()]


def test_where_the_session_is_over_a_sign_in_is_as_good_as_a_confirmation(stage: Stage) -> None:
    """It was proved just now who is there."""
    auth = stage.auth()
    long_ago(stage, auth)
    stage.network.faults[FRESH] = [problem("reauthentication_required", max_age=RECENT_S)]
    stage.end_everything()
    assert step(stage, auth).status_code == 200
    assert stage.network.sent == [FRESH, CONFIRM, RENEW, SIGN_IN, FRESH]


def test_a_token_that_is_over_by_the_servers_clock_is_renewed_before_it_confirms(stage: Stage) -> None:
    """The client's clock is of no account there either."""
    auth = stage.auth()
    long_ago(stage, auth)
    stage.clock.advance(300)
    auth.confirm()
    assert stage.network.sent == [CONFIRM, RENEW, CONFIRM, RENEW]
    assert step(stage, auth).status_code == 200


def test_it_can_be_confirmed_ahead_of_a_step(stage: Stage) -> None:
    """So that a body that can be sent once is not refused."""
    auth = stage.auth()
    long_ago(stage, auth)
    auth.confirm()
    assert step(stage, auth).status_code == 200
    assert stage.network.sent == [CONFIRM, RENEW, FRESH]


def test_a_body_that_can_be_sent_once_is_not_sent_empty(stage: Stage) -> None:
    """Nobody is asked for a password for a request that cannot be repeated anyway."""
    auth = stage.auth()
    long_ago(stage, auth)
    with stage.client(auth) as client, pytest.raises(CredentialRefused) as refusal:
        client.post("/fresh", content=(part for part in [b"x"]))
    assert refusal.value.code == "reauthentication_required"
    assert refusal.value.facts == {"max_age_s": RECENT_S, "unrepeatable": True}
    assert stage.network.count(CONFIRM) == 0


@pytest.mark.parametrize("kind", [CONFIRM, RENEW], ids=["confirmation", "renewal"])
def test_an_answer_that_is_lost_on_the_way_ends_no_session(stage: Stage, kind: tuple[str, str]) -> None:
    """Whatever had happened on the server by then: the next try succeeds."""
    auth = stage.auth()
    long_ago(stage, auth)
    session = ask(stage, auth).json()["session"]["id"]
    stage.network.lost[kind] = 2
    assert type(refused(stage, auth)) is Unavailable
    stage.network.lost.clear()
    stage.advance(1)
    assert step(stage, auth).status_code == 200
    assert ask(stage, auth).json()["session"]["id"] == session


def test_an_issuer_out_of_reach_is_no_wrong_password(stage: Stage) -> None:
    """The password is still good when it is back."""
    auth = stage.auth()
    long_ago(stage, auth)
    stage.network.faults[CONFIRM] = [failing(httpx.ConnectError)]
    assert type(refused(stage, auth)) is Unavailable
    stage.advance(1)
    assert step(stage, auth).status_code == 200
