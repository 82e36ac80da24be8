"""A site of somebody else: pages on a port of their own, which also keeps whatever browsers send there."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources.abc import Traversable
from urllib.parse import urlsplit

import msgspec

MAX_BODY_BYTES = 1 << 20


class Received(msgspec.Struct, frozen=True):
    """What somebody has sent: where to, and what."""

    path: str
    body: str


@dataclass(frozen=True, slots=True)
class Pages:
    """The running server. This machine reaches it by two names, which are two sites to a browser.

    Attributes:
        port: where it listens.
        received: what was sent by POST so far.
    """

    port: int
    received: list[Received] = field(default_factory=list)

    @property
    def elsewhere(self) -> str:
        """Its address as another site than ``localhost``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def next_door(self) -> str:
        """Its address as another origin of the site ``localhost``."""
        return f"http://localhost:{self.port}"


@contextmanager
def pages(folder: Traversable) -> Iterator[Pages]:
    """Serve the files of ``folder`` until the block ends."""
    server = _Server(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.pages
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Traversable) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.pages = folder, Pages(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a file; no name leads out of the folder."""
        name = urlsplit(self.path).path.removeprefix("/")
        file = next((one for one in self.server.folder.iterdir() if one.name == name and one.is_file()), None)
        body = file.read_bytes() if file is not None else b""
        self.send_response(200 if file is not None else 404)
        self.send_header("content-type", mimetypes.guess_type(name)[0] or "application/octet-stream")
        self._finish(body)

    def do_POST(self) -> None:
        """Keep what was sent."""
        length = min(int(self.headers.get("content-length") or 0), MAX_BODY_BYTES)
        body = self.rfile.read(length).decode(errors="replace")
        self.server.pages.received.append(Received(urlsplit(self.path).path, body))
        self.send_response(204)
        self._finish(b"")

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""

    def _finish(self, body: bytes) -> None:
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(body)
