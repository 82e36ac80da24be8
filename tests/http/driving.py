"""What tests of the HTTP contract do again and again: connect, sign up, sign in, read cookies and problems."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx

from propylon import Propylon

MakePropylon = Callable[..., Awaitable[Propylon]]
Connect = Callable[..., httpx.AsyncClient]

EMAIL = "mina@example.com"
PASSWORD = "correct horse battery"
MODES = ("cookie", "bearer", "hybrid")

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

SESSION_COOKIE = "propylon"
REFRESH_COOKIE = "propylon-refresh"


def connected(
    app: Any, base_url: str = "http://localhost:8000", *, ip: str = "127.0.0.1", user_agent: str = FIREFOX
) -> httpx.AsyncClient:
    """Return a client of an ASGI app in this process, seen from ``ip``. What the app raises, the test sees."""
    transport = httpx.ASGITransport(app, client=(ip, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=base_url, headers={"user-agent": user_agent})


async def bare(
    app: Any, method: str, path: str, headers: list[tuple[bytes, bytes]], *, query: bytes = b"", body: bytes = b""
) -> httpx.Response:
    """Call an ASGI app with exactly these headers, of any bytes; httpx would see to them, and add a host."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("203.0.113.9", 40_000),
        "server": ("127.0.0.1", 8000),
    }
    sent: list[dict[str, Any]] = []

    received = iter(({"type": "http.request", "body": body, "more_body": False},))

    async def receive() -> dict[str, Any]:
        return next(received, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=content)


async def sign_up(client: httpx.AsyncClient, email: str = EMAIL, password: str = PASSWORD) -> dict[str, Any]:
    """Make an account and return it."""
    answer = await client.post("/v1/users", json={"email": email, "password": password, "name": "Mina"})
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()["user"]
    return user


async def sign_in(
    client: httpx.AsyncClient, mode: str = "cookie", *, email: str = EMAIL, password: str = PASSWORD, **more: Any
) -> dict[str, Any]:
    """Sign in, let the client keep the cookies, and return the body."""
    answer = await client.post("/v1/sessions", json={"email": email, "password": password, "mode": mode, **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def enter(client: httpx.AsyncClient, mode: str = "cookie") -> dict[str, Any]:
    """Make the account and sign in."""
    await sign_up(client)
    return await sign_in(client, mode)


async def kept_after_its_answer(app: Any, headers: dict[str, str]) -> bool:
    """Return whether a request outlives its answer until the garbage collector comes."""

    class Mark:
        pass

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(_: Any) -> None:
        pass

    mark = Mark()
    alive = weakref.ref(mark)
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": lines, "client": None, "mark": mark}
    del mark
    gc.disable()
    try:
        await app(scope, receive, send)
        del scope
        return alive() is not None
    finally:
        gc.enable()


async def opened(app: Any, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Open a websocket and return all that the app sends."""
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost:8000"), *((k.encode(), v.encode()) for k, v in headers.items())],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [],
        "state": {},
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append({name: value for name, value in message.items() if name not in ("subprotocol", "headers", "bytes")})

    await app(scope, receive, send)
    return sent


def bearer(token: str) -> dict[str, str]:
    """Return the header that presents an access token."""
    return {"authorization": f"Bearer {token}"}


def held(body: dict[str, Any]) -> dict[str, str]:
    """Return the headers that present what a sign-in returned; none in cookie mode, where the client has it."""
    return bearer(body["access_token"]) if "access_token" in body else {}


def set_cookies(answer: httpx.Response) -> dict[str, tuple[str, set[str]]]:
    """Return the cookies that an answer sets: name to value and attributes, as they were written."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        found[name] = (value, set(attributes))
    return found


def cookie_value(answer: httpx.Response, name: str = SESSION_COOKIE) -> str:
    """Return the value of one cookie that an answer sets."""
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return jar[name].value


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is the problem ``code`` in all its parts, and return its body."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert body["status"] == status
    assert body["type"].endswith(f"/docs#{code}")
    assert body["title"]
    assert body["detail"]
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    return body
