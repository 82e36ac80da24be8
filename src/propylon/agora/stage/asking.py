"""Single requests to the agora's own servers: plain HTTP on loopback, past any proxy of the reader's."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

# For every client. Reading the machine's certificates takes 20 ms each time, and robs servers that are starting.
PLAINLY: dict[str, Any] = {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "trust_env": False}


def ask(method: str, url: str, **more: Any) -> httpx.Response:
    """Send a request over a connection of its own, with no cookie but those that are given."""
    return httpx.request(method, url, **PLAINLY, **more)
