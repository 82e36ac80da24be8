"""Request bodies: bounded first, then parsed into the one type that a route expects."""

from __future__ import annotations

import asyncio
import json as stdlib_json
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request

from propylon.errors import ClientError, RuleRefused

# The largest thing that any route takes is 16 KiB of session data; twice that leaves room for spelling.
MAX_BODY_BYTES = 32 * 1024
# 32 KiB come within it by a modem of 14.4 kbit/s. A body that never ends costs its sender next to nothing, and here a
# connection, a task and what has come so far: whoever holds thousands of them leaves none to others.
BODY_WITHIN_S = 20
MAX_FORM_FIELDS = 20

T = TypeVar("T")

_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]*)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>[^`]*)`")
# What is said of a word that is none of those a field knows.
_ENUMS = {"mode": "mode_unknown", "for": "clients_unknown"}


async def read(request: Request, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body.

    Raises:
        ClientError: ``body_too_large``, before more than ``max_bytes`` were held; ``body_too_slow``, also where some
            of it comes all the time.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:12]) > max_bytes:
        raise ClientError("body_too_large", max_bytes=max_bytes)
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await _whole(request, max_bytes)
    except TimeoutError:
        raise ClientError("body_too_slow", within_s=BODY_WITHIN_S) from None
    except ClientDisconnect:
        raise ClientError("request_malformed") from None


async def _whole(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise ClientError("body_too_large", max_bytes=max_bytes)
    return bytes(body)


async def json(request: Request, kind: type[T], *, max_bytes: int = MAX_BODY_BYTES) -> T:
    """Return the JSON body as ``kind``.

    Raises:
        ClientError: too large, no JSON, or another content type.
        RuleRefused: ``fields_refused``, with the field at fault.
    """
    body = await read(request, max_bytes=max_bytes)
    require_content_type(request, "application/json")
    return decoded(body, kind)


async def optional_json(request: Request, kind: type[T]) -> T | None:
    """Return the JSON body as ``kind``, or None where there is no body at all."""
    body = await read(request)
    if not body:
        return None
    require_content_type(request, "application/json")
    return decoded(body, kind)


async def form(request: Request) -> Mapping[str, str]:
    """Return the fields of a submitted form; of a repeated field, none: nothing may choose between them."""
    body = await read(request)
    require_content_type(request, "application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise ClientError("request_malformed") from None
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def require_content_type(request: Request, expected: str) -> None:
    """Raise ``content_type_wrong`` unless the body says it is what we parse.

    A page of another site can send ``text/plain`` and forms without asking first; JSON it cannot.
    """
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower()
    if media_type.strip().lower() != expected or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise ClientError("content_type_wrong", expected=expected)


def decoded(body: bytes, kind: type[T]) -> T:
    """Decode strict JSON into ``kind``; see ``json`` for what is raised."""
    try:
        value = msgspec.json.decode(body, type=kind)
        _names_once.decode(body.decode("utf-8"))
    except msgspec.ValidationError as error:
        raise RuleRefused(errors=(_field_at_fault(str(error)),)) from None
    except (ValueError, RecursionError):  # msgspec.DecodeError and UnicodeDecodeError both are the first
        raise ClientError("json_malformed") from None
    return value


def _once(members: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise ValueError("a name stands twice")


# msgspec takes the last of two members of one name, other parsers the first: then a gateway that looks into
# bodies and this service read two different sign-ins (RFC 8259 4). The values are not looked at again.
_names_once = stdlib_json.JSONDecoder(object_pairs_hook=_once, parse_int=len, parse_float=len)


def _field_at_fault(message: str) -> tuple[str, str, dict[str, Any]]:
    """Turn msgspec's sentence into a field and one of our codes; its own words stay inside."""
    at = _AT.search(message)
    path = at["path"] if at else ""
    if missing := _MISSING.search(message):
        return missing["name"], "required", {}
    if unknown := _UNKNOWN.search(message):
        return unknown["name"][:64], "unknown_field", {}
    if path == "":
        return "", "not_an_object", {}
    name = path.partition("[")[0]  # of a list at fault, not of its entry
    return name, _ENUMS.get(name, "wrong_type") if "enum" in message else "wrong_type", {}
