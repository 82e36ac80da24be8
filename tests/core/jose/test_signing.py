"""Signing keys: made, sealed elsewhere, loaded again, and never shown."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.core.jose.forge import ALL_KEYS, ES256, HS256, RS256

from propylon.core.jose.refusals import KeyRefused
from propylon.core.jose.signing import SigningKey


def der(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    """Write PKCS #8."""
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_a_key_comes_back_from_its_private_form(key: SigningKey) -> None:
    """The same name, and each verifies what the other signed."""
    again = SigningKey.from_private(key.alg, key.to_private())
    assert (again.kid, again.alg, again.to_private()) == (key.kid, key.alg, key.to_private())
    assert key.verification_key.verify(b"message", again.sign(b"message"))
    assert again.verification_key.verify(b"message", key.sign(b"message"))


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_a_signature_holds_for_its_message_alone(key: SigningKey) -> None:
    """And not for another key's verifier."""
    signature = key.sign(b"message")
    other = SigningKey.generate(key.alg)
    assert not key.verification_key.verify(b"messagf", signature)
    assert not other.verification_key.verify(b"message", signature)
    assert other.kid != key.kid


def test_an_ecdsa_signature_has_64_bytes_always() -> None:
    """Both halves keep their leading zeros: one signature in 128 would be short without."""
    assert {len(ES256.sign(b"%d" % number)) for number in range(300)} == {64}


@pytest.mark.parametrize("alg", ["none", "ES384", "PS256", "HS512", "Ed25519", ""])
def test_keys_are_made_and_loaded_for_four_algorithms(alg: str) -> None:
    """The rest can be verified, but not issued."""
    with pytest.raises(KeyRefused):
        SigningKey.generate(alg)
    with pytest.raises(KeyRefused):
        SigningKey.from_private(alg, HS256.to_private())


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_a_private_key_is_loaded_for_its_own_algorithm_only(alg: str, key: SigningKey) -> None:
    """J3, J5: the stored pair of algorithm and key must fit."""
    if key.alg == alg:
        assert SigningKey.from_private(alg, key.to_private()).kid == key.kid
        return
    with pytest.raises(KeyRefused):
        SigningKey.from_private(alg, key.to_private())


def test_a_weak_foreign_or_damaged_private_key_is_refused() -> None:
    """Another curve, 1024 bits, a small exponent, a locked file, half a file, a huge one, a short secret."""
    weak = [
        ("ES256", der(ec.generate_private_key(ec.SECP384R1()))),
        ("ES256", der(ec.generate_private_key(ec.SECP256K1()))),
        ("RS256", der(rsa.generate_private_key(65537, 1024))),  # noqa: S505 - its weakness is the test
        ("RS256", der(rsa.generate_private_key(3, 2048))),
        ("ES256", der(ec.generate_private_key(ec.SECP256R1()), b"password")),
        ("RS256", RS256.to_private()[:-9]),
        ("ES256", b"\0" * 8193),
        ("HS256", HS256.to_private()[:-1]),
    ]
    for alg, data in weak:
        with pytest.raises(KeyRefused):
            SigningKey.from_private(alg, data)


def test_a_key_is_frozen() -> None:
    """Loaded once; nothing turns it into another key."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        ES256.alg = "HS256"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ES256.verification_key.alg = "HS256"  # type: ignore[misc]


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_the_repr_of_a_key_shows_its_name_and_no_more(key: SigningKey) -> None:
    """What a debugger or a log prints."""
    assert repr(key) == (
        f"SigningKey(alg='{key.alg}', verification_key=VerificationKey(kid='{key.kid}', alg='{key.alg}'))"
    )
