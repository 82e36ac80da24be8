"""``examples/django_app.py`` as an ASGI app, whose middleware and refusals are the same."""

from django.core.asgi import get_asgi_application
from examples import django_app

app = get_asgi_application()

__all__ = ["app", "django_app"]
