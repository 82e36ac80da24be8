"""The stage's own parts: load that stays with a person, a balancer that says who answered, a stranger's pages."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from pathlib import Path

import httpx
import msgspec
import pytest

from propylon.agora.stage.generator import Answered, Request, Shot, send
from propylon.agora.stage.nginx import Balancer
from propylon.agora.stage.pages import Received, pages
from propylon.agora.stage.processes import Broke, free_port
from propylon.agora.stage.senders import Senders

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def asked(shot: Shot, *, hangs_up: bool = False) -> tuple[Answered, list[list[str]]]:
    """Send to a server that answers everything; return what came back, and the paths that each connection asked for."""
    connections: list[list[str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        paths: list[str] = []
        connections.append(paths)
        with suppress(asyncio.IncompleteReadError):
            while not hangs_up or not paths:
                head = await reader.readuntil(b"\r\n\r\n")
                paths.append(head.split()[1].decode())
                writer.write(OK)
        writer.close()

    async def run() -> Answered:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await send(msgspec.structs.replace(shot, url=f"http://127.0.0.1:{port}"))

    return asyncio.run(run()), connections


def test_a_person_goes_on_with_their_own_request() -> None:
    """Others are somebody else."""
    shot = Shot("", (Request("/a"), Request("/b")), connections=2, for_s=0.6, pause_s=0.02, stays=True, slice_s=0.2)
    answered, connections = asked(shot)
    assert sorted({*paths} for paths in connections) == [{"/a"}, {"/b"}]
    assert [set(statuses) for statuses in answered.by_request] == [{"200"}, {"200"}]
    assert len(answered.slices) == 3
    assert sum(sum(statuses.values()) for statuses in answered.slices) == answered.total


def test_who_does_not_stay_goes_through_all() -> None:
    """As before."""
    _, (paths,) = asked(Shot("", (Request("/a"), Request("/b")), for_s=0.1, pause_s=0.005))
    assert paths[:4] == ["/a", "/b", "/a", "/b"]


def test_a_connection_that_was_closed_between_two_requests_is_no_error() -> None:
    """Every client opens another one; what counts is an answer that does not come."""
    answered, connections = asked(Shot("", (Request("/"),), for_s=0.6, pause_s=0.05), hangs_up=True)
    assert set(answered.statuses) == {"200"}
    assert len(connections) == answered.total > 1


def test_a_sender_is_kept_and_one_that_dies_is_not_used_again(tmp_path: Path) -> None:
    """The shot that it had fails, and says so; the next one is sent by another."""
    senders, nowhere = Senders(tmp_path), Shot(f"http://127.0.0.1:{free_port()}", (Request("/"),))
    with closing(senders):
        assert [senders.fire(nowhere).statuses for _ in range(2)] == [{"0": 1}] * 2
        (kept,) = senders._idle
        kept.kill()
        with pytest.raises(Broke, match="load generator"):
            senders.fire(nowhere)
        assert senders.fire(nowhere).errors == 1
        assert kept not in senders._idle


def test_the_balancer_says_who_answered_in_the_end(tmp_path: Path) -> None:
    """Where a server was tried in vain, the next one counts; who was never reached does not."""
    (tmp_path / "by_node.log").write_text("127.0.0.1:81\n127.0.0.1:81, 127.0.0.1:82\n-\n127.0.0.1:82\n")
    assert Balancer("", tmp_path, 80, "").answered() == {81: 1, 82: 2}


def test_a_server_is_taken_out_of_the_configuration(tmp_path: Path) -> None:
    """And the policy stays."""
    balancer = Balancer("", tmp_path, 80, "hash $http_x_person consistent;")
    assert "127.0.0.1:81 " in balancer.configure([81, 82]).read_text()
    balancer.serve([82, 83])
    text = (tmp_path / "nginx.conf").read_text()
    assert "127.0.0.1:81 " not in text
    assert "hash $http_x_person consistent;" in text


def test_a_strangers_pages_keep_what_is_sent_and_show_nothing_else(tmp_path: Path) -> None:
    """One folder, no way out of it."""
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "page.html").write_text("hello")
    (tmp_path / "secret").write_text("secret")
    with pages(folder) as server:
        assert httpx.get(f"{server.elsewhere}/page.html?x=1").text == "hello"
        for path in ("/../secret", "/%2e%2e/secret", "/", "/secret"):
            assert httpx.get(f"{server.elsewhere}{path}").status_code == 404
        httpx.post(f"{server.elsewhere}/taken?by=x", content="loot")
        assert server.received == [Received("/taken", "loot")]
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.elsewhere)
