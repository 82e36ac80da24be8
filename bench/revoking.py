"""Revokes sessions on one node and asks the others until they refuse, while they have other work to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Self
from urllib.parse import urlsplit

from bench.load import ACCOUNT

PUBLIC_URL = "http://localhost:8000"
HOST = urlsplit(PUBLIC_URL).netloc
# Other requests meanwhile, of each node: enough that it never sleeps, and not what saturates a small machine.
LOAD_PER_SECOND = 100
QUESTIONS = 12
GIVE_UP_S = 5.0


class Connection:
    """One kept connection, with as little of a client as will do: what is measured is the server."""

    def __init__(self, url: str) -> None:
        self._port = urlsplit(url).port
        self._host = HOST

    async def __aenter__(self) -> Self:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        self._writer.close()

    async def ask(
        self, method: str, path: str, token: str = "", body: object = None, host: str = HOST
    ) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(content)}"]
        lines += ["Content-Type: application/json"] if content else []
        lines += [f"Authorization: Bearer {token}"] if token else []
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        return int(head[9:12]), await self._reader.readexactly(int(length or 0))


async def lags_ms(urls: list[str], revocations: int) -> list[list[float]]:
    """Return for each node how long after the answered revocation its first refusal came, in milliseconds."""
    connections = [Connection(url) for url in urls]
    lags: list[list[float]] = [[] for _ in urls]
    for connection in connections:
        await connection.__aenter__()
    await connections[0].ask("POST", "/v1/users", body=ACCOUNT)
    load_token = await _token(connections[0])
    async with _load(urls, load_token):
        for number in range(revocations):
            token = await _token(connections[0])
            for connection in connections:
                await _see(connection, token)
            await connections[number % len(urls)].ask("DELETE", "/v1/session", token)
            answered_at = perf_counter()
            for lag, refused_after in zip(
                lags, await asyncio.gather(*(_refused(one, token, answered_at) for one in connections)), strict=True
            ):
                lag.append(refused_after * 1000)
    for connection in connections:
        await connection.__aexit__()
    return lags


async def wrong_answers(url: str, revocations: int) -> tuple[int, int]:
    """Return how many of how many questions after an acknowledged revocation were answered as before it."""
    wrong, host = 0, urlsplit(url).netloc
    async with Connection(url) as connection:
        await connection.ask("POST", "/v1/users", body=ACCOUNT, host=host)
        for _ in range(revocations):
            token = await _token(connection, host)
            await asyncio.gather(*(_asked_anew(url, token, host) for _ in range(QUESTIONS)))
            await connection.ask("DELETE", "/v1/session", token, host=host)
            answers = await asyncio.gather(*(_asked_anew(url, token, host) for _ in range(QUESTIONS)))
            wrong += sum(status != 401 for status in answers)
    return wrong, revocations * QUESTIONS


async def _token(connection: Connection, host: str = HOST) -> str:
    status, body = await connection.ask("POST", "/v1/sessions", body={**ACCOUNT, "mode": "bearer"}, host=host)
    assert status in (200, 201), body
    token: str = json.loads(body)["access_token"]
    return token


async def _see(connection: Connection, token: str) -> None:
    status, body = await connection.ask("GET", "/v1/session", token)
    assert status == 200, body


async def _refused(connection: Connection, token: str, since: float) -> float:
    while (await connection.ask("GET", "/v1/session", token))[0] != 401:
        assert perf_counter() - since < GIVE_UP_S, "a node never refuses what was revoked"
    return perf_counter() - since


async def _asked_anew(url: str, token: str, host: str) -> int:
    async with Connection(url) as connection:
        return (await connection.ask("GET", "/v1/session", token, host=host))[0]


@asynccontextmanager
async def _load(urls: list[str], token: str) -> AsyncIterator[None]:
    async def ask(url: str) -> None:
        async with Connection(url) as connection:
            while True:
                await _see(connection, token)
                await asyncio.sleep(1 / LOAD_PER_SECOND)

    tasks = [asyncio.create_task(ask(url)) for url in urls]
    yield
    for task in tasks:
        assert not task.done(), task.exception()
        task.cancel()
