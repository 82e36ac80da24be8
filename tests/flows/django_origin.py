"""A real Django with accounts and sessions, run in a process of its own: it writes what browsers hold, as JSON.

``python django_origin.py DATABASE`` leaves in ``DATABASE.imported`` what an import finds; whatever people do to
accounts after that is in ``DATABASE`` alone. ``python django_origin.py DATABASE elsewhere`` makes another one, which
signs with the same secret.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
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

from propylon.outside.foreign_ids import id_of_django_row  # noqa: E402 - ours beside theirs

ENGINES = (("database", db), ("cookie", signed_cookies))
JOINED = datetime(2024, 5, 1, 12, tzinfo=UTC)


def signed_in(engine: Any, user: User, **more: str) -> str:
    """Return the cookie of somebody who signed in."""
    session = engine.SessionStore()
    session["_auth_user_id"], session["_auth_user_backend"] = str(user.pk), BACKEND
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.update(more)
    session.save()
    return str(session.session_key)


def joined(username: str, email: str) -> User:
    """Make an account as it was before the import."""
    return User.objects.create_user(username, email, "pass word", date_joined=JOINED)


def climbers(victim: User) -> dict[str, User]:
    """Make whoever wants to be somebody else, as far as they are there before the import."""
    return {
        "twin": joined("twin", victim.email.upper()),
        "mover": joined("mover", "mover@example.com"),
        "settler": joined("settler", "settler@example.com"),
        "leaver": joined("leaver", "leaver@example.com"),
    }


def climb(people: dict[str, User], victim: User) -> None:
    """Do after the import what any account may do in Django, which holds no address and no username to anything."""
    people["late twin"] = User.objects.create_user("late twin", victim.email.title(), "pass word")
    people["by username"] = User.objects.create_user(victim.email, "", "pass word")
    people["by id"] = User.objects.create_user(id_of_django_row(victim.pk), "", "pass word")
    people["mover"].email = victim.email
    people["settler"].email = "only-here@example.com"
    people["leaver"].email = "left@example.com"
    for user in people.values():
        user.save()


def elsewhere() -> None:
    """Make a Django whose first account is somebody else's, with the address of the first one here."""
    usurper = User.objects.create_user("usurper", "mina@example.com", "pass word")
    json.dump({f"{name} usurper": signed_in(engine, usurper) for name, engine in ENGINES}, sys.stdout)


def main() -> None:
    """Make accounts and sessions."""
    people = {name: joined(name, f"{name}@example.com") for name in ("mina", "jun", "ara")}
    nameless = joined("hana@example.com", "")
    rivals = climbers(people["mina"])
    shutil.copy(sys.argv[1], f"{sys.argv[1]}.imported")
    climb(rivals, people["mina"])
    held = {f"{name} {who}": signed_in(engine, rival) for name, engine in ENGINES for who, rival in rivals.items()}
    for name, engine in ENGINES:
        held[f"{name} nameless"] = signed_in(engine, nameless)
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


call_command("migrate", verbosity=0)
if sys.argv[2:] == ["elsewhere"]:
    elsewhere()
else:
    main()
