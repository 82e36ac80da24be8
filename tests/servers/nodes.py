"""Three ``propylon serve`` on one PostgreSQL and one Redis, behind a proxy."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.http.driving import PASSWORD
from tests.http.serving import Served, ServedSettings
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer

CLIENTS = 4
ENOUGH, WITHIN_S = 100, 30.0


class Nodes:
    """What an operator sets up: all nodes have the same settings, and so the same key."""

    def __init__(self, home: Path, store: str, session_store: str) -> None:
        self.front_port = free_port()
        settings = {
            "public_url": self.url,
            "store": store,
            "session_store": session_store,
            "key_file": str(home / "propylon.key"),
            "trusted_proxies": "127.0.0.1",
        }
        self.all = []
        for name in ("one", "two", "three"):
            (home / name).mkdir()
            self.all.append(Served(ServedSettings(home / name, settings)))

    @property
    def url(self) -> str:
        """The address that people use."""
        return f"http://localhost:{self.front_port}"

    @property
    def ports(self) -> list[int]:
        """Where the nodes listen."""
        return [node.port for node in self.all]

    def at(self, node: Served) -> httpx.Client:
        """Return a client of one node alone, past the proxy."""
        headers = {"host": f"localhost:{self.front_port}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{node.port}", headers=headers, timeout=10)

    def client(self, ip: str = "127.0.0.1") -> httpx.Client:
        """Return a client that comes to the proxy from an address of this machine."""
        return httpx.Client(base_url=self.url, transport=httpx.HTTPTransport(local_address=ip), timeout=10)

    def signed_in(self, email: str, **more: Any) -> httpx.Client:
        """Return a client with an account and a session."""
        client = self.client(**more)
        client.post("/v1/users", json={"email": email, "password": PASSWORD}).raise_for_status()
        client.post("/v1/sessions", json={"email": email, "password": PASSWORD}).raise_for_status()
        return client

    def asked(self) -> list[int]:
        """Return how often each node was asked who is calling."""
        return [_asked(httpx.get(f"http://127.0.0.1:{port}/metrics").text) for port in self.ports]


@contextmanager
def three_nodes(home: Path, store: str) -> Iterator[Nodes]:
    """Start a Redis and the nodes; all are gone at the end."""
    with ExitStack() as stack:
        redis = RedisServer("--appendonly", "yes")
        stack.callback(redis.remove)
        nodes = Nodes(home, store, redis.start().url)
        for node in nodes.all:
            stack.callback(node.kill)
            node.start()
        yield nodes


@contextmanager
def under_load(clients: list[httpx.Client]) -> Iterator[Counter[int]]:
    """Let clients ask who they are, again and again; yield what they are answered, 0 where nothing came.

    They go on until they have asked often enough, which takes longer on a busy machine.
    """
    answers: Counter[int] = Counter()
    over = threading.Event()

    def ask(client: httpx.Client) -> None:
        while not over.is_set():
            try:
                status = client.get("/v1/session").status_code
            except httpx.TransportError:
                status = 0
            answers[status] += 1

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield answers
        deadline = time.monotonic() + WITHIN_S
        while answers.total() <= ENOUGH and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _asked(metrics: str) -> int:
    counts = re.findall(r'^propylon_request_seconds_count\{[^}]*route="/v1/session"[^}]*\} ([\d.]+)', metrics, re.M)
    return sum(int(float(count)) for count in counts)
