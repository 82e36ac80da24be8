"""The launcher: two servers that start, say where they are, and end together."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from examples.shop import demo
from tests.servers.ports import free_port
from tests.shop.launching import Launched, answers, wait_until

Launch = Callable[..., Launched]
HOSTS = {"localhost": "localhost", "0.0.0.0": "127.0.0.1", "::1": "[::1]"}  # noqa: S104 - in a test, and not for long


class Agreeable(BaseHTTPRequestHandler):
    """Says yes to everything, like a Propylon of somebody else's."""

    def do_GET(self) -> None:
        """Say yes."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing about it."""


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start the launcher with arguments and settings; nothing of it outlives the test."""
    launched: list[Launched] = []

    def start(*arguments: str, port: int | None = None, **environ: str) -> Launched:
        launched.append(Launched(tmp_path, *arguments, port=port, environ=environ))
        return launched[-1]

    yield start
    for one in launched:
        one.end()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody else listens, and answers everything with 200."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Agreeable) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def test_it_says_where_to_go_and_all_of_it_is_there(launch: Launch) -> None:
    """Every address that it prints answers, and the demo account signs in and is known at the shop."""
    launched = launch()
    shop = launched.shop_url()
    for path in ("/login", "/signup", "/docs"):
        assert f"{launched.url}{path}" in launched.said
        assert httpx.get(f"{launched.url}{path}").status_code == 200
    assert f"{launched.url}/account" in launched.said
    assert all(value in launched.said for value in demo.SIGN_IN.values())
    with httpx.Client() as visitor:
        assert visitor.post(f"{launched.url}/v1/sessions", json=demo.SIGN_IN).status_code == 201
        assert visitor.get(f"{shop}/api/me").json()["user"]["email"] == demo.SIGN_IN["email"]
    assert httpx.get(f"{shop}/").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_both_in_order(launch: Launch, number: signal.Signals) -> None:
    """Exit status 0, Propylon has said goodbye, and no process is left."""
    launched = launch()
    launched.shop_url()
    assert len(launched.running()) > 2
    launched.process.send_signal(number)
    assert launched.process.wait(20) == 0
    assert "Stopped." in launched.said
    assert launched.running() == []


def test_a_signal_before_it_is_ready_ends_it_as_well(launch: Launch) -> None:
    """Ctrl-C at once, while the first server is still loading."""
    launched = launch()
    wait_until(lambda: len(launched.running()) > 1)
    launched.process.send_signal(signal.SIGINT)
    assert launched.process.wait(20) == 0
    assert launched.running() == []


def test_killing_the_launcher_leaves_nothing_running(launch: Launch) -> None:
    """SIGKILL cannot be passed on; the system ends the children in its place."""
    launched = launch()
    launched.shop_url()
    launched.process.kill()
    launched.process.wait()
    wait_until(lambda: launched.running() == [])
    assert launched.running() == []
    assert not answers(f"{launched.url}/healthz")


def test_a_shop_that_ends_by_itself_ends_everything(launch: Launch, tmp_path: Path) -> None:
    """Half a system is not left standing: the status says that something was wrong."""
    (tmp_path / "shop.db").mkdir()  # no file of orders can be opened there
    launched = launch()
    assert launched.process.wait(20) != 0
    assert "has ended by itself" in launched.said
    assert launched.running() == []


def test_a_port_that_is_taken_is_said_and_nobody_else_is_taken_for_propylon(launch: Launch, taken: int) -> None:
    """One sentence, no demo account at a stranger's, nothing running."""
    launched = launch(port=taken)
    assert launched.process.wait(20) == 1
    assert str(taken) in launched.said
    assert "--port" in launched.said
    assert "Ready" not in launched.said
    assert launched.running() == []


def test_the_shop_takes_the_next_free_port(launch: Launch) -> None:
    """The port after Propylon's is taken: the shop says where it is."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port + 1)):
        launched = launch(port=port)
        shop = launched.shop_url()
    assert shop != f"http://localhost:{port + 1}"
    assert httpx.get(f"{shop}/open").json() == {"ok": True}


def test_the_shop_is_where_it_was_asked_to_be(launch: Launch) -> None:
    """``PROPYLON_SHOP_PORT`` is the launcher's alone: Propylon does not wonder what it is."""
    wanted = free_port()
    launched = launch(PROPYLON_SHOP_PORT=str(wanted))
    assert launched.shop_url() == f"http://localhost:{wanted}"
    assert "PROPYLON_SHOP_PORT" not in launched.said


@pytest.mark.parametrize("wanted", ["0", "65536", "-1", "eighty"])
def test_a_port_that_is_none_is_said_and_propylon_runs_alone(launch: Launch, wanted: str) -> None:
    """The shop is left out, and why stands first."""
    launched = launch(PROPYLON_SHOP_PORT=wanted)
    launched.wait_said("Propylon listens")
    assert "PROPYLON_SHOP_PORT" in launched.said.splitlines()[0]
    assert "Ready" not in launched.said


def test_a_wanted_port_that_is_taken_is_said(launch: Launch, taken: int) -> None:
    """Whoever asks for a port does not get another one."""
    launched = launch(PROPYLON_SHOP_PORT=str(taken))
    launched.wait_said("Propylon listens")
    assert f"{taken} (PROPYLON_SHOP_PORT), is taken" in launched.said


def test_propylons_own_port_is_not_given_to_the_shop(launch: Launch) -> None:
    """It is free when it is asked for, and would be taken a moment later."""
    port = free_port()
    launched = launch(port=port, PROPYLON_SHOP_PORT=str(port))
    launched.wait_said("Propylon listens")
    assert "is taken" in launched.said


def test_a_store_in_memory_is_propylons_alone(launch: Launch) -> None:
    """Two processes cannot share it, so there is no shop that would know nobody."""
    launched = launch("--store", "memory://")
    launched.wait_said("Propylon listens")
    assert "The shop is left out" in launched.said
    assert httpx.get(f"{launched.url}/login").status_code == 200


@pytest.mark.parametrize("host", HOSTS)
def test_it_listens_where_it_is_told(launch: Launch, host: str) -> None:
    """A name, every address, IPv6: both servers are there, at the addresses that are printed."""
    launched = launch("--host", host)
    shop = launched.shop_url()
    assert httpx.get(f"{launched.url}/login".replace("localhost", HOSTS[host])).status_code == 200
    assert httpx.get(f"{shop}/open".replace("localhost", HOSTS[host])).status_code == 200


def test_with_several_workers_the_shop_knows_who_signed_in_at_any_of_them(launch: Launch) -> None:
    """The workers and the shop share one store and one key."""
    launched = launch("--workers", "2")
    shop = launched.shop_url()
    for _ in range(6):
        with httpx.Client() as visitor:
            assert visitor.post(f"{launched.url}/v1/sessions", json=demo.SIGN_IN).status_code == 201
            assert visitor.get(f"{shop}/api/me").status_code == 200
            assert visitor.delete(f"{launched.url}/v1/session").status_code == 204


def test_help_starts_nothing(launch: Launch, tmp_path: Path) -> None:
    """It tells what ``propylon serve`` takes, and what the launcher adds; no file appears."""
    launched = launch("--help")
    assert launched.process.wait(20) == 0
    assert "--workers" in launched.said
    assert "PROPYLON_SHOP_PORT" in launched.said
    assert [path.name for path in tmp_path.iterdir()] == [f"launch-{launched.port}.out"]


def test_a_misspelt_option_is_said_by_propylon(launch: Launch) -> None:
    """The launcher adds nothing to that, and nothing is started."""
    launched = launch("--prot", "1")
    assert launched.process.wait(20) == 2
    assert "--port" in launched.said
    assert launched.running() == []


def test_a_second_start_finds_its_demo_account(launch: Launch) -> None:
    """What was kept is there again, and is no reason to complain."""
    first = launch()
    first.shop_url()
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(20) == 0
    second = launch()
    second.shop_url()
    assert demo.SIGN_IN["password"] in second.said
    assert "no demo account" not in second.said
    assert httpx.post(f"{second.url}/v1/sessions", json=demo.SIGN_IN).status_code == 201


def test_without_open_sign_up_there_is_no_demo_account(launch: Launch) -> None:
    """The launcher makes nobody's account where nobody may make one."""
    launched = launch(PROPYLON_SIGN_UP="closed")
    shop = launched.shop_url()
    assert demo.SIGN_IN["password"] not in launched.said
    assert httpx.get(f"{shop}/api/shop").json()["demo"] is None


def test_it_speaks_korean_at_a_korean_terminal(launch: Launch) -> None:
    """The places and what to do, in the language of the terminal."""
    launched = launch(LC_ALL="ko_KR.UTF-8")
    launched.wait_said("Ctrl-C")
    assert "준비되었습니다" in launched.said
    assert "데모 계정" in launched.said
