"""The notes: who may do what, for how long, and what the security log says of it."""

from __future__ import annotations

from fastapi.testclient import TestClient

from propylon.testing import FakeClock, Rehearsal, SecurityEvents

from .app import app


def test_a_visitor_is_refused(propylon_users: Rehearsal) -> None:
    """Nobody reads without signing in."""
    with TestClient(app) as visitor:
        assert visitor.get("/notes").json()["code"] == "credential_missing"


def test_who_is_sent_to_the_sign_in_finds_it(propylon_users: Rehearsal) -> None:
    """Propylon's pages are part of the app, and answer its client as it comes."""
    with TestClient(app) as visitor:
        assert visitor.get("/auth/login").status_code == 200


def test_only_editors_write(propylon_users: Rehearsal) -> None:
    """Being signed in is not enough."""
    with TestClient(app, headers=propylon_users.sign_in().headers()) as reader:
        assert reader.post("/notes?text=hello").status_code == 403
    with TestClient(app, headers=propylon_users.sign_in(roles=["editor"]).headers()) as editor:
        assert editor.post("/notes?text=hello").status_code == 201


def test_a_token_is_as_good_as_a_cookie_until_it_expires(propylon_users: Rehearsal, propylon_clock: FakeClock) -> None:
    """The clock stands still until the test moves it."""
    minji = propylon_users.sign_in(mode="bearer")
    sent = minji.headers()
    with TestClient(app) as client:
        assert client.get("/notes", headers=sent).status_code == 200
        propylon_clock.advance(300)
        assert client.get("/notes", headers=sent).json()["code"] == "token_expired"
        assert client.get("/notes", headers=minji.headers()).status_code == 200  # what her app renewed meanwhile


def test_emptying_the_list_needs_the_password_again(propylon_users: Rehearsal, propylon_clock: FakeClock) -> None:
    """A browser that was left alone for ten minutes does no harm."""
    editor = propylon_users.sign_in(roles=["editor"])
    propylon_clock.advance(600)
    with TestClient(app) as client:
        assert client.delete("/notes", headers=editor.headers()).json()["code"] == "reauthentication_required"
        editor.confirm()
        assert client.delete("/notes", headers=editor.headers()).status_code == 204


def test_another_site_cannot_act_with_the_cookie(propylon_users: Rehearsal) -> None:
    """The gate is the real one, so forged requests are refused here as they are in service."""
    editor = propylon_users.sign_in(roles=["editor"])
    with TestClient(app, headers=editor.headers()) as browser:
        forged = browser.post("/notes?text=spam", headers={"sec-fetch-site": "cross-site"})
        assert forged.json()["code"] == "cross_site_refused"


def test_an_evicted_device_is_told_so_at_its_next_request(
    propylon_users: Rehearsal, propylon_events: SecurityEvents
) -> None:
    """And the security log names whose it was."""
    minji = propylon_users.sign_in()
    with TestClient(app, headers=minji.headers()) as browser:
        assert browser.get("/notes").status_code == 200
        minji.evict()
        assert browser.get("/notes").json()["code"] == "session_evicted"
    propylon_events.assert_recorded("session_evicted", user=minji.user, session=minji.session)
    propylon_events.assert_not_recorded("user_disabled", user=minji.user)
