"""Signed sessions of Django and of Starlette's ``SessionMiddleware``: verified and read, to be exchanged for ours.

What they carry is believed only after its signature was compared, and then it is bounded all the same. Django's format
is its documented construction over ``hmac`` (``django.core.signing``); Starlette's is itsdangerous, which reads it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from propylon.core.discreet import Discreet
from propylon.core.foreign_account import Owner

#: Browsers keep 4 KiB of a cookie (6265bis section 5.7).
MAX_COOKIE_CHARS: Final = 4_096
#: What a session in a database may be, spelled and unpacked.
MAX_SESSION_BYTES: Final = 256 * 1024

#: ``django.utils.crypto.get_random_string(32)`` in lower case and digits.
DJANGO_SESSION_KEY: Final = re.compile(r"[a-z0-9]{32}")
DJANGO_COOKIE_SALT: Final = "django.contrib.sessions.backends.signed_cookies"
DJANGO_DATABASE_SALT: Final = "django.contrib.sessions.SessionStore"
_DJANGO_HASH_SALT: Final = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Signed(Discreet, msgspec.Struct, frozen=True):
    """A session whose signature is right.

    Attributes:
        identity: what was signed: another spelling of the signature makes no second session of it.
        signed_at: epoch seconds.
    """

    shown: ClassVar[tuple[str, ...]] = ("signed_at",)

    identity: str
    signed_at: int
    content: dict[str, Any]


class ForeignSession(Discreet, msgspec.Struct, frozen=True):
    """A session of another system, good at this moment.

    Attributes:
        identity: tells it from every other one of that system.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    identity: str
    owner: Owner


def django_signed(text: str, secrets: Sequence[str], salt: str) -> Signed | None:
    """Read what ``django.core.signing.dumps`` wrote; None where no secret signed it, or it holds no session."""
    signed, _, signature = text.rpartition(":")
    payload, _, stamp = signed.rpartition(":")
    if not payload or len(text) > MAX_SESSION_BYTES or not text.isascii():
        return None
    if not any(hmac.compare_digest(signature, _django_signature(signed, secret, salt)) for secret in secrets):
        return None
    content = _object(_unpacked(payload))
    return None if content is None else Signed(signed, _from_base62(stamp), content)


def django_hash_matches(auth_hash: object, password_field: str, secrets: Sequence[str]) -> bool:
    """Say whether a session was made with the password that the account has now: a new one ends it in Django, too."""
    if not isinstance(auth_hash, str) or not auth_hash.isascii():
        return False
    made = (_salted_hmac(_DJANGO_HASH_SALT, password_field, secret).hex() for secret in secrets)
    return any(hmac.compare_digest(auth_hash, one) for one in made)


def starlette_signed(text: str, secrets: Sequence[str]) -> Signed | None:
    """Read a cookie of ``SessionMiddleware``; None where no secret made the signature, or it holds no session."""
    from itsdangerous import BadSignature, TimestampSigner  # noqa: PLC0415 - an extra

    if len(text) > MAX_COOKIE_CHARS or not text.isascii():
        return None
    for secret in secrets:
        try:
            payload, at = TimestampSigner(secret).unsign(text, return_timestamp=True)
        except BadSignature:
            continue
        content = _object(_base64(payload.decode("ascii"), b"+/"))
        return None if content is None else Signed(text.rpartition(".")[0], int(at.timestamp()), content)
    return None


def _django_signature(signed: str, secret: str, salt: str) -> str:
    digest = _salted_hmac(salt + "signer", signed, secret)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _salted_hmac(salt: str, value: str, secret: str) -> bytes:
    """Compute as ``django.utils.crypto.salted_hmac`` with SHA-256."""
    key = hashlib.sha256((salt + secret).encode()).digest()
    return hmac.digest(key, value.encode(), "sha256")


def _unpacked(payload: str) -> bytes | None:
    """Return what Django packed; a dot in front says that it was compressed."""
    packed = _base64(payload.removeprefix("."), b"-_")
    if packed is None or not payload.startswith("."):
        return packed
    try:
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(packed, MAX_SESSION_BYTES)
    except zlib.error:
        return None
    return unpacked if unpacker.eof else None


def _base64(text: str, alphabet: bytes) -> bytes | None:
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=alphabet, validate=True)
    except binascii.Error:
        return None


def _object(document: bytes | None) -> dict[str, Any] | None:
    try:
        content = None if document is None else json.loads(document)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _from_base62(text: str) -> int:
    """Return the time of Django's ``TimestampSigner``; 0, which is long over, for what is none."""
    if not 1 <= len(text) <= 10 or not set(text) <= set(_BASE62):
        return 0
    number = 0
    for digit in text:
        number = 62 * number + _BASE62.index(digit)
    return number
