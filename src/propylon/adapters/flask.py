"""Propylon in a Flask app.

Example:
    ::

        app = Flask(__name__)
        auth = Auth(Propylon.from_env(), app)  # or a Verifier, for a Propylon elsewhere


        @app.get("/me")
        @require()
        def me() -> dict[str, str]:
            return {"user": current_principal.user_id}
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, cast, overload

from flask import Flask, Response, current_app, request
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response as AnyResponse

from propylon import Demand, Principal, PropylonError
from propylon.blocking import Asking, Blocking
from propylon.core.demand import Names
from propylon.core.principal import SessionData, User
from propylon.verifier import Verifier

if TYPE_CHECKING:  # who only verifies has no server installed
    from propylon import Propylon

    Source: TypeAlias = Propylon | Verifier

Wsgi: TypeAlias = Callable[[Any, Any], Any]

P = ParamSpec("P")
R = TypeVar("R")
Answer = TypeVar("Answer", bound=AnyResponse)  # ``redirect`` and other parts of Flask return werkzeug's

_EXTENSION = "propylon"
_ASKING = "propylon.asking"  # in the environ of a request


class Auth:
    """An extension that guards an app by a ``Propylon`` in this process, or by a ``Verifier`` of one elsewhere.

    A route that asks for nobody pays nothing. Who presents no credential, or a bad one, is refused with problem+json;
    people who open a page are led to Propylon's sign-in and back. By a ``Verifier`` nobody is: it knows tokens alone.

    Args:
        source: who knows. It is opened at the first question, in each process of the server for itself.
        app: the app; or call ``init_app`` later.
        mount: serve Propylon's pages and API in this app, below the path of its public URL, which is the whole one:
            an app that is known below ``/api`` (``SCRIPT_NAME``) has it there too, as in ``/api/auth``. False where
            Propylon runs elsewhere on the same store. A ``Verifier`` mounts nothing.

    Raises:
        SetupError: the public URL names no path to mount at.
    """

    def __init__(self, source: Source, app: Flask | None = None, *, mount: bool = True) -> None:
        self.blocking = Blocking(source)
        self._pages = self.blocking.pages(mount=mount)
        self._mount = mount and not isinstance(source, Verifier)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Guard an app."""
        app.extensions[_EXTENSION] = self
        app.register_error_handler(PropylonError, self.refusal)
        guarded = _telling(app.wsgi_app)
        if self._mount and self._pages is not None:
            guarded = self._mounted(guarded, self._pages)
        app.wsgi_app = guarded  # type: ignore[assignment, method-assign]  # as Flask's documentation has it

    def data(self) -> SessionData:
        """Return the app's data of the caller's session."""
        return self.blocking.data(_asking().principal())

    def update_data(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> SessionData:
        """Replace the data of the caller's session by ``change(data)``, losing no concurrent write.

        ``change`` may be called several times and must not keep or alter what it is given.
        """
        return self.blocking.update_data(_asking().principal(), change)

    def user(self) -> User:
        """Return the caller's account: name, e-mail and roles as they are now."""
        return self.blocking.user(_asking().principal())

    @overload
    def sign_out(self, response: None = None) -> Response: ...

    @overload
    def sign_out(self, response: Answer) -> Answer: ...

    def sign_out(self, response: AnyResponse | None = None) -> AnyResponse:
        """End the caller's session, everywhere and at once; return the answer that clears it in their browser.

        Args:
            response: to add the headers to; without it, 204.

        Raises:
            CredentialRefused: nobody is signed in.
            Forbidden: a cookie came with a request of another site.
            PropylonError: ``not_at_hand``: a ``Verifier`` ends nothing; the client asks the Propylon elsewhere.
        """
        answer = response if response is not None else Response(status=204)
        for name, value in _asking().sign_out():
            answer.headers.add(name, value)
        return answer

    def refusal(self, error: PropylonError) -> Response:
        """Return the answer to a request that is refused: for a blueprint whose own handler catches everything."""
        told = self.blocking.reply(error, _asking().scope, pages=self._pages)
        return Response(told.body, told.status, told.headers)

    def _mounted(self, app: Wsgi, root: str) -> Wsgi:
        mount, below = self.blocking.mount(), f"{root}/"

        def serve(environ: Any, start_response: Any) -> Any:
            path = environ.get("PATH_INFO", "")
            if outer := environ.get("SCRIPT_NAME"):  # the public URL has the whole path, whatever this app is below
                path = outer.rstrip("/") + path
            if path == root or path.startswith(below):
                environ = {**environ, "SCRIPT_NAME": root, "PATH_INFO": path[len(root) :]}
                return mount(environ, start_response)
            return app(environ, start_response)

        return serve


def require(
    *, roles: Names = (), permissions: Names = (), scopes: Names = (), fresh_s: int | None = None, left_s: int = 0
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator of views that refuses who does not meet all of this; with nothing, who is not signed in.

    Args:
        roles: that the user must hold.
        permissions: that the user's roles must grant.
        scopes: that an access token must cover.
        fresh_s: the password was given within so many seconds (step-up); else 401 ``reauthentication_required``.
        left_s: an access token is good for so many more seconds; else 401 ``token_expiring``.
    """
    demand = Demand.of(roles=roles, permissions=permissions, scopes=scopes, fresh_s=fresh_s, left_s=left_s)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        awaits = iscoroutinefunction(view)

        @wraps(view)
        def guarded(*args: P.args, **named: P.kwargs) -> R:
            _asking().require(demand)
            if not awaits:
                return view(*args, **named)
            answer: R = current_app.ensure_sync(view)(*args, **named)
            return answer

        return guarded

    return decorate


def require_fresh(seconds: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that asks for the password again when it was given longer ago than this."""
    return require(fresh_s=seconds)


def visitor() -> Principal | None:
    """Return who is calling, or None for a visitor who presents nothing; a bad credential is refused."""
    return _asking().principal_or_none()


def _telling(app: Wsgi) -> Wsgi:
    """Tell a client whose session is asked to move, where the request has asked who is calling.

    Outside of Flask, so that hooks of the app, and handlers of its errors, may ask too.
    """

    def serve(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *fault: Any) -> Any:
            asking: Asking | None = environ.get(_ASKING)
            if asking is not None and (told := asking.told):
                headers = [*headers, *told]
            return start_response(status, headers, *fault)

        return app(environ, start)

    return serve


def _asking() -> Asking:
    environ = request.environ  # once: every look through Flask's proxy costs as much as a look-up of ours
    asking: Asking | None = environ.get(_ASKING)
    if asking is None:
        auth: Auth = current_app.extensions[_EXTENSION]
        asking = environ[_ASKING] = auth.blocking.asking(environ)
    return asking


current_principal = cast("Principal", LocalProxy(lambda: _asking().principal()))
"""Who is calling; whoever looks at it without being signed in is refused."""
