"""The feed through a real nginx in its default settings: events come as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.http.driving import EMAIL, PASSWORD, bearer
from tests.http.serving import Served
from tests.servers.fronts import nginx
from tests.servers.ports import free_port
from tests.verifier.issuer import eventually, refuses

from propylon.verifier import Verifier


@pytest.fixture
def behind_nginx(serve: Callable[..., Served], tmp_path: Path) -> Iterator[tuple[Served, str]]:
    """A server and the address of the nginx in front of it, which compresses and gathers whatever it may."""
    port = free_port()
    url = f"http://localhost:{port}"
    served = serve(public_url=url, trusted_proxies="127.0.0.1")
    passed_on = f"proxy_set_header Host $http_host; proxy_pass http://127.0.0.1:{served.port};"
    site = f"server {{ listen 443 ssl; location / {{ {passed_on} }} }}\n"
    with nginx(site, port, tmp_path):
        yield served, url


def test_through_nginx_an_ending_arrives_at_once(behind_nginx: tuple[Served, str]) -> None:
    """Neither buffered nor compressed: the snapshot, heartbeats and endings reach the verifier."""
    served, url = behind_nginx
    secret = served.run("verifiers", "add", "shop")
    with httpx.Client(base_url=url) as client, Verifier(issuer=url, audience=url, secret=secret) as verifier:
        client.post("/v1/users", json={"email": EMAIL, "password": PASSWORD})
        body = {"email": EMAIL, "password": PASSWORD, "mode": "bearer"}
        for _ in range(3):
            token = client.post("/v1/sessions", json=body).json()["access_token"]
            assert refuses(verifier, token) == ""
            assert client.delete("/v1/session", headers=bearer(token)).status_code == 204
            eventually(lambda held=token: refuses(verifier, held) == "session_revoked", 1)  # type: ignore[misc]
