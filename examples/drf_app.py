"""Django REST framework: like ``examples/django_app.py``, ``gunicorn -w 2 --threads 4 examples.drf_app:app``."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from django.views.decorators.http import require_POST

from propylon import Propylon

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], PROPYLON={"SOURCE": Propylon.from_env()},
                   MIDDLEWARE=["propylon.adapters.django.PropylonMiddleware"], REST_FRAMEWORK={
                       "DEFAULT_AUTHENTICATION_CLASSES": ["propylon.adapters.drf.PropylonAuthentication"],
                       "EXCEPTION_HANDLER": "propylon.adapters.drf.exception_handler", "UNAUTHENTICATED_USER": None})
app = get_wsgi_application()  # in a project of one file, before the framework is imported
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from propylon.adapters.django import data, sign_out, update_data, user, visitor
from propylon.adapters.drf import HasPermission, HasRole, HasScope, IsFresh, IsSignedIn, require

class Me(APIView):
    def get(self, request: Request) -> Response:
        who = user(request)
        return Response({"user": who.user_id, "session": who.session_id, "credential": who.credential})
class Maybe(APIView):
    def get(self, request: Request) -> Response:
        return Response({"user": getattr(visitor(request), "user_id", None)})
class Cart(APIView):
    def get(self, request: Request) -> Response:
        return Response({"n": data(request).value.get("n", 0)})
    def post(self, request: Request) -> Response:
        return Response(update_data(request, lambda data: {**data, "n": data.get("n", 0) + 1}).value)
class Welcome(APIView):
    get = post = lambda self, request: Response("You may.")
needs = {"admin": HasRole("admin"), "write": HasPermission("posts.write"), "orders": HasScope("orders"),
         "soon": require(left_s=60), "pay": IsFresh(300)}
urlpatterns = [path("auth/", include("propylon.adapters.django")), path("", Welcome.as_view(authentication_classes=[])),
               path("me", Me.as_view(permission_classes=[IsSignedIn])), path("maybe", Maybe.as_view()),
               path("cart", Cart.as_view(permission_classes=[IsSignedIn])), path("leave", require_POST(sign_out)),
               *(path(name, Welcome.as_view(permission_classes=[needed])) for name, needed in needs.items())]
