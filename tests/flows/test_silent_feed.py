"""A process that hears nothing of revocations believes nothing that it remembers: it asks the store, or refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from tests.http.driving import MODES, Connect, MakePropylon, bearer, enter, held, refused

from propylon import Propylon
from propylon.core.revocation import FeedEntry
from propylon.errors import FeedSilent, StoreUnavailable
from propylon.ports import Pulse
from propylon.testing import FakeClock


class Remote:
    """A store as it is across a network: its feed may fall silent, and asking may fail.

    Attributes:
        silent: nothing is heard; ``catch_up`` ends that, if it succeeds.
        away: asking fails.
        asked: how often somebody had to ask.
        bears_silence: the set-up allows silence for ever.
    """

    def __init__(self, store: Any, *, bears_silence: bool = False) -> None:
        self._store, self._bears_silence = store, bears_silence
        self.silent = self.away = False
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def news(self) -> Sequence[FeedEntry]:
        """Return what was heard, or refuse."""
        if not self.silent:
            entries: Sequence[FeedEntry] = self._store.news()
            return entries
        if self._bears_silence:
            return ()
        raise FeedSilent

    async def catch_up(self) -> None:
        """Ask."""
        self.asked += 1
        if self.away:
            raise StoreUnavailable
        self.silent = False

    def pulse(self) -> Pulse:
        """Return how it is doing."""
        return Pulse(12.5 if self.silent else 0.0, (0.003, 0.2))


def remote(propylon: Propylon, **how: Any) -> Remote:
    """Put a network between a service and its store."""
    store = Remote(propylon.runtime.store, **how)
    propylon.runtime.gate._store = store
    propylon.runtime.store = store
    return store


async def ask(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    """Ask who is calling."""
    return await client.get("/v1/verify", headers=headers)


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_remembered_is_not_served_while_nothing_is_heard(
    in_memory: Propylon, connect: Connect, mode: str
) -> None:
    """S95: neither a cookie nor a token; 503 says when to come back, and nobody is signed out by it."""
    client = connect(in_memory)
    credential = held(await enter(client, mode))
    assert (await ask(client, credential)).status_code == 204
    store = remote(in_memory)
    store.silent = store.away = True
    for _ in range(2):
        refused(await ask(client, credential), 503, "store_unavailable")
    store.away = False
    assert (await ask(client, credential)).status_code == 204
    assert not store.silent


@pytest.mark.parametrize("mode", MODES)
async def test_the_store_is_asked_once_the_feed_is_silent(in_memory: Propylon, connect: Connect, mode: str) -> None:
    """And then it counts as heard: the next request is served from memory again."""
    client = connect(in_memory)
    credential = held(await enter(client, mode))
    await ask(client, credential)
    store = remote(in_memory)
    store.silent = True
    for _ in range(3):
        assert (await ask(client, credential)).status_code == 204
    assert store.asked == 1


@pytest.mark.parametrize("mode", MODES)
async def test_what_ended_during_the_silence_is_refused_after_it(
    make_propylon: MakePropylon, connect: Connect, mode: str
) -> None:
    """Asking brings the ending, however long it has been on its way."""
    here, elsewhere = await make_propylon(), await make_propylon()
    client = connect(here)
    body = await enter(client, mode)
    assert (await ask(client, held(body))).status_code == 204
    store = remote(here)
    store.silent = True
    await elsewhere.runtime.administration.end_session(body["session"]["id"])
    refused(await ask(client, held(body)), 401, "session_revoked")


async def test_silence_that_falls_during_a_look_up_refuses_nobody(in_memory: Propylon, connect: Connect) -> None:
    """The store itself has just said that the session lives; only nothing is remembered of it."""
    client = connect(in_memory)
    await enter(client)
    in_memory.runtime.gate._cookies.forget_all()
    store = remote(in_memory)
    find_user = in_memory.runtime.store.find_user

    async def falls_silent(user_id: str) -> Any:
        store.silent = store.away = True
        return await find_user(user_id)

    store.find_user = falls_silent  # type: ignore[attr-defined]
    assert (await ask(client, {})).status_code == 204
    assert in_memory.runtime.gate.remembered()[0] == 0
    refused(await ask(client, {}), 503, "store_unavailable")


async def test_a_token_is_not_believed_while_nothing_is_heard(in_memory: Propylon, connect: Connect) -> None:
    """Also one that was never seen here: its signature says nothing about its session."""
    client = connect(in_memory)
    token = (await enter(client, "bearer"))["access_token"]
    store = remote(in_memory)
    store.silent = store.away = True
    refused(await ask(client, bearer(token)), 503, "store_unavailable")


@pytest.mark.parametrize("mode", MODES)
async def test_silence_is_borne_where_somebody_allowed_it(in_memory: Propylon, connect: Connect, mode: str) -> None:
    """What is remembered goes on; that is what ``unsafe_feed_silence`` weakens."""
    client = connect(in_memory)
    credential = held(await enter(client, mode))
    await ask(client, credential)
    store = remote(in_memory, bears_silence=True)
    store.silent = store.away = True
    assert (await ask(client, credential)).status_code == 204
    assert store.asked == 0


async def test_upkeep_asks_a_silent_store(in_memory: Propylon) -> None:
    """A process that serves nobody for a while hears all the same."""
    store = remote(in_memory)
    store.silent = True
    await in_memory.runtime.tend()
    assert store.asked == 1


async def test_silence_lag_and_memory_are_measured(in_memory: Propylon, connect: Connect, clock: FakeClock) -> None:
    """For whoever has to say how fast a revocation is."""
    client = connect(in_memory)
    await enter(client)
    for _ in range(3):
        await ask(client, {})
    store = remote(in_memory)
    store.silent = store.away = True
    await ask(client, {})
    for number in (1, 2):
        metrics = (await client.get("/metrics")).text
        assert "propylon_feed_silence_seconds 12.5\n" in metrics
        assert f"propylon_feed_lag_seconds_count {2.0 * number}\n" in metrics
        assert 'propylon_feed_lag_seconds_bucket{le="0.005"} ' + f"{1.0 * number}\n" in metrics
        assert 'propylon_verifications_total{how="remembered"} 2.0\n' in metrics
        assert 'propylon_verifications_total{how="verified"} 2.0\n' in metrics
