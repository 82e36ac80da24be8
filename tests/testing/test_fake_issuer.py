"""A service that only verifies, tested without a server: its own verifier, an issuer in the test's process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from tests.http.driving import Connect

from propylon import CredentialRefused, Demand, Forbidden, PropylonError, Unavailable
from propylon.testing import FakeClock, FakeIssuer, TokenHolder
from propylon.verifier import Verifier
from propylon.verifier.asgi import Receive, Scope, Send

ISSUER, AUDIENCE = "http://localhost:8000", "https://api.example"


@pytest.fixture
def propylon_verifier() -> Verifier:
    """The verifier of a service, as it was made when the service was imported."""
    return Verifier(issuer=ISSUER, audience=AUDIENCE, secret="s", roles={"admin": ["orders.write"]})


@pytest.fixture
def again() -> Iterator[FakeIssuer]:
    """Another issuer of the same name, of another verifier."""
    with FakeIssuer(Verifier(issuer=ISSUER, audience=AUDIENCE, secret="s")) as issuer:
        yield issuer


def refusal(holder: TokenHolder) -> str:
    """Return with which code this holder is refused, or nothing."""
    try:
        _ = holder.principal
    except PropylonError as error:
        return error.code
    return ""


def test_one_line_signs_in_with_roles_and_scopes(propylon_issuer: FakeIssuer) -> None:
    """The verifier grants what it grants its issuer's users."""
    admin = propylon_issuer.sign_in(roles=["admin"], scopes=["orders"])
    assert admin.principal.user_id == admin.user_id
    assert admin.principal.permissions == {"orders.write"}
    assert admin.principal.scopes == {"orders"}
    assert propylon_issuer.sign_in().principal.roles == frozenset()


@pytest.mark.parametrize(
    ("fate", "told"),
    [
        (TokenHolder.end, "session_revoked"),
        (TokenHolder.evict, "session_evicted"),
        (TokenHolder.disable, "user_disabled"),
        (TokenHolder.expire, "token_expired"),
    ],
    ids=["end", "evict", "disable", "expire"],
)
def test_what_happens_to_a_session_is_told_at_once(propylon_issuer: FakeIssuer, fate: Any, told: str) -> None:
    """When the line of the test is over the verifier knows; also of a token that it had remembered."""
    minji, other = propylon_issuer.sign_in(), propylon_issuer.sign_in()
    assert refusal(minji) == refusal(other) == ""
    fate(minji)
    assert refusal(minji) == told
    assert refusal(other) == ""


def test_a_sent_token_expires_and_is_renewed(propylon_issuer: FakeIssuer, propylon_clock: FakeClock) -> None:
    """At the second."""
    minji = propylon_issuer.sign_in(ttl_s=60)
    sent = minji.access_token
    propylon_clock.advance(59)
    assert propylon_issuer.verify(sent).user_id == minji.user_id
    propylon_clock.advance(1)
    with pytest.raises(CredentialRefused, match="token_expired"):
        propylon_issuer.verify(sent)
    assert refusal(minji) == ""


def test_days_pass_without_silence(propylon_issuer: FakeIssuer, propylon_clock: FakeClock) -> None:
    """A clock that is moved is no issuer that is down."""
    minji = propylon_issuer.sign_in()
    for _ in range(3):
        propylon_clock.advance(24 * 60 * 60)
        assert refusal(minji) == ""


def test_an_issuer_that_is_down_is_noticed(propylon_issuer: FakeIssuer, propylon_clock: FakeClock) -> None:
    """After as long as the verifier allows, and not before; and so is one that is back."""
    minji = propylon_issuer.sign_in()
    propylon_issuer.silent = True
    propylon_clock.advance(5)
    assert refusal(minji) == ""
    propylon_clock.advance(1)
    with pytest.raises(Unavailable):
        _ = minji.principal
    propylon_issuer.silent = False
    assert refusal(minji) == ""


def test_what_ended_in_the_silence_is_heard_after_it(propylon_issuer: FakeIssuer) -> None:
    """Nobody is accepted again before it is known who has left."""
    minji = propylon_issuer.sign_in()
    propylon_issuer.silent = True
    minji.end()
    assert refusal(minji) == ""
    propylon_issuer.silent = False
    assert refusal(minji) == "session_revoked"


def test_a_fresh_sign_in_grows_old_and_is_confirmed(
    propylon_issuer: FakeIssuer, propylon_verifier: Verifier, propylon_clock: FakeClock
) -> None:
    """By the tokens from then on."""
    minji, demand = propylon_issuer.sign_in(), Demand.of(fresh_s=60)
    propylon_clock.advance(61)
    with pytest.raises(CredentialRefused, match="reauthentication_required"):
        propylon_verifier.require(minji.principal, demand)
    minji.confirm()
    propylon_verifier.require(minji.principal, demand)


def test_a_narrowed_token_does_not_reach_further(propylon_issuer: FakeIssuer, propylon_verifier: Verifier) -> None:
    """Scopes of a token are those that the test gave it."""
    minji = propylon_issuer.sign_in(scopes=["orders.read"])
    with pytest.raises(Forbidden, match="insufficient_scope"):
        propylon_verifier.require(minji.principal, Demand.of(scopes="orders.write"))


def test_a_token_of_another_issuer_is_refused(propylon_issuer: FakeIssuer, again: FakeIssuer) -> None:
    """The signature is verified, not the name."""
    with pytest.raises(CredentialRefused, match="credential_malformed"):
        propylon_issuer.verify(again.sign_in().access_token)


@pytest.mark.parametrize(
    "claims",
    [
        {"audience": ("https://other.example",)},
        {"audience": (f"{AUDIENCE}/",)},
        {"issuer": "http://localhost:8001"},
        {"issued_at": 4_000_000_000},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_a_token_that_says_something_else_is_refused(propylon_issuer: FakeIssuer, claims: dict[str, Any]) -> None:
    """Whom it is for, from whom and from when are verified, though the signature is right."""
    minji = propylon_issuer.sign_in()
    said = propylon_issuer.claims(minji, auth_time=propylon_issuer.clock.now(), ttl_s=300)
    assert propylon_issuer.verify(propylon_issuer.token(said)).user_id == minji.user_id
    with pytest.raises(CredentialRefused, match="credential_malformed"):
        propylon_issuer.verify(propylon_issuer.token(msgspec.structs.replace(said, **claims)))


def test_after_the_test_the_verifier_trusts_nobody(propylon_verifier: Verifier) -> None:
    """It is stopped, its own issuer is its issuer again, and a token of the test is worth nothing."""
    with FakeIssuer(propylon_verifier) as issuer:
        minji = issuer.sign_in()
        assert refusal(minji) == ""
    assert refusal(minji) == "unavailable"
    assert propylon_verifier.silent_for_s == float("inf")


def test_what_ended_stays_ended_when_the_service_restarts(
    propylon_issuer: FakeIssuer, propylon_verifier: Verifier
) -> None:
    """A verifier that starts anew hears of all endings first."""
    minji = propylon_issuer.sign_in()
    minji.evict()
    propylon_verifier.close()
    with propylon_verifier:
        assert refusal(minji) == "session_evicted"
        assert refusal(propylon_issuer.sign_in()) == ""


async def test_a_guarded_app_is_asked(
    propylon_issuer: FakeIssuer, propylon_verifier: Verifier, connect: Connect
) -> None:
    """Through its own middleware, as in service."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        principal = await scope["propylon"].principal()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": principal.user_id.encode()})

    client: httpx.AsyncClient = connect(propylon_verifier.protect(app))
    minji = propylon_issuer.sign_in("minji")
    assert (await client.get("/", headers=minji.headers())).text == "minji"
    minji.end()
    answer = await client.get("/", headers=minji.headers())
    assert (answer.status_code, answer.json()["code"]) == (401, "session_revoked")
    assert (await client.get("/")).json()["code"] == "credential_missing"
