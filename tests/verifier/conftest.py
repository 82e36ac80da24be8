"""Fixtures of the verifier's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.verifier.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that listens."""
    with Issuer() as listening:
        yield listening
