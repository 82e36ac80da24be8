"""A small app to test: everybody who is signed in reads the notes, editors write them."""

from __future__ import annotations

from flask import Flask, request

from propylon import Propylon
from propylon.adapters.flask import Auth, require

app = Flask(__name__)
auth = Auth(Propylon.from_env(public_url="http://localhost:8000/auth"), app)

kept: list[str] = []


@app.get("/notes")
@require()
def notes() -> list[str]:
    """Return all notes."""
    return kept


@app.post("/notes")
@require(roles="editor")
def write() -> tuple[str, int]:
    """Add a note."""
    kept.append(request.form["text"])
    return "", 201
