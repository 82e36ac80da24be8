"""Which verifier the fixtures of Propylon's plugin give another issuer."""

from __future__ import annotations

import pytest

from propylon.verifier import Verifier

from . import app


@pytest.fixture
def propylon_verifier() -> Verifier:
    """The service's own."""
    return app.verifier
