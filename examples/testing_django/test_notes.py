"""The notes: who may do what, and for how long."""

from __future__ import annotations

from django.test import Client

from propylon.testing import FakeClock, Rehearsal, SecurityEvents


def test_a_visitor_is_refused(propylon_users: Rehearsal) -> None:
    """Nobody reads without signing in."""
    assert Client().get("/notes").json()["code"] == "credential_missing"


def test_who_is_sent_to_the_sign_in_finds_it(propylon_users: Rehearsal) -> None:
    """Propylon's pages are among the URLs, and answer Django's client as it comes."""
    assert Client().get("/auth/login").status_code == 200


def test_only_editors_write(propylon_users: Rehearsal) -> None:
    """Being signed in is not enough."""
    reader = Client(headers=propylon_users.sign_in().headers())
    editor = Client(headers=propylon_users.sign_in(roles=["editor"]).headers())
    assert reader.post("/notes/new", {"text": "hello"}).status_code == 403
    assert editor.post("/notes/new", {"text": "hello"}).status_code == 201


def test_writing_needs_the_password_of_lately(propylon_users: Rehearsal, propylon_clock: FakeClock) -> None:
    """A browser that was left alone for ten minutes writes nothing."""
    editor = propylon_users.sign_in(roles=["editor"])
    propylon_clock.advance(600)
    left_alone = Client(headers=editor.headers())
    assert left_alone.post("/notes/new", {"text": "spam"}).json()["code"] == "reauthentication_required"
    editor.confirm()
    assert Client(headers=editor.headers()).post("/notes/new", {"text": "hello"}).status_code == 201


def test_another_site_cannot_act_with_the_cookie(propylon_users: Rehearsal) -> None:
    """The gate is the real one, so forged requests are refused here as they are in service."""
    browser = Client(headers=propylon_users.sign_in(roles=["editor"]).headers())
    forged = browser.post("/notes/new", {"text": "spam"}, headers={"sec-fetch-site": "cross-site"})
    assert forged.json()["code"] == "cross_site_refused"


def test_a_signed_out_token_is_refused_at_once(propylon_users: Rehearsal, propylon_events: SecurityEvents) -> None:
    """Though it would be good for minutes; and the security log names whose it was."""
    minji = propylon_users.sign_in(mode="bearer")
    app = Client(headers=minji.headers())
    assert app.get("/notes").status_code == 200
    minji.end()
    assert app.get("/notes").json()["code"] == "session_revoked"
    propylon_events.assert_recorded("session_ended", user=minji.user, reason="signed_out")
