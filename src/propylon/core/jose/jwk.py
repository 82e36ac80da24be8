"""JSON Web Keys (RFC 7517): the keys that verify, each with one algorithm, and sets of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from propylon.core.jose import base64url, strict_json
from propylon.core.jose.algorithms import (
    ALGORITHMS,
    CURVES,
    HASHES,
    Algorithm,
    Primitive,
    coordinate_bytes,
    ecdsa_primitive,
    eddsa_primitive,
    hmac_primitive,
    rsa_primitive,
)
from propylon.core.jose.key_checks import ed25519_fault, rsa_fault
from propylon.core.jose.refusals import KeyRefused

MAX_KID_CHARS = 128
MAX_HMAC_KEY_BYTES = 1024
MAX_JWKS_BYTES = 65_536
MAX_KEYS = 64
KID_CHARS = 11  # of our own keys: 66 bits tell a handful of keys apart, and every request carries it

# Letters of file names, mail addresses and URLs. No quotes, spaces, brackets, backslashes or control
# characters: a kid is looked up, and must be harmless wherever somebody looks it up (RFC 8725 section 3.10).
_SOUND_KID = re.compile(rf"[A-Za-z0-9\-_.~@:/+=#]{{1,{MAX_KID_CHARS}}}")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "priv"})
_THUMBPRINT_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


def kid_is_sound(kid: object) -> bool:
    """Tell whether ``kid`` is a string of bounded length and harmless characters."""
    return isinstance(kid, str) and _SOUND_KID.fullmatch(kid) is not None


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey:
    """A key that verifies signatures of exactly one algorithm (RFC 8725 section 3.1).

    Attributes:
        kid: names the key in token headers.
        alg: the one algorithm; a token whose header says another is refused before the key is touched.
    """

    kid: str
    alg: str
    primitive: Primitive = field(repr=False)
    members: Mapping[str, str] | None = field(repr=False, default=None)

    @property
    def is_symmetric(self) -> bool:
        """Whether whoever can verify can also sign."""
        return self.members is None

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` is this key's over ``signing_input``."""
        return self.primitive(signing_input, signature)

    def public_jwk(self) -> dict[str, str]:
        """Give the JWK to publish.

        Raises:
            KeyRefused: the key is symmetric; publishing it would let everybody sign.
        """
        if self.members is None:
            raise KeyRefused("jwk_symmetric")
        return {**self.members, "alg": self.alg, "use": "sig", "kid": self.kid}


def thumbprint(members: Mapping[str, str]) -> str:
    """Compute the SHA-256 thumbprint of a public key (RFC 7638 section 3)."""
    required = {name: members[name] for name in _THUMBPRINT_MEMBERS[members["kty"]]}
    return base64url.encode(hashlib.sha256(msgspec.json.encode(required)).digest())


def hmac_key(secret: bytes, alg: str, *, kid: str | None = None) -> VerificationKey:
    """Make the verification side of an HMAC key; the default ``kid`` is a hash that tells nothing of the key.

    Raises:
        KeyRefused: the secret is shorter than the hash (RFC 7518 section 3.2) or absurdly long.
    """
    algorithm = ALGORITHMS[alg]
    if not HASHES[algorithm.hash_name].digest_size <= len(secret) <= MAX_HMAC_KEY_BYTES:
        raise KeyRefused("jwk_hmac_size", limit=MAX_HMAC_KEY_BYTES)
    name = kid or base64url.encode(hashlib.sha256(b"propylon hmac kid 1\x00" + secret).digest())[:KID_CHARS]
    return VerificationKey(name, alg, hmac_primitive(secret, alg))


def import_jwk(mapping: Mapping[str, Any], *, default_alg: str | None = None) -> VerificationKey:
    """Load a JWK that verifies: public, or symmetric (RFC 7517, RFC 7518 section 6, RFC 8037).

    Args:
        mapping: the members. ``alg`` may be missing only when ``default_alg`` is given; without a ``kid``
            the key is named by its thumbprint.
        default_alg: the algorithm of a key that does not say its own.

    Raises:
        KeyRefused: the key is private, of unknown or contradictory type, weak, off its curve, or meant
            for something else than verifying.
    """
    _refuse_other_purposes(mapping)
    alg = mapping.get("alg", default_alg)
    algorithm = ALGORITHMS.get(alg) if isinstance(alg, str) else None
    if not isinstance(alg, str) or algorithm is None:
        raise KeyRefused("jwk_alg")
    if mapping.get("kty") != algorithm.kty or mapping.get("crv", "") != algorithm.crv:
        raise KeyRefused("jwk_type")
    kid = mapping.get("kid")
    if kid is not None and not kid_is_sound(kid):
        raise KeyRefused("jwk_kid")
    return _IMPORTERS[algorithm.kty](mapping, alg, algorithm, kid)


def _refuse_other_purposes(mapping: Mapping[str, Any]) -> None:
    if not _PRIVATE_MEMBERS.isdisjoint(mapping):
        raise KeyRefused("jwk_private")
    if mapping.get("use", "sig") != "sig":
        raise KeyRefused("jwk_use")
    operations = mapping.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefused("jwk_operations")
    if not all(isinstance(name, str) for name in operations) or len(set(operations)) != len(operations):
        raise KeyRefused("jwk_operations_repeat")


def _octets(mapping: Mapping[str, Any], name: str) -> bytes:
    value = mapping.get(name)
    if not isinstance(value, str) or not value.isascii():
        raise KeyRefused("jwk_member_encoding", name=name)
    try:
        return base64url.decode(value.encode("ascii"))
    except ValueError:
        raise KeyRefused("jwk_member_encoding", name=name) from None


def _uint(mapping: Mapping[str, Any], name: str) -> int:
    octets = _octets(mapping, name)
    if not octets or octets[0] == 0:  # RFC 7518 section 2: the minimum number of octets
        raise KeyRefused("jwk_member_number", name=name)
    return int.from_bytes(octets, "big")


def _public(kid: str | None, alg: str, primitive: Primitive, members: dict[str, str]) -> VerificationKey:
    return VerificationKey(kid or thumbprint(members)[:KID_CHARS], alg, primitive, members)


def _import_oct(mapping: Mapping[str, Any], alg: str, _: Algorithm, kid: str | None) -> VerificationKey:
    return hmac_key(_octets(mapping, "k"), alg, kid=kid)


def _import_rsa(mapping: Mapping[str, Any], alg: str, _: Algorithm, kid: str | None) -> VerificationKey:
    modulus, exponent = _uint(mapping, "n"), _uint(mapping, "e")
    if fault := rsa_fault(modulus, exponent):
        raise fault
    key = RSAPublicNumbers(exponent, modulus).public_key()
    return _public(kid, alg, rsa_primitive(key, alg), {"kty": "RSA", "n": mapping["n"], "e": mapping["e"]})


def _import_ec(mapping: Mapping[str, Any], alg: str, algorithm: Algorithm, kid: str | None) -> VerificationKey:
    curve = CURVES[algorithm.crv]
    x, y = _octets(mapping, "x"), _octets(mapping, "y")
    if len(x) != coordinate_bytes(curve) or len(y) != coordinate_bytes(curve):
        raise KeyRefused("jwk_coordinates")
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
        key = numbers.public_key()
    except ValueError:  # RFC 8725 section 3.4
        raise KeyRefused("jwk_off_curve") from None
    members = {"kty": "EC", "crv": algorithm.crv, "x": mapping["x"], "y": mapping["y"]}
    return _public(kid, alg, ecdsa_primitive(key, alg), members)


def _import_okp(mapping: Mapping[str, Any], alg: str, algorithm: Algorithm, kid: str | None) -> VerificationKey:
    encoded = _octets(mapping, "x")
    if fault := ed25519_fault(encoded):
        raise fault
    primitive = eddsa_primitive(Ed25519PublicKey.from_public_bytes(encoded))
    return _public(kid, alg, primitive, {"kty": "OKP", "crv": algorithm.crv, "x": mapping["x"]})


_Importer = Callable[[Mapping[str, Any], str, Algorithm, str | None], VerificationKey]
_IMPORTERS: Mapping[str, _Importer] = {
    "oct": _import_oct,
    "RSA": _import_rsa,
    "EC": _import_ec,
    "OKP": _import_okp,
}


class KeySet:
    """An immutable set of verification keys, found by ``kid``."""

    __slots__ = ("_by_kid",)

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        """Collect ``keys``.

        Raises:
            KeyRefused: two keys have the same ``kid``; neither the first nor the last may win.
        """
        by_kid: dict[str, VerificationKey] = {}
        for key in keys:
            if key.kid in by_kid:
                raise KeyRefused("jwks_kid_twice")
            by_kid[key.kid] = key
        self._by_kid = by_kid

    @classmethod
    def from_jwks(cls, data: bytes) -> KeySet:
        """Read a JWK Set (RFC 7517 section 5); a key that cannot be used here is left out.

        Raises:
            KeyRefused: the text is too large or not a JWK Set, a ``kid`` is there twice, a private key was
                published, or secrets and public keys are mixed.
        """
        entries = _entries(data)
        _refuse_unsafe_sets(entries)
        return cls(_usable(entries))

    def find(self, kid: str) -> VerificationKey | None:
        """Give the key of that name, or None."""
        return self._by_kid.get(kid)

    def to_jwks(self) -> bytes:
        """Write the set for publication; symmetric keys are left out."""
        return msgspec.json.encode({"keys": [key.public_jwk() for key in self if not key.is_symmetric]})

    def __iter__(self) -> Iterator[VerificationKey]:
        return iter(self._by_kid.values())

    def __len__(self) -> int:
        return len(self._by_kid)

    def __repr__(self) -> str:
        return f"KeySet({', '.join(self._by_kid)})"


def _entries(data: bytes) -> list[dict[str, Any]]:
    if len(data) > MAX_JWKS_BYTES:
        raise KeyRefused("jwks_size")
    try:
        document = strict_json.decode_object(data, max_containers=4 * MAX_KEYS)
    except ValueError as error:
        raise KeyRefused("jwks_json") from error
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeyRefused("jwks_list", limit=MAX_KEYS)
    if not all(isinstance(entry, dict) for entry in entries):
        raise KeyRefused("jwks_entry")
    return entries


def _refuse_unsafe_sets(entries: list[dict[str, Any]]) -> None:
    kids = [entry["kid"] for entry in entries if isinstance(entry.get("kid"), str)]
    if len(set(kids)) != len(kids):
        raise KeyRefused("jwks_kid_twice")
    if any(not _PRIVATE_MEMBERS.isdisjoint(entry) for entry in entries):
        raise KeyRefused("jwks_private")
    secrets = sum(entry.get("kty") == "oct" or "k" in entry for entry in entries)
    if 0 < secrets < len(entries):
        raise KeyRefused("jwks_mixed")


def _usable(entries: list[dict[str, Any]]) -> Iterator[VerificationKey]:
    for entry in entries:
        try:
            yield import_jwk(entry)
        except KeyRefused:  # RFC 7517 section 5: ignore what is not understood, missing or out of range
            continue
