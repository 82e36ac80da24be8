"""Django: the rules of every adapter, and what is Django's own."""

from __future__ import annotations

from tests.adapters.prefork import gunicorn
from tests.adapters.rules import AdapterRules


class TestTheExample(AdapterRules):
    """``examples/django_app.py`` under gunicorn: two processes of four threads."""

    command = gunicorn("examples.django_app:app")
