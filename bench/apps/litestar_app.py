"""Litestar."""

from litestar import Litestar, get

from bench.apps import NOBODY
from propylon import Propylon
from propylon.adapters.litestar import Auth, SignedIn


@get("/me")
async def _open() -> dict[str, str]:
    return {"id": NOBODY}


@get("/me")
async def _me(who: SignedIn) -> dict[str, str]:
    return {"id": who.user_id}


def plain() -> Litestar:
    """Return the app that asks nobody."""
    return Litestar([_open])


def guarded() -> Litestar:
    """Return the app that asks who is calling."""
    return Litestar([_me], plugins=[Auth(Propylon.from_env())])
