"""``propylon.verifier``: what it accepts, what it refuses, and what it asks the issuer for."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from tests.verifier.issuer import AUDIENCE, READY, RESET, SECRET, Handler, Issuer, eventually, refuses

from propylon import CredentialRefused, SetupError, Unavailable
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey
from propylon.verifier import Verifier, knowledge


def test_a_sound_token_says_who_is_calling(issuer: Issuer) -> None:
    """All that an app asks for, with the permissions that roles grant here."""
    with issuer.verifier(roles={"admin": ["orders.write"]}) as verifier:
        who = verifier.verify(issuer.token("s", roles=("admin", "x"), scopes=("a", "b")))
    assert (who.user_id, who.session_id, who.credential) == ("u", "s", "access_token")
    assert who.roles == frozenset({"admin", "x"})
    assert who.permissions == frozenset({"orders.write"})
    assert who.scopes == frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("signed_out", "session_revoked"), ("ended_by_user", "session_revoked"), ("reused", "session_revoked"),
        ("password_changed", "session_revoked"), ("evicted", "session_evicted"), ("user_disabled", "user_disabled"),
        ("something_new", "session_revoked"), ("", "session_revoked"),
    ],
)  # fmt: skip
def test_an_ended_session_is_refused_with_the_reason(issuer: Issuer, reason: str, code: str) -> None:
    """Also a token that was verified a moment before; other sessions of the same user live on."""
    with issuer.verifier() as verifier:
        token, other = issuer.token("s"), issuer.token("other")
        verifier.verify(token)
        issuer.ends("s", reason)
        eventually(lambda: refuses(verifier, token) != "")
        assert refuses(verifier, token) == refuses(verifier, issuer.token("s")) == code
        assert refuses(verifier, other) == ""


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"audience": ("https://other.example",)}, "credential_malformed"),
        ({"issuer": "http://localhost:1"}, "credential_malformed"),
        ({"expires_at": 1}, "token_expired"),
        ({"issued_at": 2**33}, "credential_malformed"),
    ],
)
def test_what_is_not_for_us_is_refused(issuer: Issuer, claims: dict[str, Any], code: str) -> None:
    """Everything about a token is verified, by the same code as in the server."""
    with issuer.verifier() as verifier:
        assert refuses(verifier, issuer.token(**claims)) == code


@pytest.mark.parametrize("token", ["", "x", ".", "a.b.c", "\ud800", "é.é.é", "a" * 10_000_000, "\x00", "a.b.c\n"])
def test_any_text_is_refused_and_raises_nothing_else(issuer: Issuer, token: str) -> None:
    """Also ten megabytes, before anything is computed of them."""
    with issuer.verifier() as verifier:
        assert refuses(verifier, token) == "credential_malformed"
        assert issuer.fetched() == 1


def test_an_expired_token_is_not_served_from_memory(issuer: Issuer) -> None:
    """What was verified is remembered until it expires and not beyond."""
    with issuer.verifier() as verifier:
        token = issuer.token(expires_at=int(time.time()) + 2)
        verifier.verify(token)
        eventually(lambda: refuses(verifier, token) == "token_expired", 4)


def test_a_thousand_made_up_keys_make_one_request(issuer: Issuer) -> None:
    """J11: from many threads at once; the known key goes on working throughout."""
    strangers = [SigningKey.generate("EdDSA") for _ in range(20)]
    with issuer.verifier() as verifier:
        good, before = issuer.token(), issuer.fetched()
        tokens = [issuer.token(f"s{n}", key=strangers[n % 20]) for n in range(1_000)]
        with ThreadPoolExecutor(16) as threads:
            codes = list(threads.map(lambda token: refuses(verifier, token), tokens))
        assert set(codes) == {"credential_malformed"}
        assert issuer.fetched() - before == 1
        assert refuses(verifier, good) == ""


def test_a_key_that_was_not_announced_yet_is_asked_for(issuer: Issuer) -> None:
    """A token may be faster than the feed: the first of a new key waits for the keys and is accepted."""
    with issuer.verifier() as verifier:
        issuer.keys.append(SigningKey.generate("EdDSA"))
        assert refuses(verifier, issuer.token()) == ""
        assert refuses(verifier, issuer.token(key=issuer.keys[0])) == ""


async def test_while_keys_are_asked_for_the_loop_turns(issuer: Issuer) -> None:
    """One slow answer of the issuer must not hold up everybody."""
    async with issuer.verifier() as verifier:
        published = issuer.jwks

        def slow() -> bytes:
            time.sleep(0.5)
            return published()

        issuer.jwks = slow
        issuer.keys.append(SigningKey.generate("ES256"))
        asking = asyncio.create_task(verifier.verify_async(issuer.token()))
        turns = 0
        while not asking.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert (await asking).user_id == "u"
        assert turns > 10


def test_a_key_that_was_withdrawn_verifies_nothing_any_more(issuer: Issuer) -> None:
    """Stolen keys: from the event on, also what was verified before and is remembered."""
    with issuer.verifier() as verifier:
        token = issuer.token()
        verifier.verify(token)
        issuer.keys = [SigningKey.generate("RS256")]
        issuer.lines.append(b"event: keys\nid: 9-a\ndata: {}\n\n")
        eventually(lambda: refuses(verifier, token) == "credential_malformed")
        assert refuses(verifier, issuer.token()) == ""


def test_while_changed_keys_cannot_be_fetched_nothing_is_accepted_for_long(issuer: Issuer) -> None:
    """The old set may hold a stolen key: no longer than any silence."""
    with issuer.verifier(feed_max_silence_s=1) as verifier:
        token, published = issuer.token(), issuer.jwks
        verifier.verify(token)
        issuer.jwks = lambda: b"nonsense"
        issuer.lines.append(b"event: keys\nid: 9-a\ndata: {}\n\n")
        eventually(lambda: refuses(verifier, token) == "unavailable", 4)
        issuer.jwks = published
        eventually(lambda: refuses(verifier, token) == "", 10)


EVIL_KEYS = {
    "empty": b'{"keys": []}',
    "no json": b"<html>",
    "too large": b'{"keys": [' + b" " * 100_000 + b"]}",
    "a private key": b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "AA", "d": "AA"}]}',
    "a shared secret": b'{"keys": [{"kty": "oct", "alg": "HS256", "kid": "k", "k": "' + b"A" * 43 + b'"}]}',
    "deep": b'{"keys": ' + b"[" * 60_000,
}


@pytest.mark.parametrize("keys", EVIL_KEYS.values(), ids=EVIL_KEYS)
def test_keys_that_are_none_let_nobody_in(issuer: Issuer, keys: bytes) -> None:
    """A shared secret above all: whoever fetches it could sign."""
    issuer.jwks = lambda: keys
    verifier = issuer.verifier()
    verifier.start()
    eventually(lambda: issuer.fetched() >= 2)
    assert refuses(verifier, issuer.token()) == "unavailable"
    verifier.close()


def test_no_redirect_is_followed_with_the_secret(issuer: Issuer) -> None:
    """Neither for keys nor for the feed."""

    def elsewhere(handler: Handler) -> None:
        handler.answer(307, b"", "text/plain", location="/elsewhere")

    issuer.feed = elsewhere
    verifier = issuer.verifier()
    verifier.start()
    eventually(lambda: len(issuer.requests) > 4)
    assert {path for path, _ in issuer.requests} == {"/v1/feed"}
    assert refuses(verifier, issuer.token()) == "unavailable"
    verifier.close()


def test_the_secret_goes_to_the_feed_alone(issuer: Issuer) -> None:
    """Keys are public; a cache that keeps them must not see it."""
    with issuer.verifier():
        shown = {path: headers.get("Authorization") for path, headers in issuer.requests}
    assert shown == {"/.well-known/jwks.json": None, "/v1/feed": f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "http://id.example"},
        {"issuer": "http://localhost.example"},
        {"issuer": "http://10.0.0.1:8000"},
        {"issuer": "ftp://localhost"},
        {"issuer": "https://user:password@id.example"},
        {"issuer": ""},
        {"audience": ""},
        {"secret": ""},
        {"secret": "a b"},
        {"secret": "a\r\nx: y"},
        {"secret": "é"},
        {"secret": "x" * 300},
        {"feed_max_silence_s": 0},
        {"feed_max_silence_s": 301},
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(changed: dict[str, Any]) -> None:
    """Plain http to another machine above all: whoever is on the way would sign tokens."""
    settings = {"issuer": "https://id.example", "audience": AUDIENCE, "secret": SECRET, **changed}
    with pytest.raises(SetupError) as refusal:
        Verifier(**settings)
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert not changed.get("secret") or changed["secret"] not in sentence


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost", "https://ID.example/"])
def test_https_and_this_machine_are_issuers(issuer: str) -> None:
    """In the one spelling that tokens have."""
    assert Verifier(issuer=issuer, audience=AUDIENCE, secret=SECRET).issuer == issuer.lower().rstrip("/")


def test_before_it_has_started_and_after_it_was_closed_it_refuses(issuer: Issuer) -> None:
    """It knows nothing then."""
    verifier = issuer.verifier()
    assert refuses(verifier, issuer.token()) == "unavailable"
    with verifier:
        assert refuses(verifier, issuer.token()) == ""
    assert refuses(verifier, issuer.token()) == "unavailable"
    with verifier:
        assert refuses(verifier, issuer.token()) == ""


def test_of_two_who_hold_it_the_last_one_stops_it(issuer: Issuer) -> None:
    """And whoever started it by hand stops it by hand."""
    verifier = issuer.verifier()
    with ExitStack() as second:
        with verifier:
            second.enter_context(verifier)
        assert refuses(verifier, issuer.token()) == ""
    assert refuses(verifier, issuer.token()) == "unavailable"
    verifier.start()
    with verifier:
        pass
    assert refuses(verifier, issuer.token()) == ""
    verifier.close()
    assert refuses(verifier, issuer.token()) == "unavailable"


def test_a_refusal_for_silence_says_when_to_come_back(issuer: Issuer) -> None:
    """``Unavailable``, which is a 503."""
    with pytest.raises(Unavailable) as refusal:
        issuer.verifier().verify(issuer.token())
    assert refusal.value.retry_after_s >= 1
    assert not isinstance(refusal.value, CredentialRefused)


def test_until_the_snapshot_is_complete_everything_is_refused(issuer: Issuer) -> None:
    """Half of the dead is not all of the dead, however many bytes come."""

    def half(handler: Handler) -> None:
        handler.begin()
        handler.say(RESET)
        handler.beat()

    issuer.feed = half
    verifier = issuer.verifier()
    verifier.start()
    issuer.ends("a")
    time.sleep(0.3)
    assert refuses(verifier, issuer.token("b")) == "unavailable"
    issuer.lines.append(READY)
    eventually(lambda: refuses(verifier, issuer.token("b")) == "")
    assert refuses(verifier, issuer.token("a")) == "session_revoked"
    verifier.close()


def test_silence_is_refused_within_the_bound_and_noticed_by_itself(issuer: Issuer) -> None:
    """An open connection on which nothing comes."""

    def falls_silent(handler: Handler) -> None:
        handler.begin()
        handler.say(RESET + READY)
        issuer.over.wait(30)

    issuer.feed = falls_silent
    with issuer.verifier(feed_max_silence_s=1) as verifier:
        token, since = issuer.token(), time.monotonic()
        assert refuses(verifier, token) == ""
        eventually(lambda: refuses(verifier, token) == "unavailable", 5)
        assert time.monotonic() - since <= 2
        issuer.feed = lambda handler: (handler.begin(), handler.say(RESET + READY), handler.beat())[-1]  # type: ignore[func-returns-value]
        eventually(lambda: refuses(verifier, token) == "")


def test_an_unsafe_silence_goes_on_and_is_told(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    """With what was known before, loudly; and never before anything was known."""

    def hangs(handler: Handler) -> None:
        issuer.over.wait(30)

    def falls_silent(handler: Handler) -> None:
        handler.begin()
        handler.say(RESET + READY)
        issuer.feed = hangs
        issuer.over.wait(30)

    issuer.feed = falls_silent
    verifier = issuer.verifier(feed_max_silence_s=1, unsafe_feed_silence="a demonstration")
    assert refuses(verifier, issuer.token()) == "unavailable"
    with verifier:
        eventually(lambda: verifier.silent_for_s > 1)
        assert [refuses(verifier, issuer.token()) for _ in range(3)] == ["", "", ""]
    told = [record.getMessage() for record in caplog.records if "a demonstration" in record.getMessage()]
    assert len(told) == 2  # at the start, and once a minute


def test_a_wrong_secret_is_told_once_and_lets_nobody_in(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    """One sentence that says what to do, however often it tries; and entering does not wait for nothing."""

    def refused(handler: Handler) -> None:
        handler.answer(401, b"{}", "application/problem+json")

    issuer.feed = refused
    started = time.monotonic()
    with issuer.verifier() as verifier:
        assert time.monotonic() - started < 3
        eventually(lambda: sum(path == "/v1/feed" for path, _ in issuer.requests) >= 3)
        assert refuses(verifier, issuer.token()) == "unavailable"
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "propylon verifiers add" in errors[0].getMessage()
    assert SECRET not in caplog.text


def test_it_resumes_where_it_was(issuer: Issuer) -> None:
    """With the id of the last event that it has acted on."""
    with issuer.verifier() as verifier:
        issuer.ends("a")
        eventually(lambda: refuses(verifier, issuer.token("a")) == "session_revoked")
        issuer.feed = lambda handler: handler.answer(503, b"", "text/plain")
        issuer.over.set()  # every stream ends
        eventually(
            lambda: (
                [headers for path, headers in issuer.requests if path == "/v1/feed"][-1].get("Last-Event-ID") == "2-a"
            )
        )


def test_endings_beyond_reason_are_not_believed(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded also against the issuer; then it refuses rather than forgets."""
    monkeypatch.setattr(knowledge, "MAX_ENDED", 10)
    with issuer.verifier(feed_max_silence_s=1) as verifier:
        for n in range(11):
            issuer.ends(f"s{n}")
        eventually(lambda: refuses(verifier, issuer.token()) == "unavailable", 5)


def test_a_forked_process_follows_by_itself(issuer: Issuer) -> None:
    """A server that loads the app and then forks: threads do not come along."""
    with issuer.verifier() as verifier:
        token = issuer.token()
        assert refuses(verifier, token) == ""
        child = os.fork()
        if child == 0:
            try:
                eventually(lambda: refuses(verifier, token) == "", 5)
                issuer_heard = refuses(verifier, token)
                os._exit(0 if issuer_heard == "" else 1)
            except BaseException:  # noqa: BLE001 - a child must not run the parent's tests
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_neither_secret_nor_token_is_in_any_repr(issuer: Issuer) -> None:
    """What is printed by accident tells nothing."""
    verifier = issuer.verifier()
    assert SECRET not in f"{verifier!r} {vars(verifier)!r}"


def test_the_published_keys_are_those_of_the_issuer(issuer: Issuer) -> None:
    """The fake above is one that the real thing would accept."""
    assert len(KeySet.from_jwks(issuer.jwks())) == 1
