"""Three nodes for all tests of this folder, and each proxy of ``deploy`` in front of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.fronts import deployed
from tests.servers.nodes import Nodes, three_nodes
from tests.servers.postgres import PostgresServer

FRONTS = ("nginx-round-robin.conf", "nginx-sticky.conf", "haproxy.cfg")


@pytest.fixture(scope="module")
def nodes(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Three nodes; whoever stops one starts it again."""
    with postgres.database() as name, three_nodes(tmp_path_factory.mktemp("nodes"), postgres.url(name)) as running:
        yield running


@pytest.fixture(scope="module", params=FRONTS)
def front(request: pytest.FixtureRequest, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Each of the proxies; the word makes accounts of its tests its own."""
    with deployed(request.param, nodes.ports, nodes.front_port, tmp_path_factory.mktemp("front")):
        yield request.param.partition(".")[0]
