"""Which Propylon the fixtures of its plugin take over: the one that the extension asks."""

from __future__ import annotations

import pytest

from propylon.blocking import Blocking

from .app import auth


@pytest.fixture
def propylon() -> Blocking:
    """The app's own."""
    return auth.blocking
