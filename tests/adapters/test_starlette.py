"""Starlette: the rules of every adapter, and what is Starlette's own."""

from __future__ import annotations

from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn


class TestTheExample(AdapterRules):
    """``examples/starlette_app.py`` under uvicorn."""

    command = uvicorn("examples.starlette_app:app")
