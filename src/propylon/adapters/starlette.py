"""Propylon in a Starlette app.

Example:
    ::

        auth = Auth(Propylon.from_env())  # or a Verifier, for a Propylon elsewhere
        app = Starlette(routes=[Route("/me", me)])
        auth.guard(app)


        async def me(request: Request) -> JSONResponse:
            who = await user(request)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import isclass, iscoroutinefunction
from itertools import takewhile
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Scope
from starlette.websockets import WebSocket

from propylon import Demand, Principal, PropylonError, SetupError
from propylon.core.demand import Names
from propylon.core.navigation import mounted_at, whole_path
from propylon.verifier import Verifier

if TYPE_CHECKING:  # who only verifies has no server installed
    from propylon import Propylon

    Source: TypeAlias = Propylon | Verifier

P = ParamSpec("P")

UNGUARDED = "nobody guards this app: call auth.guard(app), of an Auth of propylon.adapters, before it is served"
"""What an app is told that asks who is calling and was never guarded."""


class Auth:
    """Guards apps by a ``Propylon`` in this process, or by a ``Verifier`` of one elsewhere."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def guard(self, app: Starlette, *, mount: bool = True) -> None:
        """Guard an app: who is calling is known in it, refusals are answered, and the source lives as long as it.

        People who open a page without being signed in are led to Propylon's sign-in and back. By a ``Verifier``
        nobody is: it knows tokens alone, and whoever came back would still have none.

        Args:
            app: what to guard. An app that is mounted in it answers refusals itself: guard it too. Its middleware may
                ask who is calling, whether it is added before or after.
            mount: serve Propylon's pages and API in this app, below the path of its public URL, before whatever
                other route takes that path. False where it runs elsewhere on the same store, and for an app within a
                guarded one. A ``Verifier`` mounts nothing.

        Raises:
            SetupError: the public URL names no path to mount at.
        """
        pages = None
        if not isinstance(self._source, Verifier):
            config = self._source.config
            pages = config.prefix if mount else config.public_url
            if not pages:
                raise SetupError("adapter_mount", url=config.public_url)
            if mount:
                app.router.routes.insert(0, _PublicMount(pages, app=self._source))
        app.add_middleware(self._source.protect, pages=pages)
        _protect_what_is_added_later(app, app.user_middleware[0])
        app.add_exception_handler(PropylonError, self._refusing(pages))

    async def sign_out(self, request: Request, response: Response | None = None) -> Response:
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
        answer = response if response is not None else Response(status_code=204)
        for name, value in await self._source.sign_out(request.scope):
            answer.headers.append(name, value)
        return answer

    def _refusing(self, pages: str | None) -> Callable[[Any, Exception], Any]:
        async def refuse(connection: Request | WebSocket, error: Exception) -> Response | None:
            if not isinstance(error, PropylonError):
                raise error
            if isinstance(connection, WebSocket):
                await connection.close(WS_1008_POLICY_VIOLATION, error.code)  # before it was accepted: a 403
                return None
            told = self._source.reply(error, connection.scope, pages=pages)
            return Response(told.body, told.status, told.headers)

        return refuse


class _PublicMount(Mount):
    """A mount below the path of the public URL: at ``/api/auth`` also in an app whose ``root_path`` is ``/api``."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether this is for Propylon, and the scope that it then gets."""
        path, root = scope["path"], scope.get("root_path", "")
        if not root and not path.startswith(self.path):
            return Match.NONE, {}  # nearly always; this is looked at before every other route
        path = whole_path(path, root)
        place = mounted_at(self.path, path, root)
        if place is None:
            return Match.NONE, {}
        here = {"path": path, "root_path": place, "app_root_path": scope.get("app_root_path", root)}
        return Match.FULL, {**here, "endpoint": self.app}


def _may_ask(middleware: Middleware) -> bool:
    kind: Any = middleware.cls
    return kind not in (CORSMiddleware, GZipMiddleware, HTTPSRedirectMiddleware, TrustedHostMiddleware)


def _protect_what_is_added_later(app: Starlette, ours: Middleware) -> None:
    """Let also middleware ask, and be answered for, that is added to an app after ``ours`` and so runs before it.

    That takes another one before it. It is no use to move ours: later middleware may give requests their credential.
    """
    build = app.build_middleware_stack

    def build_protected() -> ASGIApp:
        added = app.user_middleware
        outside = takewhile(lambda each: each is not ours, added)
        first: Middleware = next(filter(_may_ask, outside), ours)
        if first is ours:
            return build()
        place = added.index(first)
        app.user_middleware = [*added[:place], ours, *added[place:]]
        try:
            return build()
        finally:
            app.user_middleware = added

    app.build_middleware_stack = build_protected  # type: ignore[method-assign]  # there is no other way in


def asking(connection: HTTPConnection) -> Any:
    """Return the question "who is calling?" of a request or a websocket.

    Raises:
        RuntimeError: nobody guards the app.
    """
    try:
        return connection.scope["propylon"]
    except KeyError:
        raise RuntimeError(UNGUARDED) from None


def user(connection: HTTPConnection) -> Awaitable[Principal]:
    """Return who is calling, of a request or a websocket; to be awaited. A websocket is asked anew each time.

    Raises:
        CredentialRefused: nobody is signed in, or the credential is refused.
        Forbidden: a cookie came with an unsafe request of another site.
        Unavailable: nobody can say at the moment.
        RuntimeError: nobody guards the app.
    """
    asked: Awaitable[Principal] = asking(connection).principal()
    return asked


def visitor(connection: HTTPConnection) -> Awaitable[Principal | None]:
    """Return who is calling, or None for a visitor who presents nothing; a bad credential is refused. To be awaited."""
    asked: Awaitable[Principal | None] = asking(connection).principal_or_none()
    return asked


def require(
    *, roles: Names = (), permissions: Names = (), scopes: Names = (), fresh_s: int | None = None, left_s: int = 0
) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Return a decorator of endpoints that refuses who does not meet all of this; with nothing, who is not signed in.

    Args:
        roles: that the user must hold.
        permissions: that the user's roles must grant.
        scopes: that an access token must cover.
        fresh_s: the password was given within so many seconds (step-up); else 401 ``reauthentication_required``.
        left_s: an access token is good for so many more seconds; else 401 ``token_expiring``.

    Raises:
        TypeError: a class is decorated; its methods are what answers.
    """
    demand = Demand.of(roles=roles, permissions=permissions, scopes=scopes, fresh_s=fresh_s, left_s=left_s)

    def decorate(endpoint: Callable[P, Any]) -> Callable[P, Any]:
        if isclass(endpoint):
            raise TypeError(f"{endpoint.__name__} is a class: decorate its methods that answer (get, post, ...)")

        # Of an object that is called, its class says whether it is awaited.
        awaits = iscoroutinefunction(endpoint) or iscoroutinefunction(type(endpoint).__call__)

        @wraps(endpoint)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            # A function is given the connection first, a method of an ``HTTPEndpoint`` after itself.
            connection = next(given for given in args if isinstance(given, HTTPConnection))
            await asking(connection).require(demand)
            if awaits:
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        guarded.__name__ = getattr(endpoint, "__name__", type(endpoint).__name__)  # by which Starlette names a route
        return guarded

    return decorate


def require_fresh(seconds: int) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Return a decorator that asks for the password again when it was given longer ago than this."""
    return require(fresh_s=seconds)
