"""Django."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, URLResolver, include, path

from bench.apps import NOBODY
from propylon import Propylon
from propylon.adapters.django import login_required, user

urlpatterns: list[URLPattern | URLResolver] = []


def _open(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"id": NOBODY})


@login_required
def _me(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"id": user(request).user_id})


def plain() -> Any:
    """Return the app that asks nobody."""
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
    urlpatterns.append(path("me", _open))
    return get_wsgi_application()


def guarded() -> Any:
    """Return the app that asks who is calling."""
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["propylon.adapters.django.PropylonMiddleware"],
        PROPYLON={"SOURCE": Propylon.from_env()},
    )
    urlpatterns.extend([path("me", _me), path("auth/", include("propylon.adapters.django"))])
    return get_wsgi_application()
