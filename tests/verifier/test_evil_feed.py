"""Feeds that are none: whatever comes instead, nothing crashes, nobody is let in, and a good one is taken up again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.verifier.issuer import READY, RESET, Handler, Issuer, eventually, good_feed, refuses

from propylon.verifier.events import MAX_LINE_BYTES, Event, EventReader, FeedBroken, revoked

EVIL = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 40 + b"\n",
    "html": b"<html>\n<body>Sign in to the hotel's network</body>\n\n",
    "json": b'{"revoked": []}\n\n',
    "ten megabytes in a line": b"data: " + b"x" * 10_000_000,
    "ten megabytes of comment": b":" + b"x" * 10_000_000 + b"\n",
    "no text": b"event: revoked\ndata: \xff\xfe\n\n",
    "data in many lines": b"event: revoked\n" + b"data: x\n" * 100_000 + b"\n",
    "a number for a session": b'event: revoked\ndata: {"sid": 1, "reason": "x"}\n\n',
    "a list for a session": b'event: revoked\ndata: {"sid": [], "reason": "x"}\n\n',
    "no session": b'event: revoked\ndata: {"reason": "x"}\n\n',
    "an empty session": b'event: revoked\ndata: {"sid": "", "reason": "x"}\n\n',
    "a long session": b'event: revoked\ndata: {"sid": "' + b"x" * 300 + b'", "reason": "x"}\n\n',
    "a long reason": b'event: revoked\ndata: {"sid": "x", "reason": "' + b"x" * 300 + b'"}\n\n',
    "no object": b"event: revoked\ndata: null\n\n",
    "no data": b"event: revoked\n\n",
    "deep": b"event: revoked\ndata: " + b"[" * 8_000 + b"\n\n",
    "an id for a header": b"event: keys\nid: a\x00\x1bb\ndata: {}\n\n",
    "a long id": b"event: keys\nid: " + b"1" * 5_000 + b"\ndata: {}\n\n",
}


@pytest.mark.parametrize("said", EVIL.values(), ids=EVIL)
def test_what_is_no_feed_lets_nobody_in_and_a_good_one_is_taken_up(issuer: Issuer, said: bytes) -> None:
    """As the first thing that is said; ``ready`` behind it makes it no better."""

    def evil(handler: Handler) -> None:
        handler.begin()
        handler.say(RESET + said + b"\n\n" + (READY if said else b""))

    issuer.feed = evil
    verifier = issuer.verifier()
    verifier.start()
    eventually(lambda: len(issuer.requests) >= 2)
    assert refuses(verifier, issuer.token()) == "unavailable"
    issuer.feed = good_feed
    eventually(lambda: refuses(verifier, issuer.token()) == "")
    verifier.close()


@pytest.mark.parametrize("said", EVIL.values(), ids=EVIL)
def test_a_feed_that_turns_evil_ends_in_refusals(issuer: Issuer, said: bytes) -> None:
    """In the middle of a good one: from the bound of silence on nobody is let in."""

    def turns(handler: Handler) -> None:
        issuer.feed = evil
        good_feed(handler)

    def evil(handler: Handler) -> None:
        handler.begin()
        handler.say(said)

    issuer.feed = turns
    with issuer.verifier(feed_max_silence_s=1) as verifier:
        assert refuses(verifier, issuer.token()) == ""
        issuer.lines.append(said + b"\n\n" if said else b"x\n")
        eventually(lambda: refuses(verifier, issuer.token()) == "unavailable", 5)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "text/html"), (200, "application/json"), (204, "text/event-stream"), (302, "text/event-stream"),
     (404, "text/event-stream"), (500, "text/event-stream"), (503, "text/event-stream")],
)  # fmt: skip
def test_another_answer_is_no_feed(issuer: Issuer, status: int, kind: str) -> None:
    """Whatever its body says."""
    issuer.feed = lambda handler: handler.answer(status, RESET + READY, kind, location="/v1/feed")
    verifier = issuer.verifier()
    verifier.start()
    eventually(lambda: len(issuer.requests) >= 2)
    assert refuses(verifier, issuer.token()) == "unavailable"
    verifier.close()


def test_a_feed_that_drips_is_no_feed(issuer: Issuer) -> None:
    """Bytes without an end of line are not heard, however many come."""

    def drips(handler: Handler) -> None:
        handler.begin()
        handler.say(RESET + READY)
        while not issuer.over.wait(0.05):
            handler.say(b"x")

    issuer.feed = drips
    with issuer.verifier(feed_max_silence_s=1) as verifier:
        issuer.feed = lambda handler: handler.answer(503, b"", "text/plain")
        eventually(lambda: refuses(verifier, issuer.token()) == "unavailable", 5)
        issuer.feed = good_feed
        eventually(lambda: refuses(verifier, issuer.token()) == "")


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"data: {}\n", b"event: keys\n", b"\n", b":\n", b"id: 1\n"])))
def test_any_bytes_are_events_or_a_broken_feed(parts: list[bytes]) -> None:
    """Nothing else is ever raised, and what is kept is bounded."""
    reader = EventReader()
    try:
        for part in parts:
            list(reader.feed(part))
            assert len(reader._rest) <= MAX_LINE_BYTES
    except FeedBroken:
        return


OBJECTS = st.dictionaries(st.sampled_from(["sid", "reason", "x"]), st.integers() | st.text(max_size=300))


@given(st.text(max_size=200) | OBJECTS.map(json.dumps))
def test_any_data_is_an_ending_or_a_broken_feed(data: str) -> None:
    """An ending has an id of bounded length, or it is none."""
    try:
        ending = revoked(data)
    except FeedBroken:
        return
    assert 0 < len(ending.sid) <= 255


@given(st.data())
def test_events_do_not_depend_on_how_they_are_cut(data: st.DataObject) -> None:
    """The network cuts where it likes."""
    stream = RESET + b':\n\nevent: revoked\r\nid: 7-a\r\ndata: {"sid": "\xed\x95\x9c", "reason": "x"}\r\n\r\n' + READY
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    reader = EventReader()
    found: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert [event for event in found if event.name] == [
        Event("reset", "{}"), Event("revoked", '{"sid": "한", "reason": "x"}', "7-a"), Event("ready", "{}", "1-a"),
    ]  # fmt: skip
