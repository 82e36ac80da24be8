"""Django REST framework."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import URLPattern, URLResolver, include, path

from bench.apps import NOBODY
from propylon import Propylon

urlpatterns: list[URLPattern | URLResolver] = []


def plain() -> Any:
    """Return the app that asks nobody."""
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=[],
        REST_FRAMEWORK={**JSON_ONLY, "DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
    )
    application = get_wsgi_application()
    from rest_framework.decorators import api_view  # noqa: PLC0415 - it reads the settings
    from rest_framework.response import Response  # noqa: PLC0415

    @api_view()
    def me(_: Any) -> Any:
        return Response({"id": NOBODY})

    urlpatterns.append(path("me", me))
    return application


def guarded() -> Any:
    """Return the app that asks who is calling."""
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["propylon.adapters.django.PropylonMiddleware"],
        PROPYLON={"SOURCE": Propylon.from_env()},
        REST_FRAMEWORK={
            **JSON_ONLY,
            "DEFAULT_AUTHENTICATION_CLASSES": ["propylon.adapters.drf.PropylonAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["propylon.adapters.drf.IsSignedIn"],
            "EXCEPTION_HANDLER": "propylon.adapters.drf.exception_handler",
            "UNAUTHENTICATED_USER": None,
        },
    )
    application = get_wsgi_application()
    from rest_framework.decorators import api_view  # noqa: PLC0415 - it reads the settings
    from rest_framework.response import Response  # noqa: PLC0415

    @api_view()
    def me(request: Any) -> Any:
        return Response({"id": request.auth.user_id})

    urlpatterns.extend([path("me", me), path("auth/", include("propylon.adapters.django"))])
    return application


JSON_ONLY = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}
