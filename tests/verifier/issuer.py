"""An issuer that does what the test says: keys and a feed over real sockets, good or evil."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec

from propylon.core.jose.access_token import AccessClaims, issue
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey
from propylon.errors import PropylonError
from propylon.verifier import Verifier

AUDIENCE = "https://api.example"
SECRET = "propylon_verifier_" + "s" * 43
RESET = b"event: reset\ndata: {}\n\n"
READY = b"event: ready\nid: 1-a\ndata: {}\n\n"
Script = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request to the issuer."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer the keys, or run the script of the feed."""
        issuer = self.server.issuer
        issuer.requests.append((self.path, dict(self.headers.items())))
        with suppress(OSError):
            if self.path == "/.well-known/jwks.json":
                self.answer(200, issuer.jwks(), "application/jwk-set+json")
            elif self.path == "/v1/feed":
                issuer.feed(self)
            else:
                self.answer(404, b"", "text/plain")
        self.close_connection = True

    def answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        """Answer whole."""
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self, kind: str = "text/event-stream") -> None:
        """Begin a stream that ends with its connection."""
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("connection", "close")
        self.end_headers()

    def say(self, text: bytes) -> None:
        """Send bytes."""
        self.wfile.write(text)
        self.wfile.flush()

    def beat(self, said: int = 0) -> None:
        """Send what the test puts in line, and heartbeats, until the test is over."""
        issuer = self.server.issuer
        while not issuer.over.is_set():
            self.say(b"".join(issuer.lines[said:]) or b":\n\n")
            said = len(issuer.lines)
            issuer.over.wait(0.05)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The sockets."""

    daemon_threads = True
    issuer: Issuer


def good_feed(handler: Handler) -> None:
    """Do what a feed does."""
    lines = handler.server.issuer.lines.copy()
    handler.begin()
    handler.say(RESET + b"".join(lines) + READY)
    handler.beat(len(lines))


class Issuer:
    """Keys, tokens, and a feed that follows a script."""

    def __init__(self) -> None:
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.issuer = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://localhost:{self._server.server_address[1]}"
        self.keys = [SigningKey.generate("ES256")]
        self.jwks: Callable[[], bytes] = lambda: KeySet(key.verification_key for key in self.keys).to_jwks()
        self.feed: Script = good_feed
        self.lines: list[bytes] = []
        self.over = threading.Event()
        self.requests: list[tuple[str, dict[str, str]]] = []

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fetched(self) -> int:
        """Return how often somebody asked for the keys."""
        return sum(path.endswith("jwks.json") for path, _ in self.requests)

    def ends(self, session_id: str, reason: str = "signed_out") -> None:
        """Put an ending in line."""
        data = msgspec.json.encode({"sid": session_id, "reason": reason, "until": 2**31}).decode()
        self.lines.append(f"event: revoked\nid: {len(self.lines) + 2}-a\ndata: {data}\n\n".encode())

    def token(self, session_id: str = "s", *, key: SigningKey | None = None, **claims: Any) -> str:
        """Return an access token."""
        now = int(time.time())
        told: dict[str, Any] = {
            "issuer": self.url, "subject": "u", "audience": (AUDIENCE,), "expires_at": now + 300, "issued_at": now,
            "token_id": f"t{time.monotonic_ns()}", "session_id": session_id, "auth_time": now, **claims,
        }  # fmt: skip
        return issue(AccessClaims(**told), key or self.keys[-1])

    def verifier(self, **more: Any) -> Verifier:
        """Return a verifier of this issuer."""
        return Verifier(**{"issuer": self.url, "audience": AUDIENCE, "secret": SECRET, **more})


def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.005)


def refuses(verifier: Verifier, token: str) -> str:
    """Return the code with which a token is refused, or nothing where it is accepted."""
    try:
        verifier.verify(token)
    except PropylonError as error:
        return error.code
    return ""
