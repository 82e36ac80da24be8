"""The page to try it all on: static files, under a policy that lets in nothing else but the browser client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

_FILES = Path(__file__).parent / "static"


class Page(StaticFiles):
    """Serves the page. Its scripts come from the shop and from Propylon, and talk to these two alone."""

    def __init__(self, propylon_origin: str) -> None:
        super().__init__(directory=_FILES, html=True)
        self._headers = {
            "content-security-policy": (
                f"default-src 'none'; script-src 'self' {propylon_origin}; style-src 'self'; img-src 'self';"
                f" connect-src 'self' {propylon_origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cache-control": "no-cache",
        }

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Answer with a file and the policy."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(self._headers)
        return response
