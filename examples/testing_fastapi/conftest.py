"""Which Propylon the fixtures of its plugin take over."""

from __future__ import annotations

import pytest

from propylon import Propylon

from . import app


@pytest.fixture
def propylon() -> Propylon:
    """The app's own."""
    return app.propylon
