"""The files that the pages link to, read from the package once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Final

_CONTENT_TYPES: Final = {
    "propylon.css": "text/css; charset=utf-8",
    "propylon.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file.

    Attributes:
        body: its bytes, as served.
        content_type: value of the ``Content-Type`` header.
        digest: SHA-256 of the body in hex, cut to 16 characters; stands in the address (``?v=``), so that the
            file may be cached for ever.
    """

    body: bytes
    content_type: str
    digest: str


def _load(name: str, content_type: str) -> Asset:
    body = (resources.files("propylon.web") / "static" / name).read_bytes()
    return Asset(body, content_type, hashlib.sha256(body).hexdigest()[:16])


ASSETS: Final[Mapping[str, Asset]] = MappingProxyType(
    {name: _load(name, content_type) for name, content_type in _CONTENT_TYPES.items()}
)
"""Every static file by its name under ``{root}/static/``."""
