"""The page to try it all on: three static files under a policy that lets in nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

_FILES = Path(__file__).parent / "static"


class Page(StaticFiles):
    """Serves the page. Its script may talk to the shop and to Propylon, and to nobody else."""

    def __init__(self, propylon_origin: str) -> None:
        super().__init__(directory=_FILES, html=True)
        self._headers = {
            "content-security-policy": (
                f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
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
