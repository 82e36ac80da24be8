"""Compact JWS (RFC 7515): `parse` judges the form, `verify` the signature; only then is there a payload."""

from __future__ import annotations

from typing import Any

import msgspec

from propylon.core.jose import base64url, strict_json
from propylon.core.jose.algorithms import ALGORITHMS
from propylon.core.jose.jwk import VerificationKey, kid_is_sound
from propylon.core.jose.refusals import TokenRefused

MAX_TYP_CHARS = 64

# `crit`: we understand no extension, so every list of them is refused (RFC 7515 section 4.1.11), and with it
# `b64` (RFC 7797 section 6). The others bring or fetch a key chosen by the sender (RFC 8725 section 3.10).
_REFUSED_MEMBERS = frozenset({"crit", "b64", "jwk", "jku", "x5u", "x5c"})


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members of a JOSE header that mean something here; their order is how we write them."""

    alg: str
    typ: str | None = None
    kid: str | None = None


class Compact(msgspec.Struct, frozen=True):
    """A token of sound form, not verified: it says which key to ask for, and nothing else yet.

    Attributes:
        header: ``alg`` (a supported one), ``typ`` and ``kid`` (checked, or None).
        signing_input: what the signature is over.
        signature: decoded, never empty.
        unverified_payload: written by anybody; take it from `verify`.
    """

    header: Header
    signing_input: bytes
    signature: bytes
    unverified_payload: bytes

    def __repr__(self) -> str:
        return f"Compact(alg={self.header.alg!r})"  # a token is a credential: it stays out of logs


def parse(token: str | bytes, *, max_bytes: int) -> Compact:
    """Take a compact JWS apart; everything that needs no key is checked here.

    Raises:
        TokenRefused: too long, not exactly three parts of strict base64url, a header that is not one
            strict JSON object, an unknown ``alg``, an odd ``kid``, or a member that is refused on sight.
    """
    raw = _ascii(token, max_bytes)
    if raw.count(b".") != 2:  # a JWE has five parts: never mistaken for a signed token (CVE-2023-51774)
        raise TokenRefused("parts")
    signing_input, _, signature = raw.rpartition(b".")
    header, _, payload = signing_input.partition(b".")
    try:
        parts = base64url.decode(header), base64url.decode(payload), base64url.decode(signature)
    except ValueError:
        raise TokenRefused("base64url") from None
    if not signature:
        raise TokenRefused("signature")
    return Compact(_header(parts[0]), signing_input, parts[2], parts[1])


def verify(compact: Compact, key: VerificationKey) -> bytes:
    """Give the payload when ``key`` signed it with its own algorithm.

    Raises:
        TokenRefused: the header names another algorithm than the key's, or the signature is wrong.
    """
    if compact.header.alg != key.alg:  # the key decides, never the header (RFC 8725 section 3.1)
        raise TokenRefused("algorithm")
    if not key.verify(compact.signing_input, compact.signature):
        raise TokenRefused("signature")
    return compact.unverified_payload


def _ascii(token: str | bytes, max_bytes: int) -> bytes:
    if len(token) > max_bytes:
        raise TokenRefused("size")
    if isinstance(token, bytes):
        return token
    if not token.isascii():
        raise TokenRefused("base64url")
    return token.encode("ascii")


def _header(data: bytes) -> Header:
    header = _canonical_header(data) or _strict_header(data)
    if header.alg not in ALGORITHMS:  # also every spelling of none
        raise TokenRefused("algorithm")
    if header.kid is not None and not kid_is_sound(header.kid):
        raise TokenRefused("kid")
    if header.typ is not None and len(header.typ) > MAX_TYP_CHARS:
        raise TokenRefused("typ")
    return header


def _canonical_header(data: bytes) -> Header | None:
    """Read a header as we write it; None means that the exact way must decide.

    What encodes to the same bytes again has no other reading: no repeated, unknown or refused member,
    no escapes, no oddities.
    """
    try:
        header = _DECODER.decode(data)
    except (ValueError, RecursionError):
        return None
    return header if _ENCODER.encode(header) == data else None


def _strict_header(data: bytes) -> Header:
    try:
        members = strict_json.decode_object(data)
    except ValueError:
        raise TokenRefused("header") from None
    if not _REFUSED_MEMBERS.isdisjoint(members):
        raise TokenRefused("member")
    return Header(
        _text(members, "alg"), *(_text(members, name) if name in members else None for name in ("typ", "kid"))
    )


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise TokenRefused("header")
    return value


_DECODER = msgspec.json.Decoder(Header)
_ENCODER = msgspec.json.Encoder()
