"""Django: ``PROPYLON_PUBLIC_URL=http://localhost:8000/auth gunicorn -w 2 --threads 4 examples.django_app:app``."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.http import require_POST

from propylon import Propylon
from propylon.adapters.django import data, require, require_fresh, sign_out, update_data, user, visitor

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
                   MIDDLEWARE=["propylon.adapters.django.PropylonMiddleware"],
                   PROPYLON={"SOURCE": Propylon.from_env()})  # or Verifier(issuer=..., ...) of a Propylon elsewhere

def me(request: HttpRequest) -> HttpResponse:
    who = user(request)
    return JsonResponse({"user": who.user_id, "session": who.session_id, "credential": who.credential})

def maybe(request: HttpRequest) -> HttpResponse:
    who = visitor(request)
    return JsonResponse({"user": who.user_id if who else None})

def cart(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return JsonResponse(update_data(request, lambda data: {**data, "n": data.get("n", 0) + 1}).value)
    return JsonResponse({"n": data(request).value.get("n", 0)})

@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    return sign_out(request)

def welcome(request: HttpRequest) -> HttpResponse:
    return HttpResponse("You may.")

urlpatterns = [path("auth/", include("propylon.adapters.django")), path("", welcome), path("me", me),
               path("maybe", maybe), path("cart", cart), path("leave", leave), path("pay", require_fresh(300)(welcome)),
               path("admin", require(roles="admin")(welcome)), path("orders", require(scopes="orders")(welcome)),
               path("write", require(permissions="posts.write")(welcome)), path("soon", require(left_s=60)(welcome))]
app = get_wsgi_application()
