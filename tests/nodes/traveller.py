"""Somebody who uses a service of several nodes without a pause, as the browser client does while the mode changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import httpx
from tests.http.driving import PASSWORD, SESSION_COOKIE, set_cookies

PUBLIC = {"host": "localhost:8000"}


class Traveller:
    """One signed-in user behind a load balancer.

    Attributes:
        counted: ``answered`` requests, ``moved``, and what must not be: ``signed out`` and ``failed``.
        mode: in which they travel now.
    """

    def __init__(self, urls: list[str], client: httpx.AsyncClient, email: str, chance: Random) -> None:
        self.urls, self._client, self._email, self._chance = urls, client, email, chance
        self.counted: Counter[str] = Counter()
        self.trouble: list[str] = []
        self.mode = "cookie"
        self._cookie = self._access = self._refresh = ""

    async def enter(self) -> None:
        """Make an account and sign in by cookie."""
        account = {"email": self._email, "password": PASSWORD}
        await self._send("POST", "/v1/users", {}, {**account, "name": "Traveller"})
        answer = await self._send("POST", "/v1/sessions", {}, {**account, "mode": "cookie"})
        assert answer.status_code == 201, answer.text
        self._cookie = set_cookies(answer)[SESSION_COOKIE][0]

    async def use(self) -> None:
        """Ask who it is, renewing once where that is refused, and go along with a change of mode."""
        answer = await self._send("GET", "/v1/session", self._presents())
        if answer.status_code == 401 and self.mode == "bearer":
            await self._renew()
            answer = await self._send("GET", "/v1/session", self._presents())
        self._count(answer, 200)
        told = answer.headers.get("propylon-mode")
        if told is not None and told != self.mode:
            await self._move(told)

    async def _renew(self) -> None:
        answer = await self._send("POST", "/v1/session/tokens", {}, {"refresh_token": self._refresh})
        if self._count(answer, 200):
            self._take(answer.json())

    async def _move(self, mode: str) -> None:
        if mode == "cookie":
            answer = await self._send("POST", "/v1/session/cookie", self._presents())
            if self._count(answer, 204):
                self._cookie, self.mode = set_cookies(answer)[SESSION_COOKIE][0], mode
                self.counted["moved"] += 1
            return
        answer = await self._send("POST", "/v1/session/tokens", self._presents())
        # Told to turn round meanwhile, it gets an access token alone and stays.
        if self._count(answer, 200) and "refresh_token" in answer.json():
            self._take(answer.json())
            self.mode = mode
            self.counted["moved"] += 1

    def _take(self, body: dict[str, Any]) -> None:
        self._access, self._refresh = body["access_token"], body.get("refresh_token", "")

    def _presents(self) -> dict[str, str]:
        if self.mode == "cookie":
            return {"cookie": f"{SESSION_COOKIE}={self._cookie}"}
        return {"authorization": f"Bearer {self._access}"}

    def _count(self, answer: httpx.Response, expected: int) -> bool:
        if answer.status_code == expected:
            self.counted["answered"] += 1
            return True
        self.counted["signed out" if answer.status_code == 401 else "failed"] += 1
        self.trouble.append(f"{self.mode}: {answer.request.method} {answer.request.url.path}: {answer.text[:300]}")
        return False

    async def _send(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None
    ) -> httpx.Response:
        """Send to any node that there is; as a load balancer does, to another where one does not answer."""
        for _ in range(20):
            url = self._chance.choice(self.urls)
            try:
                return await self._client.request(method, url + path, headers={**PUBLIC, **headers}, json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
        raise AssertionError("no node answers")
