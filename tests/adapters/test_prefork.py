"""Several processes of one server: what one of them ends, the others refuse at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.adapters.prefork import WORKERS, gunicorn
from tests.adapters.serving import Site, served
from tests.http.driving import SESSION_COOKIE, refused

ROUNDS = 4
CONNECTIONS = 6


@pytest.fixture(scope="module", params=["flask_app", "django_app"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path]]:
    """An example whose log says which process answered."""
    directory = tmp_path_factory.mktemp("prefork")
    told = ("--access-logfile", "-", "--access-logformat", "%(p)s answered %(U)s", "--keep-alive", "60")
    with served(gunicorn(f"examples.{request.param}:app", *told), directory) as site:
        yield site, directory / "site.log"


def status(client: httpx.Client, headers: dict[str, str]) -> int:
    """Ask who is calling."""
    return client.get("/me", headers=headers).status_code


def test_a_sign_out_through_one_process_is_refused_by_all_others(log: tuple[Site, Path]) -> None:
    """At once: every connection that was just answered is refused, whichever process it leads to."""
    site, path = log
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for _ in range(ROUNDS):
            person, clients = site.someone(), [site.visitor() for _ in range(CONNECTIONS)]
            headers = {"cookie": f"{SESSION_COOKIE}={person.client.cookies[SESSION_COOKIE]}"}
            for _ in range(2):
                assert set(threads.map(lambda client, who=headers: status(client, who), clients)) == {200}
            assert person.client.post("/leave").status_code == 204
            assert set(threads.map(lambda client, who=headers: status(client, who), clients)) == {401}
            refused(clients[0].get("/me", headers=headers), 401, "session_revoked")
    assert len(set(re.findall(r"(\d+)> answered /me", path.read_text()))) == WORKERS
