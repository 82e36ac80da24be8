"""A page on one origin and an API on another, in a real browser: what works, and what the console says otherwise."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Request, Route
from tests.e2e.across import PAGE, WRITTEN_FOR, Across, across_origins
from tests.e2e.stories import PASSWORD

from propylon.web.assets import MODULES

# To a browser: one site on two ports, one site on two names, and two sites on one machine.
PORTS, NAMES, SITES = (
    ("localhost", "localhost"),
    ("app.shop.localhost", "api.shop.localhost"),
    ("localhost", "127.0.0.1"),
)
STRANGER = "evil.shop.localhost"
# As after a night in a bag: for this tab, an hour has passed.
SLEPT = "(() => { const now = performance.now.bind(performance); performance.now = () => now() + 3_600_000 })()"
FETCHED = "(url) => auth.fetch(url).then((answer) => answer.json())"
PLAIN = "([url, init]) => fetch(url, init).then((answer) => answer.json(), () => null)"
ANOTHER = """async ([module, options, asked]) => {
    const { Propylon } = await import(module)
    window.other = new Propylon({ events: false, ...options })
    await (asked ? other.fetch(...asked) : other.session()).catch(() => {})
}"""


@pytest.fixture(scope="module")
def across(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Across]:
    """Both servers, for all of these tests."""
    with across_origins(tmp_path_factory.mktemp("across"), (PORTS[0], NAMES[0])) as both:
        yield both


class Visit:
    """Somebody with an account, in a browser of their own, and what its console says."""

    def __init__(self, context: BrowserContext, across: Across) -> None:
        self.across = across
        self.page = context.new_page()
        self.warnings: list[str] = []
        self.requests: Counter[str] = Counter()
        self.account = {"email": f"mina-{uuid.uuid4().hex[:8]}@example.com", "password": PASSWORD}
        httpx.post(f"{across.propylon}/v1/users", json={**self.account, "name": "Mina"}).raise_for_status()
        self.page.on("console", lambda one: self.warnings.append(one.text) if one.type == "warning" else None)
        context.on("request", self._count)

    def _count(self, request: Request) -> None:
        self.requests[f"{request.method} {urlsplit(request.url).path}"] += 1

    def open(self, places: tuple[str, str], mode: str) -> str:
        """Open the page; return where its API is."""
        api = self.across.api(places[1])
        self.page.goto(f"{self.across.page(places[0])}/?mode={mode}&api={quote(api)}")
        return api

    def sign_in(self) -> None:
        """By the form of the page."""
        self.page.wait_for_function("window.auth")
        self.page.fill("[name=email]", self.account["email"])
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("#sign-in button")

    def reads(self, text: str) -> None:
        """Wait until the page says so."""
        self.page.wait_for_function("(text) => document.querySelector('#said').textContent.includes(text)", arg=text)

    def enter(self, places: tuple[str, str], mode: str) -> str:
        """Open the page and sign in; return where its API is."""
        api = self.open(places, mode)
        self.sign_in()
        self.reads("Signed in as mina-")
        return api

    def is_told(self, *words: str) -> None:
        """Wait until one warning of the console holds all of these words."""
        for _ in range(600):
            if any(all(word in text for word in words) for text in self.warnings):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(self.warnings)


@pytest.fixture
def visit(chromium: Browser, across: Across) -> Iterator[Visit]:
    """A visitor who nobody else is."""
    context = chromium.new_context(locale="en-US")
    yield Visit(context, across)
    context.close()


@pytest.mark.parametrize(
    ("places", "mode"),
    [(PORTS, "cookie"), (PORTS, "hybrid"), (NAMES, "cookie"), (NAMES, "hybrid"), (SITES, "bearer")],
    ids=str,
)
def test_a_page_and_an_api_apart_are_one_app(visit: Visit, places: tuple[str, str], mode: str) -> None:
    """Sign-in, a read, a write with its preflight, renewal after sleep, sign-out, eviction; and no complaint."""
    page, api = visit.page, visit.enter(places, mode)
    assert page.evaluate("auth.session().then(({ session }) => session.mode)") == mode
    assert page.evaluate(FETCHED, f"{api}/me")["credential"] == ("cookie" if mode == "cookie" else "access_token")
    page.click("#add")
    visit.reads("In the cart: fan")
    page.evaluate(SLEPT)
    visit.requests.clear()
    assert "user" in page.evaluate(FETCHED, f"{api}/me")
    renewal = "GET /auth/v1/session" if mode == "cookie" else "POST /auth/v1/session/tokens"
    assert (visit.requests[renewal], visit.requests["GET /me"]) == (1, 1)
    page.click("#leave")
    visit.reads("Signed out")
    assert page.evaluate("auth.session()") is None
    visit.sign_in()
    visit.reads("Signed in as mina-")
    elsewhere = httpx.post(f"{visit.across.propylon}/v1/sessions", json={**visit.account, "mode": "bearer"}).json()
    headers = {"authorization": f"Bearer {elsewhere['access_token']}"}
    httpx.delete(f"{visit.across.propylon}/v1/sessions", headers=headers).raise_for_status()
    page.wait_for_function("!document.querySelector('#said').textContent.startsWith('Signed in')")
    assert visit.warnings == []


@pytest.mark.parametrize("mode", ["cookie", "hybrid"])
def test_a_load_of_the_page_finds_the_cookie_again(visit: Visit, mode: str) -> None:
    """Also across origins: it lies with the API."""
    visit.enter(NAMES, mode)
    visit.page.reload()
    visit.reads("Signed in as mina-") if mode == "cookie" else visit.page.wait_for_function("window.auth")
    assert visit.page.evaluate("auth.session().then(({ user }) => user.email)") == visit.account["email"]


@pytest.mark.parametrize(("places", "mode"), [(NAMES, "cookie"), (PORTS, "hybrid"), (SITES, "bearer")], ids=str)
def test_a_fetch_without_credentials_is_named(visit: Visit, places: tuple[str, str], mode: str) -> None:
    """The page's own ``fetch`` is none of the client's: what it lacked stands in its answer and in the console."""
    api = visit.enter(places, mode)
    answer = visit.page.evaluate(PLAIN, [f"{api}/me", {}])
    assert answer["code"] == "credential_missing"
    assert ("bearer" if places == SITES else "include") in answer["hint"]
    visit.is_told(f"{api}/me", 'credentials: "include"', "auth.fetch")
    if mode == "cookie":
        assert "user" in visit.page.evaluate(PLAIN, [f"{api}/me", {"credentials": "include"}])


def test_nobody_is_told_so_who_has_not_signed_in(visit: Visit) -> None:
    """Then 401 is the answer, whatever came along, and the page says it."""
    api = visit.open(PORTS, "cookie")
    visit.reads("Signed out")
    visit.page.click("#add")
    visit.reads("You are not signed in")
    assert visit.page.evaluate(PLAIN, [f"{api}/me", {}])["code"] == "credential_missing"
    visit.page.wait_for_function("performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/me'))")
    visit.page.wait_for_timeout(100)
    assert visit.warnings == []


def test_an_origin_that_is_not_configured_is_named(visit: Visit) -> None:
    """By the console with the setting to write, and by the log of the server; the page says that something failed."""
    visit.page.on("pageerror", lambda error: visit.warnings.append(f"uncaught: {error}"))
    visit.open((STRANGER, NAMES[1]), "cookie")
    visit.reads("does not answer")
    visit.page.evaluate("document.querySelector('#said').textContent = ''")
    visit.page.click("#add")
    visit.reads("does not answer")
    assert [text for text in visit.warnings if text.startswith("uncaught")] == []
    origin = visit.across.page(STRANGER)
    visit.is_told(f"PROPYLON_ORIGINS={origin}")
    assert f"a page of '{origin}' called and may not" in visit.across.log.read_text()


def test_a_page_at_another_name_of_this_machine_is_told_to_use_one(visit: Visit) -> None:
    """And not to add an origin, which would help no cookie; the log of the server says the same."""
    visit.open((SITES[1], "localhost"), "cookie")
    visit.is_told("localhost, 127.0.0.1", "Use one name")
    assert not any("PROPYLON_ORIGINS" in text for text in visit.warnings)
    origin = visit.across.page(SITES[1])
    assert f"a page of '{origin}' called and may not: use one name" in visit.across.log.read_text()


@pytest.mark.parametrize("mode", ["cookie", "hybrid"])
def test_two_sites_are_named_at_the_sign_in(visit: Visit, mode: str) -> None:
    """Localhost and 127.0.0.1: the cookie would be dropped, so nobody is signed in, and both are told why."""
    visit.open(SITES, mode)
    visit.sign_in()
    visit.reads("are two sites")
    visit.is_told("are two sites", 'mode: "bearer"')
    visit.is_told("localhost, 127.0.0.1", "Use one name")


def test_a_cookie_that_was_not_kept_is_named(visit: Visit) -> None:
    """In a frame of another site the sign-in looks fine, and then the browser sends nothing."""
    api = visit.across.api("localhost")
    inner = f"{visit.across.page('localhost')}/?mode=cookie&api={quote(api)}"
    visit.page.goto(f"{visit.across.page('127.0.0.1')}/frame?src={quote(inner)}")
    frame = visit.page.frames[1]
    frame.wait_for_function("window.auth")
    frame.evaluate("(account) => auth.signIn(account)", visit.account)
    assert frame.evaluate("(url) => auth.fetch(url).then((answer) => answer.status)", f"{api}/me") == 401
    visit.is_told("did not send the cookie", "frame of another site")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/wildcard", ("Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true")),
        ("/silent", ("sends no Access-Control-Allow-Origin", "your app's")),
    ],
    ids=str,
)
def test_what_an_api_of_its_own_forgot_is_named(visit: Visit, path: str, words: tuple[str, ...]) -> None:
    """CORS of an app's routes is the app's: a wildcard, or nothing at all."""
    api = visit.enter(NAMES, "cookie")
    other = visit.across.page(NAMES[1])
    options = {"mode": "cookie", "url": f"{api}/auth", "origins": [other]}
    visit.page.evaluate(ANOTHER, [f"{api}/auth/propylon.js", options, [other + path]])
    visit.is_told(other, *words)


def test_a_header_that_no_preflight_allows_is_named(visit: Visit) -> None:
    """The page may read that route, and not ask it so."""
    api = visit.enter(PORTS, "cookie")
    visit.page.evaluate(
        "(url) => auth.fetch(url, { headers: { 'Idempotency-Key': '1' } }).catch(() => {})", f"{api}/me"
    )
    visit.is_told(f"{api}/me", "Idempotency-Key")


def test_a_request_that_the_page_gives_up_is_not_looked_into(visit: Visit) -> None:
    """It knows why: nothing is asked, and nothing is said of CORS."""
    api = visit.enter(PORTS, "cookie")
    visit.page.route("**/me?slow", lambda _: None)
    given_up = "(url) => auth.fetch(url, { signal: AbortSignal.timeout(200) }).catch((error) => error.name)"
    assert visit.page.evaluate(given_up, f"{api}/me?slow") == "TimeoutError"
    seen = "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('?slow'))"
    visit.page.wait_for_function(seen)
    visit.page.wait_for_timeout(500)
    assert visit.requests["HEAD /me"] == 0
    assert visit.warnings == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("{page}/elsewhere/auth", ("is not the public URL", "PROPYLON_PUBLIC_URL")),
        ("{api}", ("not as Propylon does", "/auth")),
    ],
)
def test_a_wrong_address_of_propylon_is_named(visit: Visit, url: str, words: tuple[str, ...]) -> None:
    """Another host than its public URL, and a path that was left out."""
    api = visit.open(NAMES, "cookie")
    url = url.format(api=api, page=visit.across.page(NAMES[1]))
    visit.page.evaluate(ANOTHER, [f"{api}/auth/propylon.js", {"url": url}, None])
    visit.is_told(*words)


def test_a_page_that_was_opened_as_a_file_is_told_to_be_served(visit: Visit, tmp_path: Path) -> None:
    """It has no origin that anybody could allow."""
    file = tmp_path / "index.html"
    file.write_text(PAGE.replace(WRITTEN_FOR, visit.across.api("localhost")))
    visit.page.goto(file.as_uri())
    visit.is_told("opened as a file", "http.server")


@pytest.mark.parametrize(("locale", "words"), [("en-US", "by https too"), ("ko-KR", "API도 https로")])
def test_http_below_https_is_named_in_the_authors_language(chromium: Browser, locale: str, words: str) -> None:
    """Browsers stop it before anything is sent, so there is nothing to look into."""
    context = chromium.new_context(locale=locale)
    page = context.new_page()
    context.route("https://app.example/*", answer_by_https)
    page.goto("https://app.example/")
    with page.expect_console_message(lambda one: one.type == "warning" and words in one.text):
        page.evaluate("import('/propylon.js').then((it) => void new it.Propylon({ url: 'http://api.example' }))")
    context.close()


def answer_by_https(route: Route) -> None:
    """Serve a page and the client, as a server with a certificate would."""
    name = route.request.url.rpartition("/")[2]
    if name in MODULES:
        route.fulfill(content_type="text/javascript", body=MODULES[name].body)
    else:
        route.fulfill(content_type="text/html", body="<!doctype html>")
