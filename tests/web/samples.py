"""Pages to look at: each in its plain form, and each full of hostile values."""

from __future__ import annotations

from typing import Any

from propylon.language import catalogue
from propylon.web import (
    AccountPage,
    ConsolePage,
    CourseView,
    Frame,
    Pages,
    ProblemPage,
    ProblemRow,
    SessionRow,
    SignInPage,
    SignUpPage,
    StartPage,
    UserView,
)

NOW = 1_795_495_000  # 2026-11-24T04:36:40Z
HOSTILE = (
    "<script>alert(1)</script>\"' onload=x style=y &amp; {{ 7*7 }} {0} {site} \u202eמלפ\u202c שלום 👩‍👩‍👧 " + "가" * 400
)

OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Propylon", "version": "1"},
    "servers": [{"url": "https://id.example/"}],
    "tags": [{"name": "sessions", "description": "Sign-ins"}, {"name": "unused"}],
    "paths": {
        "/v1/sessions": {
            "get": {
                "tags": ["sessions"],
                "security": [{"bearer": []}],
                "responses": {"200": {"description": "All"}},
            },
            "post": {
                "tags": ["sessions"],
                "summary": "Sign in",
                "requestBody": {"$ref": "#/components/requestBodies/SignIn"},
                "responses": {"201": {"$ref": "#/components/responses/SignedIn"}},
            },
        },
        "/v1/sessions/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "delete": {
                "tags": ["sessions"],
                "deprecated": True,
                "responses": {"204": {"description": "Ended"}},
            },
        },
        "/healthz": {"get": {"responses": {"200": {"description": "Alive"}}}},
    },
    "components": {
        "requestBodies": {
            "SignIn": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/SignIn"}}}}
        },
        "responses": {
            "SignedIn": {
                "description": "Signed in",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
            }
        },
        "schemas": {
            "SignIn": {
                "type": "object",
                "required": ["email", "password"],
                "properties": {
                    "email": {"type": "string", "format": "email", "examples": ["o'brien@example.com"]},
                    "password": {"type": "string", "description": "Any length up to 1024"},
                    "mode": {"anyOf": [{"enum": ["cookie", "bearer"]}, {"type": "null"}]},
                },
            },
            "Answer": {
                "type": "object",
                "required": ["user"],
                "properties": {
                    "user": {"$ref": "#/components/schemas/User", "description": "Who signed in"},
                    "sessions": {"type": "array", "items": {"$ref": "#/components/schemas/Session"}},
                },
            },
            "User": {"type": "object", "properties": {"id": {"type": "string"}}},
            "Session": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "parent": {"$ref": "#/components/schemas/Session"}},
            },
        },
    },
}

PROBLEMS = tuple(
    ProblemRow(key.split(".")[1], 400)
    for key in catalogue("en")
    if key.startswith("problem.") and key.endswith(".title")
)


def frame(language: str = "en", path: str = "/", **changes: Any) -> Frame:
    """Return a frame mounted under ``/auth``."""
    values = {"nonce": "n0nce", "root": "/auth", "signed_in_as": None, **changes}
    return Frame(language=language, path=path, **values)


def session(number: int, **changes: Any) -> SessionRow:
    """Return one of many sessions; the higher its number, the longer it has been silent."""
    values: dict[str, Any] = {
        "id": f"s{number}",
        "current": False,
        "mode": "cookie",
        "browser": "Firefox 145",
        "os": "macOS",
        "kind": "desktop",
        "place": "Seoul, KR",
        "ip": "203.0.113.7",
        "created_at": NOW - 86_400 * (number + 1),
        "last_seen_at": NOW - 60 * number,
        "expires_at": NOW + 86_400,
        "sign_in_method": "password",
    }
    return SessionRow(**values | changes)


def account(*sessions: SessionRow, word: str = "Ji-woo", **changes: Any) -> AccountPage:
    """Return an account page of a user with these sessions."""
    user = UserView("jiwoo@example.com", word, (word,), NOW - 86_400 * 400)
    return AccountPage(user, sessions, NOW, **changes)


def console(*, moving: bool = False, apps: str = "cookie", **changes: Any) -> ConsolePage:
    """Return a console: at rest, or in the middle of a change to tokens; ``apps`` says where apps came from."""
    mode, waiting = ("bearer", 1_234) if moving else ("cookie", 0)
    courses = tuple(
        CourseView(clients, mode, previous if moving else None, moving, moved=5_678, waiting=waiting, others=9)
        for clients, previous in (("browsers", "cookie"), ("apps", apps))
    )
    values: dict[str, Any] = {
        "courses": courses,
        "paused": False,
        "failures": 0,
        "version": "1.0.1",
        "counted_at": NOW - 60,
        "now": NOW,
    }
    return ConsolePage(**values | changes)


def every_page(language: str, word: str) -> dict[str, str]:
    """Return each page at its fullest, with ``word`` wherever a value from outside may stand."""
    pages = Pages(site_name=word)
    rows = (
        session(1, current=True, mode="hybrid"),
        session(2, browser=word, os=word, place=word, ip=word, kind="mobile"),
        session(3, browser="", os="", place=None, kind="app", mode="bearer"),
    )
    both = {"email": [word], "password": [word, word]}

    def at(path: str, **changes: Any) -> Frame:
        return frame(language, path, **changes)

    return {
        "start": pages.start(at("/"), StartPage()),
        "start, signed in": pages.start(at("/", signed_in_as=word), StartPage(sign_up_open=False)),
        "sign in": pages.sign_in(at("/login", notice="account_created"), SignInPage()),
        "sign in, refused": pages.sign_in(
            at("/login"), SignInPage(email=word, next=word, problem=word, errors=both, remember=True)
        ),
        "sign in, chooser": pages.sign_in(at("/login"), SignInPage(email=word, chooser=rows[1:], now=NOW)),
        "sign up": pages.sign_up(at("/signup"), SignUpPage()),
        "sign up, refused": pages.sign_up(
            at("/signup"), SignUpPage(name=word, email=word, problem=word, errors=both | {"name": [word]})
        ),
        "sign up, closed": pages.sign_up(at("/signup"), SignUpPage(open=False)),
        "account": pages.account(at("/account", signed_in_as=word, notice="profile_saved"), account(*rows, word=word)),
        "account, refused": pages.account(
            at("/account", signed_in_as=word),
            account(
                *rows,
                name=word,
                profile_problem=word,
                profile_errors={"name": [word]},
                password_problem=word,
                password_errors={"current_password": [word], "new_password": [word]},
            ),
        ),
        "start, administrator": pages.start(at("/", signed_in_as=word, console=True), StartPage()),
        "console": pages.console(at("/console", signed_in_as=word, notice="confirmed"), console(to_confirm=True)),
        "console, moving": pages.console(
            at("/console", signed_in_as=word), console(moving=True, apps="hybrid", failures=3)
        ),
        "console, refused": pages.console(
            at("/console", signed_in_as=word),
            console(moving=True, paused=True, problem=word, errors={"mode": [word], "for": [word, word]}),
        ),
        "problem": pages.problem(at(word), ProblemPage(401, word, word, word, sign_in=True)),
        "problem, signed in": pages.problem(at("/x", signed_in_as=word), ProblemPage(404, "not_found", word, word)),
        "reference": pages.reference(
            at("/docs"), OPENAPI | {"info": {"title": word, "version": word, "description": word}}, PROBLEMS
        ),
    }
