"""Django: the rules of every adapter, and what is Django's own."""

from __future__ import annotations

import asyncio
import gc
import secrets
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.utils.asyncio import async_unsafe
from tests.adapters.django_site import OUR_MIDDLEWARE, public
from tests.adapters.prefork import gunicorn
from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn
from tests.http.driving import EMAIL, PASSWORD

from propylon import Principal, Propylon, SetupError
from propylon.adapters.django import Auth, PropylonMiddleware, auth, require
from propylon.errors import StoreUnavailable
from propylon.flows.account import NewAccount
from propylon.verifier import Verifier

HOST = {"host": "localhost:8000"}
ANOTHER = "another@example.com"
CROSS_SITE = {"sec-fetch-site": "cross-site"}
SIGN_IN_EVERYWHERE = {
    "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes"],
    "MIDDLEWARE": [OUR_MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"],
    "LOGIN_URL": "/auth/login",
}
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
            made.blocking.run(accounts.add(NewAccount(email=ANOTHER, password=PASSWORD)))
            yield made


def entered(mode: str = "cookie", email: str = EMAIL) -> tuple[dict[str, str], str]:
    """Sign in; return the headers that say so, and the id of the user."""
    body = {"email": email, "password": PASSWORD, "mode": mode}
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


@async_unsafe
def a_row_of_a_database(principal: Principal) -> Any:
    """Return the same as Django's database would, which refuses to hold up an event loop."""
    return a_row(principal)


async def an_awaited_row(principal: Principal) -> Any:
    """Return the same where one awaits."""
    await asyncio.sleep(0)
    return a_row(principal)


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

    @pytest.mark.parametrize("path", ["/row", "/row-async"])
    @pytest.mark.parametrize(
        "user",
        [a_row, f"{__name__}.a_row", a_row_of_a_database, an_awaited_row],
        ids=["function", "path", "database", "awaited"],
    )
    def test_an_app_may_make_its_own_user(self, ours: Auth, user: Any, path: str) -> None:
        """A function that awaits or not, or where it is, for views of both kinds and servers of both."""
        headers, user_id = entered()
        with override_settings(PROPYLON={"SOURCE": ours.blocking.source, "USER": user}):
            assert Client(headers=headers).get(path).content.decode() == f"row of {user_id}"
            assert over_asgi("get", path, headers).content.decode() == f"row of {user_id}"

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

    @pytest.mark.parametrize("path", ["/awaiting", "/awaiting-exempt"])
    def test_a_class_that_awaits_is_held_without_holding_up_the_loop(
        self, ours: Auth, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        """Its ``dispatch`` is a plain function; while the store is asked, everybody else is served."""
        headers, _ = entered()
        assert isinstance(ours.blocking.source, Propylon)
        store = ours.blocking.source.runtime.store
        find, asked, turned, in_time = store.find_session, threading.Event(), threading.Event(), []

        async def slow(session_id: str) -> Any:
            asked.set()
            in_time.append(await asyncio.to_thread(turned.wait, 2))
            return await find(session_id)

        async def ask_and_turn() -> Any:
            answer = asyncio.create_task(AsyncClient().get(path, headers=headers))
            await asyncio.to_thread(asked.wait, 2)
            turned.set()
            return await answer

        monkeypatch.setattr(store, "find_session", slow)
        assert asyncio.run(ask_and_turn()).content == b"awaited"
        assert in_time == [True]

    @pytest.mark.parametrize("path", ["/awaiting", "/awaiting-exempt"])
    def test_a_class_that_awaits_refuses(self, path: str) -> None:
        """Whichever server asks it."""
        headers, _ = entered()
        assert Client(headers=headers).get(path).content == b"awaited"
        assert over_asgi("post", path, headers).status_code == 405
        for answer in (Client(headers=HOST).get(path), over_asgi("get", path, HOST)):
            assert (answer.status_code, answer.json()["code"]) == (401, "credential_missing")

    def test_what_asks_everybody_to_sign_in_keeps_nobody_from_it(self) -> None:
        """``LoginRequiredMiddleware`` leads visitors to our pages, and lets them and the API through."""
        with override_settings(**SIGN_IN_EVERYWHERE):
            led = Client(headers=HOST).get("/public")
            assert (led.status_code, led.headers["location"]) == (302, "/auth/login?next=/public")
            assert Client(headers=HOST).get(led.headers["location"]).status_code == 200
            headers, _ = entered()
            assert Client(headers=headers).get("/public").content == b"the same"

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
        assert answer.headers["cache-control"] == "private"
        assert not answer.has_header("vary")  # it says nothing by which a browser would keep it

    @pytest.mark.parametrize("name", ["ETag", "Expires", "Last-Modified"])
    def test_an_answer_that_a_browser_may_keep_is_kept_for_one_person(self, name: str) -> None:
        """Another one may sign in in it, and would be told that what the first was shown is still good."""
        headers, _ = entered()
        answer = Client(headers=headers).get("/aged", {"by": name})
        assert (answer.headers["vary"], answer.headers["cache-control"]) == ("Cookie, Authorization", "private")

    def test_an_answer_for_all_is_left_alone(self) -> None:
        """Nobody asked who is calling."""
        headers, _ = entered()
        answer = Client(headers=headers).get("/public")
        assert not answer.has_header("vary")
        assert not answer.has_header("cache-control")

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ("max-age=5", "max-age=5, private"),
            ("s-maxage=5", "s-maxage=5, private"),
            ("no-cache", "no-cache, private"),
            ('private="set-cookie"', 'private="set-cookie", private'),
            ("private, max-age=5", "private, max-age=5"),
            ("No-Store", "No-Store"),
            ("max-age=5, Public", "max-age=5, Public"),
            ("", "private"),
        ],
    )
    def test_what_a_view_says_of_caches_stays(self, said: str, kept: str) -> None:
        """That it is one person's is added unless it says who may keep it; what it differs by is added, once.

        Where nobody but ours has said a word of it, nothing keeps it for long enough to differ.
        """
        answer = Client(headers=HOST).get("/varied", {"said": said})
        assert answer.headers["cache-control"] == kept
        assert answer.headers["vary"] == ("Accept, cookie, Authorization" if said else "Accept, cookie")

    def test_an_answer_is_private_where_it_is_made(self) -> None:
        """Whatever stands between a guard and the middleware may be a cache."""
        headers, _ = entered()
        request = RequestFactory(headers=headers).get("/public")
        PropylonMiddleware(lambda _: HttpResponse())(request)
        assert require()(public)(request).headers["cache-control"] == "private"

    def test_a_guard_takes_what_is_no_answer_of_djangos(self) -> None:
        """Other frameworks on Django make an answer of what their views return."""
        headers, _ = entered()
        request = RequestFactory(headers=headers).get("/public")
        PropylonMiddleware(lambda _: HttpResponse())(request)
        assert require()(lambda _: {"n": 1})(request) == {"n": 1}

    @pytest.mark.parametrize(
        "path",
        [
            "guarded",
            "guarded-async",
            "guarded-above-too",
            "asks",
            "asks-below-a-guard",
            "asks-visitors",
            "asks-async",
            "looks",
            "looks-async",
        ],
    )
    def test_cache_page_hands_nobody_the_page_of_another(self, path: str) -> None:
        """Whoever asks below it, and however: it stores answers before the middleware sees them."""
        cache.clear()
        first, second = Client(headers=entered()[0]), Client(headers=entered("bearer")[0])
        seen = [client.get(f"/kept/{path}").content for client in (first, second, first, second)]
        assert seen == [*seen[:2]] * 2
        assert len(set(seen)) == 2
        assert not set(seen) & {Client(headers=HOST).get(f"/kept/{path}").content}

    def test_to_compare_the_user_is_to_ask_too(self) -> None:
        """Nothing is read of it, and the answer is for nobody else."""
        cache.clear()
        visitor = Client(headers=HOST)
        assert visitor.get("/kept/compares").content != visitor.get("/kept/compares").content

    @pytest.mark.parametrize("path", ["looks", "says"])
    def test_a_user_whom_somebody_looked_at_before_is_another_for_another(self, path: str) -> None:
        """A middleware that has everybody sign in looks above ``cache_page``, and the view again below it."""
        cache.clear()
        with override_settings(**SIGN_IN_EVERYWHERE):
            seen = {Client(headers=entered(email=email)[0]).get(f"/kept/{path}").content for email in (EMAIL, ANOTHER)}
        assert len(seen) == 2

    def test_a_guard_above_cache_page_shares_what_is_the_same_for_all(self) -> None:
        """Nobody below asks who is calling, and whoever is not let in is not shown what others were."""
        cache.clear()
        shown = {Client(headers=entered(mode)[0]).get("/shared").content for mode in ("cookie", "bearer")}
        assert len(shown) == 1
        assert Client(headers=HOST).get("/shared").status_code == 401

    def test_who_looks_at_the_user_after_the_answer_finds_the_same(self) -> None:
        """A request may be gone by then."""
        headers, user_id = entered()
        left: list[Any] = []

        def leave(request: HttpRequest) -> HttpResponse:
            left.append(request.user)
            return JsonResponse({})

        PropylonMiddleware(leave)(RequestFactory(headers=headers).get("/public"))
        gc.collect()
        assert left[0].pk == user_id

    @override_settings(**CACHED)
    def test_djangos_own_cache_hands_nobody_the_page_of_another(self) -> None:
        """The cache of the whole site keeps pages by their address, unless they say by what they differ."""
        first, user_id = entered()
        assert Client(headers=first).get("/looks").json()["user"] == user_id
        assert Client(headers=HOST).get("/looks").json()["user"] is None
        assert Client(headers=first).get("/looks").json()["user"] == user_id
