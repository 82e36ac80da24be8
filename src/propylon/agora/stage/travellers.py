"""People who use a service of several servers without a pause, as the browser client does while the mode changes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from http.cookiejar import DefaultCookiePolicy
from http.cookies import SimpleCookie
from typing import Any

import httpx

from propylon.agora.stage.asking import PLAINLY
from propylon.agora.stage.sites import PASSWORD

# A load balancer tries another server where one does not answer.
TRIES, TRY_AGAIN_S = 20, 0.05
ANSWER_WITHIN_S = 60.0


class Traveller:
    """Somebody who is signed in.

    Attributes:
        counted: requests that were ``answered``, ``moved``; and ``signed_out`` and ``errors``, which must not be.
        mode: in which they travel now.
        trouble: what was refused, in words.
    """

    def __init__(self, crowd: Crowd, email: str) -> None:
        self._crowd, self._email = crowd, email
        self.counted: Counter[str] = Counter()
        self.trouble: list[str] = []
        self.mode = "cookie"
        self._cookie = self._access = self._refresh = ""

    async def enter(self) -> None:
        """Make an account and sign in by cookie."""
        account = {"email": self._email, "password": PASSWORD}
        (await self._crowd.send("POST", "/v1/users", {}, account)).raise_for_status()
        answer = await self._crowd.send("POST", "/v1/sessions", {}, {**account, "mode": "cookie"})
        answer.raise_for_status()
        self._cookie = _session_cookie(answer)

    async def use(self) -> None:
        """Ask who it is, renewing once where that is refused, and go along with a change of mode."""
        answer = await self._crowd.send("GET", "/v1/session", self._presents())
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._refresh:
            body = {"refresh_token": self._refresh}
            renewed = await self._crowd.send("POST", "/v1/session/tokens", {}, body)
            if self._is_good(renewed):
                self._take(renewed.json())
            answer = await self._crowd.send("GET", "/v1/session", self._presents())
        told = answer.headers.get("propylon-mode")
        if self._is_good(answer) and told is not None and told != self.mode:
            await self._move(told)

    async def _move(self, mode: str) -> None:
        path = "/v1/session/cookie" if mode == "cookie" else "/v1/session/tokens"
        answer = await self._crowd.send("POST", path, self._presents())
        if not self._is_good(answer):
            return
        if mode == "cookie":
            self._cookie, self._refresh = _session_cookie(answer), ""
        elif "refresh_token" in answer.json():
            self._take(answer.json())
        else:
            return  # told to turn round meanwhile, it has got an access token alone and stays
        self.mode = mode
        self.counted["moved"] += 1

    def _take(self, body: dict[str, Any]) -> None:
        self._access, self._refresh = body["access_token"], body["refresh_token"]

    def _presents(self) -> dict[str, str]:
        if self.mode == "cookie":
            return {"cookie": f"propylon={self._cookie}"}
        return {"authorization": f"Bearer {self._access}"}

    def _is_good(self, answer: httpx.Response) -> bool:
        if answer.is_success:
            self.counted["answered"] += 1
            return True
        self.counted["signed_out" if answer.status_code == httpx.codes.UNAUTHORIZED else "errors"] += 1
        self.trouble.append(f"{self.mode}: {answer.request.method} {answer.request.url.path}: {answer.text[:300]}")
        return False


class Crowd:
    """People who go on and on, so many at once."""

    def __init__(self, urls: Sequence[str], *, people: int, at_once: int, host: str | None = None) -> None:
        self._urls, self._at_once = urls, at_once
        self._chance = random.Random(11)  # noqa: S311 - who goes where, the same on every machine
        limits = httpx.Limits(max_connections=at_once)
        headers = {"host": host} if host is not None else {}
        self._client = httpx.AsyncClient(**PLAINLY, timeout=ANSWER_WITHIN_S, limits=limits, headers=headers)
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # each holds their own
        self.people = [Traveller(self, f"traveller-{number}@example.com") for number in range(people)]
        self._over = False

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def enter(self) -> None:
        """Sign everybody in."""
        for start in range(0, len(self.people), self._at_once):
            await asyncio.gather(*(one.enter() for one in self.people[start : start + self._at_once]))

    async def live(self) -> None:
        """Use the service until it is over."""
        await asyncio.gather(*(self._use(self.people[number :: self._at_once]) for number in range(self._at_once)))

    async def until(self, mode: str, within_s: float) -> None:
        """Wait until everybody travels in a mode; raises ``TimeoutError``."""
        async with asyncio.timeout(within_s):
            while any(one.mode != mode for one in self.people):  # noqa: ASYNC110 - they are tasks of this loop
                await asyncio.sleep(0.02)

    def end(self) -> None:
        """Let everybody finish what they are at."""
        self._over = True

    @property
    def counted(self) -> Counter[str]:
        """What all of them counted so far."""
        return sum((one.counted for one in self.people), Counter())

    @property
    def trouble(self) -> list[str]:
        """What was refused to anybody."""
        return [line for one in self.people for line in one.trouble]

    async def send(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None
    ) -> httpx.Response:
        """Send to any server that there is; raises ``httpx.TransportError`` where none answers."""
        for _ in range(TRIES - 1):
            try:
                return await self._sent(method, path, headers, body)
            except httpx.TransportError:
                await asyncio.sleep(TRY_AGAIN_S)
        return await self._sent(method, path, headers, body)

    async def _sent(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None
    ) -> httpx.Response:
        return await self._client.request(method, self._chance.choice(self._urls) + path, headers=headers, json=body)

    async def _use(self, people: Sequence[Traveller]) -> None:
        while not self._over:
            for one in people:
                await one.use()


def _session_cookie(answer: httpx.Response) -> str:
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return jar["propylon"].value
