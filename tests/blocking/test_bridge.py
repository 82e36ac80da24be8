"""One Propylon on one loop for all threads: started once, in time or refused, and gone when it is closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.blocking.conftest import MakeBlocking, entered, environ, inside
from tests.http.driving import EMAIL

from propylon import CredentialRefused, Demand, Forbidden, Principal, PropylonError, SetupError, Unavailable
from propylon.blocking import Asking, Blocking
from propylon.blocking.environ import Asked
from propylon.errors import Conflict, StoreUnavailable
from propylon.verifier import Verifier

CROSS_SITE = {"HTTP_SEC_FETCH_SITE": "cross-site"}


@pytest.fixture
def strangers() -> set[threading.Thread]:
    """What earlier tests in this process have left running."""
    return set(threading.enumerate())


@pytest.fixture
def asking(blocking: Blocking, client: httpx.Client) -> Callable[..., Asking]:
    """A factory of questions by somebody signed in with a cookie."""
    entered(client)
    cookie = f"propylon={client.cookies['propylon']}"

    def ask(method: str = "GET", **more: str) -> Asking:
        return blocking.asking({**environ(method, COOKIE=cookie), **more})

    return ask


def refusal(question: Callable[[], object]) -> str:
    """Return the code with which a question is refused."""
    with pytest.raises(PropylonError) as refused:
        question()
    return refused.value.code


# Started and stopped.


def test_nothing_is_started_before_the_first_question(
    strangers: set[threading.Thread], make_blocking: MakeBlocking
) -> None:
    """A server that forks its workers does so after it has loaded the app, and threads do not survive that."""
    blocking = make_blocking()
    blocking.mount()
    assert not set(threading.enumerate()) - strangers
    assert refusal(blocking.asking(environ()).principal) == "credential_missing"
    assert set(threading.enumerate()) - strangers


def test_many_first_questions_start_one_loop(strangers: set[threading.Thread], make_blocking: MakeBlocking) -> None:
    """Whichever threads come first."""
    blocking = make_blocking()
    with ThreadPoolExecutor(8) as threads:
        sides = set(threads.map(lambda _: blocking.side(), range(8)))
    assert len(sides) == 1
    assert sum(thread.name == "propylon" for thread in set(threading.enumerate()) - strangers) == 1


def test_no_question_makes_a_loop(asking: Callable[..., Asking], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that is answered from memory nor one that goes to the loop, and data neither."""
    asking().principal()

    def no_loop() -> None:
        raise AssertionError

    monkeypatch.setattr(asyncio, "new_event_loop", no_loop)
    monkeypatch.setattr(asyncio.events, "new_event_loop", no_loop)
    for _ in range(3):
        asking().principal()
    asking().sign_out()


def test_closing_ends_the_thread_and_the_next_question_opens_anew(
    strangers: set[threading.Thread], blocking: Blocking, asking: Callable[..., Asking]
) -> None:
    """Nothing is left running, and sessions are where they were."""
    before = asking().principal()
    blocking.close()
    ours = set(threading.enumerate()) - strangers
    assert not [thread for thread in ours if thread.name.startswith("propylon")]
    blocking.close()
    assert asking().principal() == before


def test_what_could_not_be_opened_is_tried_again(
    strangers: set[threading.Thread], make_blocking: MakeBlocking, tmp_path: Any
) -> None:
    """The first caller is told why, no thread is left behind, and once it is put right it works."""
    blocking = make_blocking(store=f"sqlite:///{tmp_path / 'missing' / 'propylon.db'}")
    for _ in range(2):
        with pytest.raises(SetupError, match="cannot be used"):
            blocking.start()
    assert not [thread for thread in set(threading.enumerate()) - strangers if thread.name == "propylon"]
    (tmp_path / "missing").mkdir()
    blocking.start()


def test_one_that_is_open_elsewhere_is_refused(make_blocking: MakeBlocking) -> None:
    """Its store belongs to another event loop: better at the start than now and then."""
    first = make_blocking()
    with pytest.raises(RuntimeError, match="another event loop"):
        Blocking(inside(first)).start()


def test_a_context_opens_and_closes(make_blocking: MakeBlocking) -> None:
    """For scripts."""
    with make_blocking() as blocking:
        propylon = inside(blocking)
        assert propylon.guarding is not None
    assert propylon.guarding is None


# In time.


def test_whoever_waits_too_long_is_told_to_come_back(make_blocking: MakeBlocking) -> None:
    """A thread of the server is not held for ever, and what was asked for is given up."""
    blocking = make_blocking(within_s=0.05)
    given_up = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    assert refusal(lambda: blocking.run(hang())) == "unavailable"
    assert given_up.wait(30)


def test_a_timeout_of_the_work_itself_stays_what_it_is(blocking: Blocking) -> None:
    """It is no silence of the loop."""

    async def fail() -> None:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        blocking.run(fail())


def test_whoever_waits_while_it_is_closed_is_told_to_come_back(blocking: Blocking) -> None:
    """And the thread that closes does not wait for them."""
    begun = threading.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(blocking.run, hang())
        assert begun.wait(30)
        blocking.close()
        with pytest.raises(Unavailable):
            waiting.result(30)


def test_a_store_that_fails_is_no_sign_out(
    blocking: Blocking, asking: Callable[..., Asking], monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and nobody is signed out by it."""

    async def away(_: str) -> None:
        raise StoreUnavailable

    asking().principal()
    with monkeypatch.context() as patch:
        patch.setattr(inside(blocking).runtime.store, "find_session", away)
        inside(blocking).runtime.gate._cookies.forget_all()
        assert refusal(asking().principal) == "store_unavailable"
    assert asking().principal().credential == "cookie"


# Who is calling.


def test_a_cookie_is_held_to_the_page_that_sent_it(asking: Callable[..., Asking]) -> None:
    """Also where it is remembered, and whichever way it is asked."""
    asking().principal()
    assert refusal(asking("POST", **CROSS_SITE).principal) == "cross_site_refused"
    assert refusal(asking("POST", **CROSS_SITE).principal_or_none) == "cross_site_refused"
    assert refusal(asking("POST", **CROSS_SITE).sign_out) == "cross_site_refused"
    assert asking("POST", HTTP_SEC_FETCH_SITE="same-origin").principal().credential == "cookie"


@pytest.mark.parametrize(
    "handshake", [{"HTTP_UPGRADE": "websocket"}, {"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ=="}]
)
def test_no_page_of_another_site_opens_a_websocket_with_a_cookie(
    asking: Callable[..., Asking], handshake: dict[str, str]
) -> None:
    """A server that lets the app take over its connection shows the handshake as the GET that it is."""
    for page in (CROSS_SITE, {"HTTP_ORIGIN": "https://evil.example"}, {"HTTP_ORIGIN": "null"}):
        assert asking(**page).principal().credential == "cookie"
        assert refusal(asking(**page, **handshake).principal) == "cross_site_refused"
        assert refusal(asking(**page, **handshake).principal_or_none) == "cross_site_refused"
    assert asking(HTTP_ORIGIN="http://localhost:8000", **handshake).principal().credential == "cookie"


def test_a_visitor_is_nobody_and_a_bad_credential_is_refused(blocking: Blocking) -> None:
    """As everywhere."""
    assert blocking.asking(environ()).principal_or_none() is None
    bad = blocking.asking(environ(AUTHORIZATION="Bearer nonsense"))
    assert refusal(bad.principal_or_none) == "credential_malformed"


@pytest.mark.parametrize("value", ["Bearer\tx", "DPoP\tx", "Bearer,x", "Bearer", "bearer a b"])
def test_our_scheme_without_its_token_does_not_give_way_to_the_cookie(
    asking: Callable[..., Asking], value: str
) -> None:
    """A visitor is nobody whom the next thing that may work would name."""
    for method in ("GET", "POST"):
        assert refusal(asking(method, HTTP_AUTHORIZATION=value).principal_or_none) == "credential_malformed"


def test_a_demand_is_held(asking: Callable[..., Asking]) -> None:
    """Refused with its own code."""
    assert asking().require(Demand.of(fresh_s=300)) == asking().principal()
    with pytest.raises(Forbidden):
        asking().require(Demand.of(roles="admin"))


def test_signing_out_ends_it_and_tells_the_browser(asking: Callable[..., Asking]) -> None:
    """The headers are those of the contract."""
    headers = asking("POST", HTTP_SEC_FETCH_SITE="same-origin").sign_out()
    assert [name for name, _ in headers] == ["clear-site-data", "set-cookie", "set-cookie"]
    assert refusal(asking().principal) == "session_revoked"


async def awaited(question: Callable[[], Awaitable[object]]) -> str:
    """Return the code with which a question is refused, or what it answers."""
    try:
        answer = await question()
    except PropylonError as refused:
        return refused.code
    return answer.user_id if isinstance(answer, Principal) else str(answer)


def test_code_that_awaits_is_answered_on_its_own_loop(blocking: Blocking, asking: Callable[..., Asking]) -> None:
    """The same answers; its loop turns meanwhile, and data of the principal come from there too."""

    async def story() -> list[str]:
        principal = await asking().principal_async()
        await principal.update_data(lambda data: {**data, "n": 1})
        told = [
            await awaited(asking("POST", **CROSS_SITE).principal_async),
            await awaited(lambda: asking().require_async(Demand.of(roles="admin"))),
            await awaited(blocking.asking(environ()).principal_or_none_async),
            await awaited(blocking.asking(environ(AUTHORIZATION="Bearer x")).principal_or_none_async),
            str((await principal.data()).value),
            (await principal.user()).email,
            str(len(await asking().sign_out_async())),
            await awaited(asking().principal_async),
        ]
        assert await asyncio.sleep(0, result=True)
        return told

    assert asyncio.run(story()) == [
        "cross_site_refused",
        "forbidden",
        "None",
        "credential_malformed",
        "{'n': 1}",
        EMAIL,
        "3",
        "session_revoked",
    ]


def test_code_that_awaits_waits_no_longer_either(make_blocking: MakeBlocking) -> None:
    """503 there too, and what was asked for is given up."""
    blocking = make_blocking(within_s=0.05)

    async def hang() -> None:
        await asyncio.Event().wait()

    async def wait() -> None:
        with pytest.raises(Unavailable):
            await blocking.side().run_async(hang())

    asyncio.run(wait())


# Data and users.


def test_no_concurrent_write_of_threads_is_lost(blocking: Blocking, asking: Callable[..., Asking]) -> None:
    """Each reads, changes and writes; whoever was overtaken does it again."""
    principal = asking().principal()
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(lambda _: blocking.update_data(principal, lambda data: {"n": data.get("n", 0) + 1}), range(40))
        )
    assert blocking.data(principal).value == {"n": 40}


def test_a_change_runs_on_the_thread_that_asked_for_it(blocking: Blocking, asking: Callable[..., Asking]) -> None:
    """Where its request and its database connection are."""
    threads = list[int]()

    def change(data: dict[str, Any]) -> dict[str, Any]:
        threads.append(threading.get_ident())
        return data

    blocking.update_data(asking().principal(), change)
    assert threads == [threading.get_ident()]


def test_whoever_is_always_overtaken_is_told(blocking: Blocking, asking: Callable[..., Asking]) -> None:
    """Something writes without pause, and a thread does not try for ever."""
    principal = asking().principal()

    def overtaken(data: dict[str, Any]) -> dict[str, Any]:
        blocking.update_data(principal, lambda newer: {"n": newer.get("n", 0) + 1})
        return data

    with pytest.raises(Conflict):
        blocking.update_data(principal, overtaken)


def test_the_user_is_looked_up(blocking: Blocking, asking: Callable[..., Asking]) -> None:
    """As they are now."""
    assert blocking.user(asking().principal()).email == EMAIL


# A verifier.


@pytest.fixture
def verifier(monkeypatch: pytest.MonkeyPatch) -> Verifier:
    """One whose issuer is away."""
    monkeypatch.setattr("propylon.verifier.verifier.START_WITHIN_S", 0.0)
    return Verifier(issuer="http://127.0.0.1:9", audience="a", secret="s")


def test_a_verifier_answers_threads_too(strangers: set[threading.Thread], verifier: Verifier) -> None:
    """It is asked directly: no loop is started, and without its feed nobody is let in."""
    with Blocking(verifier) as blocking:
        asking = blocking.asking(environ(AUTHORIZATION="Bearer x"))
        assert refusal(asking.principal) == "unavailable"
        assert refusal(blocking.asking(environ(COOKIE="propylon=x")).principal) == "credential_missing"
        assert refusal(asking.sign_out) == "not_at_hand"
        assert not [thread for thread in set(threading.enumerate()) - strangers if thread.name == "propylon"]
    assert verifier.silent_for_s == float("inf")


def test_what_only_the_store_knows_is_not_at_hand_of_a_verifier(
    asking: Callable[..., Asking], verifier: Verifier
) -> None:
    """Data and users are with the Propylon elsewhere."""
    principal = asking().principal()
    with Blocking(verifier) as blocking:
        for question in (blocking.data, blocking.user, lambda who: blocking.update_data(who, dict)):
            assert refusal(lambda question=question: question(principal)) == "not_at_hand"  # type: ignore[misc]


# Refused.


def test_an_error_that_no_caller_can_be_told_about_is_logged(
    blocking: Blocking, caplog: pytest.LogCaptureFixture
) -> None:
    """They are told ``internal``; whoever runs the service is told what."""
    answer = blocking.reply(SetupError("verifier_audience"), Asked(environ()).scope)
    assert (answer.status, b"internal" in answer.body) == (500, True)
    assert "audience" in caplog.text
    caplog.clear()
    blocking.reply(CredentialRefused(), Asked(environ()).scope)
    assert caplog.text == ""
