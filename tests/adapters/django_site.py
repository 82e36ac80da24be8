"""A Django project in this process, with what the example has not: views that await, classes, the caches, the users.

Django has one set of settings a process, so all tests in process share these.
"""

from __future__ import annotations

import asyncio
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View

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
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from propylon.adapters.django import account, asking, login_required, require, sign_out, sign_out_async  # noqa: E402
from propylon.adapters.drf import HasPermission, HasRole, HasScope, IsFresh  # noqa: E402
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


def public(_: HttpRequest) -> HttpResponse:
    """Answer everybody the same."""
    return HttpResponse("the same")


def varied(request: HttpRequest) -> HttpResponse:
    """Say oneself how long an answer may be kept, and by what it differs."""
    asking(request).principal_or_none()
    return HttpResponse("mine", headers={"Cache-Control": "max-age=5", "Vary": "Accept, cookie"})


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


class Answering(APIView):
    """A view of the framework."""

    def get(self, request: Request) -> Response:
        """Answer who asks."""
        return Response({"user": request.user.pk, "auth": getattr(request.auth, "user_id", None)})

    post = get


def framework(where: str, *needed: Any) -> URLPattern:
    """Return a route of the framework that needs these permissions."""
    return path(f"api/{where}", Answering.as_view(permission_classes=needed))


class Never(BasePermission):
    """Refuses everybody, as an app's own permission may."""

    message = "not on Sundays"

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return False."""
        return False


urlpatterns: list[URLPattern | URLResolver] = [
    path("auth/", include("propylon.adapters.django")),
    path("looks", looks),
    path("looks-async", looks_async),
    path("details", details),
    path("row", row),
    path("public", public),
    path("varied", varied),
    path("awaits", awaits),
    path("leaves", leaves),
    path("leaves-for", leaves_for),
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
]
