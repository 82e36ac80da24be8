"""Litestar: the rules of every adapter, and what is Litestar's own."""

from __future__ import annotations

from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn


class TestTheExample(AdapterRules):
    """``examples/litestar_app.py`` under uvicorn."""

    command = uvicorn("examples.litestar_app:app")
