"""What a proxy sends to another node when one dies under a request, and what it never sends twice."""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import httpx
import pytest
from tests.deploy.conftest import FRONTS
from tests.servers.fronts import deployed
from tests.servers.ports import free_port


class Dying(socketserver.StreamRequestHandler):
    """A node that dies when it has read a request whole."""

    server: Node

    def handle(self) -> None:
        """Read, remember the method, say nothing, leave."""
        method, path, _ = self.rfile.readline().decode().split(" ", 2)
        length = 0
        while (line := self.rfile.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        if self.server.answers(method, path):
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


class Node(socketserver.ThreadingTCPServer):
    """One of three; of what people send, the first to be asked dies."""

    daemon_threads = True

    def __init__(self, received: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Dying)
        self.received = received

    def answers(self, method: str, path: str) -> bool:
        """Tell whether this request is answered: checks are, and whatever comes after the first one."""
        if path == "/readyz":
            return True
        self.received.append(method)
        return len(self.received) > 1


@pytest.fixture(params=FRONTS)
def dying(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A proxy in front of three nodes, the first of which to get a request dies of it; what they received."""
    received: list[str] = []
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node(received)) for _ in range(3)]
        for node in nodes:
            thread = Thread(target=node.serve_forever, args=(0.02,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(node.shutdown)
        ports = [node.server_address[1] for node in nodes]
        front = stack.enter_context(deployed(request.param, ports, free_port(), tmp_path))
        yield front.url, received


def test_a_read_goes_on_to_another_node(dying: tuple[str, list[str]]) -> None:
    """The client sees the answer of the second."""
    url, received = dying
    assert httpx.get(f"{url}/v1/session").status_code == 200
    assert received == ["GET", "GET"]


def test_a_sign_in_that_a_node_has_received_is_not_sent_again(dying: tuple[str, list[str]]) -> None:
    """It may have been done: twice would be two sessions, or a code that was good once and is refused."""
    url, received = dying
    whole = b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall(whole)  # at once: HAProxy could repeat only what it has in its hands whole
        assert connection.recv(4096).startswith(b"HTTP/1.1 502 ")
    assert received == ["POST"]
