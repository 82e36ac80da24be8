"""Fixtures of the adapters' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.verifier.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer elsewhere, that listens."""
    with Issuer() as listening:
        yield listening
