"""Propylon in a Litestar app.

Example:
    ::

        @get("/me")
        async def me(who: SignedIn) -> dict[str, str]: ...


        @get("/admin", guards=[require(roles="admin")])
        async def admin(request: Request[Principal, str, State]) -> str: ...


        auth = Auth(Propylon.from_env())  # or a Verifier, for a Propylon elsewhere
        app = Litestar([me, admin], plugins=[auth])
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from litestar import HttpMethod, Litestar, Request, Response, handlers
from litestar.config.app import AppConfig
from litestar.config.csrf import CSRFConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.di import NamedDependency, Provide
from litestar.exceptions import WebSocketException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import SkipValidation
from litestar.plugins import InitPlugin, ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import ASGIApp

from propylon import Demand, Principal, PropylonError, SetupError
from propylon.core.demand import Names
from propylon.problems import MEDIA_TYPE, Problem
from propylon.verifier import Verifier

if TYPE_CHECKING:  # who only verifies has no server installed
    from propylon import Propylon

    Source: TypeAlias = Propylon | Verifier

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]

WHO, VISITOR = "who", "visitor"

SignedIn: TypeAlias = NamedDependency[SkipValidation[Principal]]
"""A parameter ``who: SignedIn`` is who is calling; nobody else gets in. Litestar injects by name: it is ``who``."""

Visitor: TypeAlias = NamedDependency[SkipValidation[Principal | None]]
"""A parameter ``visitor: Visitor`` is who is calling, or None; a bad credential is refused."""

_UNGUARDED = "nobody guards this app: give it an Auth of propylon.adapters.litestar, Litestar(..., plugins=[auth])"
_OPEN = "exclude_from_auth"  # Litestar's own word for it
_METHODS = tuple(HttpMethod)
_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1
_REFUSALS = {401: "Not signed in", 403: "Not allowed", 503: "Nobody can say at the moment"}


class Auth(InitPlugin, ReceiveRoutePlugin):
    """A plugin that guards an app by a ``Propylon`` in this process, or by a ``Verifier`` of one elsewhere.

    It provides two dependencies, ``who: SignedIn`` and ``visitor: Visitor``. These, and guards of ``require``, fill
    ``connection.user`` with the principal and ``connection.auth`` with the kind of its credential. A route that
    asks for none of these pays nothing.

    People who open a page without being signed in are led to Propylon's sign-in and back. By a ``Verifier`` nobody
    is: it knows tokens alone, and whoever came back would still have none.

    Args:
        source: who knows.
        mount: serve Propylon's pages and API in this app, below the path of its public URL. False where it runs
            elsewhere on the same store. A ``Verifier`` mounts nothing.
        root_path: what the server says that a proxy serves the app below (``uvicorn --root-path``), where the public
            URL begins with it. Litestar learns it with each request, and needs its routes before.

    Raises:
        SetupError: the public URL names no path to mount at, or one that is not below that of the app.
    """

    def __init__(self, source: Source, *, mount: bool = True, root_path: str = "") -> None:
        self._source, self._mount, self._pages = source, "", None
        self._root_path = _path(root_path)
        self._schemes = {"accessToken": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        if isinstance(source, Verifier):
            return
        config = source.config
        self._pages = config.prefix if mount else config.public_url
        if not self._pages:
            raise SetupError("adapter_mount", url=config.public_url)
        self._mount = config.prefix if mount else ""
        cookie = SecurityScheme(type="apiKey", security_scheme_in="cookie", name=config.session_cookie)
        self._schemes["sessionCookie"] = cookie

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Take part in the app (called by Litestar)."""
        app_config.lifespan.insert(0, self._live)
        protect: Any = self._source.protect  # the types of Litestar's own scopes are not those of ASGI
        app_config.middleware.insert(0, DefineMiddleware(protect, pages=self._pages))
        app_config.exception_handlers = {PropylonError: self._refuse, **app_config.exception_handlers}
        for name, provide in ((WHO, user), (VISITOR, visitor)):
            app_config.dependencies.setdefault(name, Provide(provide))
        if self._mount:
            app_config.route_handlers.append(self._mounted(_path(app_config.path), app_config.csrf_config))
        if app_config.openapi_config is not None:
            app_config.openapi_config = copy(app_config.openapi_config)
            before = app_config.openapi_config.components
            ours = Components(security_schemes=dict(self._schemes))
            app_config.openapi_config.components = [*(before if isinstance(before, list) else [before]), ours]
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Say in the OpenAPI document of each guarded route by what it is told, and how it refuses.

        Raises:
            SetupError: its answers are cached, and given to whoever comes next.
        """
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            asks = _asks(handler)
            if asks is None:
                continue
            demand, optional = asks
            if handler.cache and not any(isinstance(guard, DemandGuard) for guard in handler.resolve_guards()):
                # Litestar looks into the cache after guards and before dependencies: it would ask nobody.
                raise SetupError("adapter_cached", path=route.path)
            nobody: list[dict[str, list[str]]] = [{}] if optional else []
            scopes = sorted(demand.scopes)
            ours = [{name: scopes if name == "accessToken" else []} for name in self._schemes]
            handler.security = [*(handler.security or ()), *nobody, *ours]
            told = {status: ResponseSpec(Problem, description=said, media_type=MEDIA_TYPE, generate_examples=False)
                    for status, said in _REFUSALS.items()}  # fmt: skip
            handler.responses = {**told, **(handler.responses or {})}

    async def sign_out(self, request: Request[Any, Any, Any], response: Response[Any] | None = None) -> Response[Any]:
        """End the caller's session, everywhere and at once; return the answer that clears it in their browser.

        Args:
            request: of whoever leaves.
            response: to add the headers to; without it, 204.

        Raises:
            CredentialRefused: nobody is signed in.
            Forbidden: a cookie came with a request of another site.
            PropylonError: ``not_at_hand``: a ``Verifier`` ends nothing; the client asks the Propylon elsewhere.
        """
        if isinstance(self._source, Verifier):
            raise PropylonError("not_at_hand")
        answer: Response[Any] = response if response is not None else Response(None, status_code=204)
        for name, value in await self._source.sign_out(_scope(request)):
            if name == "set-cookie":
                answer.set_cookie(_cookie(value))
            else:
                answer.headers[name] = value
        return answer

    @asynccontextmanager
    async def _live(self, _: Litestar) -> AsyncIterator[None]:
        async with self._source:
            yield

    def _mounted(self, app_path: str, csrf: CSRFConfig | None) -> HTTPRouteHandler:
        """Return the route of Propylon in an app whose own path Litestar puts before it."""
        propylon, above = cast("Propylon", self._source), self._root_path + app_path
        if not self._mount.startswith(f"{above}/"):
            raise SetupError("adapter_below", url=propylon.config.public_url, path=above)
        root, path = self._mount.removeprefix(self._root_path), self._mount.removeprefix(above)
        # Propylon looks itself where a request comes from; its forms and clients know nothing of Litestar's token.
        opt = {_OPEN: True, **({csrf.exclude_from_csrf_key: True} if csrf is not None else {})}

        async def below(scope: Any, receive: Any, send: Any) -> None:
            outer, path = scope.get("root_path", ""), scope["path"]
            path = f"{root}/" if path == root else path  # Litestar took the slash of the start page
            await propylon({**scope, "root_path": outer + root, "path": outer + path}, receive, send)

        # A route that answers with an ASGI app, and no mount: Litestar's takes "/authors" for "/auth" too.
        @handlers.route([path, f"{path}/{{rest:path}}"], http_method=_METHODS, include_in_schema=False, opt=opt)
        async def serve_propylon() -> ASGIApp:
            return below

        return serve_propylon

    def _refuse(self, request: Request[Any, Any, Any], error: PropylonError) -> Response[bytes]:
        scope = _scope(request)
        whole = scope.get("root_path", "").rstrip("/") + scope["path"]  # Litestar has taken the one off the other
        told = self._source.reply(error, {**scope, "path": whole}, pages=self._pages)
        media_type = told.headers.pop("content-type", "text/plain")
        return Response(told.body, status_code=told.status, headers=told.headers, media_type=media_type)


class DemandGuard:
    """A guard that lets through who meets a demand."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Refuse, or fill ``connection.user`` and ``connection.auth``."""
        if handler.opt.get(_OPEN):
            return
        scope = _scope(connection)
        asked = _asking(scope)
        try:
            _know(scope, await asked.require(self.demand))
        except PropylonError as refusal:
            _close_websocket(scope, refusal)
            raise


def require(
    *, roles: Names = (), permissions: Names = (), scopes: Names = (), fresh_s: int | None = None, left_s: int = 0
) -> DemandGuard:
    """Return a guard that refuses who does not meet all of this; with nothing, who is not signed in.

    A handler with ``exclude_from_auth=True`` is not held by it, as Propylon's own pages below an app's guards.

    Args:
        roles: that the user must hold.
        permissions: that the user's roles must grant.
        scopes: that an access token must cover; shown in the OpenAPI document.
        fresh_s: the password was given within so many seconds (step-up); else 401 ``reauthentication_required``.
        left_s: an access token is good for so many more seconds; else 401 ``token_expiring``.
    """
    demand = Demand.of(roles=roles, permissions=permissions, scopes=scopes, fresh_s=fresh_s, left_s=left_s)
    return DemandGuard(demand)


def require_fresh(seconds: int) -> DemandGuard:
    """Return a guard that asks for the password again when it was given longer ago than this."""
    return require(fresh_s=seconds)


async def user(request: Connection) -> Principal:
    """Return who is calling, or refuse; in a route this is quicker than the dependency ``who: SignedIn``.

    A websocket is asked anew each time.

    Raises:
        CredentialRefused: nobody is signed in, or the credential is refused.
        Forbidden: a cookie came with an unsafe request of another site.
        Unavailable: nobody can say at the moment.
        RuntimeError: nobody guards the app.
    """
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]  # no call: this is asked at every request
    asked = _asking(scope)
    try:
        principal: Principal = await asked.principal()
    except PropylonError as refusal:
        _close_websocket(scope, refusal)
        raise
    scope["user"], scope["auth"] = principal, principal.credential
    return principal


async def visitor(request: Connection) -> Principal | None:
    """Return who is calling, or None for a visitor who presents nothing; a bad credential is refused."""
    scope = _scope(request)
    asked = _asking(scope)
    try:
        principal: Principal | None = await asked.principal_or_none()
    except PropylonError as refusal:
        _close_websocket(scope, refusal)
        raise
    _know(scope, principal)
    return principal


def _asking(scope: dict[str, Any]) -> Any:
    """Return the question "who is calling?" of a request or a websocket."""
    try:
        return scope["propylon"]
    except KeyError:
        raise RuntimeError(_UNGUARDED) from None


def _close_websocket(scope: dict[str, Any], refusal: PropylonError) -> None:
    """Raise what closes a websocket, of which no exception handler is asked."""
    if scope["type"] == "websocket":
        raise WebSocketException(detail=refusal.code, code=_POLICY_VIOLATION) from refusal


def _path(path: str) -> str:
    """Return a path as it is put before another one."""
    inner = path.strip("/")
    return f"/{inner}" if inner else ""


def _scope(connection: Connection) -> dict[str, Any]:
    return cast("dict[str, Any]", connection.scope)


def _know(scope: dict[str, Any], principal: Principal | None) -> None:
    scope["user"], scope["auth"] = principal, principal.credential if principal else None


def _asks(handler: HTTPRouteHandler) -> tuple[Demand, bool] | None:
    """Return what a handler demands, and whether nobody is fine too; None where it does not ask."""
    if handler.opt.get(_OPEN):
        return None
    demands = [guard.demand for guard in handler.resolve_guards() if isinstance(guard, DemandGuard)]
    provided = {name: provide.dependency for name, provide in handler.resolve_dependencies().items()}
    taken = {provided[name] for name in handler.parsed_fn_signature.parameters if name in provided}
    if not demands and not taken & {user, visitor}:
        return None
    scopes = frozenset[str]().union(*(demand.scopes for demand in demands))
    return Demand.of(scopes=scopes), not demands and user not in taken


def _cookie(line: str) -> Cookie:
    ((name, morsel),) = SimpleCookie(line).items()
    return Cookie(
        key=name,
        value=morsel.value,
        max_age=int(morsel["max-age"]),
        path=morsel["path"],
        httponly=bool(morsel["httponly"]),
        samesite=morsel["samesite"].lower(),
        secure=bool(morsel["secure"]),
    )
