"""Flask: the rules of every adapter, and what is Flask's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, redirect, request
from tests.adapters.prefork import gunicorn
from tests.adapters.rules import AdapterRules
from tests.http.driving import EMAIL, PASSWORD
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response as AnyResponse

from propylon import Propylon, PropylonError, SetupError
from propylon.adapters.flask import Auth, current_principal, require, visitor
from propylon.flows.account import NewAccount
from propylon.verifier import Verifier

PUBLIC_URL = "http://localhost:8000/auth"
SAME_SITE = {"sec-fetch-site": "same-origin"}


class TestTheExample(AdapterRules):
    """``examples/flask_app.py`` under gunicorn: two processes of four threads."""

    command = gunicorn("examples.flask_app:app")


def guarded(auth: Auth) -> Flask:
    """Return an app with what the example has not: a factory, a blueprint, a view that awaits."""
    app = Flask(__name__)
    parts = Blueprint("parts", __name__, url_prefix="/parts")

    @parts.get("/me")
    @require()
    async def me() -> dict[str, str]:
        return {"user": current_principal.user_id, "email": auth.user().email}

    @app.get("/maybe")
    def maybe() -> dict[str, Any]:
        return {"user": getattr(visitor(), "user_id", None)}

    @app.get("/name")
    @require(roles="admin")
    def name() -> str:
        return "in"

    @app.post("/leave")
    def leave() -> AnyResponse:
        return auth.sign_out(redirect("/"))

    @app.get("/broken")
    def broken() -> str:
        raise SetupError("verifier_audience")

    @app.get("/crash")
    def crash() -> str:
        visitor()
        raise ZeroDivisionError

    @app.get("/hooked")
    def hooked() -> str:
        return "asks nobody"

    @app.after_request
    def ask_late(answer: Response) -> Response:
        answer.headers["x-somebody"] = str(request.path == "/hooked" and visitor() is not None)
        return answer

    app.register_blueprint(parts)
    auth.init_app(app)
    return app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app, with somebody who has an account."""
    where: Path = tmp_path_factory.mktemp("flask")
    key_file = str(where / "propylon.key")
    propylon = Propylon(store="memory://", key_file=key_file, public_url=PUBLIC_URL, password_profile="unsafe_cheapest")
    auth = Auth(propylon)
    app = guarded(auth)
    with auth.blocking:
        auth.blocking.run(propylon.runtime.accounts.add(NewAccount(email=EMAIL, password=PASSWORD)))
        yield app


@pytest.fixture
def ask(app: Flask) -> Callable[..., TestResponse]:
    """A browser that is signed in."""
    client = Client(app)
    body = {"email": EMAIL, "password": PASSWORD, "mode": "cookie"}
    answer = client.post("/auth/v1/sessions", json=body, base_url="http://localhost:8000")
    assert answer.status_code == 201, answer.text

    def ask(method: str, path: str, **how: Any) -> TestResponse:
        return client.open(path, method=method, base_url="http://localhost:8000", **how)

    return ask


def code(answer: TestResponse) -> tuple[int, str]:
    """Return the status and the code of a problem."""
    assert answer.json is not None
    return answer.status_code, answer.json["code"]


def test_a_blueprint_and_a_view_that_awaits_are_guarded(app: Flask, ask: Callable[..., TestResponse]) -> None:
    """The decorators need no app: they ask the one that serves the request."""
    told = ask("GET", "/parts/me").json
    assert told is not None
    assert told["email"] == EMAIL
    assert code(Client(app).get("/parts/me")) == (401, "credential_missing")


def test_a_view_keeps_its_name(app: Flask) -> None:
    """``url_for`` goes by it."""
    assert {"name", "maybe", "parts.me"} <= set(app.view_functions)


def test_signing_out_may_lead_somewhere(ask: Callable[..., TestResponse]) -> None:
    """The headers are added to the view's own answer."""
    answer = ask("POST", "/leave", headers=SAME_SITE)
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert len(answer.headers.getlist("set-cookie")) == 2


def test_a_name_that_begins_like_the_mount_is_the_apps(app: Flask) -> None:
    """``/authors`` is no page of Propylon."""
    assert Client(app).get("/authors").status_code == 404
    assert Client(app).get("/authors").mimetype == "text/html"


@pytest.fixture(scope="module")
def below_a_prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An app that the world knows below ``/api``, as its public URL says."""
    key_file = str(tmp_path_factory.mktemp("prefix") / "propylon.key")
    auth = Auth(Propylon(store="memory://", key_file=key_file, public_url="http://localhost:8000/api/auth"))
    with auth.blocking:
        yield guarded(auth)


@pytest.mark.parametrize(
    ("outer", "prefix"), [("/api", ""), ("/api/", ""), ("", "/api")], ids=["taken off", "with a slash", "left on"]
)
def test_below_a_prefix_the_pages_are_where_the_public_url_says(below_a_prefix: Flask, outer: str, prefix: str) -> None:
    """Whether what is in front takes the prefix off (``SCRIPT_NAME``) or leaves it on; every link is found there."""
    client = Client(below_a_prefix)

    def get(path: str) -> TestResponse:
        inner = prefix + path.removeprefix("/api")
        return client.get(inner, base_url="http://localhost:8000", environ_overrides={"SCRIPT_NAME": outer})

    links = set(re.findall(r'(?:href|src)="([^"#]+)"', get("/api/auth/login").text))
    assert {link.partition("?")[0] for link in links} > {"/api/auth/signup", "/api/auth/static/propylon.css"}
    assert [link for link in links if get(link.replace("&amp;", "&")).status_code != 200] == []
    assert code(get("/api/auth/nowhere")) == (404, "not_found")
    assert code(get("/api/auth/v1/session")) == (401, "credential_missing")
    assert get("/api/authors").mimetype == "text/html"


def test_below_a_prefix_a_refusal_leads_to_the_pages_and_back(below_a_prefix: Flask) -> None:
    """By addresses as the browser sees them, also where werkzeug's ``ProxyFix`` makes the prefix of a header."""
    opens = {"sec-fetch-mode": "navigate", "accept": "text/html", "x-forwarded-prefix": "/api"}
    answer = Client(ProxyFix(below_a_prefix, x_prefix=1)).get("/parts/me", headers=opens)
    assert answer.headers["location"] == "/api/auth/login?next=/api/parts/me"


@pytest.mark.parametrize(
    ("known_as", "outer", "inner"),
    [
        ("app", "/api", "/auth/login"),
        ("below_a_prefix", "/api", "/api/auth/login"),
        ("below_a_prefix", "", "/auth/login"),
    ],
    ids=["a prefix too many", "the prefix twice", "the prefix missing"],
)
def test_what_the_public_url_does_not_name_is_the_apps(
    request: pytest.FixtureRequest, known_as: str, outer: str, inner: str
) -> None:
    """The whole path decides, not the part of it that is left for the app."""
    client = Client(request.getfixturevalue(known_as))
    answer = client.get(inner, environ_overrides={"SCRIPT_NAME": outer}, base_url="http://localhost:8000")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_blueprint_that_catches_everything_may_give_refusals_back(app: Flask) -> None:
    """Flask asks the handlers of a blueprint before those of the app, however much they catch."""
    auth: Auth = app.extensions["propylon"]
    catching = Flask(__name__)
    auth.init_app(catching)
    for name in ("swallowed", "given-back"):
        parts = Blueprint(name, __name__, url_prefix=f"/{name}")
        parts.add_url_rule("/me", view_func=require()(lambda: "in"))
        parts.register_error_handler(Exception, lambda error: (type(error).__name__, 500))
        if name == "given-back":
            parts.register_error_handler(PropylonError, auth.refusal)
        catching.register_blueprint(parts)
    client = Client(catching)
    assert client.get("/swallowed/me").text == "CredentialRefused"
    assert code(client.get("/given-back/me")) == (401, "credential_missing")


def test_a_fault_of_the_set_up_is_no_refusal(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """500, and the log says what to change."""
    assert code(Client(app).get("/broken")) == (500, "internal")
    assert "audience" in caplog.text


def test_a_move_is_told_whoever_asked(app: Flask, ask: Callable[..., TestResponse]) -> None:
    """By a hook of the app after its view, and by a view that fails then; who asks nobody is told nothing."""
    auth: Auth = app.extensions["propylon"]
    assert isinstance(auth.blocking.source, Propylon)
    change = auth.blocking.source.runtime.mode_change
    auth.blocking.run(change.turn("hybrid"))
    try:
        crashed, hooked, open_to_all = ask("GET", "/crash"), ask("GET", "/hooked"), ask("GET", "/authors")
    finally:
        auth.blocking.run(change.turn("cookie"))
    assert (crashed.status_code, crashed.headers["propylon-mode"]) == (500, "hybrid")
    assert (hooked.headers["x-somebody"], hooked.headers["propylon-mode"]) == ("True", "hybrid")
    assert "propylon-mode" not in open_to_all.headers


def test_a_public_url_without_a_path_is_refused_at_the_start() -> None:
    """Unless the pages are elsewhere."""
    source = Propylon(store="memory://", public_url="http://localhost:8000")
    with pytest.raises(SetupError, match="names no path"):
        Auth(source)
    app = guarded(Auth(source, mount=False))
    opens = {"sec-fetch-mode": "navigate", "accept": "text/html"}
    answer = Client(app).get("/parts/me", headers=opens, base_url="http://app.example")
    assert answer.headers["location"] == "http://localhost:8000/login?next=http%3A//app.example/parts/me"
    app.extensions["propylon"].blocking.close()


def test_by_a_verifier_tokens_are_known_and_nothing_is_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its feed nobody is let in, and nobody is led to a sign-in that would not help."""
    monkeypatch.setattr("propylon.verifier.verifier.START_WITHIN_S", 0.0)
    auth = Auth(Verifier(issuer="http://127.0.0.1:9", audience="a", secret="s"))
    app = guarded(auth)
    opens = {"sec-fetch-mode": "navigate", "accept": "text/html"}
    with auth.blocking:
        assert code(Client(app).get("/parts/me", headers=opens)) == (401, "credential_missing")
        assert code(Client(app).get("/maybe", headers={"authorization": "Bearer x"})) == (503, "unavailable")
        assert code(Client(app).post("/leave")) == (500, "internal")
        assert Client(app).get("/auth/login").status_code == 404
