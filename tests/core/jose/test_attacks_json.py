"""The JWT attack list, entries 29 to 50: what JSON lets a sender hide, in header and claims.

Every token here has a right signature, so the named rule is what refuses it.
"""

from __future__ import annotations

import json
import zlib

import pytest
from tests.core.jose.forge import CLAIMS, ES256, header_of, payload_with, refusal, signed, to_bytes

from propylon.core.jose.access_token import MAX_TOKEN_BYTES, issue

VALID = issue(CLAIMS, ES256)

DUPLICATES = {
    "the same value": b'"sub":"usr_minji",',
    "another value": b'"sub":"admin",',
    "escaped": b'"s\\u0075b":"admin",',
    "escaped whole": b'"\\u0073\\u0075\\u0062":"admin",',
    "with spaces": b'"sub" : "admin" ,',
    "a claim unknown twice": b'"x":1,"x":2,',
    "nested": b'"x":{"a":1,"a":2},',
}


@pytest.mark.parametrize("form", DUPLICATES)
@pytest.mark.parametrize("front", [True, False])
def test_a_repeated_claim_is_refused(form: str, *, front: bool) -> None:
    """J29: no parser may be left to choose, wherever the repetition stands."""
    right = to_bytes(payload_with())
    added = DUPLICATES[form]
    payload = b"{" + added + right[1:] if front else right[:-1] + b"," + added.rstrip(b", ") + b"}"
    assert refusal(signed(ES256, None, payload)).reason == "json"


@pytest.mark.parametrize("added", [b'"alg":"none",', b'"alg":"ES256",', b'"\\u0061lg":"none",', b'"\\u006bid":"x",'])
def test_a_repeated_header_member_is_refused(added: bytes) -> None:
    """J29: also when escapes hide it (RFC 7515 section 4)."""
    right = to_bytes(header_of(ES256))
    for header in (b"{" + added + right[1:], right[:-1] + b"," + added.rstrip(b",") + b"}"):
        assert refusal(signed(ES256, header)).reason == "header"


NOT_OBJECTS = [
    b"[]",
    b'"x"',
    b"1",
    b"null",
    b"true",
    b"",
    b" ",
    b"{",
    b"{}{}",
    b"{} x",
    b"[{}]",
    b"{'a':1}",
    b'{"a":1,}',
]


@pytest.mark.parametrize("text", NOT_OBJECTS, ids=ascii)
def test_what_is_not_one_object_is_refused(text: bytes) -> None:
    """J30: as header and as claims."""
    assert refusal(signed(ES256, text)).reason == "header"
    assert refusal(signed(ES256, None, text)).reason == "json"


def other_encodings(text: str) -> dict[str, bytes]:
    """Write JSON in every way that is not plain UTF-8."""
    return {
        "utf-16": text.encode("utf-16"),
        "utf-16-le": text.encode("utf-16-le"),
        "utf-16-be": text.encode("utf-16-be"),
        "utf-32": text.encode("utf-32"),
        "bom": b"\xef\xbb\xbf" + text.encode(),
        "overlong": text.encode().replace(b"usr", b"\xc1\xb5sr").replace(b"at+", b"\xc1\xa1t+"),
        "latin-1": text.encode().replace(b"usr", b"\xfcsr").replace(b"at+", b"\xe4t+"),
        "raw surrogate": text.encode().replace(b"usr", b"\xed\xa0\x80").replace(b"at+", b"\xed\xa0\x80"),
        "escaped surrogate": text.encode().replace(b"usr", b"\\udc00").replace(b"at+", b"\\udc00"),
    }


@pytest.mark.parametrize("name", list(other_encodings("")))
def test_an_encoding_other_than_utf_8_is_refused(name: str) -> None:
    """J31: byte order marks, wide and overlong forms, half characters (RFC 8725 section 3.7)."""
    header = other_encodings(json.dumps(header_of(ES256)))[name]
    payload = other_encodings(json.dumps(payload_with()))[name]
    assert refusal(signed(ES256, header)).reason == "header"
    assert refusal(signed(ES256, None, payload)).reason == "json"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "auth_time", "unknown"])
@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", str(10**400), "9" * 5000, str(2**63), str(-(2**63) - 1),
     "01", "+1", "0x10", "1_000"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_a_number_that_is_none_or_too_large_is_refused(claim: str, number: str) -> None:
    """J33: a refusal and never an overflow, for claims that we know and those that we do not."""
    members = [f'"{name}":{json.dumps(value)}' for name, value in payload_with(**{claim: ...}).items()]
    payload = "{" + ",".join([*members, f'"{claim}":{number}']) + "}"
    assert refusal(signed(ES256, None, payload.encode())).reason in {"json", "claims"}


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize("value", ["1700000300", True, None, [1], {}, 1e18, -1e18, 253402300800], ids=repr)
def test_a_time_of_another_type_or_beyond_the_year_9999_is_refused(claim: str, value: object) -> None:
    """J33: NumericDate is a number (RFC 7519 section 2), not a string, a boolean or a list."""
    assert refusal(signed(ES256, None, payload_with(**{claim: value}))).reason == "claims"


def deep(depth: int) -> bytes:
    """Nest lists."""
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize("depth", [65, 1_000, 3_000, 100_000])
def test_deep_json_is_refused_without_recursion(depth: int) -> None:
    """J49: in header and claims, below and above the size limit."""
    for text in (deep(depth), b'{"x":' + deep(depth) + b"}", b'{"x":' * depth + b"1" + b"}" * depth):
        assert refusal(signed(ES256, text)).reason in {"size", "header"}
        assert refusal(signed(ES256, None, text)).reason in {"size", "json"}


def test_many_members_are_refused() -> None:
    """J50: by number below the size limit, by size above it."""
    many = {f"m{number}": 0 for number in range(200)}
    assert refusal(signed(ES256, header_of(ES256, **many))).reason == "header"
    assert refusal(signed(ES256, None, payload_with(**many))).reason == "json"
    crowd = {f"m{number}": 0 for number in range(100_000)}
    assert refusal(signed(ES256, header_of(ES256, **crowd))).reason == "size"


def test_a_nested_token_is_not_unwrapped() -> None:
    """J47: a signed token inside a signed token is a payload that is no object."""
    token = VALID
    for _ in range(3):
        token = signed(ES256, header_of(ES256, cty="JWT"), token.encode())
        assert refusal(token).reason == "json"


@pytest.mark.parametrize("zip_name", ["DEF", "GZIP", None])
def test_nothing_is_ever_inflated(zip_name: object) -> None:
    """J51: a bomb of a megabyte in a kilobyte is a payload that is no JSON, whatever the header promises."""
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(to_bytes(payload_with(x="a" * 1_000_000))) + packer.flush()
    token = signed(ES256, header_of(ES256, zip=zip_name), bomb)
    assert len(token) < MAX_TOKEN_BYTES
    assert refusal(token).reason == "json"


def test_the_size_limit_is_exact() -> None:
    """J50: a token of 8 KiB is judged, one byte more is refused unread; both as text and as bytes."""
    room = "a" * (MAX_TOKEN_BYTES - len(VALID))
    assert refusal(VALID + room).reason != "size"
    assert refusal(VALID + room + "a").reason == "size"
    assert refusal((VALID + room + "a").encode()).reason == "size"
