"""Django REST framework with simplejwt, as lean as it goes: the user is what the token says, and is not loaded."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.peers import HOUR_S, SECRET, WHO

urlpatterns: list[Any] = []


def app() -> Any:
    """Return the app."""
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY=SECRET,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        MIDDLEWARE=[],
        SIMPLE_JWT={"ACCESS_TOKEN_LIFETIME": timedelta(seconds=HOUR_S)},
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [
                "rest_framework_simplejwt.authentication.JWTStatelessUserAuthentication"
            ],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        },
    )
    application = get_wsgi_application()
    from rest_framework.decorators import api_view
    from rest_framework.response import Response
    from rest_framework_simplejwt.tokens import AccessToken

    @api_view()
    def me(request: Any) -> Any:
        return Response({"id": request.user.id})

    def sign_in(_: HttpRequest) -> JsonResponse:
        token = AccessToken()
        token["user_id"] = WHO
        return JsonResponse(f"Authorization: Bearer {token}", safe=False)

    urlpatterns.extend([path("me", me), path("sign-in", sign_in)])
    return application
