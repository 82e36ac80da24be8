"""Keys and key sets: what is loaded, what is published, and what is turned away."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.core.jose.forge import EDDSA, ES256, HS256, RS256, without_ellipsis

from propylon.core.jose import base64url
from propylon.core.jose.jwk import MAX_JWKS_BYTES, MAX_KEYS, KeySet, hmac_key, import_jwk, thumbprint
from propylon.core.jose.key_checks import ed25519_fault, rsa_fault
from propylon.core.jose.refusals import KeyRefused
from propylon.errors import SetupError

P25519 = 2**255 - 19
PUBLIC = {key.alg: key.verification_key.public_jwk() for key in (ES256, EDDSA, RS256)}
SECRET = {"kty": "oct", "k": base64url.encode(b"k" * 32), "alg": "HS256", "kid": "secret"}


def with_changes(alg: str, /, **changes: Any) -> dict[str, Any]:
    """Give a sound public JWK, changed; a member set to ``...`` is left out."""
    return without_ellipsis({**PUBLIC[alg], **changes})


def jwks(*entries: object) -> bytes:
    """Write a key set."""
    return json.dumps({"keys": entries}).encode()


def refused(mapping: dict[str, Any], **settings: Any) -> str:
    """Give the sentence of the refusal; fail when the key is accepted."""
    with pytest.raises(KeyRefused) as caught:
        import_jwk(mapping, **settings)
    assert isinstance(caught.value, SetupError)
    return str(caught.value)


@pytest.mark.parametrize("alg", PUBLIC)
def test_a_published_key_comes_back_as_it_was(alg: str) -> None:
    """Out and in again; unknown members are ignored (RFC 7517 section 4)."""
    assert import_jwk(with_changes(alg, x5t="ignored", unknown=[1])).public_jwk() == PUBLIC[alg]


def test_the_thumbprint_is_that_of_the_standard() -> None:
    """RFC 7638 section 3.1; our own keys are named by its first 11 characters."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )
    assert thumbprint({"kty": "RSA", "n": n, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert import_jwk({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256"}).kid == "NzbLsXh8uDC"


@pytest.mark.parametrize(
    "changes",
    [{"kty": "RSA"}, {"kty": "oct"}, {"kty": ...}, {"kty": 1}, {"crv": "P-384"}, {"crv": ...}, {"crv": ["P-256"]},
     {"alg": "ES384"}, {"alg": "none"}, {"alg": ...}, {"alg": ["ES256"]}, {"alg": "HS256"}, {"alg": "ES256K"},
     {"x": ...}, {"x": 1}, {"x": ""}, {"x": "é"}, {"x": "A=" * 20}, {"x": PUBLIC["ES256"]["x"] + "A"},
     {"x": "AAAA" + PUBLIC["ES256"]["x"]}, {"y": PUBLIC["ES256"]["x"]}, {"x": "A" * 43, "y": "A" * 43},
     {"use": "enc"}, {"use": None}, {"key_ops": ["sign"]}, {"key_ops": []}, {"key_ops": "verify"},
     {"key_ops": ["verify", "verify"]}, {"key_ops": ["verify", 1]}, {"kid": 1}, {"kid": ""}, {"kid": "a b"},
     {"kid": "a" * 129}, {"d": "AAAA"}, {"d": None}],
    ids=lambda changes: str(changes).replace(PUBLIC["ES256"]["x"], "X")[:40],
)  # fmt: skip
def test_a_contradictory_or_odd_key_is_refused(changes: dict[str, Any]) -> None:
    """J6, J22, J23: kty, crv and alg fit each other, the point is on its curve, the purpose is verifying."""
    assert refused(with_changes("ES256", **changes))


def test_the_default_algorithm_serves_only_where_none_is_said() -> None:
    """A key that says its algorithm keeps it, and a default that does not fit is refused."""
    silent = with_changes("ES256", alg=...)
    assert import_jwk(silent, default_alg="ES256").alg == "ES256"
    assert refused(silent, default_alg="RS256")
    assert import_jwk(PUBLIC["RS256"], default_alg="PS256").alg == "RS256"


def rsa_members(modulus: int, exponent: int = 65537) -> dict[str, str]:
    """Write an RSA JWK."""
    n, e = (base64url.encode(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (modulus, exponent))
    return {"kty": "RSA", "n": n, "e": e, "alg": "RS256"}


MODULUS = int.from_bytes(base64url.decode(PUBLIC["RS256"]["n"].encode()), "big")


@pytest.mark.parametrize("exponent", [1, 2, 3, 17, 65536, 65538, 2**32 + 1])
def test_an_odd_rsa_exponent_is_refused(exponent: int) -> None:
    """J22: 1 verifies anything; small ones have a history; endless ones cost time."""
    assert "exponent" in refused(rsa_members(MODULUS, exponent))


def test_an_rsa_modulus_must_be_long_odd_and_bounded() -> None:
    """J22: 1024 bits, an even number, more bits than anybody needs, and leading zeros."""
    short = int.from_bytes(b"\xff" * 128, "big")
    assert "2048" in refused(rsa_members(short))
    assert "even" in refused(rsa_members(MODULUS - 1))
    assert "8192" in refused(rsa_members(2**8192 + 1))
    padded = base64url.encode(b"\0" + base64url.decode(PUBLIC["RS256"]["n"].encode()))
    assert "zeros" in refused({**rsa_members(MODULUS), "n": padded})
    assert rsa_fault(MODULUS, 65537) is None


def test_points_of_small_order_and_off_the_curve_are_no_ed25519_keys() -> None:
    """A small-order key accepts one signature for many messages; the encodings are public knowledge."""
    order_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    small = [0, 1, P25519 - 1, order_8, P25519 - order_8, P25519, P25519 + 1, 2**255 - 1]
    for y in small:
        for sign in (0, 1 << 255):
            assert ed25519_fault((y | sign).to_bytes(32, "little")) is not None
    assert str(ed25519_fault((2).to_bytes(32, "little"))) == "Ed25519 key is not a point of the curve."
    assert str(ed25519_fault(bytes(31))) == "Ed25519 key must have 32 bytes."
    assert "order" in refused(with_changes("EdDSA", x=base64url.encode(bytes(32))))


@pytest.mark.parametrize(("alg", "length"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_an_hmac_key_is_as_long_as_its_hash(alg: str, length: int) -> None:
    """J21: RFC 7518 section 3.2, to the byte."""
    assert hmac_key(b"k" * length, alg).is_symmetric
    for size in (0, length - 1, 1025):
        with pytest.raises(KeyRefused):
            hmac_key(b"k" * size, alg)


def test_a_symmetric_key_is_never_published() -> None:
    """J14: not alone, and not in a set."""
    key = HS256.verification_key
    with pytest.raises(KeyRefused):
        key.public_jwk()
    published = json.loads(KeySet([key, ES256.verification_key]).to_jwks())
    assert published == {"keys": [PUBLIC["ES256"]]}


def test_the_name_of_an_hmac_key_tells_nothing_of_it() -> None:
    """66 bits of a hash in a domain of its own: the same for the same key, and not its plain hash."""
    secret = HS256.to_private()
    assert HS256.kid == hmac_key(secret, "HS256").kid
    assert len(HS256.kid) == 11
    assert not base64url.encode(hashlib.sha256(secret).digest()).startswith(HS256.kid)
    assert not base64url.encode(secret).startswith(HS256.kid[:6])


def test_nothing_secret_is_shown() -> None:
    """A repr goes to logs."""
    shown = repr((HS256, HS256.verification_key, KeySet([HS256.verification_key])))
    secret = HS256.to_private()
    assert base64url.encode(secret) not in shown
    assert repr(secret) not in shown
    assert shown.count(HS256.kid) == 3


def test_a_key_set_finds_its_keys_by_name() -> None:
    """A published set comes back whole."""
    keys = KeySet.from_jwks(KeySet(key.verification_key for key in (ES256, EDDSA, RS256)).to_jwks())
    assert [key.kid for key in keys] == [ES256.kid, EDDSA.kid, RS256.kid]
    assert keys.find("unknown") is None


def test_two_keys_of_one_name_are_refused() -> None:
    """J13: neither the first nor the last wins, also when one of them could not be used."""
    with pytest.raises(KeyRefused):
        KeySet([ES256.verification_key, ES256.verification_key])
    with pytest.raises(KeyRefused):
        KeySet.from_jwks(jwks(PUBLIC["ES256"], {**PUBLIC["EdDSA"], "kid": ES256.kid}))
    with pytest.raises(KeyRefused):
        KeySet.from_jwks(jwks(PUBLIC["ES256"], {"kty": "unknown", "kid": ES256.kid}))


def test_secrets_and_public_keys_do_not_mix() -> None:
    """J14: where a set has both, somebody publishes secrets or will confuse them."""
    assert len(KeySet.from_jwks(jwks(SECRET))) == 1
    for entries in ([SECRET, PUBLIC["ES256"]], [PUBLIC["ES256"], {"kty": "EC", "k": "AAAA"}]):
        with pytest.raises(KeyRefused, match="mixes"):
            KeySet.from_jwks(jwks(*entries))


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth"])
def test_a_private_key_in_a_set_is_refused(member: str) -> None:
    """J14: whoever serves it must replace it; leaving it out would hide that."""
    with pytest.raises(KeyRefused, match="private"):
        KeySet.from_jwks(jwks(PUBLIC["ES256"], {**PUBLIC["RS256"], member: "AAAA"}))


def test_a_key_that_cannot_be_used_is_left_out() -> None:
    """RFC 7517 section 5: unknown types, missing members and other purposes do not spoil the rest."""
    odd = [{"kty": "PQ", "kid": "a"}, {}, {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "b"},
           with_changes("RS256", use="enc"), with_changes("EdDSA", alg=..., kid="c"), {"kid": 7}]  # fmt: skip
    assert [key.kid for key in KeySet.from_jwks(jwks(*odd, PUBLIC["ES256"]))] == [ES256.kid]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{}", b'{"keys":{}}', b'{"keys":[1]}', b'{"keys":[],"keys":[]}', b'{"keys":[]} x',
     jwks(*[{"kty": "PQ"}] * (MAX_KEYS + 1)), b'{"keys":[' + b" " * MAX_JWKS_BYTES + b"]}", b'{"keys":' + b"[" * 9999],
    ids=lambda data: str(data[:20]),
)  # fmt: skip
def test_what_is_no_key_set_or_too_large_is_refused(data: bytes) -> None:
    """Bounded before it is read, strict when it is."""
    with pytest.raises(KeyRefused):
        KeySet.from_jwks(data)


def test_an_ec_coordinate_keeps_its_leading_zero() -> None:
    """RFC 7518 section 6.2.1.2: full length always; every second P-521 key would break without it."""
    private = next(key for key in keys_of_p521() if key.public_key().public_numbers().x < 2**520)
    numbers = private.public_key().public_numbers()
    x, y = (base64url.encode(value.to_bytes(66, "big")) for value in (numbers.x, numbers.y))
    assert import_jwk({"kty": "EC", "crv": "P-521", "x": x, "y": y, "alg": "ES512"}).public_jwk()["x"] == x
    stripped = base64url.encode(numbers.x.to_bytes(66, "big").lstrip(b"\0"))
    assert "length" in refused({"kty": "EC", "crv": "P-521", "x": stripped, "y": y, "alg": "ES512"})


def keys_of_p521() -> list[ec.EllipticCurvePrivateKey]:
    """Give keys from fixed numbers; one of them has a short coordinate."""
    return [ec.derive_private_key(number, ec.SECP521R1()) for number in range(1, 60)]
