"""Flask."""

from __future__ import annotations

from flask import Flask

from bench.apps import NOBODY
from propylon import Propylon
from propylon.adapters.flask import Auth, current_principal, require


def _open() -> dict[str, str]:
    return {"id": NOBODY}


@require()
def _me() -> dict[str, str]:
    return {"id": current_principal.user_id}


def plain() -> Flask:
    """Return the app that asks nobody."""
    app = Flask(__name__)
    app.get("/me")(_open)
    return app


def guarded() -> Flask:
    """Return the app that asks who is calling."""
    app = Flask(__name__)
    app.get("/me")(_me)
    Auth(Propylon.from_env(), app)
    return app
