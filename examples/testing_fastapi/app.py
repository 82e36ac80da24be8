"""A small app to test: everybody reads the notes, editors write them, and only somebody fresh empties the list."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI

from propylon import Principal, Propylon
from propylon.adapters.fastapi import Auth, SignedIn, require

propylon = Propylon.from_env(public_url="http://localhost:8000/auth")
app = FastAPI()
Auth(propylon).guard(app)

Editor = Annotated[Principal, require(roles="editor")]
FreshEditor = Annotated[Principal, require(roles="editor", fresh_s=300)]

notes: list[str] = []


@app.get("/notes")
async def read(_: SignedIn) -> list[str]:
    """Return all notes."""
    return notes


@app.post("/notes", status_code=201)
async def write(text: str, _: Editor) -> None:
    """Add a note."""
    notes.append(text)


@app.delete("/notes", status_code=204)
async def empty(_: FreshEditor) -> None:
    """Remove all notes."""
    notes.clear()
