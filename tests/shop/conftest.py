"""The shop in this process, beside a Propylon on the same store, as the launcher sets them up."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.shop.visiting import PROPYLON_URL, SHOP_URL, Shop

from propylon import Propylon

APP = "examples.shop.app"


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Both, open; ``shop.visitor()`` is a browser or an app that reaches them at their addresses."""
    settings = {
        "SHOP_DB": str(tmp_path / "shop.db"),
        "PROPYLON_STORE": f"sqlite:///{tmp_path / 'propylon.db'}",
        "PROPYLON_PUBLIC_URL": PROPYLON_URL,
        "PROPYLON_ORIGINS": SHOP_URL,
        "PROPYLON_PASSWORD_PROFILE": "unsafe_cheapest",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    # Its settings are read when it is imported, so each test imports it anew.
    monkeypatch.delitem(sys.modules, APP, raising=False)
    module = importlib.import_module(APP)
    async with Propylon.from_env() as propylon, module.propylon:
        opened = Shop(propylon, module.app)
        yield opened
        await opened.close()
