"""Litestar."""

from typing import Any

from litestar import Litestar, Request, get
from litestar.di import NamedDependency, Provide

from bench.apps import NOBODY
from propylon import Propylon
from propylon.adapters.litestar import Auth, SignedIn, user


@get("/me")
async def _open(request: Request[Any, Any, Any]) -> dict[str, str]:  # noqa: ARG001 - as it would be, guarded
    return {"id": NOBODY}


@get("/me")
async def _by_dependency(who: SignedIn) -> dict[str, str]:
    return {"id": who.user_id}


@get("/me")
async def _in_the_route(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {"id": (await user(request)).user_id}


@get("/me")
async def _by_any_dependency(nobody: NamedDependency[str]) -> dict[str, str]:
    return {"id": nobody}


async def _nobody() -> str:
    return NOBODY


def plain() -> Litestar:
    """Return the app that asks nobody."""
    return Litestar([_open])


def any_dependency() -> Litestar:
    """Return the app that asks nobody, through a dependency."""
    return Litestar([_by_any_dependency], dependencies={"nobody": Provide(_nobody)})


def guarded() -> Litestar:
    """Return the app that asks who is calling, by a dependency."""
    return Litestar([_by_dependency], plugins=[Auth(Propylon.from_env())])


def guarded_in_the_route() -> Litestar:
    """Return the app that asks who is calling, in the route."""
    return Litestar([_in_the_route], plugins=[Auth(Propylon.from_env())])
