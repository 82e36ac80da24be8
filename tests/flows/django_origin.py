"""A real Django with accounts and sessions, run in a process of its own: it writes what browsers hold, as JSON.

``python django_origin.py DATABASE``
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any

import django
from django.conf import settings
from django.test.utils import override_settings

SECRET, OLD_SECRET = "the secret of this Django, long enough", "the secret before that, long enough, too"
BACKEND = "django.contrib.auth.backends.ModelBackend"

settings.configure(
    SECRET_KEY=SECRET,
    SECRET_KEY_FALLBACKS=[OLD_SECRET],
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - Django has to be set up first
from django.contrib.sessions.backends import db, signed_cookies  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402


def signed_in(engine: Any, user: User, **more: str) -> str:
    """Return the cookie of somebody who signed in."""
    session = engine.SessionStore()
    session["_auth_user_id"], session["_auth_user_backend"] = str(user.pk), BACKEND
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.update(more)
    session.save()
    return str(session.session_key)


def main() -> None:
    """Make accounts and sessions."""
    call_command("migrate", verbosity=0)
    people = {
        name: User.objects.create_user(name, f"{name}@example.com", "pass word") for name in ("mina", "jun", "ara")
    }
    held = {}
    for name, engine in (("database", db), ("cookie", signed_cookies)):
        held[f"{name} good"] = signed_in(engine, people["mina"])
        held[f"{name} second"] = signed_in(engine, people["mina"], basket="1")
        held[f"{name} long"] = signed_in(engine, people["mina"], basket="apples " * 100)
        held[f"{name} stranger"] = signed_in(engine, User.objects.create_user(f"new{name}", f"new{name}@example.com"))
        held[f"{name} inactive"] = signed_in(engine, people["jun"])
        held[f"{name} old password"] = signed_in(engine, people["ara"])
        with override_settings(SECRET_KEY=OLD_SECRET):
            held[f"{name} old secret"] = signed_in(engine, people["mina"])
        with override_settings(SECRET_KEY="another Django altogether, long enough"):
            held[f"{name} forged"] = signed_in(engine, people["mina"])
        anonymous = engine.SessionStore()
        anonymous["basket"] = "1"
        anonymous.save()
        held[f"{name} anonymous"] = str(anonymous.session_key)
    expired = db.SessionStore(signed_in(db, people["mina"]))
    db.SessionStore.get_model_class().objects.filter(session_key=expired.session_key).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )
    held["database expired"] = str(expired.session_key)
    people["jun"].is_active = False
    people["ara"].set_password("another one")
    for user in people.values():
        user.save()
    json.dump(held, sys.stdout)


main()
