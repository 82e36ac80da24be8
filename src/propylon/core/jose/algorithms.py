"""The signature algorithms of RFC 7518 section 3.1 and RFC 8037, over `cryptography`.

A *primitive* is a function ``(signing_input, signature) -> bool`` with its key inside, loaded once.
`none` is not here, so no setting can turn it on (RFC 8725 section 3.2).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

Primitive = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What an ``alg`` name stands for.

    Attributes:
        kty: the key type that it needs (RFC 7518 section 6.1).
        hash_name: its hash, empty for Ed25519 (which brings its own).
        crv: its curve, empty where there is none.
    """

    kty: str
    hash_name: str = ""
    crv: str = ""


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        **{f"HS{bits}": Algorithm("oct", f"sha{bits}") for bits in (256, 384, 512)},
        **{f"{family}{bits}": Algorithm("RSA", f"sha{bits}") for family in ("RS", "PS") for bits in (256, 384, 512)},
        "ES256": Algorithm("EC", "sha256", "P-256"),
        "ES384": Algorithm("EC", "sha384", "P-384"),
        "ES512": Algorithm("EC", "sha512", "P-521"),
        "EdDSA": Algorithm("OKP", "", "Ed25519"),  # the name of RFC 8037, in use everywhere
        "Ed25519": Algorithm("OKP", "", "Ed25519"),  # the fully specified name of RFC 9864
    }
)
CURVES: Mapping[str, ec.EllipticCurve] = MappingProxyType(
    {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
)
HASHES: Mapping[str, hashes.HashAlgorithm] = MappingProxyType(
    {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
)


def coordinate_bytes(curve: ec.EllipticCurve) -> int:
    """Count the bytes of one coordinate, or of one half of a signature."""
    return (curve.key_size + 7) // 8


def hmac_primitive(key: bytes, alg: str) -> Primitive:
    """HMAC (RFC 7518 section 3.2), compared in constant time."""
    hash_name = ALGORITHMS[alg].hash_name

    def verify(signing_input: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(key, signing_input, hash_name), signature)

    return verify


def ecdsa_primitive(key: ec.EllipticCurvePublicKey, alg: str) -> Primitive:
    """ECDSA (RFC 7518 section 3.4): the signature is r and s at full length, nothing else.

    OpenSSL checks that 0 < r, s < n (an all-zero signature once passed elsewhere: CVE-2022-21449).
    """
    half = coordinate_bytes(key.curve)
    scheme = ec.ECDSA(HASHES[ALGORITHMS[alg].hash_name])
    number = int.from_bytes

    def verify(signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * half:
            return False
        der = encode_dss_signature(number(signature[:half], "big"), number(signature[half:], "big"))
        try:
            key.verify(der, signing_input, scheme)
        except InvalidSignature:
            return False
        return True

    return verify


def rsa_primitive(key: RSAPublicKey, alg: str) -> Primitive:
    """RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 7518 sections 3.3 and 3.5; the salt is as long as the hash)."""
    digest = HASHES[ALGORITHMS[alg].hash_name]
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if alg[0] == "P" else padding.PKCS1v15()
    length = (key.key_size + 7) // 8

    def verify(signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != length:
            return False
        try:
            key.verify(signature, signing_input, scheme, digest)
        except InvalidSignature:
            return False
        return True

    return verify


def eddsa_primitive(key: Ed25519PublicKey) -> Primitive:
    """Ed25519 (RFC 8037 section 3.1)."""

    def verify(signing_input: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, signing_input)
        except InvalidSignature:
            return False
        return True

    return verify
