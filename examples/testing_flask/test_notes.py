"""The notes: who may do what, by cookies and by tokens."""

from __future__ import annotations

from flask.testing import FlaskClient

from propylon.testing import PASSWORD, Rehearsal, SessionHolder

from .app import app


def browser_of(holder: SessionHolder) -> FlaskClient:
    """Return a browser that somebody is signed in with: Flask's client sends the cookies of its own jar alone."""
    client = app.test_client()
    for name, value in holder.cookies.items():
        client.set_cookie(name, value)
    return client


def test_a_visitor_is_refused(propylon_users: Rehearsal) -> None:
    """Nobody reads without signing in."""
    refusal = app.test_client().get("/notes").json
    assert refusal is not None
    assert refusal["code"] == "credential_missing"


def test_only_editors_write(propylon_users: Rehearsal) -> None:
    """Being signed in is not enough."""
    reader = browser_of(propylon_users.sign_in())
    editor = browser_of(propylon_users.sign_in(roles=["editor"]))
    assert reader.post("/notes", data={"text": "hello"}).status_code == 403
    assert editor.post("/notes", data={"text": "hello"}).status_code == 201
    assert reader.get("/notes").json == ["hello"]


def test_a_token_travels_in_a_header(propylon_users: Rehearsal) -> None:
    """As what an app sends does with every client."""
    minji = propylon_users.sign_in(mode="bearer")
    assert app.test_client().get("/notes", headers=minji.headers()).status_code == 200


def test_the_sign_in_page_fills_the_jar(propylon_users: Rehearsal) -> None:
    """A browser that signs in by itself is signed in."""
    user = propylon_users.add_user()
    browser = app.test_client()
    browser.post("/auth/login", data={"email": user.email, "password": PASSWORD})
    assert browser.get("/notes").status_code == 200
