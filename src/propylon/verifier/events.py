"""Server-sent events, read from bytes as they come: https://html.spec.whatwg.org/multipage/server-sent-events.html.

Whoever sends them is our issuer, or somebody in its place: everything is bounded, and what is not sound ends the
stream with ``FeedBroken``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

MAX_LINE_BYTES = 8_192  # the longest that we send has under 500
MAX_EVENT_ID_CHARS = 64
MAX_ID_CHARS = 255  # of a session, as in ``core.jose.access_token``
MAX_REASON_CHARS = 64


class FeedBroken(Exception):
    """The feed did not say what a feed says. Never raised to a caller: it closes the stream."""


class Event(msgspec.Struct, frozen=True):
    """One event; a comment is one without a name."""

    name: str
    data: str = ""
    id: str = ""


class Revoked(msgspec.Struct, frozen=True):
    """The data of ``revoked``; members that this version does not know are left alone."""

    sid: str
    reason: str


class EventReader:
    """Bytes in, events out."""

    def __init__(self) -> None:
        self._rest = b""
        self._name, self._data, self._id = "", "", ""

    def feed(self, received: bytes) -> Iterator[Event]:
        """Return the events that are complete now, comments too.

        Raises:
            FeedBroken: a line is too long, or is no text.
        """
        *lines, self._rest = (self._rest + received).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise FeedBroken("a line without an end")
        for line in lines:
            if (event := self._line(line)) is not None:
                yield event

    def _line(self, line: bytes) -> Event | None:
        if len(line) > MAX_LINE_BYTES:
            raise FeedBroken("a line too long")
        if line.startswith(b":"):
            return Event("")
        try:
            field, _, value = line.removesuffix(b"\r").decode("utf-8").partition(":")
        except UnicodeDecodeError:
            raise FeedBroken("no text") from None
        return self._field(field, value.removeprefix(" "))

    def _field(self, field: str, value: str) -> Event | None:
        if field == "":
            return self._dispatched()
        if field == "event":
            self._name = value
        elif field == "data":
            if self._data:
                raise FeedBroken("more than one line of data")
            self._data = value
        elif field == "id":
            if len(value) > MAX_EVENT_ID_CHARS or not (value.isascii() and value.isprintable()):
                raise FeedBroken("an id that no header can carry")
            self._id = value
        elif field != "retry":  # HTML, JSON, or whatever else a proxy answers
            raise FeedBroken("a line that is no field")
        return None

    def _dispatched(self) -> Event | None:
        event = Event(self._name, self._data, self._id) if self._name else None
        self._name, self._data, self._id = "", "", ""
        return event


def revoked(data: str) -> Revoked:
    """Read the data of a ``revoked`` event; raises ``FeedBroken``."""
    try:
        said = _DECODER.decode(data)
    except (ValueError, RecursionError):
        raise FeedBroken("an ending that is none") from None
    if not 0 < len(said.sid) <= MAX_ID_CHARS or len(said.reason) > MAX_REASON_CHARS:
        raise FeedBroken("an ending out of bounds")
    return said


_DECODER = msgspec.json.Decoder(Revoked)
