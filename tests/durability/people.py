"""People with devices who use a service until it dies, and remember exactly what they were told.

Whatever was in flight at that moment is in doubt: it may hold or not. All else was answered, so it must hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from tests.http.driving import MODES, REFRESH_COOKIE, SESSION_COOKIE, bearer, cookie_value

TOKENS = "/v1/session/tokens"


async def until(holds: Callable[[], bool]) -> None:
    """Wait until people have done something, on however slow a machine."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - they say it by a number
            await asyncio.sleep(0.02)


def acknowledged(people: Iterable[Person]) -> int:
    """Return how much was answered so far."""
    return sum(person.acknowledged for person in people)


@dataclass(eq=False)
class Device:
    """One session, as its client knows it.

    Attributes:
        saved: the values that its data may have: what was acknowledged, and a write that was not answered.
    """

    mode: str
    session_id: str
    access: str
    cookie: str = ""
    refresh: str = ""
    version: int = 0
    saved: list[dict[str, Any]] = field(default_factory=lambda: [{}])

    def headers(self) -> dict[str, str]:
        """Return what this device presents with an ordinary request."""
        return {"cookie": f"{SESSION_COOKIE}={self.cookie}"} if self.cookie else bearer(self.access)


class Person:
    """Somebody with an account and any number of devices, doing one thing after another."""

    def __init__(self, url: str, name: str, chance: Random) -> None:
        self._email, self._chance = f"{name}@example.com", chance
        self._http = httpx.AsyncClient(base_url=url)
        self._signed_up = False
        self._passwords = ["first correct horse"]
        self._living: list[Device] = []
        self._dead: list[Device] = []
        self._in_doubt: list[Device] = []
        self.acknowledged = 0

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def move(self, url: str) -> None:
        """Turn to another node of the same service."""
        await self.close()
        self._http = httpx.AsyncClient(base_url=url)

    async def live(self) -> None:
        """Do this and that until nobody answers any more."""
        with suppress(httpx.TransportError):
            while True:
                await self._do_something()
                self.acknowledged += 1

    async def check(self) -> None:
        """Hold the service that was started again to everything that it ever answered."""
        over = [device for device in self._in_doubt if not await self._is_known(device)]
        self._living = [device for device in self._living if device not in over]
        self._dead += over
        self._in_doubt = []
        for device in self._living:
            assert await self._is_known(device), device
            await self._check_data(device)
            await self._refresh(device)
        for device in self._dead:
            assert not await self._is_known(device), device
        if self._signed_up:
            await self._check_password()

    async def _do_something(self) -> None:
        if not self._signed_up:
            await self._sign_up()
            return
        if len(self._living) < 3:
            await self._sign_in()
            return
        device = self._chance.choice(self._living)
        deeds = (self._refresh, self._refresh_twice, self._save, self._save, self._sign_out, self._end_another)
        deed = self._chance.choice((*deeds, self._end_others, self._change_password))
        await deed(device)

    async def _ask(self, method: str, path: str, expected: int, **request: Any) -> httpx.Response:
        answer = await self._http.request(method, path, **request)
        self._http.cookies.clear()  # each device brings its own
        assert answer.status_code == expected, (method, path, answer.text)
        return answer

    async def _sign_up(self) -> None:
        body = {"email": self._email, "password": self._passwords[0]}
        answer = await self._http.post("/v1/users", json=body)
        # 409: the answer to the first attempt was lost on the way.
        assert answer.status_code in (201, 409), answer.text
        self._signed_up = True

    async def _sign_in(self) -> None:
        mode = self._chance.choice(MODES)
        wish = {"email": self._email, "password": self._passwords[-1], "mode": mode}
        answer = await self._ask("POST", "/v1/sessions", 201, json=wish)
        body = answer.json()
        device = Device(
            mode, body["session"]["id"], body.get("access_token", ""), refresh=body.get("refresh_token", "")
        )
        if mode == "hybrid":
            device.refresh = cookie_value(answer, REFRESH_COOKIE)
        elif mode == "cookie":
            device.cookie = cookie_value(answer)
        self._living.append(device)
        if mode == "cookie":
            device.access = (await self._ask("POST", TOKENS, 200, headers=device.headers())).json()["access_token"]

    async def _renewal(self, device: Device) -> tuple[str, str]:
        if device.mode == "bearer":
            body = (await self._ask("POST", TOKENS, 200, json={"refresh_token": device.refresh})).json()
            return body["access_token"], body["refresh_token"]
        answer = await self._ask("POST", TOKENS, 200, headers={"cookie": f"{REFRESH_COOKIE}={device.refresh}"})
        return answer.json()["access_token"], cookie_value(answer, REFRESH_COOKIE)

    async def _refresh(self, device: Device) -> None:
        if device.refresh:
            device.access, device.refresh = await self._renewal(device)

    async def _refresh_twice(self, device: Device) -> None:
        if device.refresh:
            one, other = await asyncio.gather(self._renewal(device), self._renewal(device))
            assert one[1] == other[1]
            device.access, device.refresh = one

    async def _save(self, device: Device) -> None:
        value = {"n": self._chance.randrange(10**9)}
        device.saved.append(value)
        headers = {**device.headers(), "if-match": f'"{device.version}"'}
        answer = await self._ask("PUT", "/v1/session/data", 204, headers=headers, json=value)
        device.version, device.saved = int(answer.headers["etag"].strip('"')), [value]

    async def _sign_out(self, device: Device) -> None:
        self._in_doubt = [device]
        await self._ask("DELETE", "/v1/session", 204, headers=device.headers())
        self._bury()

    async def _end_another(self, device: Device) -> None:
        others = [other for other in self._living if other is not device]
        self._in_doubt = [self._chance.choice(others)]
        path = f"/v1/sessions/{self._in_doubt[0].session_id}"
        await self._ask("DELETE", path, 204, headers=device.headers())
        self._bury()

    async def _end_others(self, device: Device) -> None:
        self._in_doubt = [other for other in self._living if other is not device]
        await self._ask("DELETE", "/v1/sessions?keep=current", 204, headers=device.headers())
        self._bury()

    async def _change_password(self, device: Device) -> None:
        new = f"another correct horse {self._chance.randrange(10**9)}"
        self._in_doubt = [other for other in self._living if other is not device]
        self._passwords.append(new)
        body = {"current_password": self._passwords[0], "new_password": new}
        answer = await self._ask("PUT", "/v1/user/password", 204, headers=device.headers(), json=body)
        self._passwords = [new]
        if device.mode == "cookie":
            device.cookie = cookie_value(answer)
        elif device.mode == "hybrid":
            device.refresh = cookie_value(answer, REFRESH_COOKIE)
        self._bury()

    def _bury(self) -> None:
        """Note that the service has answered: what was in doubt is over."""
        self._dead += self._in_doubt
        self._living = [device for device in self._living if device not in self._in_doubt]
        self._in_doubt = []

    async def _is_known(self, device: Device) -> bool:
        """Present every credential of a session; all of them live, or none does."""
        verdicts = {(await self._http.get("/v1/session", headers=device.headers())).status_code}
        if device.access:
            verdicts.add((await self._http.get("/v1/session", headers=bearer(device.access))).status_code)
        if device.refresh and (verdicts == {401} or device in self._in_doubt):
            body = {"refresh_token": device.refresh}
            verdicts.add((await self._http.post(TOKENS, json=body)).status_code)
        assert verdicts in ({200}, {401}), (device, verdicts)
        return verdicts == {200}

    async def _check_data(self, device: Device) -> None:
        answer = await self._ask("GET", "/v1/session/data", 200, headers=device.headers())
        assert answer.json() in device.saved, (device, answer.text)
        device.version, device.saved = int(answer.headers["etag"].strip('"')), [answer.json()]

    async def _check_password(self) -> None:
        """Sign in with the password that was acknowledged; one whose change was in flight may be the other."""
        right = []
        for password in self._passwords:
            body = {"email": self._email, "password": password, "mode": "bearer"}
            if (await self._http.post("/v1/sessions", json=body)).status_code == 201:
                right.append(password)
        assert len(right) == 1, self._passwords
        self._passwords = right
