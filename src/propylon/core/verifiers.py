"""Services elsewhere that may follow the revocation feed: each has a name, an id, and a secret of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import ClassVar, Final

import msgspec

from propylon.core.discreet import Discreet

SECRET_BYTES: Final = 32
ID_BYTES: Final = 9
MAX_VERIFIERS: Final = 256
MAX_NAME_CHARS: Final = 64

# What begins like this is found by those who look for leaked secrets, in a repository or a log.
PREFIX: Final = "propylon_verifier_"
_SECRET: Final = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_CHARS - 1}}}")


class StoredVerifier(Discreet, msgspec.Struct, frozen=True):
    """A verifier at rest. Its secret has 256 random bits, so a plain hash of it can be neither undone nor guessed.

    Attributes:
        digest: SHA-256 of the secret, base64url.
    """

    shown: ClassVar[tuple[str, ...]] = ("id", "name")

    id: str
    name: str
    digest: str
    created_at: int


class NewVerifier(Discreet, msgspec.Struct, frozen=True):
    """A verifier that was just made, and its secret, which nobody will see again."""

    shown: ClassVar[tuple[str, ...]] = ("id", "name")

    id: str
    name: str
    secret: str


def name_is_sound(name: str) -> bool:
    """Tell whether ``name`` is 1 to 64 ASCII letters, digits, ``.``, ``_`` and ``-``, the first no sign."""
    return _NAME.fullmatch(name) is not None


def made(name: str, random: bytes, now: int) -> tuple[NewVerifier, StoredVerifier]:
    """Make a verifier of fresh random bytes, ``ID_BYTES`` and then ``SECRET_BYTES`` of them."""
    if len(random) != ID_BYTES + SECRET_BYTES:
        raise ValueError(f"a verifier is made of {ID_BYTES + SECRET_BYTES} random bytes")
    id_ = _encode(random[:ID_BYTES])
    secret = PREFIX + _encode(random[ID_BYTES:])
    return NewVerifier(id_, name, secret), StoredVerifier(id_, name, _digest(secret), now)


def recognised(verifiers: tuple[StoredVerifier, ...], secret: str) -> StoredVerifier | None:
    """Return whose secret this is, or None. It takes the same time whoever it is."""
    if not _SECRET.fullmatch(secret):
        return None
    digest = _digest(secret)
    found = [verifier for verifier in verifiers if hmac.compare_digest(verifier.digest, digest)]
    return found[0] if found else None


def _digest(secret: str) -> str:
    return _encode(hashlib.sha256(secret.encode()).digest())


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
