"""Reading the streams of a service in this process, event by event."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple, Self

from propylon import Propylon

WITHIN_S = 5.0


class Event(NamedTuple):
    """One event as a reader sees it."""

    name: str
    data: Any
    id: str


class Following:
    """One reader of the revocation feed, or of another ``path``. It takes nothing while ``taking`` is not set."""

    def __init__(
        self, propylon: Propylon, secret: str, last_event_id: str = "", *, path: str = "/v1/feed", **more: str
    ) -> None:
        named = {"host": "localhost:8000", "authorization": f"Bearer {secret}" if secret else "", **more}
        named["last-event-id"] = last_event_id
        headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items() if value]
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": headers,
            "client": ("203.0.113.9", 40_000), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        self._propylon = propylon
        self._sent: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._left = asyncio.Event()
        self._started = asyncio.Event()
        self._rest = b""
        self.taking = asyncio.Event()
        self.taking.set()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.heartbeats = 0

    async def __aenter__(self) -> Self:
        """Begin; the answer has started then."""
        self._task = asyncio.create_task(self._propylon(self._scope, self._receive, self._send))
        await asyncio.wait_for(self._started.wait(), WITHIN_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave, as a client does, and see that the server lets go."""
        self._left.set()
        self.taking.set()
        await asyncio.wait_for(self._task, WITHIN_S)

    async def next(self) -> Event | None:
        """Return the next event, heartbeats left out; None at the end of the stream."""
        while True:
            while b"\n\n" in self._rest:
                block, _, self._rest = self._rest.partition(b"\n\n")
                if block != b":":
                    return _event(block.decode())
                self.heartbeats += 1
            received = await asyncio.wait_for(self._sent.get(), WITHIN_S)
            if received is None:
                return None
            self._rest += received

    async def until(self, name: str) -> list[Event]:
        """Return all events up to the first of this name, and that one."""
        found: list[Event] = []
        while not found or found[-1].name != name:
            event = await self.next()
            assert event is not None, found
            found.append(event)
        return found

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self._started.set()
            return
        await self.taking.wait()
        if message.get("body"):
            self._sent.put_nowait(message["body"])
        if not message.get("more_body"):
            self._sent.put_nowait(None)


def _event(block: str) -> Event:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
