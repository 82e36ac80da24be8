"""An app with its own Propylon that nobody has opened, as app authors have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import Depends, FastAPI

from propylon import Principal, Propylon


@pytest.fixture
def propylon(tmp_path: Path) -> Propylon:
    """On a file that no test of this folder makes, with the default limits of a small site."""
    return Propylon(store=f"sqlite:///{tmp_path / 'real.db'}", roles={"admin": ["orders.write"]})


@pytest.fixture
def app(propylon: Propylon) -> FastAPI:
    """Guarded, its Propylon mounted."""
    guarded = FastAPI(lifespan=propylon.lifespan)
    propylon.guard(guarded)
    guarded.mount("/auth", propylon)

    @guarded.api_route("/me", methods=["GET", "POST"])
    async def me(who: Principal = Depends(propylon.user)) -> list[str]:  # noqa: B008 - FastAPI's way
        return sorted(who.roles)

    @guarded.get("/fresh")
    async def fresh(who: Principal = Depends(propylon.require(fresh_s=60))) -> str:  # noqa: B008
        return who.user_id

    return guarded
