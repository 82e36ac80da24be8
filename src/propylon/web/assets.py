"""The files that the pages link to, and the browser client; read from the package once."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

_CONTENT_TYPES: Final = {
    "propylon.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml",
}


# About what one packet holds beside the headers: what fits is there no sooner for being packed.
MIN_PACKED_BYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file.

    Attributes:
        body: its bytes, as they lie in the tree.
        packed: the same by gzip, None where that would not pay.
        content_type: value of the ``Content-Type`` header.
        digest: SHA-256 of the body in hex, cut to 16 characters; stands in the address (``?v=``), so that the
            file may be cached for ever.
    """

    body: bytes
    packed: bytes | None
    content_type: str
    digest: str


def _asset(body: bytes, content_type: str) -> Asset:
    # Once, at its best; without a time, so that every process has the same bytes.
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= MIN_PACKED_BYTES else None
    return Asset(body, packed, content_type, hashlib.sha256(body).hexdigest()[:16])


def _load(name: str, content_type: str) -> Asset:
    return _asset((resources.files("propylon.web") / "static" / name).read_bytes(), content_type)


def _load_module(name: str) -> Asset:
    packed = resources.files("propylon.web") / "static" / name
    # A wheel has it in the package (pyproject.toml); in the tree it lies with its tests.
    found = packed if packed.is_file() else Path(__file__).parents[3] / "client" / name
    return _asset(found.read_bytes(), "text/javascript; charset=utf-8")


ASSETS: Final[Mapping[str, Asset]] = MappingProxyType(
    {name: _load(name, content_type) for name, content_type in _CONTENT_TYPES.items()}
)
"""Every static file by its name under ``{root}/static/``."""

CLIENT: Final = _load_module("propylon.js")
"""The browser client, ``{root}/propylon.js``."""

MODULES: Final[Mapping[str, Asset]] = MappingProxyType(
    {"propylon.js": CLIENT, "propylon-origins.js": _load_module("propylon-origins.js")}
)
"""What pages import, by its name under ``{root}/``: the client, and what it loads on pages of other origins."""
