"""FastAPI: the rules of every adapter, and what is FastAPI's own."""

from __future__ import annotations

from tests.adapters.rules import AdapterRules
from tests.adapters.serving import uvicorn


class TestTheExample(AdapterRules):
    """``examples/fastapi_app.py`` under uvicorn."""

    command = uvicorn("examples.fastapi_app:app")
