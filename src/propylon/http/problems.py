"""Errors to answers of the server: ``propylon.problems``, sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from propylon.core.elsewhere import Elsewhere
from propylon.errors import PropylonError
from propylon.problems import (
    MEDIA_TYPE,
    STATUS,
    Problem,
    elsewhere_of,
    field_sentences,
    headers_of,
    problem,
    retry_headers,
    rfc3339,
    sentence,
    status_of,
)

__all__ = [
    "STATUS",
    "Problem",
    "elsewhere_of",
    "field_sentences",
    "problem",
    "response",
    "retry_headers",
    "rfc3339",
    "sentence",
    "status_of",
]


def response(
    error: PropylonError,
    tongue: str,
    base_url: str,
    *,
    bearer_presented: bool = False,
    sessions: Sequence[Any] = (),
    elsewhere: Elsewhere | None = None,
) -> Response:
    """Return the answer that tells a caller about ``error``; ``elsewhere`` is the page that asked."""
    body = problem(error, tongue, base_url, sessions, elsewhere=elsewhere)
    return Response(
        msgspec.json.encode(body),
        status_code=body.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(error, body, tongue, bearer_presented=bearer_presented),
    )
