"""JSON objects from strangers (RFC 8259), without the freedoms that parsers disagree about.

Two parsers that read one text differently are how a token means one thing to the gate and another to
the house. Refused: repeated names (also when one is spelled with escapes), NaN and infinities, numbers
that do not fit, lone surrogates, a byte order mark, encodings other than UTF-8, and anything too big.
"""

from __future__ import annotations

import json
import math
from typing import Any, Never

# A header has about 3 members and a payload about 12; a JWK has up to 15.
MAX_MEMBERS = 64
# Opening brackets in the whole text. It bounds the depth too, far below the interpreter's recursion limit.
MAX_CONTAINERS = 64
MAX_INTEGER = 2**63 - 1
_MAX_INTEGER_DIGITS = 20  # a longer spelling costs quadratic time to read, and is refused anyway


def decode_object(data: bytes, *, max_containers: int = MAX_CONTAINERS) -> dict[str, Any]:
    """Read one JSON object; the caller has bounded the length of ``data``.

    Raises:
        ValueError: see the module; the message never quotes ``data``.
    """
    if data.count(b"[") + data.count(b"{") > max_containers:
        raise ValueError("JSON with too many containers")
    value = _loads(data)
    if not isinstance(value, dict):
        raise ValueError("not a strict JSON object")  # noqa: TRY004 - one error for all that is refused
    return value


def _loads(data: bytes) -> object:
    """Read JSON, or answer None. Not raising here keeps the text out of the raised error's context."""
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:
            _refuse_lone_surrogates(value)
    except (ValueError, RecursionError):
        return None
    return value


def _refuse_lone_surrogates(value: object) -> None:
    """Raise ValueError (UnicodeEncodeError) when an escape spelled half a character."""
    json.dumps(value, ensure_ascii=False).encode("utf-8")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs) or len(members) > MAX_MEMBERS:
        raise ValueError("repeated or too many members")
    return members


def _integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_DIGITS or abs(value := int(digits)) > MAX_INTEGER:
        raise ValueError("integer too large")
    return value


def _number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("number too large")
    return value


def _constant(_name: str) -> Never:
    raise ValueError("NaN and infinities are not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
