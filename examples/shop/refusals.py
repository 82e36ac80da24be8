"""What FastAPI refuses, in the same words as what Propylon refuses: problem+json in the caller's language."""

from __future__ import annotations

from typing import Any, NoReturn

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from propylon.errors import ClientError, RuleRefused

Fault = tuple[str, str, dict[str, Any]]


async def refuse(_: Request, error: Exception) -> NoReturn:
    """Raise what ``propylon.guard`` has taught the app to answer."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        raise ClientError("json_malformed")
    raise RuleRefused(errors=tuple(_fault(**fault) for fault in faults))


def _fault(*, loc: tuple[str | int, ...], type: str, ctx: dict[str, Any] | None = None, **_: Any) -> Fault:  # noqa: A002 - FastAPI's names
    field, limits = str(loc[-1]), ctx or {}
    if type == "missing":
        return field, "required", {}
    if type == "string_too_short":
        return field, "too_short", {"limit": limits["min_length"]}
    if type == "string_too_long":
        return field, "too_long", {"limit": limits["max_length"]}
    if type == "string_pattern_mismatch":
        return field, "invalid", {}
    return field, "wrong_type", {}
