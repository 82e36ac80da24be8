"""A service that only verifies: people sign in to a Propylon elsewhere and come here with its access tokens."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import FastAPI

from propylon import Principal
from propylon.adapters.fastapi import Auth, SignedIn, require
from propylon.verifier import Verifier

verifier = Verifier(
    issuer=os.environ.get("ISSUER", "http://localhost:8000"),
    audience=os.environ.get("AUDIENCE", "http://localhost:8000"),
    secret=os.environ.get("VERIFIER_SECRET", "not-needed-in-tests"),
)
app = FastAPI()
Auth(verifier).guard(app)

Reader = Annotated[Principal, require(scopes="orders.read")]


@app.get("/me")
async def me(who: SignedIn) -> str:
    """Return who is calling."""
    return who.user_id


@app.get("/orders")
async def orders(_: Reader) -> list[str]:
    """Return all orders."""
    return []
