"""Load over real sockets: connections that send, wait for the answer, and send again.

It runs in processes of its own (``python -m propylon.agora.stage.generator``), which are told what to send on standard
input and tell on standard output what came back, a line each. One request at a time on each connection, kept open; an
answer that never comes is an error, not a wait for ever.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from contextlib import suppress
from itertools import cycle
from urllib.parse import urlsplit

import msgspec

from propylon.agora.figures import percentile

ANSWER_WITHIN_S = 10.0


class Request(msgspec.Struct, frozen=True):
    """One request, and how often a connection sends it before the next one of the list."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str = ""


class Shot(msgspec.Struct, frozen=True):
    """What to send.

    Attributes:
        url: of the server, ``http://host:port``.
        requests: dealt out to the connections in turn; each connection goes on through all of them from there.
        connections: open at the same time.
        for_s: how long to go on; 0 sends every request once and stops.
        warm_up_s: at the beginning, not counted.
        pause_s: between an answer and the next request, as people make them; 0 is as fast as it goes.
        stays: each connection is a person, who goes on with the request they begin with, and pauses when others ask.
        slice_s: tell the statuses by spans of so many seconds as well.
    """

    url: str
    requests: tuple[Request, ...]
    connections: int = 1
    for_s: float = 0.0
    warm_up_s: float = 0.0
    pause_s: float = 0.0
    stays: bool = False
    slice_s: float = 0.0


class Answered(msgspec.Struct):
    """What came back.

    Attributes:
        statuses: how often each; ``0`` is no answer at all.
        seconds: measured.
        p50_ms: latency that half of the answers kept within; likewise the others.
        bytes_sent: on the wire below HTTP, without TCP's own.
        bodies: of a shot that sends every request once, in the order of the requests.
        by_request: statuses of each request of the list.
        slices: statuses by when the request was sent, where that was asked for.
    """

    statuses: dict[str, int] = {}
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    worst_ms: float = 0.0
    bytes_sent: int = 0
    bytes_received: int = 0
    bodies: list[str] = []
    by_request: list[dict[str, int]] = []
    slices: list[dict[str, int]] = []

    @property
    def total(self) -> int:
        """All answers, and requests without one."""
        return sum(self.statuses.values())

    @property
    def per_second(self) -> float:
        """Answers a second that did what was asked (2xx)."""
        good = sum(count for status, count in self.statuses.items() if status.startswith("2"))
        return good / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> int:
        """Requests that were refused or not answered."""
        return sum(count for status, count in self.statuses.items() if not status.startswith("2"))


class _Tally:
    """What all connections count together."""

    def __init__(self, shot: Shot) -> None:
        now = time.perf_counter()
        self.counts_from = now + shot.warm_up_s
        self.ends = self.counts_from + shot.for_s if shot.for_s else float("inf")
        self.latencies_s: list[float] = []
        self.statuses: dict[str, int] = {}
        self.by_request: list[dict[str, int]] = [{} for _ in shot.requests]
        slices = math.ceil(shot.for_s / shot.slice_s) if shot.slice_s else 0
        self.slices: list[dict[str, int]] = [{} for _ in range(slices)]
        self._slice_s = shot.slice_s
        self.sent = self.received = 0

    def note(self, index: int, status: int, began: float, sent: int, received: int) -> None:
        if began < self.counts_from:
            return
        self.latencies_s.append(time.perf_counter() - began)
        counted = [self.statuses, self.by_request[index]]
        if self.slices:
            counted.append(self.slices[int((began - self.counts_from) / self._slice_s)])
        for statuses in counted:
            statuses[str(status)] = statuses.get(str(status), 0) + 1
        self.sent += sent
        self.received += received


async def send(shot: Shot) -> Answered:
    """Send everything from this process."""
    host, port = urlsplit(shot.url).hostname or "localhost", urlsplit(shot.url).port or 80
    wire = [spelled(request, f"{host}:{port}") for request in shot.requests]
    tally, bodies = _Tally(shot), [""] * len(wire)
    once = not shot.for_s

    async def connection(number: int) -> None:
        order = range(number, len(wire), shot.connections) if once else cycle(_from(number, len(wire), shot))
        line: Line | None = None
        if shot.stays:
            await asyncio.sleep(shot.pause_s * number / shot.connections)
        for index in order:
            began = time.perf_counter()
            if began >= tally.ends:
                break
            if line is not None and line.was_hung_up:
                _close(line)
                line = None
            try:
                line = line or await Line.open(host, port)
                status, body, received = await asyncio.wait_for(line.ask(wire[index]), ANSWER_WITHIN_S)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                tally.note(index, 0, began, len(wire[index]), 0)
                _close(line)
                line = None
                await asyncio.sleep(0.01)
                continue
            tally.note(index, status, began, len(wire[index]), received)
            if once:
                bodies[index] = body.decode(errors="replace")
            if not line.stays_open:
                _close(line)
                line = None
            if shot.pause_s:
                await asyncio.sleep(shot.pause_s)
        _close(line)

    started = time.perf_counter()
    await asyncio.gather(*(connection(number) for number in range(min(shot.connections, len(wire) if once else 10**6))))
    seconds = time.perf_counter() - (started if once else tally.counts_from)
    return Answered(
        statuses=tally.statuses,
        seconds=seconds,
        p50_ms=percentile(tally.latencies_s, 0.5) * 1000,
        p99_ms=percentile(tally.latencies_s, 0.99) * 1000,
        worst_ms=max(tally.latencies_s, default=0.0) * 1000,
        bytes_sent=tally.sent,
        bytes_received=tally.received,
        bodies=bodies if once else [],
        by_request=tally.by_request,
        slices=tally.slices,
    )


class Line:
    """One connection, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.stays_open = True

    @property
    def was_hung_up(self) -> bool:
        """Whether the other side has closed it between two requests; then, as every client does, one opens another."""
        return self._reader.at_eof()

    @classmethod
    async def open(cls, host: str, port: int) -> Line:
        """Connect."""
        return cls(*await asyncio.open_connection(host, port))

    async def ask(self, request: bytes) -> tuple[int, bytes, int]:
        """Send a request and return the status, the body, and how many bytes came."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower()
        self.stays_open = b"connection: close" not in lines
        body = await self._body(lines)
        return int(head[9:12]), body, len(head) + len(body)

    async def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            return await self._chunks()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.index(b"\r", at)]) if at >= 0 else 0
        return await self._reader.readexactly(length)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._writer.close()


def _close(line: Line | None) -> None:
    if line is not None:
        line.close()


def _from(number: int, length: int, shot: Shot) -> list[int]:
    start = number % length
    return [start] if shot.stays else [*range(start, length), *range(start)]


def spelled(request: Request, host: str) -> bytes:
    """Return a request as it travels."""
    headers = {"host": host, "accept": "application/json", **request.headers}
    if request.body:
        headers |= {"content-type": "application/json", "content-length": str(len(request.body.encode()))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n{request.body}".encode()


def main() -> None:
    """Do what standard input says, line by line."""
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - twice as fast where there is one

        uvloop.install()
    for line in sys.stdin.buffer:
        answered = asyncio.run(send(msgspec.json.decode(line, type=Shot)))
        sys.stdout.buffer.write(msgspec.json.encode(answered) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
