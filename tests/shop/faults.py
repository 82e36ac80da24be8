"""A network that breaks: a proxy for HTTP/1.1 on loopback that cuts, loses, delays and refuses by chance."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence

MAX_HEAD_BYTES = 64 * 1024
# Each as often as the others. "acted" is what nobody who waits for the answer can know.
FAULTS = (
    "cut before it acted",
    "cut after it acted",
    "cut in the middle of the answer",
    "503 before it acted",
    "504 after it acted",
    "late to the server",
    "late from the server",
)
DELAY_S = (0.02, 0.3)
STREAM_S = (0.5, 5.0)


class Chance:
    """What breaks, and how often: one seed for everything that it is asked. Off at first."""

    def __init__(self, seed: int, rate: float) -> None:
        self._random, self._rate = random.Random(seed), rate  # noqa: S311 - chance, and no secret
        self.on = False
        self.happened: Counter[str] = Counter()

    def fault(self, path: bytes) -> str | None:
        """Return what happens to a request. A page is loaded in peace: what it does afterwards is the story."""
        ours = path.startswith((b"/api/", b"/v1/")) and not path.startswith((b"/api/shop", b"/api/catalogue"))
        if not (self.on and ours) or self._random.random() >= self._rate:
            return None
        fault = self._random.choice(FAULTS)
        self.happened[fault] += 1
        return fault

    def between(self, bounds: tuple[float, float]) -> float:
        """Return a length of time."""
        return self._random.uniform(*bounds)


class Proxy:
    """Listens on a port of its own; ``target`` is the port that it speaks to, to be set before the first request."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = self.target = 0

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=MAX_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Let go of everybody."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where browsers go."""
        return f"http://localhost:{self.port}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._pass_on(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the browser has gone, or everything ends
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass one request on, or not; return whether the connection is still good."""
        request = await _message(reader)
        path = request.split(b" ", 2)[1]
        fault = self._chance.fault(path)
        if fault in ("cut before it acted", "503 before it acted"):
            return _end(writer) if fault.startswith("cut") else await _say(writer, _page(b"503 Service Unavailable"))
        if fault == "late to the server":
            await asyncio.sleep(self._chance.between(DELAY_S))
        if path.endswith(b"/session/events"):
            return await self._stream(request, writer)
        answer = await self._asked(request)
        if fault == "late from the server":
            await asyncio.sleep(self._chance.between(DELAY_S))
        if fault == "504 after it acted":
            answer = _page(b"504 Gateway Timeout")
        if fault == "cut in the middle of the answer":
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
        return _end(writer) if fault and fault.startswith("cut") else await _say(writer, answer)

    async def _asked(self, request: bytes) -> bytes:
        """Return the whole answer of the server, for a connection that goes on."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        with contextlib.closing(writer):
            writer.write(_without(request, b"connection", more=b"connection: close\r\n"))
            return _without(await reader.read(-1), b"connection")

    async def _stream(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass a stream on for a while; with faults it breaks early."""
        reader, upstream = await asyncio.open_connection("127.0.0.1", self.target)
        with contextlib.closing(upstream), contextlib.suppress(TimeoutError):
            upstream.write(request)
            async with asyncio.timeout(self._chance.between(STREAM_S) if self._chance.on else None):
                while data := await reader.read(MAX_HEAD_BYTES):
                    await _say(writer, data)
        return _end(writer)


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return one request with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0])) if lengths else b"")


def _without(message: bytes, name: bytes, *, more: bytes = b"") -> bytes:
    head, _, body = message.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    kept: Sequence[bytes] = [line for line in lines if not line.lower().startswith(name + b":")]
    return b"\r\n".join((first, *kept)) + b"\r\n" + more + b"\r\n" + body


def _page(status: bytes) -> bytes:
    """Return what a proxy in between answers by itself: HTML, and nothing of ours."""
    body = b"<h1>" + status + b"</h1>"
    return b"HTTP/1.1 %s\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


async def _say(writer: asyncio.StreamWriter, data: bytes) -> bool:
    writer.write(data)
    await writer.drain()
    return True


def _end(writer: asyncio.StreamWriter) -> bool:
    """Break the connection off, as a network does: with a reset."""
    opened = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
