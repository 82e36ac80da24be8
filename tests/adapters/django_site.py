"""A Django project in this process, with what the example has not: views that await, classes, the caches, the users.

Django has one set of settings a process, so all tests in process share these.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt

OUR_MIDDLEWARE = "propylon.adapters.django.PropylonMiddleware"

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=[],
        MIDDLEWARE=[OUR_MIDDLEWARE],
        SECRET_KEY="for tests alone",
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": ["propylon.adapters.drf.PropylonAuthentication"],
            "EXCEPTION_HANDLER": "propylon.adapters.drf.exception_handler",
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "UNAUTHENTICATED_USER": "propylon.adapters.django_user.Visitor",
        },
    )
    django.setup()

# Django has to be set up before any of its apps, the framework among them, is imported.
from rest_framework.exceptions import PermissionDenied  # noqa: E402
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission, IsAuthenticated  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from propylon.adapters.django import (  # noqa: E402
    account,
    asking,
    login_required,
    require,
    sign_out,
    sign_out_async,
    user,
    visitor,
)
from propylon.adapters.drf import HasPermission, HasRole, HasScope, IsFresh, IsSignedIn  # noqa: E402
from propylon.adapters.drf import require as framework_require  # noqa: E402


def seen(user: Any) -> HttpResponse:
    """Answer what a template would make of a user."""
    return JsonResponse(
        {
            "user": user.pk,
            "known": user.is_authenticated,
            "editor": user.groups.filter(name="editor").exists(),
            "writes": user.has_perm("posts.write"),
        }
    )


def looks(request: HttpRequest) -> HttpResponse:
    """Look at ``request.user``."""
    return seen(request.user)


async def looks_async(request: HttpRequest) -> HttpResponse:
    """Look at it where one awaits."""
    return seen(await request.auser())


def details(request: HttpRequest) -> HttpResponse:
    """Ask ``request.user`` everything that Django's own code asks one."""
    user: Any = request.user
    return JsonResponse(
        {
            "text": str(user),
            "username": user.get_username(),
            "email": user.email,
            "name": [user.get_full_name(), user.get_short_name()],
            "flags": [user.is_active, user.is_anonymous, user.is_staff, user.is_superuser],
            "all": sorted(user.get_all_permissions()),
            "object": user.has_perm("posts.write", object()),
            "both": user.has_perms(["posts.write", "posts.read"]),
            "more": user.has_perms(["posts.write", "posts.burn"]),
            "modules": [user.has_module_perms("posts"), user.has_module_perms("post")],
            "groups": list(user.groups),
            "account": account(request).email,
        }
    )


def row(request: HttpRequest) -> HttpResponse:
    """Answer the key of whatever ``request.user`` is."""
    return HttpResponse(request.user.pk)


async def row_async(request: HttpRequest) -> HttpResponse:
    """Answer the same where one awaits."""
    return HttpResponse((await request.auser()).pk)


def public(_: HttpRequest) -> HttpResponse:
    """Answer everybody the same."""
    return HttpResponse("the same")


def aged(request: HttpRequest) -> HttpResponse:
    """Say of what age an answer is, by the header that is asked for."""
    asking(request).principal_or_none()
    return HttpResponse("mine", headers={request.GET["by"]: '"1"'})


def varied(request: HttpRequest) -> HttpResponse:
    """Say oneself for how long an answer may be kept and who may, and by what it differs."""
    visitor(request)
    return HttpResponse("mine", headers={"Cache-Control": request.GET["said"], "Vary": "Accept, cookie"})


def session(request: HttpRequest) -> HttpResponse:
    """Answer which session is calling."""
    return HttpResponse(user(request).session_id)


def perhaps(request: HttpRequest) -> HttpResponse:
    """Answer the same where visitors are welcome."""
    who = visitor(request)
    return HttpResponse(who.session_id if who else "")


def looks_for_session(request: HttpRequest) -> HttpResponse:
    """Answer the same of ``request.user``."""
    known: Any = request.user
    return HttpResponse(known.principal.session_id if known.is_authenticated else "")


async def looks_for_session_async(request: HttpRequest) -> HttpResponse:
    """Answer the same where one awaits."""
    known: Any = await request.auser()
    return HttpResponse(known.principal.session_id if known.is_authenticated else "")


async def session_async(request: HttpRequest) -> HttpResponse:
    """Answer which session is calling, where one awaits."""
    return HttpResponse((await asking(request).principal_async()).session_id)


def once(_: HttpRequest) -> HttpResponse:
    """Answer differently each time, whoever is calling."""
    return HttpResponse(secrets.token_hex())


kept = cache_page(60)


@login_required
async def awaits(request: HttpRequest) -> HttpResponse:
    """Work where one awaits: a principal, its data, its account."""
    principal = await asking(request).principal_async()
    await asyncio.gather(*(principal.update_data(lambda data: {"n": data.get("n", 0) + 1}) for _ in range(3)))
    return JsonResponse({**(await principal.data()).value, "email": (await principal.user()).email})


async def leaves(request: HttpRequest) -> HttpResponse:
    """Sign out where one awaits."""
    return await sign_out_async(request)


def leaves_for(request: HttpRequest) -> HttpResponse:
    """Sign out and lead on."""
    return sign_out(request, HttpResponse(status=303, headers={"Location": "/"}))


@method_decorator(require(permissions="posts.write"), name="dispatch")
class Posts(View):
    """A class, held as a whole."""

    def get(self, _: HttpRequest, number: int) -> HttpResponse:
        """Answer."""
        return HttpResponse(str(number))


@method_decorator(require(), name="dispatch")
class Awaiting(View):
    """A class that awaits, held as a whole."""

    async def get(self, _: HttpRequest) -> HttpResponse:
        """Answer."""
        return HttpResponse("awaited")


@method_decorator([require(), csrf_exempt], name="dispatch")
class AwaitingExempt(Awaiting):
    """The same below two decorators more, one of them between it and ours."""


class Answering(APIView):
    """A view of the framework."""

    def get(self, request: Request) -> Response:
        """Answer who asks."""
        return Response({"user": request.user.pk, "auth": getattr(request.auth, "user_id", None)})

    post = get


class OneThing(Answering):
    """A view of one thing, of which the permissions are asked too."""

    def get(self, request: Request) -> Response:
        """Answer who asks, if the thing is for them."""
        self.check_object_permissions(request, object())
        return super().get(request)


@method_decorator(kept, name="get")
class KeptBelow(APIView):
    """A view whose answers are kept, below the framework's own question."""

    def get(self, request: Request) -> Response:
        """Answer which session is calling."""
        return Response({"code": user(request).session_id})


@method_decorator(kept, name="dispatch")
class KeptAbove(APIView):
    """A view whose answers are kept, above that question."""

    def get(self, request: Request) -> Response:
        """Answer which session is calling."""
        principal: Any = request.auth
        return Response({"code": principal.session_id})


class Denying(APIView):
    """A view with a reason of its own to deny."""

    def get(self, request: Request) -> Response:
        """Deny, in the view's own words if there are any."""
        raise PermissionDenied(request.query_params.get("said"))


def framework(where: str, *needed: Any, view: type[APIView] = Answering, **how: Any) -> URLPattern:
    """Return a route of the framework that needs these permissions."""
    return path(f"api/{where}", view.as_view(permission_classes=needed, **how))


class Never(BasePermission):
    """Refuses everybody, as an app's own permission may."""

    message = "not on Sundays"

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return False."""
        return False


class Reads(BasePermission):
    """Lets everybody read."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether they only read."""
        return request.method in SAFE_METHODS


class Owns(BasePermission):
    """Keeps all things from everybody."""

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        """Return False."""
        return False


LASTS = framework_require(left_s=10**9)  # no token does

urlpatterns: list[URLPattern | URLResolver] = [
    path("auth/", include("propylon.adapters.django")),
    path("looks", looks),
    path("looks-async", looks_async),
    path("details", details),
    path("row", row),
    path("row-async", row_async),
    path("public", public),
    path("aged", aged),
    path("varied", varied),
    path("awaits", awaits),
    path("kept/guarded", kept(require()(session))),
    path("kept/guarded-async", kept(require()(session_async))),
    path("kept/guarded-above-too", require()(kept(require()(session)))),
    path("kept/asks", kept(session)),
    path("kept/asks-below-a-guard", require()(kept(session))),
    path("kept/asks-visitors", kept(perhaps)),
    path("kept/asks-async", kept(session_async)),
    path("kept/looks", kept(looks_for_session)),
    path("kept/says", kept(lambda request: HttpResponse(f"{request.user}"))),
    path("kept/compares", kept(lambda request: HttpResponse(f"{request.user == visitor}, {secrets.token_hex()}"))),
    path("kept/looks-async", kept(looks_for_session_async)),
    path("shared", require()(kept(once))),
    path("leaves", leaves),
    path("leaves-for", leaves_for),
    path("awaiting", Awaiting.as_view()),
    path("awaiting-exempt", AwaitingExempt.as_view()),
    re_path(r"^한글/(?P<number>\d+)$", Posts.as_view()),
    framework("open", AllowAny),
    framework("framework", IsAuthenticated),
    framework("either", HasRole("editor") | HasPermission("posts.read")),
    framework("both", HasRole("editor") & HasPermission("posts.burn")),
    framework("not", ~HasRole("editor")),
    framework("scope", HasScope("orders") | HasRole("nobody")),
    framework("fresh", IsFresh(300)),
    framework("soon", framework_require(left_s=60)),
    framework("never", Never),
    framework("signed-in", IsSignedIn),
    framework("signed-in-or-reads", IsSignedIn | Reads),
    framework("reads-or-signed-in", Reads | IsSignedIn),
    framework("role-or-reads", HasRole("editor") | Reads),
    framework("visitors", ~IsSignedIn),
    framework("lasts-or-role", LASTS | HasRole("editor")),
    framework("role-or-lasts", HasRole("editor") | LASTS),
    framework("lasts-not", ~LASTS),
    framework("past-ours-never", HasRole("nobody") | AllowAny, Never),
    framework("past-ours-no-words", LASTS | Reads, ~IsAuthenticated),
    framework("denies", LASTS | HasRole("nobody") | Reads, view=Denying),
    framework("kept-below", IsSignedIn, view=KeptBelow),
    framework("kept-above", IsSignedIn, view=KeptAbove),
    framework("one-not", ~HasRole("editor"), view=OneThing),
    framework("one-owned", HasRole("nobody") | Owns, view=OneThing),
    framework("unlooked", HasRole("editor") | HasRole("nobody"), authentication_classes=[]),
]
