"""A browser in front of several nodes: it sees one service, whatever happens to one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.stories import sign_in, sign_up
from tests.servers.fronts import deployed
from tests.servers.nodes import Nodes, three_nodes
from tests.servers.postgres import PostgresServer

Arrive = Callable[..., Page]
Look = Callable[[Page, str], None]


@pytest.fixture
def nodes(postgres: PostgresServer, tmp_path: Path) -> Iterator[Nodes]:
    """Three nodes on one Redis, behind the nginx that takes them in turn."""
    with (
        postgres.database() as name,
        three_nodes(tmp_path, postgres.url(name)) as running,
        deployed("nginx-round-robin.conf", running.ports, running.front_port, tmp_path),
    ):
        yield running


def test_a_browser_does_not_notice_that_a_node_is_killed(nodes: Nodes, visitor: Arrive, look: Look) -> None:
    """Signed in through one, it goes on through the others: whichever dies, at any moment."""
    page = visitor()
    sign_up(page, nodes.url)
    sign_in(page, nodes.url)
    for node in nodes.all:
        node.kill()
        for _ in range(4):
            answer = page.reload()
            assert answer is not None
            assert answer.status == 200
            expect(page.locator("li.device--current")).to_have_count(1)
        node.start()
    look(page, "node-killed")


def test_a_device_that_is_ended_through_one_node_is_out_at_every_other(nodes: Nodes, visitor: Arrive) -> None:
    """Also at those that had remembered it."""
    laptop, phone = visitor(), visitor()
    sign_up(laptop, nodes.url)
    for page in (laptop, phone):
        sign_in(page, nodes.url)
    for _ in nodes.all:
        phone.reload()
        expect(phone.locator("li.device")).to_have_count(2)
    laptop.reload()
    laptop.locator("li.device:not(.device--current) form button").click()
    laptop.wait_for_url("**/account?notice=session_ended")
    for _ in nodes.all:
        answer = phone.goto(f"{nodes.url}/account")
        assert answer is not None
        assert answer.status == 401
