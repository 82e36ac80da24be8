"""A service that only verifies, without a server beside it."""

from __future__ import annotations

from fastapi.testclient import TestClient

from propylon.testing import FakeClock, FakeIssuer

from .app import app


def test_a_narrowed_token_reaches_what_it_names(propylon_issuer: FakeIssuer) -> None:
    """Scopes are those of the token, and no more."""
    reader, other = propylon_issuer.sign_in(scopes=["orders.read"]), propylon_issuer.sign_in(scopes=["profile"])
    with TestClient(app) as client:
        assert client.get("/orders", headers=reader.headers()).status_code == 200
        assert client.get("/orders", headers=other.headers()).json()["code"] == "insufficient_scope"


def test_who_was_signed_out_elsewhere_is_refused_here(propylon_issuer: FakeIssuer) -> None:
    """At the next request, though the token would be good for minutes."""
    minji = propylon_issuer.sign_in("minji")
    with TestClient(app, headers=minji.headers()) as client:
        assert client.get("/me").json() == "minji"
        minji.end()
        assert client.get("/me").json()["code"] == "session_revoked"


def test_while_the_issuer_is_silent_nobody_is_let_in(propylon_issuer: FakeIssuer, propylon_clock: FakeClock) -> None:
    """The service does not guess: it asks to come back."""
    minji = propylon_issuer.sign_in()
    with TestClient(app) as client:
        propylon_issuer.silent = True
        propylon_clock.advance(6)
        assert client.get("/me", headers=minji.headers()).status_code == 503
        propylon_issuer.silent = False
        assert client.get("/me", headers=minji.headers()).status_code == 200
