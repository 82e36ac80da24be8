"""A node that knows a public key and nothing else: whoever brings a token that is signed and not expired is let in.

It is what "stateless" means taken at its word. Propylon's own verifiers follow the revocation feed besides.
"""

from __future__ import annotations

import os
import time

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from propylon.core.bearer import bearer_token
from propylon.core.jose.access_token import verify
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.refusals import TokenRefused

KEYS, ISSUER = "PROPYLON_AGORA_KEYS", "PROPYLON_AGORA_ISSUER"
ALGORITHMS = frozenset({"ES256"})
LEEWAY_S = 30


def application() -> Starlette:
    """Return the app."""
    keys, issuer = KeySet.from_jwks(os.environ[KEYS].encode()), os.environ[ISSUER]

    async def me(request: Request) -> Response:
        token = bearer_token(request.headers.get("authorization", "").encode())
        try:
            claims = verify(
                token or "", keys, issuer=issuer, audience=issuer, algorithms=ALGORITHMS, now=int(time.time()),
                leeway_s=LEEWAY_S,
            )  # fmt: skip
        except TokenRefused:
            return Response(status_code=401)
        return Response(msgspec.json.encode({"id": claims.subject}), media_type="application/json")

    async def ready(request: Request) -> Response:  # noqa: ARG001 - the shape of an endpoint
        return Response()

    return Starlette(routes=[Route("/me", me), Route("/readyz", ready)])
