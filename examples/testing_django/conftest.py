"""Which Propylon the fixtures of its plugin take over: the one that the middleware asks."""

from __future__ import annotations

import os

import django
import pytest

from propylon.blocking import Blocking

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.testing_django.settings")
django.setup()


@pytest.fixture
def propylon() -> Blocking:
    """The project's own."""
    from propylon.adapters.django import auth  # noqa: PLC0415 - Django has to be set up first

    return auth().blocking
