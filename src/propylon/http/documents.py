"""Documents about this server: keys, OpenAPI, the reference page, static files."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from propylon.errors import NotFound
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
        return Response(asset.body, headers={"content-type": asset.content_type, "cache-control": _age(request, asset)})

    async def browser_client(self, request: Request) -> Response:
        """Return a module that pages import. Those of any origin may read it: it says what is wrong with theirs."""
        module = MODULES[request.url.path.rpartition("/")[2]]
        etag = f'"{module.digest}"'
        headers = {"cache-control": _age(request, module), "etag": etag, **FOR_EVERYONE}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(module.body, headers={**headers, "content-type": module.content_type})


def _age(request: Request, asset: Asset) -> str:
    versioned = request.query_params.get("v") == asset.digest
    return "public, max-age=31536000, immutable" if versioned else "public, max-age=300"
