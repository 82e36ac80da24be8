"""Django's own sessions and users, in the database, which is where they are unless someone says otherwise."""

from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.peers import SECRET, WHO, database

urlpatterns: list[Any] = []


def app() -> Any:
    """Return the app."""
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY=SECRET,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database(), "CONN_MAX_AGE": None}},
    )
    application = get_wsgi_application()
    from django.contrib.auth import get_user_model, login
    from django.contrib.auth.decorators import login_required
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    somebody, _ = get_user_model().objects.get_or_create(username=WHO)

    @login_required
    def me(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"id": request.user.get_username()})

    def sign_in(request: HttpRequest) -> JsonResponse:
        login(request, somebody, "django.contrib.auth.backends.ModelBackend")
        request.session.save()
        return JsonResponse(f"Cookie: sessionid={request.session.session_key}", safe=False)

    urlpatterns.extend([path("me", me), path("sign-in", sign_in)])
    return application
