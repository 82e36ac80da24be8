"""The settings of a Django project that Propylon guards."""

from __future__ import annotations

from propylon import Propylon

SECRET_KEY = "of the example"  # noqa: S105 - it signs nothing here
ALLOWED_HOSTS = ["localhost", "testserver"]
ROOT_URLCONF = "examples.testing_django.urls"
MIDDLEWARE = ["propylon.adapters.django.PropylonMiddleware"]
PROPYLON = {"SOURCE": Propylon.from_env(public_url="http://localhost:8000/auth")}
