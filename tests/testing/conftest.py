"""An app with its own Propylon that nobody has opened, as app authors have it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from fastapi import FastAPI

from propylon import Principal, Propylon
from propylon.adapters.fastapi import Auth, SignedIn, require_fresh


@pytest.fixture
def propylon(tmp_path: Path) -> Propylon:
    """On a file that no test of this folder makes, with the default limits of a small site."""
    return Propylon(store=f"sqlite:///{tmp_path / 'real.db'}", roles={"admin": ["orders.write"]})


@pytest.fixture
def app(propylon: Propylon) -> FastAPI:
    """Guarded, its Propylon mounted."""
    guarded = FastAPI()
    Auth(propylon).guard(guarded, mount=False)
    guarded.mount("/auth", propylon)

    @guarded.api_route("/me", methods=["GET", "POST"])
    async def me(who: SignedIn) -> list[str]:
        return sorted(who.roles)

    @guarded.get("/fresh")
    async def fresh(who: Annotated[Principal, require_fresh(60)]) -> str:
        return who.user_id

    return guarded
