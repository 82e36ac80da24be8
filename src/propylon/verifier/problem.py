"""Refusals as ``application/problem+json``, for whatever framework the service is written in."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from propylon import language
from propylon.errors import PropylonError
from propylon.problems import MEDIA_TYPE, headers_of, problem


class Answer(NamedTuple):
    """An HTTP answer, ready to send."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer(
    error: PropylonError, issuer: str, *, accept_language: str | None = None, bearer_presented: bool = True
) -> Answer:
    """Return what to tell a caller of ``error``, in their language."""
    tongue = language.negotiate(accept_language)
    body = problem(error, tongue, issuer)
    headers = headers_of(error, body, tongue, bearer_presented=bearer_presented)
    return Answer(
        body.status,
        {"content-type": MEDIA_TYPE, "cache-control": "no-store", **headers},
        msgspec.json.encode(body),
    )
