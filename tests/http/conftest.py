"""What tests on a real socket share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.http.serving import Served, ServedSettings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all of a module; nothing there changes it."""
    served = Served(ServedSettings(tmp_path_factory.mktemp("served"), {}))
    served.start()
    yield served
    served.kill()
