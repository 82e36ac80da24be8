"""Over real sockets: several processes with one file, a server that dies, one that is silent, answers that are cut."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from tests.documents import ROOT, programs
from tests.http.driving import EMAIL, PASSWORD
from tests.http.serving import Served, ServedSettings
from tests.pyclient.stage import secret_of

from propylon import CredentialRefused, Unavailable
from propylon.client import FilePlace, MemoryPlace, PropylonAuth

PROGRAMS, TIMES = 3, 40
WITHIN_S = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all, with one account and with tokens that are good for a second."""
    served = Served(ServedSettings(tmp_path_factory.mktemp("served"), {"access_ttl_s": "1"}))
    served.start()
    account = {"email": EMAIL, "password": PASSWORD, "name": "Mina"}
    assert httpx.post(f"{served.url}/v1/users", json=account).status_code == 201
    yield served
    served.kill()


class Cutter(ThreadingHTTPServer):
    """Stands in front of a server and passes requests on; some answers do not come back."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target, self.cuts = target, 0
        self.url = f"http://localhost:{self.server_address[1]}"


class _Passing(BaseHTTPRequestHandler):
    server: Cutter

    def do_POST(self) -> None:
        """Pass it on, and perhaps hang up instead of answering."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        answer = httpx.request(self.command, f"{self.server.target}{self.path}", headers=headers, content=body)
        if self.command == "POST" and self.server.cuts > 0:
            self.server.cuts -= 1
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST  # noqa: N815 - the name that the library calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cutter(server: Served) -> Iterator[Cutter]:
    """Something that cuts, in front of the server."""
    cutter = Cutter(server.url)
    thread = threading.Thread(target=cutter.serve_forever, args=(0.02,))
    thread.start()
    yield cutter
    cutter.shutdown()
    thread.join()
    cutter.server_close()


def session_of(auth: PropylonAuth) -> str:
    """Ask who is signed in; return the session's id. On a machine that is slow enough, a second is soon over."""
    with httpx.Client(auth=auth, base_url=auth.issuer, timeout=30) as client:
        for _ in range(20):
            try:
                session: str = client.get("/v1/session").json()["session"]["id"]
            except CredentialRefused as refusal:
                if refusal.code != "token_expired":
                    raise
            else:
                return session
    raise AssertionError("tokens that are over before they arrive")


def test_processes_that_share_a_file_stay_signed_in(server: Served, tmp_path: Path) -> None:
    """Tokens that end all the time, and no refresh token is shown twice too late; none of the server is loaded."""
    path = tmp_path / "tokens"
    auth = PropylonAuth(server.url, email=EMAIL, password=PASSWORD, place=FilePlace(path))
    session = session_of(auth)
    command = [sys.executable, "-m", "tests.pyclient.program", server.url, str(path), str(TIMES)]
    programs = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(PROGRAMS)]
    told = [json.loads(program.communicate(timeout=WITHIN_S)[0]) for program in programs]
    for said in told:
        assert set(said["answers"]) <= {"200", "token_expired"}  # of a second, on a slow machine
        assert said["answers"]["200"] > TIMES / 2
        assert said["sessions"] == [session]
    assert session_of(auth) == session
    rooms = ("client", "core", "errors", "language", "ports")
    assert told[0]["rooms"] == [f"propylon.{room}" for room in rooms]


@pytest.mark.parametrize("cuts", [1, 2])
def test_an_answer_that_is_cut_after_the_rotation_ends_no_session(cutter: Cutter, cuts: int) -> None:
    """The server has rotated, the client has not heard of it, and the same token is shown again."""
    place = MemoryPlace()
    auth = PropylonAuth(cutter.url, email=EMAIL, password=PASSWORD, place=place)
    session, before = session_of(auth), place.load()
    threading.Event().wait(1.2)
    cutter.cuts = cuts
    if cuts > 1:
        with pytest.raises(Unavailable):
            session_of(auth)
        assert place.load() == before
        threading.Event().wait(1.1)
    assert session_of(auth) == session
    assert place.load() != before
    assert cutter.cuts == 0


def test_a_server_that_dies_and_comes_back_finds_everybody_signed_in(server: Served, tmp_path: Path) -> None:
    """While it is away: ``Unavailable``, at once."""
    auth = PropylonAuth(server.url, email=EMAIL, password=PASSWORD, place=FilePlace(tmp_path / "tokens"))
    session = session_of(auth)
    server.kill()
    threading.Event().wait(1.2)
    with pytest.raises(Unavailable, match="ConnectError"):
        session_of(auth)
    server.start()
    threading.Event().wait(1.0)
    assert session_of(auth) == session


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n")
    for _ in range(60_000):
        connection.sendall(b" ")
        threading.Event().wait(0.02)


SILENCES: dict[str, Callable[[socket.socket], None]] = {
    "nothing at all": lambda _: None,
    "one byte at a time": _drip,
    "not http": lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
}


@pytest.mark.parametrize("say", SILENCES.values(), ids=SILENCES)
def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(say: Callable[[socket.socket], None]) -> None:
    """Also one that says something all the time and never comes to an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    say(connection)
                    while connection.recv(65_536):
                        pass

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://localhost:{listener.getsockname()[1]}"
        auth = PropylonAuth(url, email=EMAIL, password=PASSWORD, timeout_s=0.2)
        with pytest.raises(Unavailable):
            session_of(auth)
        thread.join(WITHIN_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_reads_a_password_over_plain_http(server: Served, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Not even one of the environment, which may be a header of a request (CGI)."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.0)
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        PropylonAuth(server.url, email=EMAIL, password=PASSWORD, timeout_s=5).sign_in()
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_the_logs_of_the_network_hold_no_secret(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    """At their finest, which some leave on in production; the password and refresh tokens travel in bodies alone."""
    caplog.set_level(logging.DEBUG)
    place = MemoryPlace()
    auth = PropylonAuth(server.url, email=EMAIL, password=PASSWORD, place=place)
    session_of(auth)
    secrets = {secret_of(place)}
    threading.Event().wait(1.2)
    session_of(auth)
    secrets |= {secret_of(place), PASSWORD}
    assert "httpcore" in caplog.text
    assert len(secrets) == 3
    assert [secret for secret in secrets if secret in caplog.text] == []


def test_the_guide_to_the_client_runs_as_it_stands(server: Served, tmp_path: Path) -> None:
    """Both programs of docs/python-client.md: the password once, the next run without it, and signed out at the end."""
    for name, text in programs(ROOT / "docs/python-client.md").items():
        (tmp_path / name).write_text(text)
    environ = {**os.environ, "HOME": str(tmp_path), "ISSUER": server.url, "EMAIL": EMAIL, "PASSWORD": PASSWORD}

    def run(*arguments: str, said: str = "") -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environ, input=said, capture_output=True, text=True,
            timeout=WITHIN_S, check=False, start_new_session=True,  # no terminal, so that getpass reads what is said
        )  # fmt: skip
        return done.returncode, done.stdout

    assert run("cli.py", said="something else\n")[0] == 1
    assert run("cli.py", said=f"{PASSWORD}\n") == (0, f"{EMAIL}\n")
    assert run("cli.py") == (0, f"{EMAIL}\n")
    assert run("cli.py", "logout") == (0, "")
    assert run("cli.py")[0] == 1
    assert run("service.py") == (0, "[200]\n")
