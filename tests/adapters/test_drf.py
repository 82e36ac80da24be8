"""Django REST framework: the rules of every adapter, and what is the framework's own."""

from __future__ import annotations

from tests.adapters.prefork import gunicorn
from tests.adapters.rules import AdapterRules


class TestTheExample(AdapterRules):
    """``examples/drf_app.py`` under gunicorn: two processes of four threads."""

    command = gunicorn("examples.drf_app:app")
