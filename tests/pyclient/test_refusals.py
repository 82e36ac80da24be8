"""A session that is over, a password that is wrong, another user: a clear error, no loop, nobody else's session."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from tests.pyclient.stage import (
    PASSWORD,
    RENEW,
    SIGN_IN,
    SIGN_OUT,
    WHO,
    Stage,
    answering,
    ask,
    entered,
    failing,
    problem,
    refusal,
    sign_up,
)

from propylon import CredentialRefused, Unavailable
from propylon.client import MemoryPlace
from propylon.errors import Conflict

LIFE_S = 300


ENDINGS: dict[str, Callable[[Stage], None]] = {
    "session_revoked": lambda stage: stage.end_everything(),
    "session_expired": lambda stage: stage.advance(8 * 86_400),
    "session_evicted": lambda stage: stage.network.faults.update({RENEW: [problem("session_evicted")]}),
    "token_reused": lambda stage: stage.network.faults.update({RENEW: [problem("token_reused")]}),
    "user_disabled": lambda stage: stage.network.faults.update({RENEW: [problem("user_disabled")]}),
}


@pytest.mark.parametrize(("code", "end"), ENDINGS.items(), ids=ENDINGS)
def test_when_the_session_is_over_it_says_why_and_keeps_nothing(
    stage: Stage, code: str, end: Callable[[Stage], None]
) -> None:
    """Without a password: an error with the code, once; after that nobody is signed in, and nobody is asked."""
    place = MemoryPlace()
    auth = entered(stage, place)
    assert ask(stage, auth).status_code == 200
    end(stage)
    stage.advance(LIFE_S)
    error = refusal(stage, auth)
    assert (type(error), error.code) == (CredentialRefused, code)
    assert place.load() is None
    assert stage.network.sent == [WHO, RENEW]
    assert refusal(stage, auth).code == "credential_missing"
    assert stage.network.sent == [WHO, RENEW]


@pytest.mark.parametrize(("code", "end"), ENDINGS.items(), ids=ENDINGS)
def test_with_a_password_it_signs_in_again_as_the_same_user(
    stage: Stage, code: str, end: Callable[[Stage], None]
) -> None:
    """Once, and the request never knows."""
    auth = stage.auth()
    first = ask(stage, auth).json()
    end(stage)
    stage.advance(LIFE_S)
    second = ask(stage, auth).json()
    assert second["user"] == first["user"]
    assert second["session"]["id"] != first["session"]["id"]
    assert stage.network.sent == [SIGN_IN, WHO, RENEW, SIGN_IN, WHO]


def test_a_session_that_was_ended_under_a_fresh_token_is_noticed_at_the_request(stage: Stage) -> None:
    """The API refuses, the issuer confirms it, and only then is anything forgotten."""
    place = MemoryPlace()
    auth = entered(stage, place)
    stage.end_everything()
    assert refusal(stage, auth).code == "session_revoked"
    assert place.load() is None
    assert stage.network.sent == [WHO, RENEW]


def test_an_api_alone_cannot_end_a_session(stage: Stage) -> None:
    """One that is mistaken, or lies, costs a renewal; the session lives on."""
    place = MemoryPlace()
    auth = entered(stage, place)
    stage.network.faults[WHO] = [problem("session_revoked"), problem("session_revoked")]
    assert refusal(stage, auth).code == "session_revoked"
    assert place.load() is not None
    assert ask(stage, auth).status_code == 200
    assert stage.network.sent == [WHO, RENEW, WHO, WHO]


def test_two_programs_that_push_each_other_out_do_not_go_on_for_ever(stage: Stage) -> None:
    """A session made by itself that ends within a minute is not replaced; after that minute it is."""
    auth = stage.auth()
    for _ in range(3):
        stage.end_everything()
        ask(stage, auth) if auth.user_id is None else refusal(stage, auth)
    assert stage.network.count(SIGN_IN) == 1
    stage.advance(60)
    assert ask(stage, auth).status_code == 200
    assert stage.network.count(SIGN_IN) == 2


def test_a_wrong_password_is_tried_once(stage: Stage) -> None:
    """Every request after it would be a failure that slows down the right one; ``sign_in`` may try again."""
    auth = stage.auth(password="something else")
    assert refusal(stage, auth).code == "credentials_wrong"
    assert [refusal(stage, auth).code for _ in range(3)] == ["credential_missing"] * 3
    assert stage.network.sent == [SIGN_IN]
    with pytest.raises(CredentialRefused, match="credentials_wrong"):
        auth.sign_in()
    assert stage.network.sent == [SIGN_IN, SIGN_IN]


def test_whoever_knows_the_password_is_asked_when_it_is_needed_and_no_sooner(stage: Stage) -> None:
    """At the first request; not at a renewal; and again after they were wrong."""
    answers = ["something else", PASSWORD]
    auth = stage.auth(password=lambda: answers.pop(0))
    assert refusal(stage, auth).code == "credentials_wrong"
    assert ask(stage, auth).status_code == 200
    stage.advance(LIFE_S)
    assert ask(stage, auth).status_code == 200
    assert answers == []
    assert stage.network.sent == [SIGN_IN, SIGN_IN, WHO, RENEW, WHO]


def test_whoever_gives_no_password_ends_the_request_with_their_own_error(stage: Stage) -> None:
    """Somebody who has pressed escape is not asked by the next request that waited."""

    def escaped() -> str:
        raise EOFError("no")

    with pytest.raises(EOFError, match="no"):
        ask(stage, stage.auth(password=escaped))
    assert stage.network.sent == []


@pytest.mark.parametrize(("email", "password"), [("nobody@example.com", None), (None, None)])
def test_with_nothing_kept_and_no_password_nobody_is_signed_in(
    stage: Stage, email: str | None, password: str | None
) -> None:
    """And nobody is asked."""
    auth = stage.auth(email=email, password=password)
    assert refusal(stage, auth).code == "credential_missing"
    with pytest.raises(CredentialRefused, match="credential_missing"):
        auth.sign_in()
    assert stage.network.sent == []


def test_an_address_that_is_somebody_elses_by_now_signs_nobody_in(stage: Stage) -> None:
    """What the app has in memory is of the first user: it must not be shown to, or stored for, the second."""
    auth = stage.auth()
    ask(stage, auth)
    stage.end_everything()
    stage.advance(LIFE_S)
    issued = {"access_token": "a", "refresh_token": "r", "expires_in": 300}
    somebody_else = {"user": {"id": "another", "email": stage.email}, **issued}
    stage.network.faults = {SIGN_IN: [answering(201, json=somebody_else)], SIGN_OUT: [answering(204)]}
    error = refusal(stage, auth)
    assert (type(error), error.code) == (Conflict, "other_user")
    assert stage.network.sent[-1] == SIGN_OUT  # the session of the other is not left behind
    auth.sign_in()
    assert ask(stage, auth).json()["user"]["id"] == stage.user_id


def test_what_is_kept_of_somebody_else_is_not_used(stage: Stage) -> None:
    """Neither their session nor, instead of it, a new one over it; ``sign_in`` says that it is meant."""
    place = MemoryPlace()
    entered(stage, place)
    theirs = place.load()
    with stage.client() as client:
        sign_up(client, f"other-{stage.email}")
    stage.network.forget()
    auth = stage.auth(email=f"other-{stage.email}", place=place)
    for _ in range(2):
        assert refusal(stage, auth).code == "other_user"
    assert place.load() == theirs
    assert stage.network.sent == []
    auth.sign_in()
    assert ask(stage, auth).json()["user"]["email"] == f"other-{stage.email}"


def test_a_change_of_users_in_a_shared_place_is_noticed(stage: Stage) -> None:
    """Somebody signs in as another user in the next terminal; this program does not become them."""
    place = MemoryPlace()
    with stage.client() as client:
        sign_up(client, f"other-{stage.email}")
    auth = entered(stage, place, email=None)
    ask(stage, auth)
    stage.auth(email=f"other-{stage.email}", place=place).sign_in()
    stage.advance(LIFE_S)
    assert [refusal(stage, auth).code for _ in range(2)] == ["other_user"] * 2


def test_signing_out_ends_the_session_and_nothing_signs_in_again(stage: Stage) -> None:
    """Although the password is there; until somebody says so."""
    place = MemoryPlace()
    auth = stage.auth(place=place)
    ask(stage, auth)
    token = stage.network.seen[-1].headers["authorization"]
    auth.sign_out()
    assert (place.load(), auth.user_id) == (None, None)
    with stage.client() as client:
        answer = client.get("/v1/session", headers={"authorization": token})
    assert answer.json()["code"] == "session_revoked"
    stage.advance(3_600)
    assert [refusal(stage, auth).code for _ in range(2)] == ["credential_missing"] * 2
    assert stage.network.count(SIGN_IN) == 1
    auth.sign_in()
    assert ask(stage, auth).status_code == 200


def test_signing_out_over_somebody_elses_tokens_leaves_them_alone(stage: Stage) -> None:
    """They are not this program's to end; it is signed out all the same, also when theirs are gone."""
    place = MemoryPlace()
    with stage.client() as client:
        sign_up(client, f"other-{stage.email}")
    auth, theirs = stage.auth(place=place), stage.auth(email=f"other-{stage.email}", place=place)
    ask(stage, auth)
    theirs.sign_in()
    with pytest.raises(Conflict, match="other_user"):
        auth.sign_out()
    assert ask(stage, theirs).status_code == 200
    theirs.sign_out()
    stage.advance(3_600)
    assert refusal(stage, auth).code == "credential_missing"


async def test_the_same_is_there_for_tasks(stage: Stage) -> None:
    """``sign_in_async``, ``confirm_async``, ``sign_out_async``."""
    auth = stage.auth()
    await auth.sign_in_async()
    assert auth.user_id == stage.user_id
    await auth.confirm_async()
    await auth.sign_out_async()
    assert repr(auth).endswith("user_id=None)")
    async with stage.async_client(auth) as client:
        with pytest.raises(CredentialRefused, match="credential_missing"):
            await client.get("/v1/session")


def test_signing_out_without_a_server_forgets_and_says_so(stage: Stage) -> None:
    """The session lives on there, and the app can tell its user."""
    place = MemoryPlace()
    auth = stage.auth(place=place)
    ask(stage, auth)
    stage.network.faults[SIGN_OUT] = [failing(httpx.ConnectError)]
    with pytest.raises(Unavailable):
        auth.sign_out()
    assert place.load() is None
    assert refusal(stage, auth).code == "credential_missing"


@pytest.mark.parametrize("end", [lambda _: None, Stage.end_everything, lambda stage: stage.advance(LIFE_S)])
def test_signing_out_twice_or_too_late_is_signing_out(stage: Stage, end: Callable[[Stage], None]) -> None:
    """What is over, and a token that has to be renewed for it, are no errors."""
    auth = stage.auth()
    ask(stage, auth)
    end(stage)
    auth.sign_out()
    auth.sign_out()
    assert stage.network.count(SIGN_OUT) == 1 or stage.network.count(RENEW) == 1


def test_signing_in_again_leaves_no_session_behind(stage: Stage) -> None:
    """What was held before is ended: nobody could end it later."""
    auth = stage.auth()
    ask(stage, auth)
    auth.sign_in()
    with stage.client(auth) as client:
        assert len(client.get("/v1/sessions").json()["sessions"]) == 1
    assert stage.network.count(SIGN_IN) == 2
