"""Django REST framework: the rules of every adapter, and what is the framework's own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, override_settings
from tests.adapters import django_site
from tests.adapters.prefork import gunicorn
from tests.adapters.rules import AdapterRules
from tests.adapters.serving import Site
from tests.http.driving import EMAIL, PASSWORD

from propylon import Propylon
from propylon.adapters.django import auth
from propylon.flows.account import NewAccount

HOST = {"host": "localhost:8000"}
ANYBODY, EDITOR = "anybody@example.com", EMAIL


class TestTheExample(AdapterRules):
    """``examples/drf_app.py`` under gunicorn: two processes of four threads."""

    command = gunicorn("examples.drf_app:app")

    def test_the_browsable_api_is_refused_like_the_rest(self, site: Site) -> None:
        """A client that prefers HTML, and opens no page, is told the same."""
        answer = site.visitor().get("/me", headers={"accept": "text/html", "sec-fetch-mode": "cors"})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


@pytest.fixture(scope="module", autouse=True)
def site() -> Iterator[None]:
    """A Propylon in memory behind the views of ``django_site``, with an editor and somebody else."""
    propylon = Propylon(
        store="memory://",
        key=f"k1 {secrets.token_hex(32)}",
        public_url="http://localhost:8000/auth",
        password_profile="unsafe_cheapest",
        roles="editor=posts.read posts.write",
    )
    with override_settings(ROOT_URLCONF=django_site.__name__, PROPYLON={"SOURCE": propylon}):
        blocking = auth().blocking
        with blocking:
            accounts = propylon.runtime.accounts
            blocking.run(accounts.add(NewAccount(email=EDITOR, password=PASSWORD, roles=("editor",))))
            blocking.run(accounts.add(NewAccount(email=ANYBODY, password=PASSWORD)))
            yield


def entered(email: str, mode: str = "cookie") -> dict[str, str]:
    """Sign in; return the headers that say so."""
    body = {"email": email, "password": PASSWORD, "mode": mode}
    answer = Client(headers=HOST).post("/auth/v1/sessions", body, content_type="application/json")
    if mode == "cookie":
        return {**HOST, "cookie": f"propylon={answer.cookies['propylon'].value}"}
    return {**HOST, "authorization": f"Bearer {answer.json()['access_token']}"}


def told(path: str, headers: dict[str, str], method: str = "get") -> tuple[int, Any]:
    """Ask; return the status and the code of a problem, or the body."""
    answer = getattr(Client(headers={**HOST, **headers}), method)(f"/api/{path}")
    body = answer.json()
    return answer.status_code, body.get("code", body)


@pytest.mark.parametrize("mode", ["cookie", "bearer"])
def test_the_framework_knows_who_is_calling(mode: str) -> None:
    """``request.user`` and ``request.auth``; its own permissions hold by them."""
    status, body = told("framework", entered(ANYBODY, mode))
    assert status == 200
    assert body["user"] == body["auth"]


def test_the_frameworks_own_refusal_of_visitors_is_ours() -> None:
    """The same problem, with the challenge."""
    assert told("framework", {}) == (401, "credential_missing")
    assert Client(headers=HOST).get("/api/framework").headers["www-authenticate"] == "Bearer"


def test_whoever_presents_what_is_not_good_is_no_visitor() -> None:
    """Also where visitors are welcome: a client whose session is over should learn that."""
    assert told("open", {})[0] == 200
    assert told("open", {"authorization": "Bearer nonsense"}) == (401, "credential_malformed")


def test_a_forged_request_is_refused() -> None:
    """The framework takes Django's own check away from its views; ours is in the question."""
    assert told("framework", {**entered(EDITOR), "sec-fetch-site": "cross-site"}, "post") == (403, "cross_site_refused")
    assert told("framework", {**entered(EDITOR, "bearer"), "sec-fetch-site": "cross-site"}, "post")[0] == 200


@pytest.mark.parametrize(
    ("path", "editor", "anybody"),
    [
        ("either", 200, (403, "forbidden")),
        ("both", (403, "forbidden"), (403, "forbidden")),
        ("not", (403, {"detail": "You do not have permission to perform this action."}), 200),
        ("scope", 200, 200),
        ("fresh", 200, 200),
        ("soon", 200, 200),
        ("signed-in-or-reads", 200, 200),
        ("role-or-reads", 200, 200),
        ("visitors", (403, {"detail": "You do not have permission to perform this action."}), 403),
        ("one-not", (403, {"detail": "You do not have permission to perform this action."}), 200),
    ],
)
def test_permissions_are_combined_as_the_frameworks_own(path: str, editor: Any, anybody: Any) -> None:
    """And, or, not; what is refused by them is refused as everywhere."""
    for email, expected in ((EDITOR, editor), (ANYBODY, anybody)):
        status, body = told(path, entered(email))
        assert expected in (status, (status, body))


@pytest.mark.parametrize("path", ["kept-below", "kept-above"])
def test_cache_page_hands_nobody_the_answer_for_another(path: str) -> None:
    """The request that it looks at is the framework's around Django's, or Django's inside the framework's."""
    cache.clear()
    first, second = entered(EDITOR), entered(ANYBODY)
    seen = [told(path, headers) for headers in (first, second, first, {})]
    assert seen[0] == seen[2] != seen[1]
    assert seen[3] == (401, "credential_missing")


@pytest.mark.parametrize("path", ["either", "both", "scope", "fresh", "soon", "signed-in", "lasts-or-role", "unlooked"])
def test_a_visitor_whom_nothing_lets_in_is_asked_to_sign_in(path: str) -> None:
    """With the challenge, also where the framework does not look who is calling."""
    assert told(path, {}) == (401, "credential_missing")
    assert Client(headers=HOST).get(f"/api/{path}").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["signed-in-or-reads", "reads-or-signed-in", "role-or-reads"])
def test_a_visitor_is_let_in_by_another_permission(path: str) -> None:
    """As far as that goes, and only a visitor: a credential that is not good is no way in."""
    assert told(path, {})[0] == 200
    assert told(path, {}, "post") == (401, "credential_missing")
    assert told(path, {"authorization": "Bearer nonsense"}) == (401, "credential_malformed")
    assert told(path, {**entered(EDITOR), "sec-fetch-site": "cross-site"}, "post") == (403, "cross_site_refused")


@pytest.mark.parametrize("path", ["not", "visitors", "lasts-not", "one-not"])
def test_the_opposite_lets_visitors_in(path: str) -> None:
    """Whoever is not signed in holds no role; a credential that is not good does not make a visitor."""
    assert told(path, {})[0] == 200
    assert told(path, {"authorization": "Bearer nonsense"}) == (401, "credential_malformed")


@pytest.mark.parametrize("path", ["lasts-or-role", "role-or-lasts"])
def test_what_the_caller_can_do_something_about_is_said_first(path: str) -> None:
    """In either order; whoever holds the role needs to do nothing."""
    assert told(path, entered(EDITOR, "bearer"))[0] == 200
    assert told(path, entered(ANYBODY, "bearer")) == (401, "token_expiring")


def test_where_the_framework_does_not_look_who_is_calling_permissions_do() -> None:
    """A view without our authentication class is held no less."""
    assert told("unlooked", entered(EDITOR))[0] == 200
    assert told("unlooked", entered(ANYBODY)) == (403, "forbidden")
    assert told("unlooked", {"authorization": "Bearer nonsense"}) == (401, "credential_malformed")


def test_an_apps_own_permission_speaks_for_itself() -> None:
    """What is not refused by us is not answered by us."""
    assert told("never", entered(EDITOR)) == (403, {"detail": "not on Sundays"})


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("past-ours-never", "not on Sundays"),
        ("past-ours-no-words", "You do not have permission to perform this action."),
        ("one-owned", "You do not have permission to perform this action."),
        ("denies?said=published%20notes%20stay", "published notes stay"),
        ("denies", "You do not have permission to perform this action."),
    ],
)
def test_a_permission_of_ours_that_was_overruled_answers_nothing(path: str, detail: str) -> None:
    """Another permission, or the view itself, denied after the caller had got past it, and is heard."""
    assert told(path, entered(EDITOR, "bearer")) == (403, {"detail": detail})
