"""``client/propylon.js`` in real tabs of a real browser, against a real Propylon."""

from __future__ import annotations

import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect
from tests.documents import ROOT, blocks
from tests.e2e.stories import PASSWORD, sign_in
from tests.http.serving import Served, ServedSettings

MODES = ("cookie", "bearer", "hybrid")
TOKENS, EVENTS, LIST = "POST /v1/session/tokens", "GET /v1/session/events", "GET /v1/sessions"
HEARD = ("signed-in", "signed-out", "evicted", "renewed", "reauthentication-required")

# An app's page on Propylon's own origin. It notes what it hears, and does what all tabs are told at once.
PAGE = """<!doctype html><title>an app</title><script type="module">
import { Propylon } from "/propylon.js"
const mode = new URLSearchParams(location.search).get("mode") ?? undefined
window.heard = []
window.auth = new Propylon({ mode })
for (const name of %s) auth.addEventListener(name, (event) => heard.push([name, event.detail]))
new BroadcastChannel("all").onmessage = () => (window.answer = auth.fetch("/v1/sessions").then((one) => one.status))
document.documentElement.dataset.ready = "yes"
</script>"""
# As after a night in a bag: for this tab, an hour has passed.
SLEPT = "const steady = performance.now.bind(performance); performance.now = () => steady() + 3_600_000"


@pytest.fixture(scope="module")
def propylon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all of these tests; its users may have two sessions each."""
    served = Served(ServedSettings(tmp_path_factory.mktemp("client"), {"session_limit": "2"}))
    served.start()
    yield served.url
    served.send(signal.SIGTERM)
    assert served.stopped() == 0


class Person:
    """Somebody with an account, and with other devices."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.account = {"email": f"mina-{uuid.uuid4().hex[:8]}@example.com", "password": PASSWORD}
        httpx.post(f"{url}/v1/users", json={**self.account, "name": "Mina"}).raise_for_status()

    def sign_in_elsewhere(self) -> dict[str, str]:
        """Sign in on another device; return the header that its requests carry."""
        answer = httpx.post(f"{self.url}/v1/sessions", json={**self.account, "mode": "bearer"}).raise_for_status()
        return {"authorization": f"Bearer {answer.json()['access_token']}"}

    def end_all_sessions(self) -> None:
        """Sign out everywhere, from another device."""
        httpx.delete(f"{self.url}/v1/sessions", headers=self.sign_in_elsewhere()).raise_for_status()


class Window:
    """One browser with tabs that share what a browser shares; it counts the requests of all of them."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.requests: Counter[str] = Counter()
        context.route("**/app*", lambda route: route.fulfill(content_type="text/html", body=PAGE % list(HEARD)))
        self.leader: Page | None = None  # the tab that asked for the stream last
        context.on("request", self._note)

    def tab(self, mode: str | None = None) -> Page:
        """Open the app in another tab."""
        page = self.context.new_page()
        page.goto(f"{self.url}/app" + (f"?mode={mode}" if mode else ""))
        page.wait_for_selector("html[data-ready]")
        return page

    def _note(self, request: Request) -> None:
        name = f"{request.method} {urlsplit(request.url).path}"
        self.requests[name] += 1
        if name == EVENTS:
            self.leader = request.frame.page

    def asked(self, name: str, times: int) -> None:
        """Wait until that was asked so often."""
        for _ in range(600):
            if self.requests[name] >= times:
                return
            self.context.pages[-1].wait_for_timeout(50)
        raise AssertionError(self.requests)


@pytest.fixture
def window(chromium: Browser, propylon: str) -> Iterator[Window]:
    """A browser of its own."""
    context = chromium.new_context(locale="en-US")
    yield Window(context, propylon)
    context.close()


@pytest.fixture
def person(propylon: str) -> Person:
    """Somebody who nobody else is."""
    return Person(propylon)


def enter(page: Page, person: Person) -> dict[str, Any]:
    """Sign in by the client."""
    who: dict[str, Any] = page.evaluate("(account) => auth.signIn(account)", person.account)
    return who


def fetched(page: Page, path: str = "/v1/sessions") -> int:
    """Return the status of a request by the client."""
    status: int = page.evaluate("(path) => auth.fetch(path).then((answer) => answer.status)", path)
    return status


def names(page: Page) -> list[str]:
    """Return what the tab has heard."""
    heard: list[str] = page.evaluate("heard.map(([name]) => name)")
    return heard


def hears(page: Page, name: str) -> dict[str, Any]:
    """Wait until the tab hears of something; return the details."""
    page.wait_for_function("(name) => heard.some(([one]) => one === name)", arg=name)
    detail: dict[str, Any] = page.evaluate("(name) => heard.findLast(([one]) => one === name)[1]", name)
    return detail


@pytest.mark.parametrize("mode", MODES)
def test_a_sign_in_is_enough_for_all_that_follows(window: Window, person: Person, mode: str) -> None:
    """In every mode: while it is fresh nothing is asked beside what the page asks; then it signs out."""
    page = window.tab(mode)
    assert page.evaluate("auth.session()") is None
    who = enter(page, person)
    assert window.requests["GET /propylon-origins.js"] == 0  # for pages of other origins
    window.requests.clear()
    assert [fetched(page) for _ in range(5)] == [200] * 5
    assert page.evaluate("auth.session().then(({ session }) => session.id)") == who["session"]["id"]
    asked = {name: times for name, times in window.requests.items() if name != EVENTS}
    assert asked == {LIST: 5, "GET /v1/session": 1}
    page.evaluate("auth.signOut()")
    assert (page.evaluate("auth.session()"), fetched(page)) == (None, 401)
    assert names(page) == ["signed-in", "signed-out", "reauthentication-required"]


@pytest.mark.parametrize(("mode", "stays"), [("cookie", True), ("bearer", False), ("hybrid", True), (None, True)])
def test_a_load_forgets_what_was_in_memory_alone(
    window: Window, person: Person, mode: str | None, *, stays: bool
) -> None:
    """Cookies bring the sign-in back; tokens that nobody chose to keep are gone."""
    page = window.tab(mode)
    enter(page, person)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("auth.session().then(Boolean)") is stays


def test_twenty_tabs_renew_once(window: Window, person: Person) -> None:
    """All sleep past the end and all want something at the same moment: one renewal, and everybody is served."""
    tabs = [window.tab("hybrid") for _ in range(20)]
    enter(tabs[0], person)
    for page in tabs:
        hears(page, "signed-in")
        page.evaluate(SLEPT)
    window.requests.clear()
    tabs[0].evaluate("new BroadcastChannel('all').postMessage('go')")
    for page in tabs:
        page.wait_for_function("window.answer")
    assert [page.evaluate("answer") for page in tabs] == [200] * 20
    assert (window.requests[TOKENS], window.requests[LIST]) == (1, 20)


@pytest.mark.parametrize("mode", ["bearer", "hybrid"])
def test_a_new_tab_is_given_what_the_others_have(window: Window, person: Person, mode: str) -> None:
    """From memory to memory: it neither renews nor asks anybody to sign in."""
    who = enter(window.tab(mode), person)
    window.requests.clear()
    page = window.tab(mode)
    assert page.evaluate("auth.session().then(({ session }) => session.id)") == who["session"]["id"]
    assert window.requests[TOKENS] == 0


@pytest.mark.parametrize("mode", MODES)
def test_who_signs_out_in_one_tab_is_signed_out_in_all(window: Window, person: Person, mode: str) -> None:
    """And each of them hears of it, as a sign-out."""
    first, second = window.tab(mode), window.tab(mode)
    enter(first, person)
    hears(second, "signed-in")
    first.evaluate("auth.signOut()")
    assert hears(second, "signed-out")["code"] == "signed_out"
    assert second.evaluate("auth.session()") is None
    assert "evicted" not in names(second)


@pytest.mark.parametrize("mode", MODES)
def test_a_tab_never_goes_on_silently_as_somebody_else(window: Window, person: Person, mode: str) -> None:
    """Joon signs in where Mina's tab is open: her tab is told, and the order that she had begun is not his."""
    first, second = window.tab(mode), window.tab(mode)
    enter(first, person)
    hears(second, "signed-in")
    second.evaluate("heard.length = 0")
    joon = Person(window.url)
    window.context.route("**/app/orders", lambda route: answer(route, 401, "reauthentication_required"))
    second.evaluate("""() => {
        auth.addEventListener("reauthentication-required", (event) => event.preventDefault())
        window.order = auth.fetch("/app/orders", { method: "POST", body: "one fan" }).catch((error) => error.code)
    }""")
    hears(second, "reauthentication-required")
    enter(first, joon)
    assert hears(second, "signed-in")["user"]["email"] == joon.account["email"]
    assert second.evaluate("order") == "user_changed"
    assert names(second).index("signed-out") < names(second).index("signed-in")


def answer(route: Route, status: int, code: str) -> None:
    """Answer as an API does."""
    body = f'{{"code": "{code}", "status": {status}, "title": "x", "detail": "x"}}'
    route.fulfill(status=status, content_type="application/problem+json", body=body)


def test_a_sign_in_on_propylons_own_page_is_noticed(window: Window, person: Person) -> None:
    """That page knows nothing of the client; the end of the session before is told by the server."""
    page = window.tab("cookie")
    enter(page, person)
    other = window.context.new_page()
    joon = Person(window.url)
    sign_in(other, window.url, joon.account["email"], PASSWORD)
    hears(page, "signed-out")
    assert page.evaluate("auth.session().then(({ user }) => user.email)") == joon.account["email"]


@pytest.mark.parametrize("mode", MODES)
def test_an_eviction_is_told_at_once_in_every_tab(window: Window, person: Person, mode: str) -> None:
    """No reload, no request; one tab holds the stream for all, and another one when it is closed."""
    tabs = [window.tab(mode) for _ in range(3)]
    enter(tabs[0], person)
    for page in tabs:
        hears(page, "signed-in")
    window.asked(EVENTS, 1)
    assert window.leader is not None
    tabs.remove(window.leader)
    window.leader.close()
    window.asked(EVENTS, 2)
    window.requests.clear()
    person.sign_in_elsewhere()
    person.sign_in_elsewhere()
    for one in tabs:
        told = hears(one, "evicted")
        assert (told["code"], told["ended_by"]["kind"]) == ("session_evicted", "app")
        assert names(one)[-2:] == ["evicted", "signed-out"]
    assert set(window.requests) <= {EVENTS}  # nothing but the stream itself, which may be opened anew


@pytest.mark.parametrize("mode", MODES)
def test_a_laptop_that_slept_past_the_end_comes_to_a_clear_sign_in(window: Window, person: Person, mode: str) -> None:
    """The session ended while it slept and nothing could be told: one question, one answer, no loop."""
    page = window.tab(mode)
    enter(page, person)
    window.context.route("**/v1/session/events", lambda route: route.abort())
    page.evaluate("auth.close()")
    page.evaluate(SLEPT)
    person.end_all_sessions()
    window.requests.clear()
    code = page.evaluate("auth.fetch('/v1/sessions').catch((error) => error.code)")
    assert code == "session_revoked"
    assert [name for name in names(page) if name != "signed-in"][:2] == ["evicted", "signed-out"]
    assert sum(window.requests.values()) == 1
    assert page.evaluate("auth.session()") is None


@pytest.mark.parametrize("body", ["'one fan'", "new Blob(['one fan'])", "new URLSearchParams({ item: 'fan' })"])
def test_a_refused_request_is_repeated_whole(window: Window, person: Person, body: str) -> None:
    """Chromium sends the same bytes again, once, with the new token."""
    page = window.tab("hybrid")
    enter(page, person)
    seen: list[tuple[str | None, str | None]] = []

    def refuse_once(route: Route) -> None:
        seen.append((route.request.post_data, route.request.headers.get("authorization")))
        answer(route, 401 if len(seen) == 1 else 200, "token_expired")

    window.context.route("**/app/orders", refuse_once)
    script = f"auth.fetch('/app/orders', {{ method: 'POST', body: {body} }}).then((one) => one.status)"
    assert page.evaluate(script) == 200
    (first, before), (second, after) = seen
    assert first == second
    assert before != after
    assert window.requests[TOKENS] == 1


def test_without_locks_and_channels_a_tab_is_on_its_own_and_works(window: Window, person: Person) -> None:
    """An old browser, or one that blocks them: each tab renews for itself, and the server bears it."""
    window.context.add_init_script("delete Navigator.prototype.locks; delete window.BroadcastChannel")
    alone = "\n".join(line for line in PAGE.splitlines() if "BroadcastChannel" not in line) % list(HEARD)
    window.context.route("**/alone*", lambda route: route.fulfill(content_type="text/html", body=alone))
    tabs = [window.context.new_page() for _ in range(2)]
    for page in tabs:
        page.goto(f"{window.url}/alone?mode=hybrid")
        page.wait_for_selector("html[data-ready]")
    enter(tabs[0], person)
    assert [fetched(page) for page in tabs] == [200, 200]
    for page in tabs:
        page.evaluate(SLEPT)
        assert (
            page.evaluate("Promise.all([1, 2].map(() => auth.fetch('/v1/sessions'))).then((all) => all[1].status)")
            == 200
        )
    assert window.requests[TOKENS] == 3  # one to find out who is there in the second tab, and one each


DENIED = """for (const name of ["request", "query"])
    LockManager.prototype[name] = () => Promise.reject(new DOMException("denied", "SecurityError"))"""


def test_where_locks_are_denied_an_eviction_is_told_all_the_same(window: Window, person: Person) -> None:
    """They are there and refuse: as where a user blocks all storage."""
    window.context.add_init_script(DENIED)
    page = window.tab("bearer")
    enter(page, person)
    window.asked(EVENTS, 1)
    person.end_all_sessions()
    hears(page, "evicted")


# Whoever marks what they hold waits until the test lets go.
SLOW_MARKS = """const request = LockManager.prototype.request
window.go = []
LockManager.prototype.request = async function (name, ...more) {
    if (name.includes("#")) await new Promise((done) => go.push(done))
    return request.call(this, name, ...more)
}"""


@pytest.mark.parametrize("mode", MODES)
def test_a_tab_that_is_slow_takes_nothing_that_has_ended_meanwhile(window: Window, person: Person, mode: str) -> None:
    """It hears of the sign-in and of the sign-out while it still marks the first: nobody is signed in, or marked."""
    first = window.tab(mode)
    window.context.add_init_script(SLOW_MARKS)
    second = window.tab(mode)
    enter(first, person)
    second.wait_for_function("go.length")
    first.evaluate("auth.signOut()")
    hears(second, "signed-out")
    second.evaluate("go.splice(0).forEach((done) => done())")
    marked = "navigator.locks.query().then(({ held }) => held.some(({ name }) => name.includes('#')))"
    second.wait_for_function(f"{marked}.then((some) => !some)")
    assert names(second) == ["signed-in", "signed-out"]
    assert second.evaluate("auth.session()") is None


def test_a_kept_request_is_not_sent_as_who_signs_in_on_another_page(window: Window, person: Person) -> None:
    """Mina's session ends and her order is kept; Joon signs in on Propylon's own page; the app lets the order go on."""
    window.context.route("**/v1/session/events", lambda route: route.abort())  # it would tell of the end before
    page = window.tab("cookie")
    enter(page, person)
    page.evaluate("""() => auth.addEventListener("reauthentication-required", (event) => {
        event.preventDefault()
        window.detail = event.detail
    })""")
    person.end_all_sessions()
    order = "fetch('/v1/session/cookie', { method: 'POST' }).catch((error) => error.code)"
    page.evaluate(f"() => {{ window.order = auth.{order} }}")
    page.wait_for_function("window.detail")
    joon = Person(window.url)
    sign_in(window.context.new_page(), window.url, joon.account["email"], PASSWORD)
    page.evaluate("detail.resume()")
    assert page.evaluate("order") == "user_changed"
    assert window.requests["POST /v1/session/cookie"] == 1
    assert hears(page, "signed-in")["user"]["email"] == joon.account["email"]


def test_the_page_of_the_guide_works_as_it_stands(window: Window, person: Person) -> None:
    """docs/client.md: a wrong password says so, the right one greets, an eviction and a sign-out are shown."""
    (page_,) = blocks(ROOT / "docs/client.md", "html")
    window.context.route("**/guide", lambda route: route.fulfill(content_type="text/html", body=page_.text))
    page = window.context.new_page()
    page.goto(f"{window.url}/guide")
    page.fill("input[name=email]", person.account["email"])
    for password, told in (("wrong", "password"), (PASSWORD, "Hello Mina")):
        page.fill("input[name=password]", password)
        page.click("#sign-in button")
        expect(page.locator("#told")).to_contain_text(told)
    page.reload()
    expect(page.locator("#told")).to_have_text("Hello Mina")
    person.end_all_sessions()
    expect(page.locator("#told")).to_contain_text("ended")
    expect(page.locator("#sign-in")).to_be_visible()
    page.fill("input[name=email]", person.account["email"])
    page.fill("input[name=password]", PASSWORD)
    page.click("#sign-in button")
    page.click("#sign-out")
    expect(page.locator("#sign-in")).to_be_visible()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.route("**/v1/session", lambda route: route.abort())
    page.reload()
    expect(page.locator("#told")).to_contain_text("does not answer")
    assert failures == []
