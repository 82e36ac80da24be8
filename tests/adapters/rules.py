"""The same refusals in every framework: what each adapter's example owes, driven over a real socket.

An example has these routes, with Propylon mounted at ``/auth``:

=================== =================================================== ===========================================
``GET /``           open to all
``GET /me``         somebody has to be signed in                        ``{"user", "session", "credential"}``
``GET /maybe``      a visitor is fine                                   ``{"user": id or null}``
``GET /admin``      the role ``admin``
``GET /write``      the permission ``posts.write``
``GET /orders``     the scope ``orders``
``POST /pay``       the password was given within 300 seconds
``GET /soon``       the access token is good for 60 more seconds
``GET /cart``       session data                                        ``{"n": int}``
``POST /cart``      adds one, losing no concurrent write                ``{"n": int}``
``POST /leave``     ends the session, and clears the cookies            204
=================== =================================================== ===========================================
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from tests.adapters.serving import ADMIN, LIMIT, PREFIX, STALE, Command, Site, served, sign_in
from tests.http.driving import MODES, PASSWORD, REFRESH_COOKIE, SESSION_COOKIE, bearer, refused, set_cookies

GUARDED = [
    ("GET", "/me"),
    ("GET", "/admin"),
    ("GET", "/write"),
    ("GET", "/orders"),
    ("POST", "/pay"),
    ("GET", "/soon"),
    ("GET", "/cart"),
    ("POST", "/cart"),
    ("POST", "/leave"),
]
UNSAFE = [path for method, path in GUARDED if method == "POST"]
CROSS_SITE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "", "origin": "https://evil.example"},
    {"sec-fetch-site": "", "origin": "null"},
]
# What a browser says of itself when a person opens a page.
OPENS_A_PAGE = {"sec-fetch-mode": "navigate", "accept": "text/html,*/*;q=0.8"}
every_guarded_route = pytest.mark.parametrize(("method", "path"), GUARDED)


class AdapterRules:
    """Subclass with ``command``: how the example is served."""

    command: ClassVar[Command]

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
        """The example, served once for all tests of the class."""
        with served(cls.command, Path(tmp_path_factory.mktemp("site"))) as site:
            yield site

    # Who is calling.

    def test_an_open_route_asks_nobody(self, site: Site) -> None:
        """It answers visitors, and does not look at a credential, good or bad."""
        assert site.visitor().get("/").status_code == 200
        assert site.visitor().get("/", headers=bearer("nonsense")).status_code == 200

    @pytest.mark.parametrize("mode", MODES)
    def test_who_is_signed_in_is_known_in_every_mode(self, site: Site, mode: str) -> None:
        """The same principal, whether a cookie or a token says so."""
        person = site.someone(mode)
        answer = person.client.get("/me", headers=person.headers)
        kind = "cookie" if mode == "cookie" else "access_token"
        assert answer.json() == {"user": person.user_id, "session": person.session_id, "credential": kind}

    def test_who_signs_up_signs_in(self, site: Site) -> None:
        """The whole HTTP contract is there below the mount: an account is made, signs in, and is known."""
        client = site.visitor()
        account = {"email": "newcomer@example.com", "password": PASSWORD}
        assert client.post(f"{PREFIX}/v1/users", json=account).status_code == 201
        assert client.get("/me").status_code == 401
        user = sign_in(client, "newcomer@example.com")["user"]["id"]
        assert client.get("/me").json()["user"] == user
        assert client.get(f"{PREFIX}/v1/session").json()["user"]["id"] == user

    @every_guarded_route
    def test_nobody_is_refused(self, site: Site, method: str, path: str) -> None:
        """401, the challenge of a request without a token, and the code that says so."""
        answer = site.visitor().request(method, path)
        refused(answer, 401, "credential_missing")
        assert answer.headers["www-authenticate"] == "Bearer"

    @every_guarded_route
    def test_a_bad_token_is_refused(self, site: Site, method: str, path: str) -> None:
        """RFC 6750 section 3.1: the challenge names the error."""
        answer = site.visitor().request(method, path, headers=bearer("nonsense"))
        refused(answer, 401, "credential_malformed")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    def test_a_bad_cookie_is_refused(self, site: Site) -> None:
        """Whoever presents what we never issued is told, and is no visitor."""
        for path in ("/me", "/maybe"):
            refused(site.visitor("nonsense").get(path), 401, "credential_malformed")

    def test_an_expired_token_is_refused(self, site: Site) -> None:
        """Its signature is good."""
        headers = site.token(site.someone(), expires_in_s=-1)
        refused(site.visitor().get("/me", headers=headers), 401, "token_expired")

    def test_two_credentials_are_refused(self, site: Site) -> None:
        """Nobody guesses which of two was meant."""
        token = site.someone("bearer").headers["authorization"]
        twice = [("authorization", token), ("authorization", token)]
        refused(site.visitor().get("/me", headers=twice), 400, "credential_ambiguous")

    def test_a_bad_token_is_not_rescued_by_a_good_cookie(self, site: Site) -> None:
        """One credential a request: the next thing that may work is not tried."""
        client = site.someone().client
        for value in ("Bearer nonsense", "Bearer\tnonsense", "DPoP\tnonsense", "Bearer"):
            refused(client.get("/me", headers={"authorization": value}), 401, "credential_malformed")

    def test_a_refusal_speaks_the_language_of_the_caller(self, site: Site) -> None:
        """Korean where it is asked for, English otherwise; the code is the same."""
        told = {}
        for tongue in ("ko", "en"):
            answer = site.visitor().get("/me", headers={"accept-language": tongue})
            told[tongue] = refused(answer, 401, "credential_missing")["detail"]
            assert answer.headers["content-language"] == tongue
        assert told["ko"] != told["en"]

    def test_a_problem_leads_to_its_explanation(self, site: Site) -> None:
        """The type of a problem is an address that can be opened."""
        kind = site.visitor().get("/me").json()["type"]
        assert kind == f"{site.url}{PREFIX}/docs#credential_missing"
        assert site.visitor().get(kind).status_code == 200

    def test_a_visitor_is_nobody_and_somebody_is_known(self, site: Site) -> None:
        """Where signing in is optional."""
        person = site.someone()
        assert site.visitor().get("/maybe").json() == {"user": None}
        assert person.client.get("/maybe").json() == {"user": person.user_id}

    @pytest.mark.parametrize("path", ["/me", "/maybe"])
    def test_an_ended_session_is_refused_and_no_visitor(self, site: Site, path: str) -> None:
        """A client whose session is over should learn that, not turn into a visitor without a word."""
        person = site.someone("bearer")
        person.client.delete(f"{PREFIX}/v1/session", headers=person.headers).raise_for_status()
        refused(person.client.get(path, headers=person.headers), 401, "session_revoked")

    # What they may do.

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("path", ["/admin", "/write"])
    def test_a_route_for_some_refuses_the_others(self, site: Site, path: str, mode: str) -> None:
        """Roles and permissions: 403 says that signing in again would not help."""
        somebody, admin = site.someone(mode), site.someone(mode, ADMIN)
        refused(somebody.client.get(path, headers=somebody.headers), 403, "forbidden")
        assert admin.client.get(path, headers=admin.headers).status_code == 200

    def test_a_token_that_was_narrowed_does_only_that(self, site: Site) -> None:
        """RFC 6750 section 3.1: the challenge names the scope that is missing."""
        person = site.someone()
        answer = site.visitor().get("/orders", headers=site.token(person, scopes=("profile",)))
        assert answer.json()["code"] == "insufficient_scope"
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="orders"'
        for good in (site.token(person, scopes=("profile", "orders")), site.token(person)):
            assert site.visitor().get("/orders", headers=good).status_code == 200
        assert person.client.get("/orders").status_code == 200

    def test_what_was_proved_too_long_ago_is_proved_again(self, site: Site) -> None:
        """RFC 9470: the challenge says how recent it has to be; after the password it goes through."""
        client = site.visitor(site.before.stale_cookie)
        answer = client.post("/pay")
        assert refused(answer, 401, "reauthentication_required")["max_age"] == 300
        said = 'Bearer error="insufficient_user_authentication", max_age="300"'
        assert answer.headers["www-authenticate"] == said
        assert client.get("/me").status_code == 200
        client.cookies.clear()
        person = site.someone(email=STALE)
        old = site.token(person, auth_time=1_000_000_000)
        refused(site.visitor().post("/pay", headers=old), 401, "reauthentication_required")
        confirmed = person.client.post(f"{PREFIX}/v1/session/confirm", json={"password": PASSWORD})
        assert confirmed.status_code == 204
        assert person.client.post("/pay").is_success

    def test_a_token_about_to_expire_is_not_accepted_for_what_takes_longer(self, site: Site) -> None:
        """The client renews it and repeats; a cookie is renewed by every request and always lasts."""
        person = site.someone()
        ending = site.token(person, expires_in_s=40)
        refused(site.visitor().get("/soon", headers=ending), 401, "token_expiring")
        assert site.visitor().get("/me", headers=ending).status_code == 200
        assert site.visitor().get("/soon", headers=site.token(person)).status_code == 200
        assert person.client.get("/soon").status_code == 200

    # Session data.

    def test_session_data_lives_with_the_session(self, site: Site) -> None:
        """It is kept between requests, the same by cookie and token, and another session has its own."""
        person = site.someone()
        assert person.client.get("/cart").json() == {"n": 0}
        assert person.client.post("/cart").json() == {"n": 1}
        assert site.visitor().post("/cart", headers=site.token(person)).json() == {"n": 2}
        assert person.client.get("/cart").json() == {"n": 2}
        assert site.someone().client.get("/cart").json() == {"n": 0}

    def test_no_concurrent_write_is_lost(self, site: Site) -> None:
        """Sixteen at once count sixteen."""
        person = site.someone()
        headers = {"cookie": f"{SESSION_COOKIE}={person.client.cookies[SESSION_COOKIE]}"}
        clients = [site.visitor() for _ in range(16)]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda client: client.post("/cart", headers=headers), clients))
        assert sorted(answer.json()["n"] for answer in answers) == list(range(1, 17))
        assert person.client.get("/cart").json() == {"n": 16}

    # The end.

    @pytest.mark.parametrize("mode", MODES)
    def test_signing_out_ends_the_session_and_clears_the_cookies(self, site: Site, mode: str) -> None:
        """What was presented, and every other credential of that session, is refused from then on."""
        person = site.someone(mode)
        kept = person.client.cookies.get(SESSION_COOKIE)
        token = site.token(person)
        answer = person.client.post("/leave", headers=person.headers)
        assert answer.status_code == 204, answer.text
        cleared = set_cookies(answer)
        for name, path in ((SESSION_COOKIE, "/"), (REFRESH_COOKIE, f"{PREFIX}/v1/session/tokens")):
            assert cleared[name][0].strip('"') == ""  # which some frameworks write
            assert {"Max-Age=0", f"Path={path}"} <= cleared[name][1]
        assert answer.headers["clear-site-data"] == '"cache"'
        assert SESSION_COOKIE not in person.client.cookies
        assert REFRESH_COOKIE not in person.client.cookies
        refused(site.visitor().get("/me", headers=token), 401, "session_revoked")
        if kept is not None:
            refused(site.visitor(kept).get("/me"), 401, "session_revoked")

    def test_a_token_of_another_site_signs_out_and_leaves_the_cookies_alone(self, site: Site) -> None:
        """They may be somebody else's: the browser's, not the caller's."""
        person = site.someone("bearer")
        answer = person.client.post("/leave", headers={**person.headers, **CROSS_SITE[0]})
        assert answer.status_code == 204
        assert set_cookies(answer) == {}
        refused(person.client.get("/me", headers=person.headers), 401, "session_revoked")

    def test_whoever_is_pushed_out_is_told(self, site: Site) -> None:
        """One sign-in more than the limit: the oldest session is refused, with the reason, and no other."""
        email = site.newcomer()
        people = [site.someone(email=email) for _ in range(LIMIT + 1)]
        refused(people[0].client.get("/me"), 401, "session_evicted")
        assert [person.client.get("/me").status_code for person in people[1:]] == [200] * LIMIT

    # Other sites.

    @pytest.mark.parametrize("path", UNSAFE)
    @pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
    def test_another_site_changes_nothing_by_a_cookie(self, site: Site, headers: dict[str, str], path: str) -> None:
        """Every guarded route that changes something is held, whatever it asks beside."""
        person = site.shared("cookie")
        refused(site.elsewhere(person, headers).post(path), 403, "cross_site_refused")
        assert person.client.get("/cart").json() == {"n": 0}

    @pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
    def test_a_token_is_not_refused_for_coming_from_another_site(self, site: Site, headers: dict[str, str]) -> None:
        """Nothing of it travels by itself."""
        person = site.shared("bearer")
        client = site.elsewhere(person, headers)
        assert client.post("/pay", headers=person.headers).is_success
        assert client.get("/me", headers=person.headers).status_code == 200

    def test_a_link_from_another_site_arrives_signed_in(self, site: Site) -> None:
        """Safe methods are never held."""
        person = site.shared("cookie")
        assert person.client.get("/me", headers=CROSS_SITE[0]).status_code == 200

    # People.

    @pytest.mark.parametrize("path", ["/me", "/me?tab=orders&page=2", "/admin"])
    def test_a_person_who_opens_a_page_is_led_to_the_sign_in_and_back(self, site: Site, path: str) -> None:
        """To the form, which leads to where they wanted to go."""
        client = site.visitor()
        answer = client.get(path, headers=OPENS_A_PAGE)
        assert answer.status_code == 303
        assert answer.headers["cache-control"] == "no-store"
        login = httpx.URL(site.url).join(answer.headers["location"])
        assert (login.path, login.params["next"]) == (f"{PREFIX}/login", path)
        assert client.get(login, headers=OPENS_A_PAGE).status_code == 200
        form = {"email": site.newcomer(), "password": PASSWORD, "next": login.params["next"]}
        back = client.post(f"{PREFIX}/login", data=form)
        assert back.headers["location"] == path

    @pytest.mark.parametrize("headers", [{"sec-fetch-mode": "cors", "accept": "text/html"}, {"accept": "*/*"}])
    def test_a_script_is_refused_and_not_led_anywhere(self, site: Site, headers: dict[str, str]) -> None:
        """A client that follows redirects would take the form for an answer."""
        refused(site.visitor().get("/me", headers=headers), 401, "credential_missing")

    def test_what_a_form_sent_is_refused_and_not_led_anywhere(self, site: Site) -> None:
        """A redirect would lose it."""
        refused(site.visitor().post("/pay", headers=OPENS_A_PAGE), 401, "credential_missing")

    def test_who_may_not_is_not_asked_to_sign_in_again(self, site: Site) -> None:
        """403: it would not help, and a loop would be the result."""
        refused(site.shared("cookie").client.get("/admin", headers=OPENS_A_PAGE), 403, "forbidden")

    # The mount.

    def test_a_change_of_mode_is_told_at_the_next_request(self, site: Site) -> None:
        """To whoever is to move, by a route that asks who is calling, and by its refusals; and no more after that."""
        person, other = site.someone(), site.shared("bearer")
        try:
            site.change_mode("hybrid")
            for path in ("/me", "/maybe", "/admin", "/me"):
                assert person.client.get(path).headers["propylon-mode"] == "hybrid"
            for path, headers in (("/", person.headers), ("/me", other.headers)):
                assert "propylon-mode" not in other.client.get(path, headers=headers).headers
        finally:
            site.change_mode("cookie")
        assert "propylon-mode" not in person.client.get("/me").headers

    def test_pages_and_contract_are_served_below_the_mount(self, site: Site) -> None:
        """The form, the API, and problems of both."""
        client = site.visitor()
        assert client.get(f"{PREFIX}/login").status_code == 200
        assert client.get(f"{PREFIX}/.well-known/jwks.json").json()["keys"]
        refused(client.get(f"{PREFIX}/v1/session"), 401, "credential_missing")
        refused(client.get(f"{PREFIX}/nowhere"), 404, "not_found")
        refused(client.get(f"{PREFIX}/v1/session", headers={"host": "evil.example"}), 400, "host_unknown")
