"""Django: the rules of every adapter, and what is Django's own."""

from __future__ import annotations

import asyncio
import gc
import secrets
import weakref
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from tests.adapters.django_site import OUR_MIDDLEWARE
from tests.adapters.prefork import gunicorn
from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn
from tests.http.driving import EMAIL, PASSWORD

from propylon import Principal, Propylon, SetupError
from propylon.adapters.django import Auth, PropylonMiddleware, auth
from propylon.errors import StoreUnavailable
from propylon.flows.account import NewAccount
from propylon.verifier import Verifier

HOST = {"host": "localhost:8000"}
CROSS_SITE = {"sec-fetch-site": "cross-site"}
CACHED = {
    "MIDDLEWARE": [
        "django.middleware.cache.UpdateCacheMiddleware",
        OUR_MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
}


class TestTheExample(AdapterRules):
    """``examples/django_app.py`` under gunicorn: two processes of four threads."""

    command = gunicorn("examples.django_app:app")


class TestTheExampleOverAsgi(AdapterRules):
    """The same under uvicorn."""

    command = uvicorn("tests.adapters.asgi_django:app")


@pytest.fixture(scope="module")
def ours() -> Iterator[Auth]:
    """A Propylon in memory, behind the middleware of ``django_site``, with somebody who edits."""
    propylon = Propylon(
        store="memory://",
        key=f"k1 {secrets.token_hex(32)}",
        public_url="http://localhost:8000/auth",
        password_profile="unsafe_cheapest",
        roles="editor=posts.read posts.write",
    )
    with override_settings(PROPYLON={"SOURCE": propylon}):
        made = auth()
        with made.blocking:
            accounts = propylon.runtime.accounts
            made.blocking.run(accounts.add(NewAccount(email=EMAIL, password=PASSWORD, name="Mina", roles=("editor",))))
            yield made


def entered(mode: str = "cookie") -> tuple[dict[str, str], str]:
    """Sign in; return the headers that say so, and the id of the user."""
    body = {"email": EMAIL, "password": PASSWORD, "mode": mode}
    answer = Client(headers=HOST).post("/auth/v1/sessions", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    told = answer.json()
    if mode == "cookie":
        return {**HOST, "cookie": f"propylon={answer.cookies['propylon'].value}"}, told["user"]["id"]
    return {**HOST, "authorization": f"Bearer {told['access_token']}"}, told["user"]["id"]


def over_asgi(method: str, path: str, headers: dict[str, str]) -> Any:
    """Ask the same project as an ASGI server does."""
    return asyncio.run(getattr(AsyncClient(), method)(path, headers=headers))


@pytest.mark.usefixtures("ours")
class TestTheUser:
    """``request.user``."""

    @pytest.mark.parametrize("mode", ["cookie", "bearer"])
    @pytest.mark.parametrize("path", ["/looks", "/looks-async"])
    def test_somebody_is_who_they_are(self, path: str, mode: str) -> None:
        """Whichever way they came, whether the view awaits or not, and whether the server does."""
        headers, user_id = entered(mode)
        expected = {"user": user_id, "known": True, "editor": True, "writes": True}
        assert Client(headers=headers).get(path).json() == expected
        assert over_asgi("get", path, headers).json() == expected

    @pytest.mark.parametrize("headers", [{}, {"cookie": "propylon=nonsense"}, {"authorization": "Bearer nonsense"}])
    @pytest.mark.parametrize("path", ["/looks", "/looks-async"])
    def test_who_presents_nothing_good_is_anonymous(self, path: str, headers: dict[str, str]) -> None:
        """Templates and middleware look at the user of every page, and an old cookie must not keep anybody out."""
        expected = {"user": None, "known": False, "editor": False, "writes": False}
        assert Client(headers={**HOST, **headers}).get(path).json() == expected
        assert over_asgi("get", path, {**HOST, **headers}).json() == expected

    @pytest.mark.parametrize("path", ["/looks", "/looks-async"])
    def test_a_forged_request_is_no_visitor(self, path: str) -> None:
        """It is refused wherever the user is looked at, also where visitors are welcome."""
        headers, _ = entered()
        answer = Client(headers={**headers, **CROSS_SITE}).post(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_refused")

    def test_a_store_that_cannot_say_makes_nobody_a_visitor(self, ours: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
        """503: whoever takes an outage for a sign-out loses what people were doing."""
        headers, _ = entered()

        async def away(_: str) -> None:
            raise StoreUnavailable

        assert isinstance(ours.blocking.source, Propylon)
        monkeypatch.setattr(ours.blocking.source.runtime.store, "find_session", away)
        answer = Client(headers=headers).get("/looks")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")

    def test_it_answers_what_djangos_own_users_answer(self) -> None:
        """Name and address are looked up; nothing is granted for single objects."""
        headers, user_id = entered()
        assert Client(headers=headers).get("/details").json() == {
            "text": user_id,
            "username": user_id,
            "email": EMAIL,
            "name": ["Mina", "Mina"],
            "flags": [True, False, False, False],
            "all": ["posts.read", "posts.write"],
            "object": False,
            "both": True,
            "more": False,
            "modules": [True, False],
            "groups": ["editor"],
            "account": EMAIL,
        }

    def test_two_of_the_same_person_are_equal(self, ours: Auth) -> None:
        """As rows of a table are."""
        principal = Principal("u", "s", "cookie", frozenset(), frozenset(), frozenset(), 0, 0)
        other = Principal("v", "s", "cookie", frozenset(), frozenset(), frozenset(), 0, 0)
        assert ours.user_of is not None
        assert {ours.user_of(principal), ours.user_of(principal)} == {ours.user_of(principal)}
        assert ours.user_of(principal) != ours.user_of(other)

    def test_of_a_verifier_name_and_address_are_empty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It knows tokens; a template that greets somebody still renders."""
        monkeypatch.setattr("propylon.verifier.verifier.START_WITHIN_S", 0.0)
        made = Auth(Verifier(issuer="http://127.0.0.1:9", audience="a", secret="s"))
        assert made.user_of is not None
        user = made.user_of(Principal("u", "s", "access_token", frozenset(), frozenset(), frozenset(), 0, 0))
        assert (user.email, user.get_full_name(), made.pages) == ("", "", None)


def a_row(principal: Principal) -> Any:
    """Return what an app makes of a principal."""
    return type("Row", (), {"pk": f"row of {principal.user_id}"})()


@pytest.mark.usefixtures("ours")
def test_a_request_is_freed_with_its_answer() -> None:
    """Its user is not what keeps it: nothing waits for the garbage collector, which would cost every request time."""
    request = RequestFactory(headers=HOST).get("/public")
    alive = weakref.ref(request)
    gc.disable()
    try:
        PropylonMiddleware(lambda request: HttpResponse(str(request.user)))(request)
        del request
        assert alive() is None
    finally:
        gc.enable()


class TestSettings:
    """What ``PROPYLON`` may say."""

    @pytest.mark.parametrize("user", [a_row, f"{__name__}.a_row"], ids=["function", "path"])
    def test_an_app_may_make_its_own_user(self, ours: Auth, user: Any) -> None:
        """A function, or where it is."""
        headers, user_id = entered()
        with override_settings(PROPYLON={"SOURCE": ours.blocking.source, "USER": user}):
            assert Client(headers=headers).get("/row").content.decode() == f"row of {user_id}"

    def test_the_user_may_be_somebody_elses(self, ours: Auth) -> None:
        """``django.contrib.auth`` keeps ``request.user`` for the admin site, and decorators hold all the same."""
        with override_settings(PROPYLON={"SOURCE": ours.blocking.source, "USER": None}):
            with pytest.raises(AttributeError, match="user"):
                Client(headers=HOST).get("/looks")
            assert Client(headers=HOST).get("/awaits").status_code == 401

    def test_a_public_url_without_a_path_is_refused_at_the_start(self) -> None:
        """Unless the pages are elsewhere."""
        source = Propylon(store="memory://", public_url="http://localhost:8000")
        with override_settings(PROPYLON={"SOURCE": source}), pytest.raises(SetupError, match="names no path"):
            Client(headers=HOST).get("/public")
        with override_settings(PROPYLON={"SOURCE": source, "MOUNT": False}):
            assert auth().pages == "http://localhost:8000"

    @override_settings(MIDDLEWARE=[])
    def test_a_missing_middleware_is_said(self) -> None:
        """By the first view that asks."""
        with pytest.raises(Exception, match="MIDDLEWARE lacks"):
            Client(headers=HOST).get("/awaits")


@pytest.mark.usefixtures("ours")
class TestViews:
    """Decorators, and answers that belong to one person."""

    def test_a_view_that_awaits_has_everything(self) -> None:
        """A principal, data, an account: on its own event loop."""
        headers, _ = entered()
        assert over_asgi("get", "/awaits", headers).json() == {"n": 3, "email": EMAIL}
        assert Client(headers=headers).get("/awaits").json() == {"n": 6, "email": EMAIL}

    def test_a_view_that_awaits_refuses(self) -> None:
        """With the same problem."""
        answer = over_asgi("get", "/awaits", HOST)
        assert (answer.status_code, answer.json()["code"]) == (401, "credential_missing")

    def test_a_class_is_held_and_its_address_may_be_of_any_language(self) -> None:
        """``method_decorator``, and a person who is led to the sign-in comes back to where they were."""
        headers, _ = entered()
        assert Client(headers=headers).get("/한글/7").content == b"7"
        opens = {"sec-fetch-mode": "navigate", "accept": "text/html"}
        answer = Client(headers={**HOST, **opens}).get("/한글/7?q=1")
        assert answer.status_code == 303
        assert httpx.URL(answer.headers["location"]).params["next"] == "/%ED%95%9C%EA%B8%80/7?q=1"

    def test_signing_out_where_one_awaits(self) -> None:
        """The session is over, and the cookies are cleared."""
        headers, _ = entered()
        answer = over_asgi("post", "/leaves", {**headers, "sec-fetch-site": "same-origin"})
        assert (answer.status_code, set(answer.cookies)) == (204, {"propylon", "propylon-refresh"})
        assert Client(headers=headers).get("/awaits").json()["code"] == "session_revoked"

    def test_signing_out_may_lead_somewhere(self) -> None:
        """The headers are added to the view's own answer."""
        headers, _ = entered()
        answer = Client(headers={**headers, "sec-fetch-site": "same-origin"}).post("/leaves-for")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert answer.cookies["propylon"]["max-age"] == "0"

    @pytest.mark.parametrize("path", ["/looks", "/awaits"])
    def test_an_answer_for_one_person_is_kept_by_no_shared_cache(self, path: str) -> None:
        """It says so, also where nobody was signed in: the next one may be."""
        headers, _ = entered()
        answer = Client(headers=headers).get(path)
        assert (answer.headers["vary"], answer.headers["cache-control"]) == ("Cookie, Authorization", "private")

    def test_an_answer_for_all_is_left_alone(self) -> None:
        """Nobody asked who is calling."""
        headers, _ = entered()
        answer = Client(headers=headers).get("/public")
        assert not answer.has_header("vary")
        assert not answer.has_header("cache-control")

    def test_what_a_view_says_of_caches_stays(self) -> None:
        """What it differs by is added, once."""
        answer = Client(headers=HOST).get("/varied")
        assert answer.headers["cache-control"] == "max-age=5"
        assert answer.headers["vary"] == "Accept, cookie, Authorization"

    @override_settings(**CACHED)
    def test_djangos_own_cache_hands_nobody_the_page_of_another(self) -> None:
        """The cache of the whole site keeps pages by their address, unless they say by what they differ."""
        first, user_id = entered()
        assert Client(headers=first).get("/looks").json()["user"] == user_id
        assert Client(headers=HOST).get("/looks").json()["user"] is None
        assert Client(headers=first).get("/looks").json()["user"] == user_id
