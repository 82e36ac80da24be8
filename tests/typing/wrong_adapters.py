"""Never run: who is calling has a type in every framework, and a misspelt demand is no program."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI
from litestar import Litestar
from starlette.applications import Starlette
from starlette.requests import Request

from propylon import Principal, Propylon
from propylon.adapters import fastapi, litestar, starlette
from propylon.verifier import Verifier

Admin = Annotated[Principal, fastapi.require(roles="admin")]


async def by_dependency(who: fastapi.SignedIn, visitor: fastapi.Visitor, admin: Admin) -> None:
    """A principal is one, with what it has and no more; a visitor may be nobody."""
    _: list[Principal] = [who, admin]
    who.email  # type: ignore[attr-defined] # noqa: B018 - that is the point
    admin.is_admin  # type: ignore[attr-defined] # noqa: B018
    visitor.user_id  # type: ignore[union-attr] # noqa: B018
    who.user_id = "somebody else"  # type: ignore[misc]


async def by_name(who: litestar.SignedIn, visitor: litestar.Visitor) -> None:
    """The same in Litestar."""
    _: Principal = who
    who.email  # type: ignore[attr-defined] # noqa: B018
    visitor.user_id  # type: ignore[union-attr] # noqa: B018


async def by_call(request: Request) -> None:
    """And where it is asked for."""
    _: Principal = await starlette.user(request)
    starlette.user(request).user_id  # type: ignore[attr-defined] # noqa: B018
    (await starlette.visitor(request)).user_id  # type: ignore[union-attr] # noqa: B018
    await starlette.user("request")  # type: ignore[arg-type]


# A demand that is misspelt would let everybody in who is signed in.
fastapi.require(role="admin")  # type: ignore[call-arg]
starlette.require(permission="posts.write")  # type: ignore[call-arg]
litestar.require(scope="orders")  # type: ignore[call-arg]
fastapi.require("admin")  # type: ignore[call-arg]
fastapi.require_fresh("300")  # type: ignore[arg-type]
starlette.require_fresh()  # type: ignore[call-arg]
litestar.require(fresh_s="300")  # type: ignore[arg-type]


def guarding(propylon: Propylon, verifier: Verifier, app: FastAPI) -> None:
    """A source is one of two, and an adapter guards its own framework."""
    fastapi.Auth(propylon).guard(app)
    fastapi.Auth(verifier).guard(app)
    fastapi.Auth("https://id.example").guard(app)  # type: ignore[arg-type]
    fastapi.Auth(propylon).guard(Starlette())  # type: ignore[arg-type]
    starlette.Auth(propylon).guard(Litestar())  # type: ignore[arg-type]
    litestar.Auth(propylon).guard(Litestar())  # type: ignore[attr-defined]
