"""Propylon in a FastAPI app.

Example:
    ::

        auth = Auth(Propylon.from_env())  # or a Verifier, for a Propylon elsewhere
        app = FastAPI()
        auth.guard(app)


        @app.get("/me")
        async def me(who: SignedIn) -> dict[str, str]: ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from fastapi import FastAPI, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from propylon import Demand, Principal
from propylon.adapters import starlette
from propylon.core.demand import Names
from propylon.problems import MEDIA_TYPE, Problem
from propylon.verifier import Verifier

if TYPE_CHECKING:
    from propylon.adapters.starlette import Source

_REQUIRED, _OPTIONAL = "propylon", "propylonOptional"
_OURS = "Propylon{name}"
_REFUSALS = {"401": "Not signed in", "403": "Not allowed", "503": "Nobody can say at the moment"}


class Auth:
    """Guards apps by a ``Propylon`` in this process, or by a ``Verifier`` of one elsewhere."""

    def __init__(self, source: Source) -> None:
        self._starlette = starlette.Auth(source)
        self._schemes: dict[str, Any] = {"accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        if not isinstance(source, Verifier):
            self._schemes["sessionCookie"] = {"type": "apiKey", "in": "cookie", "name": source.config.session_cookie}

    def guard(self, app: FastAPI, *, mount: bool = True) -> None:
        """Guard an app, and describe in its OpenAPI document how; see ``starlette.Auth.guard``.

        An app that makes its document itself (``app.openapi = ...``) does so before this is called.

        Args:
            app: what to guard. An app that is mounted in it answers refusals itself: guard it too.
            mount: serve Propylon's pages and API in this app, below the path of its public URL.

        Raises:
            SetupError: the public URL names no path to mount at.
        """
        self._starlette.guard(app, mount=mount)
        generate = app.openapi

        def described() -> dict[str, Any]:
            document = generate()
            _describe(document, self._schemes)
            return document

        app.openapi = described  # type: ignore[method-assign]  # how FastAPI's guide extends the document

    async def sign_out(self, request: Request, response: Response | None = None) -> Response:
        """End the caller's session; return the answer that clears it in their browser (204 without ``response``).

        Raises:
            CredentialRefused: nobody is signed in.
            Forbidden: a cookie came with a request of another site.
            PropylonError: ``not_at_hand``: a ``Verifier`` ends nothing; the client asks the Propylon elsewhere.
        """
        return await self._starlette.sign_out(request, response)


class User(SecurityBase):
    """The dependency behind ``SignedIn``."""

    def __init__(self) -> None:
        self.model = HTTPBearer()
        self.scheme_name = _REQUIRED

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return who is calling, of a request or a websocket, or refuse."""
        principal: Principal = await starlette.asking(connection).principal()
        return principal


class MaybeUser(SecurityBase):
    """The dependency behind ``Visitor``."""

    def __init__(self) -> None:
        self.model = HTTPBearer()
        self.scheme_name = _OPTIONAL

    async def __call__(self, connection: HTTPConnection) -> Principal | None:
        """Return who is calling, or None for a visitor who presents nothing; a bad credential is refused."""
        principal: Principal | None = await starlette.asking(connection).principal_or_none()
        return principal


class DemandingUser(SecurityBase):
    """The dependency behind ``require``. Two of one demand are the same dependency, also to be overridden.

    It asks by itself and not through ``User``: FastAPI takes longer to resolve a dependency than Propylon to answer.
    """

    def __init__(self, demand: Demand) -> None:
        self.model = HTTPBearer()
        self.scheme_name = _REQUIRED
        self._demand, self._hash = demand, hash(demand)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DemandingUser) and self._demand == other._demand

    def __hash__(self) -> int:
        return self._hash

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return who is calling where they meet the demand, or refuse."""
        principal: Principal = await starlette.asking(connection).require(self._demand)
        return principal


user, visitor = User(), MaybeUser()

SignedIn: TypeAlias = Annotated[Principal, Security(user)]
"""A parameter of this type is who is calling; nobody else gets in."""

Visitor: TypeAlias = Annotated[Principal | None, Security(visitor)]
"""A parameter of this type is who is calling, or None; a bad credential is refused."""


def require(
    *, roles: Names = (), permissions: Names = (), scopes: Names = (), fresh_s: int | None = None, left_s: int = 0
) -> Any:
    """Return a dependency that gives the principal, and refuses who does not meet all of this.

    It stands where FastAPI takes one: ``Annotated[Principal, require(roles="admin")]`` for a parameter, and in
    ``dependencies=[...]`` of a route, a router or an app. A test overrides ``require(roles="admin").dependency``.

    Args:
        roles: that the user must hold.
        permissions: that the user's roles must grant.
        scopes: that an access token must cover; shown in the OpenAPI document.
        fresh_s: the password was given within so many seconds (step-up); else 401 ``reauthentication_required``.
        left_s: an access token is good for so many more seconds; else 401 ``token_expiring``.
    """
    demand = Demand.of(roles=roles, permissions=permissions, scopes=scopes, fresh_s=fresh_s, left_s=left_s)
    return Security(DemandingUser(demand), scopes=sorted(demand.scopes))


def require_fresh(seconds: int) -> Any:
    """Return a dependency that asks for the password again when it was given longer ago than this."""
    return require(fresh_s=seconds)


def _describe(document: dict[str, Any], schemes: dict[str, Any]) -> None:
    """Say of each operation that asks who is calling by what it is told, and how it refuses."""
    components = document.get("components", {})
    found = components.get("securitySchemes", {})
    if not {_REQUIRED, _OPTIONAL} & found.keys():
        return  # nothing asks, or it was described before: FastAPI keeps the document
    components["securitySchemes"] = {
        **{name: scheme for name, scheme in found.items() if name not in (_REQUIRED, _OPTIONAL)},
        **schemes,
    }
    # Under names of ours: the app may have a Problem and a Device of its own.
    (problem,), schemas = msgspec.json.schema_components([Problem], ref_template=f"#/components/schemas/{_OURS}")
    components.setdefault("schemas", {}).update({_OURS.format(name=name): schema for name, schema in schemas.items()})
    for operation in _operations(document):
        _describe_operation(operation, schemes, problem)


def _describe_operation(operation: dict[str, Any], schemes: dict[str, Any], problem: dict[str, Any]) -> None:
    asked = {name: scopes for needed in operation.get("security", ()) for name, scopes in needed.items()}
    if not {_REQUIRED, _OPTIONAL} & asked.keys():
        return
    others = [{name: scopes} for name, scopes in asked.items() if name not in (_REQUIRED, _OPTIONAL)]
    # A list of alternatives; the empty one says that nothing is fine too.
    nobody: list[dict[str, list[str]]] = [] if _REQUIRED in asked else [{}]
    scopes = asked.get(_REQUIRED, [])
    ours = [{name: scopes if name == "accessToken" else []} for name in schemes]
    operation["security"] = [*nobody, *others, *ours]
    content = {MEDIA_TYPE: {"schema": problem}}
    for status, description in _REFUSALS.items():
        operation["responses"].setdefault(status, {"description": description, "content": content})


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        yield from (operation for operation in path.values() if isinstance(operation, dict))
