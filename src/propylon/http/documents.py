"""Documents about this server: keys, OpenAPI, the reference page, static files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from propylon.errors import NotFound
from propylon.http.content_coding import takes_gzip
from propylon.http.services import Services
from propylon.web.assets import ASSETS, MODULES, Asset

# Verifiers elsewhere ask again when they meet an unknown key, so a rotation needs no shorter life than this.
JWKS_MAX_AGE_S = 300
# What is the same for all callers; without credentials, and with them a browser shows it to nobody.
FOR_EVERYONE = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}


class Documents:
    """What may be cached: nothing in it is about the caller."""

    def __init__(self, services: Services, openapi: dict[str, Any]) -> None:
        self._services = services
        self.openapi_document = openapi
        self._openapi_bytes = msgspec.json.encode(openapi)

    async def jwks(self, request: Request) -> Response:  # noqa: ARG002 - the shape of every endpoint
        """Return the public keys."""
        await self._services.gate.listen()
        await self._services.keys.ready()
        return Response(
            self._services.keys.published.to_jwks(),
            media_type="application/jwk-set+json",
            headers={"cache-control": f"public, max-age={JWKS_MAX_AGE_S}", **FOR_EVERYONE},
        )

    async def openapi(self, request: Request) -> Response:  # noqa: ARG002 - the shape of every endpoint
        """Return the OpenAPI document."""
        return Response(self._openapi_bytes, media_type="application/json")

    async def asset(self, request: Request) -> Response:
        """Return a static file; its address carries its digest, so it may be kept for ever."""
        asset = ASSETS.get(request.path_params["name"])
        if asset is None:
            raise NotFound
        return _file(request, asset, {})

    async def browser_client(self, request: Request) -> Response:
        """Return a module that pages import. Those of any origin may read it: it says what is wrong with theirs."""
        return _file(request, MODULES[request.url.path.rpartition("/")[2]], FOR_EVERYONE)


def _file(request: Request, asset: Asset, headers: Mapping[str, str]) -> Response:
    """Return a static file, packed for who takes that, and nothing of it to who has it already."""
    packed = asset.packed if takes_gzip(",".join(request.headers.getlist("accept-encoding"))) else None
    etag = f'"{asset.digest}"' if packed is None else f'"{asset.digest}-gzip"'
    headers = {**headers, "cache-control": _age(request, asset), "etag": etag}
    if asset.packed is not None:
        headers["vary"] = "Accept-Encoding"
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    headers["content-type"] = asset.content_type
    if packed is not None:
        headers["content-encoding"] = "gzip"
    return Response(packed or asset.body, headers=headers)


def _has(request: Request, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in known or "*" in known


def _age(request: Request, asset: Asset) -> str:
    versioned = request.query_params.get("v") == asset.digest
    return "public, max-age=31536000, immutable" if versioned else "public, max-age=300"
