"""Propylon in a Django project.

Example:
    ::

        PROPYLON = {"SOURCE": Propylon.from_env()}  # or a Verifier, for a Propylon elsewhere
        MIDDLEWARE = ["propylon.adapters.django.PropylonMiddleware"]

        urlpatterns = [path("auth/", include("propylon.adapters.django")), path("admin", admin)]


        @require(roles="admin")
        def admin(request: HttpRequest) -> HttpResponse: ...

Settings in ``PROPYLON``:

``SOURCE``
    A ``Propylon``, which is opened at the first question in each process of the server, or a ``Verifier``. Without it,
    ``Propylon.from_env()``.
``MOUNT``
    Whether this module is among the URLs, below the path of the public URL: True unless said otherwise. False where
    the pages are served elsewhere on the same store.
``USER``
    What ``request.user`` is. A ``SignedIn`` or an anonymous user, unless said otherwise; a function (or the dotted path
    of one) makes something else of the ``Principal``, such as a row of your own user model; None leaves
    ``request.user`` to somebody else, such as ``django.contrib.auth`` for the admin site. The function may await or
    not: ``request.user`` and ``await request.auser()`` call either as it wants to be called.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Awaitable, Callable, Iterable
from functools import cache, cached_property, partial, wraps
from http.cookies import SimpleCookie
from inspect import unwrap
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from weakref import ref

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import re_path
from django.utils.module_loading import import_string
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from propylon import Demand, Principal, PropylonError
from propylon.adapters.django_caches import keep_nowhere, nobody_elses, private
from propylon.adapters.django_user import LookedAt, SignedIn, Visitor
from propylon.blocking import Asking, Blocking, served_of
from propylon.core.demand import Names
from propylon.core.principal import SessionData, User
from propylon.problems import status_of
from propylon.verifier import Verifier

if TYPE_CHECKING:  # who only verifies has no server installed
    from propylon import Propylon
    from propylon.blocking.mount import Mount

    Source: TypeAlias = Propylon | Verifier

Maker: TypeAlias = Callable[[Principal], Any]
AwaitedMaker: TypeAlias = Callable[[Principal], Awaitable[Any]]

V = TypeVar("V", bound=Callable[..., Any])


class Auth:
    """What the settings say. ``auth()`` returns the one of this process."""

    def __init__(self, source: Source, *, mount: bool = True) -> None:
        self.blocking = _bridge(source)
        self.pages = self.blocking.pages(mount=mount)
        self.user_of: Maker | None = self._signed_in
        self.user_of_async: AwaitedMaker | None = self._signed_in_async

    @cached_property
    def mount(self) -> Mount:
        """The pages and the API."""
        return self.blocking.mount()

    def refusal(self, request: HttpRequest, error: PropylonError) -> HttpResponse:
        """Return the answer to a request that is refused: problem+json, or the way to the page that resolves it."""
        scope = {**asking(request).scope, "scheme": request.scheme}
        told = self.blocking.reply(error, scope, pages=self.pages)
        return HttpResponse(told.body, status=told.status, headers=told.headers)

    def _signed_in(self, principal: Principal) -> SignedIn:
        return SignedIn(principal, self.blocking)

    async def _signed_in_async(self, principal: Principal) -> SignedIn:
        return SignedIn(principal, self.blocking)


@cache
def auth() -> Auth:
    """Return what the settings say, which is made when it is first needed."""
    given: dict[str, Any] = getattr(settings, "PROPYLON", {})
    source = given.get("SOURCE")
    if source is None:
        from propylon import Propylon  # noqa: PLC0415 - who only verifies has no server installed

        source = Propylon.from_env()
    made = Auth(source, mount=given.get("MOUNT", True))
    if "USER" in given:
        make = given["USER"]
        made.user_of, made.user_of_async = _both_ways(import_string(make) if isinstance(make, str) else make)
    return made


def _both_ways(make: Maker | None) -> tuple[Maker | None, AwaitedMaker | None]:
    """Return what makes a user where nobody awaits and where somebody does.

    A function that does not await runs in the thread to which Django ties its database connections.
    """
    if make is None:
        return None, None
    if not iscoroutinefunction(make):
        return make, sync_to_async(make)

    def make_here(principal: Principal) -> Any:
        return async_to_sync(make)(principal)  # not made before: what it is made in may be another loop

    return make_here, make


@cache
def _bridge(source: Source) -> Blocking:
    """Return the one bridge of a source: settings may be read again (in tests), and it is open once."""
    return Blocking(source)


class PropylonMiddleware:
    """Puts the question "who is calling?" into ``request.propylon``, and its answer into ``request.user``.

    A view that never asks pays nothing. What views refuse is answered here, as problem+json or by leading a person to
    the sign-in. An answer that depends on who is calling is kept by no shared cache. Works under WSGI and ASGI.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        auth()  # made before there are threads; what is wrong with the settings stops the start

    def __call__(self, request: HttpRequest) -> Any:
        """Pass the request on."""
        asked = self._ask(request)
        if self._is_async:
            return self._passed_on(request, asked)
        return nobody_elses(self._get_response(request), asked)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a refusal of a view (called by Django)."""
        return auth().refusal(request, exception) if isinstance(exception, PropylonError) else None

    async def _passed_on(self, request: HttpRequest, asked: Asking) -> HttpResponseBase:
        return nobody_elses(await self._get_response(request), asked)

    def _ask(self, request: HttpRequest) -> Asking:
        ours: Any = request
        settled = auth()
        # Over ASGI, Django joins what came in several headers, cookies too: the server's own word is better.
        scope = getattr(request, "scope", None)
        bridge = settled.blocking
        asked = bridge.asking(request.META, path=request.path) if scope is None else bridge.asking_in(scope)
        ours.propylon = asked
        if settled.user_of is not None:
            alive = ref(request)
            ours.user = LookedAt(partial(_user, asked, alive), alive)
            ours.auser = partial(_user_async, asked, alive)
        return asked


def asking(request: HttpRequest) -> Asking:
    """Return the question of a request, for what is not here: ``asking(request).principal_async()`` and the like."""
    asked: Asking | None = getattr(request, "propylon", None)
    if asked is None:
        raise ImproperlyConfigured("MIDDLEWARE lacks 'propylon.adapters.django.PropylonMiddleware'")
    keep_nowhere(request)
    return asked


def user(request: HttpRequest) -> Principal:
    """Return who is calling, or refuse."""
    return asking(request).principal()


def visitor(request: HttpRequest) -> Principal | None:
    """Return who is calling, or None for a visitor who presents nothing; a bad credential is refused."""
    return asking(request).principal_or_none()


def account(request: HttpRequest) -> User:
    """Return the caller's account: name, e-mail and roles as they are now."""
    return auth().blocking.user(user(request))


def data(request: HttpRequest) -> SessionData:
    """Return the app's data of the caller's session. Where you await: ``await principal.data()``."""
    return auth().blocking.data(user(request))


def update_data(request: HttpRequest, change: Callable[[dict[str, Any]], dict[str, Any]]) -> SessionData:
    """Replace the data of the caller's session by ``change(data)``, losing no concurrent write.

    ``change`` may be called several times and must not keep or alter what it is given.
    """
    return auth().blocking.update_data(user(request), change)


def sign_out(request: HttpRequest, response: HttpResponse | None = None) -> HttpResponse:
    """End the caller's session, everywhere and at once; return the answer that clears it in their browser.

    Args:
        request: of whoever leaves.
        response: to add the headers to; without it, 204.

    Raises:
        CredentialRefused: nobody is signed in.
        Forbidden: a cookie came with a request of another site.
        PropylonError: ``not_at_hand``: a ``Verifier`` ends nothing; the client asks the Propylon elsewhere.
    """
    return _with_headers(response or _bare(204), asking(request).sign_out())


async def sign_out_async(request: HttpRequest, response: HttpResponse | None = None) -> HttpResponse:
    """Do as ``sign_out`` does, in a view that awaits."""
    return _with_headers(response or _bare(204), await asking(request).sign_out_async())


def require(
    *, roles: Names = (), permissions: Names = (), scopes: Names = (), fresh_s: int | None = None, left_s: int = 0
) -> Callable[[V], V]:
    """Return a decorator of views that refuses who does not meet all of this; with nothing, who is not signed in.

    For a class: ``@method_decorator(require(...), name="dispatch")``. Below ``cache_page`` no answer is kept; above it,
    whoever is let in may be given the answer that was made for another.

    Args:
        roles: that the user must hold.
        permissions: that the user's roles must grant.
        scopes: that an access token must cover.
        fresh_s: the password was given within so many seconds (step-up); else 401 ``reauthentication_required``.
        left_s: an access token is good for so many more seconds; else 401 ``token_expiring``.
    """
    demand = Demand.of(roles=roles, permissions=permissions, scopes=scopes, fresh_s=fresh_s, left_s=left_s)

    def decorate(view: V) -> V:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **named: Any) -> Any:
            asking(request).require(demand)
            return private(view(request, *args, **named))

        return cast("V", guarded)

    def decorate_awaited(view: V) -> V:
        @wraps(view)
        async def guarded(request: HttpRequest, *args: Any, **named: Any) -> Any:
            await asking(request).require_async(demand)
            return private(await view(request, *args, **named))

        return cast("V", guarded)

    return lambda view: decorate_awaited(view) if _is_awaited(view) else decorate(view)


def _is_awaited(view: Callable[..., Any]) -> bool:
    """Return whether a view is to be awaited: so is ``dispatch`` of a class that awaits, a plain function itself.

    ``method_decorator`` hands it over, for each request, as a ``partial`` of the method.
    """
    if iscoroutinefunction(view):
        return True
    if _get_running_loop() is None:
        return False  # nobody awaits here; to look closer takes longer than the rest of the decorator
    method = getattr(unwrap(view, stop=lambda layer: isinstance(layer, partial)), "func", None)
    owner = getattr(method, "__self__", None)
    return isinstance(owner, View) and owner.view_is_async


def login_required(view: V) -> V:
    """Refuse who is not signed in."""
    return require()(view)


def require_fresh(seconds: int) -> Callable[[V], V]:
    """Return a decorator that asks for the password again when it was given longer ago than this."""
    return require(fresh_s=seconds)


@login_not_required
@csrf_exempt
def serve(request: HttpRequest, rest: str) -> HttpResponse:
    """Serve Propylon's pages and API, which see to forged requests themselves. For ``include``, see above."""
    root = request.path.removesuffix(rest).rstrip("/")
    told = getattr(request, "scope", None) or served_of(request.META)
    scope = {**told, "path": request.path, "root_path": root, "scheme": request.scheme}
    served = auth().mount.serve(scope, request)
    return _with_headers(_bare(served.status, served.body), served.headers)


urlpatterns = [re_path(r"^(?P<rest>.*)$", serve)]


def _user(asked: Asking, alive: ref[HttpRequest]) -> Any:
    keep_nowhere(alive())
    try:
        principal = asked.principal_or_none()
        make = auth().user_of
        return make(principal) if principal is not None and make is not None else anonymous()
    except PropylonError as refusal:
        return _nobody(refusal)


async def _user_async(asked: Asking, alive: ref[HttpRequest]) -> Any:
    keep_nowhere(alive())
    try:
        principal = await asked.principal_or_none_async()
        make = auth().user_of_async
        return await make(principal) if principal is not None and make is not None else anonymous()
    except PropylonError as refusal:
        return _nobody(refusal)


def _nobody(refusal: PropylonError) -> Any:
    """Return nobody for a credential that says nothing (any more): templates and other middleware look at the user.

    Whoever has to be signed in is refused by a decorator, with the reason. A request of another site, or a store that
    cannot say, is no visitor.
    """
    if status_of(refusal) != 401:
        raise refusal
    return anonymous()


def anonymous() -> Any:
    """Return nobody, as Django knows nobody."""
    if apps.is_installed("django.contrib.auth"):
        from django.contrib.auth.models import AnonymousUser  # noqa: PLC0415 - where it is installed

        return AnonymousUser()
    return Visitor()


def _bare(status: int, body: bytes = b"") -> HttpResponse:
    response = HttpResponse(body, status=status)
    del response.headers["Content-Type"]  # it would say HTML
    return response


def _with_headers(response: HttpResponse, headers: Iterable[tuple[str, str]]) -> HttpResponse:
    for name, value in headers:
        if name.lower() == "set-cookie":
            response.cookies.update(SimpleCookie(value))
        else:
            response.headers[name] = value
    return response


def _look_again(*, setting: str, **_: Any) -> None:
    if setting == "PROPYLON":
        auth.cache_clear()


setting_changed.connect(_look_again)  # of tests that override settings
