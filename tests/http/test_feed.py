"""``GET /v1/feed``: who may read it, what is in it, and where a reader goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from tests.http.driving import Connect, MakePropylon, bearer, refused, sign_in, sign_up
from tests.http.following import Following
from tests.http.serving import Served

from propylon import Propylon
from propylon.core.revocation import FeedEntry, FeedSubject
from propylon.errors import StoreUnavailable
from propylon.http import event_stream, feed
from propylon.testing import FakeClock

FEED = "/v1/feed"
Secret = str


@pytest.fixture
async def secret(propylon: Propylon) -> Secret:
    """The secret of a verifier."""
    return (await propylon.runtime.verifiers.add("shop")).secret


async def ended_session(client: httpx.AsyncClient) -> str:
    """Sign in, sign out, and return the session's id."""
    body = await sign_in(client, "bearer")
    assert (await client.delete("/v1/session", headers=bearer(body["access_token"]))).status_code == 204
    session_id: str = body["session"]["id"]
    return session_id


async def announce(propylon: Propylon, first: int, count: int) -> None:
    """Let the gate hear of so many endings."""
    entries = [FeedEntry(first + n, "session_ended", f"s{first + n}", "signed_out", 2**31) for n in range(count)]
    propylon.runtime.gate._hear(entries)


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        ([], 401, "credential_missing"),
        (["Basic eDp5"], 401, "credential_missing"),
        (["Bearer"], 401, "credential_malformed"),
        (["Bearer x"], 401, "credential_malformed"),
        (["Bearer propylon_verifier_" + "A" * 43], 401, "credential_malformed"),
        (["Bearer propylon_verifier_" + "A" * 1_000], 401, "credential_malformed"),
        (["DPoP {secret}"], 401, "credential_malformed"),
        (["Bearer {secret} {secret}"], 401, "credential_malformed"),
        (["Bearer {secret}x"], 401, "credential_malformed"),
        (["Bearer {SECRET}"], 401, "credential_malformed"),
        (["Bearer {secret}", "Bearer {secret}"], 400, "credential_ambiguous"),
    ],
)
async def test_nobody_reads_without_a_secret(
    client: httpx.AsyncClient, secret: Secret, authorization: list[str], status: int, code: str
) -> None:
    """Who ends what is nobody's business: one secret, in one header, whole."""
    spelled = [value.format(secret=secret, SECRET=secret.upper()) for value in authorization]
    answer = await client.get(FEED, headers=[("authorization", value) for value in spelled])
    refused(answer, status, code)


async def test_no_other_credential_opens_the_feed(client: httpx.AsyncClient, secret: Secret) -> None:
    """Neither a user's token nor a user's cookie; and a verifier's secret opens nothing else."""
    await sign_up(client)
    token = (await sign_in(client, "bearer"))["access_token"]
    refused(await client.get(FEED, headers=bearer(token)), 401, "credential_malformed")
    await sign_in(client, "cookie")
    refused(await client.get(FEED), 401, "credential_missing")
    refused(await client.get("/v1/session", headers=bearer(secret)), 401, "credential_malformed")
    refused(await client.get("/v1/verify", headers=bearer(secret)), 401, "credential_malformed")


async def test_a_stream_is_neither_kept_nor_gathered(propylon: Propylon, secret: Secret) -> None:
    """No cache keeps it, and nginx passes on what comes as it comes."""
    async with Following(propylon, secret) as reader:
        assert reader.status == 200
        assert reader.headers["content-type"].startswith("text/event-stream")
        assert reader.headers["cache-control"] == "no-store"
        assert reader.headers["x-accel-buffering"] == "no"
        assert "content-length" not in reader.headers


async def test_a_question_about_the_stream_opens_none(
    propylon: Propylon, client: httpx.AsyncClient, secret: Secret
) -> None:
    """HEAD is answered at once."""
    answer = await client.head(FEED, headers=bearer(secret))
    assert (answer.status_code, answer.content, len(propylon.runtime.feed)) == (200, b"", 0)


async def test_a_new_reader_hears_of_all_the_dead_and_then_of_what_comes(
    propylon: Propylon, client: httpx.AsyncClient, secret: Secret
) -> None:
    """First ``reset``, what ended before, ``ready``; then each ending as it comes, with its reason."""
    await sign_up(client)
    before = await ended_session(client)
    async with Following(propylon, secret) as reader:
        reset, revoked, ready = await reader.until("ready")
        assert reset.name == "reset"
        assert (revoked.name, revoked.data["sid"], revoked.data["reason"]) == ("revoked", before, "signed_out")
        assert ready.id
        after = await ended_session(client)
        (ending,) = await reader.until("revoked")
        assert (ending.data["sid"], ending.data["reason"]) == (after, "signed_out")
        assert ending.id not in ("", ready.id)
        assert ending.data["until"] >= propylon.runtime.clock.now() + 3_600


async def test_what_another_process_ends_is_heard(make_propylon: MakePropylon, connect: Connect) -> None:
    """Two services on one file: the reader of one hears what the other acknowledged."""
    acting, asked = await make_propylon(), await make_propylon()
    client = connect(acting)
    await sign_up(client)
    secret = (await acting.runtime.verifiers.add("shop")).secret
    async with Following(asked, secret) as reader:
        await reader.until("ready")
        ended = await ended_session(client)
        assert [event.data["sid"] for event in await reader.until("revoked")] == [ended]


async def test_every_reader_hears_every_entry_once_and_the_gate_too(
    propylon: Propylon, client: httpx.AsyncClient, secret: Secret
) -> None:
    """One listener for all: nobody takes an entry away from somebody else."""
    await sign_up(client)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(Following(propylon, secret)) for _ in range(5)]
        for reader in readers:
            await reader.until("ready")
        ended = [await ended_session(client) for _ in range(20)]
        for reader in readers:
            heard = [(await reader.until("revoked"))[-1].data["sid"] for _ in range(20)]
            assert heard == ended
    assert propylon.runtime.gate.tokens.revoked >= 20
    assert len(propylon.runtime.feed) == 0


async def test_a_reader_that_comes_back_goes_on_where_it_was(propylon: Propylon, secret: Secret) -> None:
    """1,000 endings while it was away, each once and in order, and no ``reset``."""
    async with Following(propylon, secret) as reader:
        await announce(propylon, 100, 1)
        (last,) = (await reader.until("revoked"))[-1:]
    await announce(propylon, 101, 1_000)
    async with Following(propylon, secret, last.id) as reader:
        *missed, ready = await reader.until("ready")
    assert [event.data["sid"] for event in missed] == [f"s{n}" for n in range(101, 1_101)]
    assert ready.id == missed[-1].id


@pytest.mark.parametrize("last_event_id", ["1", "0", "-1", "x", "x" * 2_000, "100-0000000000000000", "9" * 60])
async def test_a_place_that_is_not_known_means_from_the_beginning(
    propylon: Propylon, secret: Secret, last_event_id: str
) -> None:
    """An id made up, or of another store: everything that is kept, and ``reset`` says so."""
    await announce(propylon, 100, 3)
    async with Following(propylon, secret, last_event_id) as reader:
        names = [event.name for event in await reader.until("ready")]
    assert names == ["reset", "revoked", "revoked", "revoked", "ready"]


async def test_a_position_that_now_means_something_else_is_not_known(propylon: Propylon, secret: Secret) -> None:
    """A store was restored and has reached the same position again: nothing of it is passed over."""
    await announce(propylon, 100, 1)
    elsewhere = FeedEntry(100, "session_ended", "other", "signed_out", 2**31)
    async with Following(propylon, secret, feed._event_id(elsewhere)) as reader:
        assert (await reader.until("ready"))[0].name == "reset"


async def test_a_place_that_was_dropped_means_from_the_beginning(
    propylon: Propylon, secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are bounded; who comes back after too many starts anew and misses nothing."""
    monkeypatch.setattr(propylon.runtime.feed, "_kept", 10)
    async with Following(propylon, secret) as reader:
        await announce(propylon, 100, 1)
        (last,) = (await reader.until("revoked"))[-1:]
    await announce(propylon, 101, 100)
    assert len(propylon.runtime.feed._frames) <= 20
    async with Following(propylon, secret, last.id) as reader:
        events = await reader.until("ready")
    assert events[0].name == "reset"
    assert {event.data["sid"] for event in events[1:-1]} == {f"s{n}" for n in range(100, 201)}


async def test_a_reader_that_falls_behind_is_cut_off(
    propylon: Propylon, secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs no memory of its own; what it has not fetched when it is dropped, it gets by coming back."""
    monkeypatch.setattr(propylon.runtime.feed, "_kept", 10)
    async with Following(propylon, secret) as reader:
        await reader.until("ready")
        reader.taking.clear()
        await announce(propylon, 100, 1)
        await asyncio.sleep(0.05)
        await announce(propylon, 101, 100)
        reader.taking.set()
        while (event := await reader.next()) is not None:
            assert event.data["sid"] == "s100"


async def test_a_reader_that_takes_nothing_is_cut_off(
    propylon: Propylon, secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is open and dead does not hold its place."""
    monkeypatch.setattr(event_stream, "SEND_WITHIN_S", 0.05)
    async with Following(propylon, secret) as reader:
        await reader.until("ready")
        reader.taking.clear()
        await announce(propylon, 100, 1)
        await asyncio.wait_for(reader._task, 5)
        assert len(propylon.runtime.feed) == 0


async def test_a_new_key_is_told(propylon: Propylon, secret: Secret) -> None:
    """``keys``: fetch the set again."""
    async with Following(propylon, secret) as reader:
        await reader.until("ready")
        await propylon.runtime.keys.rotate()
        assert (await reader.until("keys"))[-1].id


async def test_what_is_nobody_elses_business_is_not_told(propylon: Propylon, secret: Secret) -> None:
    """No user ids, no modes, no changes of sessions that live on."""
    async with Following(propylon, secret) as reader:
        await reader.until("ready")
        silent: tuple[FeedSubject, ...] = ("user_changed", "session_changed", "mode_changed")
        propylon.runtime.gate._hear([FeedEntry(n, subject, "u", "", 2**31) for n, subject in enumerate(silent)])
        await announce(propylon, 100, 1)
        assert [event.name for event in await reader.until("revoked")] == ["revoked"]


async def test_a_silent_feed_is_heard_to_be_alive(propylon: Propylon, secret: Secret) -> None:
    """A comment at least every second."""
    async with Following(propylon, secret) as reader:
        await reader.until("ready")
        await asyncio.sleep(2.2)
        await announce(propylon, 100, 1)
        await reader.until("revoked")
        assert reader.heartbeats >= 2


async def test_a_process_that_cannot_hear_does_not_say_that_nothing_happened(
    propylon: Propylon, secret: Secret, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its own store is silent it is silent too, and readers refuse by themselves; then it goes on."""

    async def failing() -> None:
        raise StoreUnavailable

    async with Following(propylon, secret) as reader:
        await reader.until("ready")
        with monkeypatch.context() as patched:
            patched.setattr(propylon.runtime.gate, "listen", failing)
            await asyncio.sleep(0.05)
            clock.advance(2)
            await announce(propylon, 100, 1)
            await reader.until("revoked")
            before = reader.heartbeats
            await asyncio.sleep(1.2)
            await announce(propylon, 101, 1)
            await reader.until("revoked")
            assert reader.heartbeats == before
        await asyncio.sleep(1.2)
        await announce(propylon, 102, 1)
        await reader.until("revoked")
        assert reader.heartbeats > before


async def test_removing_a_verifier_cuts_its_streams_off_and_no_others(propylon: Propylon, secret: Secret) -> None:
    """Within a second, on every node; and its secret opens no new one."""
    other = await propylon.runtime.verifiers.add("other")
    async with Following(propylon, secret) as gone, Following(propylon, other.secret) as staying:
        await gone.until("ready")
        await staying.until("ready")
        await propylon.runtime.verifiers.remove("shop")
        assert await asyncio.wait_for(gone.next(), 1) is None
        await announce(propylon, 100, 1)
        await staying.until("revoked")
    async with Following(propylon, secret) as again:
        assert again.status == 401


async def test_readers_are_bounded(propylon: Propylon, secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """Altogether and for each verifier: 503, and nobody who reads already is disturbed."""
    other = await propylon.runtime.verifiers.add("other")
    monkeypatch.setattr(feed, "MAX_READERS", 3)
    monkeypatch.setattr(feed, "MAX_READERS_EACH", 2)
    async with Following(propylon, secret) as first, Following(propylon, secret):
        async with Following(propylon, secret) as third:
            assert (third.status, third.headers["retry-after"]) == (503, "5")
        async with Following(propylon, other.secret) as allowed, Following(propylon, other.secret) as one_too_many:
            assert (allowed.status, one_too_many.status) == (200, 503)
        await announce(propylon, 100, 1)
        await first.until("revoked")


async def test_closing_ends_every_stream(propylon: Propylon, secret: Secret) -> None:
    """A service that stops does not wait for those who never leave."""
    async with Following(propylon, secret) as reader:
        await reader.until("ready")
        await propylon.close()
        assert await reader.next() is None


def test_a_server_that_is_told_to_stop_ends_its_streams_first(serve: Callable[..., Served]) -> None:
    """Nothing is killed after waiting in vain: the server stops in good order with readers connected."""
    served = serve()
    secret = served.run("verifiers", "add", "shop")
    with httpx.Client(base_url=served.url) as client, client.stream("GET", FEED, headers=bearer(secret)) as stream:
        received = stream.iter_text()
        assert next(received).startswith("event: reset")
        served.send(15)
        assert served.stopped() == 0
        assert "".join(received).count("event: revoked") == 0
