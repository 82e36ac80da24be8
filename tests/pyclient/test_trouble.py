"""An issuer in trouble, wrong settings, and what must not be told: nothing is lost, and no secret is shown."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from typing import Any

import httpx
import pytest
from tests.pyclient.stage import (
    ISSUER,
    PASSWORD,
    RENEW,
    SIGN_IN,
    WHO,
    Fault,
    Stage,
    answering,
    ask,
    entered,
    failing,
    problem,
    refusal,
    secret_of,
)

from propylon import ClientError, Forbidden, PropylonError, SetupError, Unavailable
from propylon.client import MemoryPlace, PropylonAuth
from propylon.errors import Conflict, TooMany

LIFE_S = 300

HTML = "<html>Welcome to the hotel</html>"
SOUND = {"access_token": "a", "refresh_token": "r", "expires_in": 300, "user": {"id": "u", "email": "e"}}
PACKED = gzip.compress(json.dumps(SOUND).encode())
NO_ANSWERS: dict[str, Fault] = {
    "html": answering(200, html=HTML),
    "html, created": answering(201, html=HTML),
    "a page that refuses": answering(401, html=HTML),
    "a page that is missing": answering(404, html=HTML),
    "a broken gateway": answering(502, html=HTML),
    "a broken server": problem("internal", 500),
    "a redirect": answering(302, headers={"location": "https://hotel.example/"}),
    "nothing": answering(200),
    "no object": answering(200, json=[]),
    "nothing in it": answering(200, json={}),
    "no token": answering(201, json={**SOUND, "access_token": "a\r\nx: y"}),
    "no refresh token": answering(201, json={**SOUND, "refresh_token": ""}),
    "no number": answering(200, json={**SOUND, "expires_in": -1}),
    "deep": answering(200, content=b"[" * 60_000),
    "large": answering(200, content=b" " * 70_000),
    "packed": answering(200, content=PACKED, headers={"content-encoding": "gzip"}),
    "packed, created": answering(201, content=PACKED, headers={"content-encoding": "gzip"}),
    "no connection": failing(httpx.ConnectError),
    "no answer": failing(httpx.ReadTimeout),
    "no http": failing(httpx.RemoteProtocolError),
}


@pytest.mark.parametrize("fault", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("kind", [SIGN_IN, RENEW], ids=["sign-in", "renewal"])
def test_what_is_no_answer_of_a_propylon_changes_nothing(stage: Stage, kind: tuple[str, str], fault: Fault) -> None:
    """``Unavailable``; what is kept is kept, and the next one goes on as if nothing had happened."""
    place = MemoryPlace()
    auth = stage.auth(place=place)
    if kind == RENEW:
        ask(stage, auth)
        stage.advance(LIFE_S)
    before = place.load()
    stage.network.faults[kind] = [fault, fault]
    error = refusal(stage, auth)
    assert (type(error), error.code) == (Unavailable, "unavailable")
    assert error.facts["reason"]
    assert place.load() == before
    stage.network.faults.clear()
    stage.advance(1)
    assert ask(stage, auth).json()["user"]["id"] == stage.user_id
    assert stage.network.count(SIGN_IN) == (2 if kind == SIGN_IN else 1)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (problem("too_many_attempts", 429), TooMany),
        (problem("overloaded", 503), Unavailable),
        (answering(503, html=HTML), Unavailable),
        (answering(429, html=HTML), TooMany),
    ],
)
@pytest.mark.parametrize(
    ("said", "rest_s"),
    [("7", 7), (None, 1), ("soon", 1), ("-5", 1), ("9" * 30, 1), ("Wed, 21 Oct 2026 07:28:00 GMT", 1)],
)
def test_an_issuer_that_says_when_to_come_back_is_left_alone_until_then(
    stage: Stage, fault: Fault, error: type[PropylonError], said: str | None, rest_s: int
) -> None:
    """All requests fail at once meanwhile, with what is left of the time; a date needs a clock that is right."""

    def with_header(request: httpx.Request) -> httpx.Response | None:
        answer = fault(request)
        assert answer is not None
        if said is not None:
            answer.headers["retry-after"] = said
        return answer

    auth = stage.auth()
    ask(stage, auth)
    stage.advance(LIFE_S)
    stage.network.faults[RENEW] = [with_header]
    first = refusal(stage, auth)
    second = refusal(stage, auth)
    assert (type(first), type(second), first.code) == (error, error, second.code)
    assert first.retry_after_s == second.retry_after_s == rest_s  # type: ignore[attr-defined]
    assert stage.network.count(RENEW) == 1
    stage.advance(rest_s)
    assert ask(stage, auth).status_code == 200


@pytest.mark.parametrize("fault", [failing(httpx.ReadTimeout), problem("overloaded", 503), answering(200, html=HTML)])
def test_while_the_token_is_good_trouble_with_the_renewal_is_nobodys(stage: Stage, fault: Fault) -> None:
    """It was ahead of time; the next one tries again."""
    auth = stage.auth()
    ask(stage, auth)
    stage.advance(LIFE_S - 20)
    stage.network.faults[RENEW] = [fault]
    assert ask(stage, auth).status_code == 200
    stage.advance(1)
    assert ask(stage, auth).status_code == 200
    assert stage.network.sent == [SIGN_IN, WHO, RENEW, WHO, RENEW, WHO]


def test_an_answer_lost_after_the_rotation_is_asked_for_again(stage: Stage) -> None:
    """The same refresh token gets the same successor; the request never knows."""
    auth = stage.auth()
    session = ask(stage, auth).json()["session"]["id"]
    stage.advance(LIFE_S)
    stage.network.lost[RENEW] = 1
    assert ask(stage, auth).json()["session"]["id"] == session
    assert stage.network.sent == [SIGN_IN, WHO, RENEW, RENEW, WHO]


@pytest.mark.parametrize("later_s", [1, 20, 3_600])
def test_answers_lost_again_and_again_end_no_session(stage: Stage, later_s: int) -> None:
    """Also when the network comes back an hour later: what is kept is what the server can still repeat."""
    place = MemoryPlace()
    auth = entered(stage, place)
    session = ask(stage, auth).json()["session"]["id"]
    stage.advance(LIFE_S)
    stage.network.lost[RENEW] = 2
    assert refusal(stage, auth).code == "unavailable"
    stage.advance(later_s)
    assert ask(stage, auth).json()["session"]["id"] == session
    for _ in range(3):
        stage.advance(LIFE_S)
        assert ask(stage, auth).json()["session"]["id"] == session


def test_a_sign_in_is_never_sent_twice(stage: Stage) -> None:
    """Each one opens a session that nobody may hold then."""
    stage.network.lost[SIGN_IN] = 1
    assert refusal(stage, stage.auth()).code == "unavailable"
    assert stage.network.sent == [SIGN_IN]


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (problem("session_limit_reached", 409, limit=2), Conflict, "session_limit_reached"),
        (problem("forbidden", 403), Forbidden, "forbidden"),
        (problem("host_unknown", 400), ClientError, "host_unknown"),
    ],
)
def test_a_refused_sign_in_says_why(stage: Stage, fault: Fault, error: type[PropylonError], code: str) -> None:
    """As the tree of errors has it."""
    stage.network.faults[SIGN_IN] = [fault]
    refused = refusal(stage, stage.auth())
    assert (type(refused), refused.code) == (error, code)


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "http://id.example"},
        {"issuer": "http://localhost.example"},
        {"issuer": "ftp://localhost"},
        {"issuer": "https://user:password@id.example"},
        {"issuer": ""},
        {"apis": ["http://api.example"]},
        {"apis": ["https://api.example/path"]},
        {"apis": ["*"]},
        {"password": PASSWORD},
    ],
)
def test_a_wrong_setting_is_refused_at_once_with_a_sentence(settings: dict[str, Any]) -> None:
    """Plain http to another machine above all: whoever is on the way reads the password."""
    with pytest.raises(SetupError) as refused:
        PropylonAuth(**{"issuer": "https://id.example", **settings})
    assert str(refused.value).endswith((".", "https."))
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("issuer", ["https://ID.example/auth/", "http://127.0.0.1:1", "http://[::1]:1", ISSUER])
def test_https_and_this_machine_are_issuers(issuer: str) -> None:
    """Also below a path."""
    assert PropylonAuth(issuer).issuer == issuer.lower().rstrip("/")


def told(error: BaseException) -> str:
    """Return all that a report of an error may show: the chain, and the values in every frame of ours and httpx's."""
    parts = [repr(error), str(error), *(repr(value) for value in vars(error).values())]
    parts += traceback.format_exception(error)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "/tests/" not in frame.f_code.co_filename:
            parts += [repr(value) for value in frame.f_locals.values()]
    for further in (error.__cause__, error.__context__):
        parts += [told(further)] if further is not None else []
    return "\n".join(parts)


ISSUED = "r" * 43
FAULTS: dict[str, list[Fault]] = {
    "html": [answering(200, html=HTML)],
    "refused": [problem("session_revoked")],
    "lost": [failing(httpx.ReadError)] * 2,
    "malformed": [answering(200, json={**SOUND, "refresh_token": ISSUED, "expires_in": "x"})],
    "malformed, created": [answering(201, json={**SOUND, "refresh_token": ISSUED, "expires_in": "x"})],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", [SIGN_IN, RENEW], ids=["sign-in", "renewal"])
def test_no_secret_is_in_a_repr_a_log_or_an_error(
    stage: Stage, caplog: pytest.LogCaptureFixture, kind: tuple[str, str], faults: list[Fault]
) -> None:
    """Neither the refresh token nor the password, also in the values that a crash report shows of each frame."""
    caplog.set_level(logging.DEBUG)
    place = MemoryPlace()
    auth = stage.auth(place=place) if kind == SIGN_IN else entered(stage, place)
    if kind == RENEW:
        ask(stage, auth)
        stage.advance(LIFE_S)
    secret = secret_of(place) if kind == RENEW else PASSWORD
    assert len(secret) > 20
    stage.network.faults[kind] = list(faults)
    shown = told(refusal(stage, auth)) + repr(auth) + repr(vars(auth)) + repr(vars(auth._keeper)) + caplog.text
    assert secret not in shown
    assert PASSWORD not in shown
    assert ISSUED not in shown
    assert repr(auth).startswith(f"PropylonAuth(issuer='{ISSUER}', user_id=")
