"""``propylon serve``: real processes, real sockets, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import PASSWORD, Terminal, environment, run_program
from tests.http.serving import Served
from tests.servers.ports import free_port

Serve = Callable[..., Served]
ACCOUNT = {"email": "mina@example.com", "password": PASSWORD}
CONNECTIONS = 24


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def sign_in(served: Served) -> str:
    """Make an account, sign in, and return the cookie."""
    httpx.post(f"{served.url}/v1/users", json=ACCOUNT).raise_for_status()
    answer = httpx.post(f"{served.url}/v1/sessions", json={**ACCOUNT, "mode": "cookie"})
    return answer.cookies["propylon"]


def ask(served: Served, cookie: str, method: str = "GET") -> httpx.Response:
    """Ask about the session of a cookie on a new connection."""
    return httpx.request(method, f"{served.url}/v1/session", headers={"cookie": f"propylon={cookie}"})


@contextmanager
def open_connections(served: Served) -> Iterator[list[socket.socket]]:
    """Many connections at once: the system spreads them over the workers."""
    with ExitStack() as stack:
        yield [stack.enter_context(served.connect()) for _ in range(CONNECTIONS)]


def ask_on(connection: socket.socket, cookie: str) -> int:
    """Ask for the decision alone, on a connection that stays open; return the status.

    It is answered from memory once a worker has seen the cookie: nothing but the feed can end it there.
    """
    connection.sendall(f"GET /v1/verify HTTP/1.1\r\nhost: localhost\r\ncookie: propylon={cookie}\r\n\r\n".encode())
    answer = b""
    while not answer.rstrip().endswith(b"}") and not (answer.startswith(b"HTTP/1.1 204") and b"\r\n\r\n" in answer):
        chunk = connection.recv(65_536)
        assert chunk, answer
        answer += chunk
    return int(answer.split(b" ", 2)[1])


def test_two_workers_refuse_a_session_right_after_its_sign_out(serve: Serve) -> None:
    """On every connection, whichever worker is behind it: the one that remembers the session most warmly, too."""
    served = serve(workers="2")
    cookie = sign_in(served)
    with open_connections(served) as connections:
        for _ in range(3):
            assert [ask_on(connection, cookie) for connection in connections] == [204] * CONNECTIONS
        assert all(connections_of(worker) >= 2 for worker in workers_of(served))  # its own listening socket is one
        assert ask(served, cookie, "DELETE").status_code == 204
        assert [ask_on(connection, cookie) for connection in connections] == [401] * CONNECTIONS


def test_a_session_ended_from_the_command_line_is_refused_by_every_worker(serve: Serve, tmp_path: Path) -> None:
    """Another process altogether ends it."""
    served = serve(workers="2")
    cookie = sign_in(served)
    session = ask(served, cookie).json()["session"]["id"]
    with open_connections(served) as connections:
        assert [ask_on(connection, cookie) for connection in connections] == [204] * CONNECTIONS
        store = f"sqlite:///{served.database}"
        assert run_program(tmp_path, "sessions", "end", session, "--store", store).status == 0
        assert [ask_on(connection, cookie) for connection in connections] == [401] * CONNECTIONS


def begun_sign_up(served: Served) -> tuple[socket.socket, bytes]:
    """Return a connection with a request whose body is not complete, and what is missing of it."""
    body = json.dumps(ACCOUNT).encode()
    head = (
        f"POST /v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    )
    connection = served.connect()
    connection.sendall(head.encode() + b"\r\n\r\n" + body[:10])
    time.sleep(0.2)  # the server has the head before the signal comes
    return connection, body[10:]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_finishes_what_is_in_flight(serve: Serve, signal_number: int, workers: str) -> None:
    """The request is answered, nothing new is let in, and the exit status is 0."""
    served = serve(workers=workers)
    connection, rest = begun_sign_up(served)
    served.send(signal_number)
    time.sleep(0.5)
    with pytest.raises(OSError, match=r"refused|reset"):
        served.connect().recv(1)
    connection.sendall(rest)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")
    connection.close()
    assert served.stopped() == 0
    assert "Traceback" not in served.log.read_text()


def test_a_graceful_stop_waits_for_a_password_that_is_being_hashed(serve: Serve) -> None:
    """A sign-in of real cost is answered with its session, which holds after the next start."""
    served = serve(password_profile="rfc9106_low_memory")
    httpx.post(f"{served.url}/v1/users", json=ACCOUNT).raise_for_status()
    body = json.dumps({**ACCOUNT, "mode": "cookie"})
    with served.connect() as connection:
        connection.settimeout(20)
        head = "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json"
        connection.sendall(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        time.sleep(0.03)
        served.send(signal.SIGTERM)
        answer = connection.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 201 ")
    assert served.stopped() == 0
    served.start()
    assert ask(served, answer.partition("propylon=")[2].partition(";")[0]).status_code == 200


def test_the_second_signal_stops_at_once(serve: Serve) -> None:
    """Whoever asks twice does not want to wait ten seconds; and it is no success, since something was cut off."""
    served = serve()
    connection, _ = begun_sign_up(served)
    served.send(signal.SIGTERM)
    time.sleep(0.6)
    asked = time.monotonic()
    served.send(signal.SIGTERM)
    assert served.stopped() == 1
    assert time.monotonic() - asked < 5  # it would have waited for ten
    connection.close()


def test_a_signal_sent_twice_in_one_breath_is_asked_once(serve: Serve) -> None:
    """``timeout`` signals a process and its group: what is in flight is finished all the same."""
    served = serve()
    connection, rest = begun_sign_up(served)
    served.send(signal.SIGTERM)
    time.sleep(0.05)  # or the system would make one signal of the two
    served.send(signal.SIGTERM)
    time.sleep(0.3)
    connection.sendall(rest)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")
    connection.close()
    assert served.stopped() == 0


def test_control_c_stops_parent_and_workers_together(at_terminal: Callable[..., Terminal]) -> None:
    """A terminal signals them all at once: no worker is reported as lost, and nothing is left behind."""
    terminal = at_terminal("serve", "--port", str(free_port()), "--workers", "2")
    terminal.wait_for("/docs")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "Stopped." in terminal.shown
    assert "Unexpected" not in terminal.shown
    with pytest.raises(ProcessLookupError):
        os.killpg(terminal.process.pid, 0)


def test_a_lost_worker_is_replaced(serve: Serve) -> None:
    """The service goes on, nobody is signed out, and it stops as any other."""
    served = serve(workers="2")
    cookie = sign_in(served)
    before = workers_of(served)
    os.kill(before[-1], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while len(set(workers_of(served)) - set(before)) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    answers: list[int] = []
    while len(answers) < CONNECTIONS and time.monotonic() < deadline:
        with suppress(httpx.TransportError):  # connections that were waiting for the worker that is gone
            answers.append(ask(served, cookie).status_code)
    assert answers == [200] * CONNECTIONS
    served.send(signal.SIGTERM)
    assert served.stopped() == 0


def workers_of(served: Served) -> list[int]:
    """Return the processes that serve (Linux)."""
    children = Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text()
    return [int(child) for child in children.split()]


def connections_of(worker: int) -> int:
    """Return how many TCP sockets a process holds (Linux)."""
    ours = {str(link.readlink()) for link in Path(f"/proc/{worker}/fd").iterdir() if link.is_symlink()}
    table = Path(f"/proc/{worker}/net/tcp").read_text().splitlines()[1:]
    return sum(f"socket:[{line.split()[9]}]" in ours for line in table)


def test_a_port_that_is_taken_is_refused(program: Run, taken_port: int) -> None:
    """Workers share their port with each other, and must not with a stranger."""
    ran = program("serve", "--port", str(taken_port))
    assert (ran.status, ran.out) == (1, "")
    assert str(taken_port) in ran.err
    assert "--port" in ran.err
    assert not Path("propylon.db").exists()


@pytest.mark.parametrize("host", ["999.1.1.1", "no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_refused(program: Run, host: str) -> None:
    """With the reason of the system."""
    ran = program("serve", "--port", str(free_port()), "--host", host)
    assert (ran.status, ran.out) == (1, "")
    assert "Cannot listen" in ran.err


def test_memory_with_several_workers_is_refused(program: Run) -> None:
    """Each would know its own sessions alone."""
    ran = program("serve", "--store", "memory://", "--workers", "2", "--port", str(free_port()))
    assert (ran.status, ran.out) == (1, "")
    assert "--workers" in ran.err


APART = [
    (("--store", "redis://:hunter2@localhost"), ("--store", "PROPYLON_SESSION_STORE")),
    (("--session-store", "sqlite:///other.db"), ("--session-store",)),
    (("--store", "memory://", "--session-store", "redis://:hunter2@localhost"), ("--store=memory://",)),
]


@pytest.mark.parametrize(("stores", "named"), APART)
def test_stores_that_do_not_go_together_are_refused(
    program: Run, stores: tuple[str, ...], named: tuple[str, ...]
) -> None:
    """One sentence names what to change; no password is repeated, and nothing is made."""
    ran = program("serve", *stores, "--port", str(free_port()))
    assert (ran.status, ran.out) == (1, "")
    assert all(name in ran.err for name in named)
    assert "hunter2" not in ran.err
    assert not Path("propylon.db").exists()


def test_a_password_is_no_option_of_serve_either(program: Run) -> None:
    """The reason is told, the password not repeated."""
    ran = program("serve", "--password", "hunter2secret")
    assert ran.status == 2
    assert "list of processes" in ran.err
    assert "hunter2" not in ran.err


def test_an_unknown_variable_is_warned_of(serve: Serve) -> None:
    """It starts, since the variable is like none of ours and so may be somebody else's."""
    served = serve(service_host="10.0.0.1")
    served.send(signal.SIGTERM)
    assert served.stopped() == 0
    assert "nothing reads PROPYLON_SERVICE_HOST" in served.log.read_text()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "0.0.0.0"])  # noqa: S104 - on purpose
def test_it_listens_where_it_is_told_and_says_so(tmp_path: Path, host: str) -> None:
    """A name, and either kind of address; the welcome comes once somebody can connect."""
    port = free_port()
    command = [sys.executable, "-m", "propylon", "serve", "--port", str(port), "--host", host]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        answer = httpx.get(f"http://{'[::1]' if host == '::1' else '127.0.0.1'}:{port}/healthz")
        assert answer.json() == {"status": "ok"}
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_node_with_another_key_does_not_start(serve: Serve, tmp_path: Path) -> None:
    """It would sign everybody out; the sentence names the file that differs."""
    served = serve()
    other = tmp_path / "other.key"
    other.write_text("k1 " + "0123456789abcdef" * 4 + "\n")
    store = f"sqlite:///{served.database}"
    arguments = ("serve", "--port", str(free_port()), "--store", store)
    ran = run_program(tmp_path, *arguments, PROPYLON_KEY_FILE=str(other))
    assert (ran.status, ran.out) == (1, "")
    assert str(other) in ran.err
    assert "Traceback" not in ran.err
