"""Three nodes behind each proxy of ``deploy``: clients see one service, whatever happens to a node."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import closing

import httpx
import pytest
from tests.http.driving import PASSWORD, bearer
from tests.servers.nodes import ENOUGH, Nodes, under_load
from tests.verifier.issuer import eventually, refuses

from propylon.verifier import Verifier

LAG_BOUND_S = 1.0


def cookie_of(client: httpx.Client) -> dict[str, str]:
    """Return the header that carries the session of a client to another one."""
    return {"cookie": f"propylon={client.cookies['propylon']}"}


def test_the_device_list_shows_the_address_of_the_client(front: str, nodes: Nodes) -> None:
    """Neither that of the proxy nor one that the client makes up."""
    with closing(nodes.signed_in(f"where@{front}.example", ip="127.0.0.9")) as client:
        forged = {"x-forwarded-for": "203.0.113.66", "forwarded": "for=203.0.113.66"}
        account = {"email": f"where@{front}.example", "password": PASSWORD}
        told = client.post("/v1/sessions", json=account, headers=forged)
        assert told.json()["session"]["ip"] == "127.0.0.9"
        devices = client.get("/v1/sessions", headers=forged).json()["sessions"]
        assert {device["ip"] for device in devices} == {"127.0.0.9"}


def test_what_is_for_operators_ends_at_the_proxy(front: str, nodes: Nodes) -> None:
    """Counts of one node, whichever it is, are nobody's business outside."""
    with nodes.client() as client:
        assert client.get("/metrics").status_code == 404
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("front", ["nginx-round-robin.conf", "haproxy.cfg"], indirect=True)
def test_nodes_are_taken_in_turn(front: str, nodes: Nodes) -> None:
    """All three are reached, about equally, and each knows the session that one of them opened."""
    with closing(nodes.signed_in(f"turn@{front}.example")) as client:
        before = nodes.asked()
        assert {client.get("/v1/session").status_code for _ in range(60)} == {200}
        assert all(10 <= after - first <= 30 for first, after in zip(before, nodes.asked(), strict=True))


@pytest.mark.parametrize("front", ["nginx-sticky.conf"], indirect=True)
def test_a_session_stays_at_its_node(front: str, nodes: Nodes) -> None:
    """Also after its cookie was renewed and from another address; other sessions are at other nodes."""
    places = set()
    for number in range(8):
        mine = nodes.signed_in(f"sticky-{number}@{front}.example")
        with closing(mine) as client, nodes.client("127.0.0.7") as elsewhere:
            before = nodes.asked()
            for _ in range(5):
                assert client.get("/v1/session").status_code == 200
            client.post("/v1/session/confirm", json={"password": PASSWORD}).raise_for_status()
            for one in (client, elsewhere):
                assert one.get("/v1/session", headers=cookie_of(client)).status_code == 200
            counts = [after - first for first, after in zip(before, nodes.asked(), strict=True)]
            assert sorted(counts) == [0, 0, 7]
            places.add(counts.index(7))
    assert len(places) > 1


def test_what_one_node_ends_the_others_refuse(front: str, nodes: Nodes, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where they remember it warmly; how long it took is printed."""
    with closing(nodes.signed_in(f"ended@{front}.example")) as client:
        held = cookie_of(client)
    first, *others = [nodes.at(node) for node in nodes.all]
    for node in (first, *others):
        assert [node.get("/v1/verify", headers=held).status_code for _ in range(3)] == [204] * 3
    assert first.delete("/v1/session", headers=held).status_code == 204
    answered = time.monotonic()
    assert first.get("/v1/verify", headers=held).status_code == 401
    for number, node in enumerate(others, 2):
        while node.get("/v1/verify", headers=held).status_code != 401:
            assert time.monotonic() - answered < LAG_BOUND_S
        with capsys.disabled():
            sys.stdout.write(f"\n{front}: node {number} refused {1000 * (time.monotonic() - answered):.1f} ms later\n")
        node.close()
    first.close()


def test_a_node_that_is_killed_under_load_is_missed_by_nobody(front: str, nodes: Nodes) -> None:
    """Every request is answered, by another node, and nobody is signed out; so it is when the node comes back."""
    clients = [nodes.signed_in(f"killed-{number}@{front}.example") for number in range(4)]
    for node in nodes.all[:2]:
        with under_load(clients) as answers:
            time.sleep(0.5)
            node.kill()
            time.sleep(1)
            node.start()
            time.sleep(0.5)
        assert answers.total() > ENOUGH
        assert set(answers) == {200}, answers
    for client in clients:
        client.close()


def test_a_node_that_leaves_and_joins_again_signs_nobody_out(front: str, nodes: Nodes) -> None:
    """It finishes what it has begun, its clients go on at the others, and it knows them all when it is back."""
    clients = [nodes.signed_in(f"leaves-{number}@{front}.example") for number in range(4)]
    node = nodes.all[2]
    with under_load(clients) as answers:
        time.sleep(0.3)
        node.send(signal.SIGTERM)
        assert node.stopped() == 0
        time.sleep(0.5)
        node.start()
        time.sleep(0.5)
    assert answers.total() > ENOUGH
    assert set(answers) == {200}, answers
    with nodes.at(node) as there:
        assert {there.get("/v1/session", headers=cookie_of(client)).status_code for client in clients} == {200}
    for client in clients:
        client.close()


def test_a_verifier_follows_the_feed_through_the_proxy(front: str, nodes: Nodes) -> None:
    """Events come as they come, whichever node ended the session and whichever is asked for the feed."""
    secret = nodes.all[0].run("verifiers", "add", front)
    account = {"email": f"feed@{front}.example", "password": PASSWORD}
    with nodes.client() as client, Verifier(issuer=nodes.url, audience=nodes.url, secret=secret) as verifier:
        client.post("/v1/users", json=account).raise_for_status()
        for node in nodes.all:
            token = client.post("/v1/sessions", json={**account, "mode": "bearer"}).json()["access_token"]
            assert refuses(verifier, token) == ""
            with nodes.at(node) as there:
                assert there.delete("/v1/session", headers=bearer(token)).status_code == 204
            eventually(lambda held=token: refuses(verifier, held) == "session_revoked", LAG_BOUND_S)  # type: ignore[misc]
