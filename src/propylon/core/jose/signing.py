"""The keys that sign: made once, loaded once, never shown."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from propylon.core.jose import base64url
from propylon.core.jose.algorithms import CURVES, HASHES, coordinate_bytes
from propylon.core.jose.jwk import VerificationKey, hmac_key, import_jwk
from propylon.core.jose.refusals import KeyRefused

HMAC_KEY_BYTES = 32
# 3072 bits would cost three times the CPU of a signature (about 1 ms instead of 0.3) and half as many bytes
# again in every request. RFC 7518 asks for 2048; signing keys here are rotated, not kept for years.
RSA_BITS = 2048
MAX_PRIVATE_KEY_BYTES = 8192

_Private = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey
_Signer = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A key that signs with exactly one algorithm: ES256, EdDSA (Ed25519), RS256 or HS256.

    Attributes:
        alg: what token headers say.
        verification_key: its other half, which also names it (``kid``).
    """

    alg: str
    verification_key: VerificationKey
    _signer: _Signer = field(repr=False)
    _private: bytes = field(repr=False)

    @classmethod
    def generate(cls, alg: str) -> SigningKey:
        """Make a new key.

        Raises:
            KeyRefused: keys for ``alg`` are not made here.
        """
        if alg == "HS256":
            return cls.from_private(alg, secrets.token_bytes(HMAC_KEY_BYTES))
        if alg not in _GENERATORS:
            raise KeyRefused("signing_key_made")
        return _asymmetric(alg, _GENERATORS[alg]())

    @classmethod
    def from_private(cls, alg: str, data: bytes) -> SigningKey:
        """Load what `to_private` gave. For RSA this takes tens of milliseconds: do it once.

        Raises:
            KeyRefused: ``data`` is not a sound key for ``alg``.
        """
        if alg == "HS256":
            return cls(alg, hmac_key(data, alg), _hmac_signer(data), data)
        if alg not in _GENERATORS:
            raise KeyRefused("signing_key_loaded")
        return _asymmetric(alg, _load(data))

    def to_private(self) -> bytes:
        """Give the secret for sealing: PKCS #8 DER, or the raw HMAC key."""
        return self._private

    @property
    def kid(self) -> str:
        """The name of the key in token headers."""
        return self.verification_key.kid

    def sign(self, signing_input: bytes) -> bytes:
        """Sign; ECDSA signatures are r and s at full length (RFC 7518 section 3.4)."""
        return self._signer(signing_input)


def _load(data: bytes) -> object:
    if len(data) > MAX_PRIVATE_KEY_BYTES:
        raise KeyRefused("private_key_size")
    try:
        return serialization.load_der_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused("private_key_unreadable") from None


def _asymmetric(alg: str, private: object) -> SigningKey:
    """Join the halves; the public one goes through `import_jwk`, so every check of it holds here too."""
    if isinstance(private, ec.EllipticCurvePrivateKey) and alg == "ES256":
        signer, members = _ecdsa_signer(private), _ec_members(private.public_key())
    elif isinstance(private, Ed25519PrivateKey) and alg == "EdDSA":
        encoded = private.public_key().public_bytes_raw()
        signer, members = private.sign, {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(encoded)}
    elif isinstance(private, rsa.RSAPrivateKey) and alg == "RS256":
        signer, members = _rsa_signer(private), _rsa_members(private.public_key())
    else:
        raise KeyRefused("private_key_alg")
    return SigningKey(alg, import_jwk({**members, "alg": alg}), signer, _pkcs8(private))


def _pkcs8(private: _Private) -> bytes:
    der, pkcs8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return private.private_bytes(der, pkcs8, serialization.NoEncryption())


def _ec_members(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers, length = public.public_numbers(), coordinate_bytes(public.curve)
    curve = next((name for name, known in CURVES.items() if known.name == public.curve.name), "")
    x, y = (base64url.encode(value.to_bytes(length, "big")) for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": curve, "x": x, "y": y}


def _rsa_members(public: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    n, e = (base64url.encode(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
    return {"kty": "RSA", "n": n, "e": e}


def _hmac_signer(key: bytes) -> _Signer:
    return lambda signing_input: hmac.digest(key, signing_input, "sha256")


def _ecdsa_signer(private: ec.EllipticCurvePrivateKey) -> _Signer:
    scheme, length = ec.ECDSA(HASHES["sha256"]), coordinate_bytes(private.curve)

    def sign(signing_input: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(signing_input, scheme))
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")

    return sign


def _rsa_signer(private: rsa.RSAPrivateKey) -> _Signer:
    scheme, digest = padding.PKCS1v15(), HASHES["sha256"]
    return lambda signing_input: private.sign(signing_input, scheme, digest)


_GENERATORS: Mapping[str, Callable[[], _Private]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS),
}
