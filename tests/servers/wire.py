"""A wire between a client and a server that a test makes slow, cuts, or lets go dead without a word."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class Wire:
    """Passes bytes on from a loopback port of its own to another one.

    Attributes:
        delay_s: how long each piece of data is on its way, in either direction.
        connections: how many were made so far.
    """

    def __init__(self, port: int, *, delay_s: float = 0.0) -> None:
        self._target, self.delay_s = port, delay_s
        self.port = self.connections = 0
        self._dead: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._takes_new = True
        self._carrying: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        self.cut()
        await asyncio.sleep(0)  # the transports close in the next turn

    def go_dead(self, *, for_good: bool) -> None:
        """Carry nothing more on the connections that exist, closing none; ``for_good``: on new ones neither."""
        self._dead |= self._open
        self._takes_new = not for_good

    def come_back(self) -> None:
        """Carry what new connections send. Those that went dead stay so, as behind a firewall that forgot them."""
        self._takes_new = True

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open.add(back)
        if not self._takes_new:
            self._dead |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.get_running_loop().create_task(self._carry(source, sink))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await source.read(65_536):
                loop.call_later(self.delay_s, self._deliver, sink, data)
        loop.call_later(self.delay_s, self._hang_up, sink)

    def _deliver(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        if sink not in self._dead and not sink.is_closing():
            sink.write(data)

    def _hang_up(self, sink: asyncio.StreamWriter) -> None:
        if sink not in self._dead:
            sink.close()
