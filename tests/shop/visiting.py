"""Visitors of the shop: they sign in at Propylon and then call the shop."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
from tests.http.driving import EMAIL, PASSWORD, held, sign_in

PROPYLON_URL, SHOP_URL = "http://localhost:8000", "http://localhost:8001"


class Visitor:
    """One client with its own cookies; ``headers`` carry its token in the modes that have one."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.headers: dict[str, str] = {}

    async def enter(self, mode: str = "cookie", email: str = EMAIL) -> dict[str, Any]:
        """Sign in, with a new account where there is none of this address."""
        account = {"email": email, "password": PASSWORD, "name": "Mina"}
        assert (await self.client.post("/v1/users", json=account)).status_code in (201, 409)
        body = await sign_in(self.client, mode, email=email)
        self.headers = held(body)
        return body

    async def send(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        """Send a request to the shop."""
        return await self.client.request(method, SHOP_URL + path, json=json, headers={**self.headers, **headers})

    async def get(self, path: str) -> Any:
        """Return what the shop answers, which must be a success."""
        answer = await self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def add(self, product: str, quantity: int = 1) -> httpx.Response:
        """Add to the cart."""
        return await self.send("POST", f"/api/cart/{product}", {"quantity": quantity})

    async def order(self, key: str | None = None, *, seen: dict[str, Any] | None = None) -> httpx.Response:
        """Order what was seen of a cart; or what is in it, where nothing is said."""
        wanted = seen and {"cart": seen["name"], "lines": seen["lines"]}
        return await self.send("POST", "/api/orders", wanted, **{"idempotency-key": key or str(uuid.uuid4())})

    async def lines(self) -> dict[str, int]:
        """Return what is in the cart."""
        lines: dict[str, int] = (await self.get("/api/cart"))["lines"]
        return lines


class Shop:
    """The shop and its Propylon."""

    def __init__(self, propylon: Any, app: Any) -> None:
        self.propylon, self.app = propylon, app
        self._clients: list[httpx.AsyncClient] = []

    def visitor(self) -> Visitor:
        """Return somebody new."""
        mounts = {
            PROPYLON_URL: httpx.ASGITransport(self.propylon, client=("127.0.0.1", 40_000)),
            SHOP_URL: httpx.ASGITransport(self.app, client=("127.0.0.1", 40_000)),
        }
        self._clients.append(httpx.AsyncClient(mounts=mounts, base_url=PROPYLON_URL))
        return Visitor(self._clients[-1])

    async def close(self) -> None:
        """Let all visitors go."""
        for client in self._clients:
            await client.aclose()
