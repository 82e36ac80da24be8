"""A page on one origin and an API on another: ``examples/across_origins`` behind two servers, and more beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
from tests.servers.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "examples/across_origins/index.html").read_text()
WRITTEN_FOR = "http://localhost:8000"  # the API, as it stands in the page
START_WITHIN_S, STOP_WITHIN_S = 60.0, 20.0
FRAME = '<!doctype html><title>another site</title><iframe src="{src}"></iframe>'
HOST_UNKNOWN = json.dumps({"code": "host_unknown", "status": 400}).encode()


class Pages(BaseHTTPRequestHandler):
    """The page's server, and APIs that somebody forgot something at."""

    def do_GET(self) -> None:
        """Answer the page for ``?api=``, that in a frame, or what such an API does."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/":
            self._answer(200, PAGE.replace(WRITTEN_FOR, query["api"]).encode())
        elif parts.path == "/frame":
            self._answer(200, FRAME.format(src=query["src"]).encode())
        elif parts.path.startswith("/elsewhere/"):
            self._answer(400, HOST_UNKNOWN, "application/problem+json", shared=True)
        else:
            self._answer(200, b"{}", "application/json", shared=parts.path == "/wildcard")

    do_HEAD = do_GET  # noqa: N815 - as the base class calls it

    def _answer(self, status: int, body: bytes, content_type: str = "text/html", *, shared: bool = False) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        if shared:
            self.send_header("access-control-allow-origin", "*")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Across(NamedTuple):
    """Both servers, on ports of this machine; each answers under every loopback name."""

    page_port: int
    api_port: int
    log: Path

    def page(self, host: str) -> str:
        """Return the origin of the page under a name."""
        return f"http://{host}:{self.page_port}"

    def api(self, host: str) -> str:
        """Return the origin of the API under a name."""
        return f"http://{host}:{self.api_port}"

    @property
    def propylon(self) -> str:
        """Where Propylon is, for other devices."""
        return f"{self.api('localhost')}/auth"


@contextmanager
def across_origins(directory: Path, hosts: tuple[str, ...]) -> Iterator[Across]:
    """Serve both; pages of ``hosts`` may call."""
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    pages.daemon_threads = True
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    across = Across(pages.server_port, free_port(), directory / "api.log")
    command = [sys.executable, "-m", "uvicorn", "examples.across_origins.api:app", "--port", str(across.api_port)]
    ours = {
        "PROPYLON_PUBLIC_URL": across.propylon,
        "PROPYLON_ORIGINS": ",".join(map(across.page, hosts)),
        "PROPYLON_STORE": f"sqlite:///{directory / 'api.db'}",
        "PROPYLON_PASSWORD_PROFILE": "unsafe_cheapest",
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PROPYLON_")} | ours
    with across.log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out)
    try:
        _wait_until_it_answers(across, process)
        yield across
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_S)
        process.kill()
        process.wait()
        pages.shutdown()
        pages.server_close()


def _wait_until_it_answers(across: Across, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{across.propylon}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(across.log.read_text())
