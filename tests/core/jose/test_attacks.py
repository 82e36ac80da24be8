"""The JWT attack list, entries 1 to 50 as far as an access token is concerned.

Every forged token here is signed with a real key wherever signing is possible, so that the named rule,
and not the signature, is what refuses it; the reason word proves it.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from tests.core.jose.forge import (
    ALL_KEYS,
    CLAIMS,
    ES256,
    HS256,
    NOW,
    RS256,
    counting,
    header_of,
    judge,
    key_set,
    payload_with,
    refusal,
    signed,
    to_bytes,
)

from propylon.core.jose import base64url
from propylon.core.jose.access_token import MAX_TOKEN_BYTES, issue
from propylon.core.jose.jwk import KeySet, hmac_key, import_jwk
from propylon.core.jose.refusals import KeyRefused
from propylon.core.jose.signing import SigningKey
from propylon.core.secret import ServerKey, derive, new_session_id, parse, spell

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
VALID = issue(CLAIMS, ES256)
VALID_HEADER, VALID_PAYLOAD, VALID_SIGNATURE = VALID.split(".")


def hmac_token(secret: bytes, kid: str) -> str:
    """Sign with any bytes as HMAC secret, as an attacker without a length rule would."""
    header = to_bytes({"alg": "HS256", "typ": "at+jwt", "kid": kid})
    signing_input = f"{base64url.encode(header)}.{VALID_PAYLOAD}"
    return f"{signing_input}.{base64url.encode(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def with_signature(signature: bytes) -> str:
    """Put another signature on the valid token."""
    return f"{VALID_HEADER}.{VALID_PAYLOAD}.{base64url.encode(signature)}"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "none ", "", "HS256 ", "es256", "ES256\x00", "ES224"])
@pytest.mark.parametrize("keep_signature", [False, True])
def test_an_unknown_algorithm_is_refused_before_any_cryptography(alg: str, *, keep_signature: bool) -> None:
    """J1, J2: no spelling of none passes, with or without the old signature left in place."""
    key = counting(ES256)
    header = base64url.encode(to_bytes(header_of(ES256, alg=alg)))
    token = f"{header}.{VALID_PAYLOAD}.{VALID_SIGNATURE if keep_signature else ''}"
    assert refusal(token, key.keys).reason in {"algorithm", "signature"}
    assert key.count == 0


def test_a_header_without_algorithm_is_refused() -> None:
    """J1: a missing alg is not none, and none is not anything."""
    assert refusal(signed(ES256, header_of(ES256, alg=...))).reason == "header"


@pytest.mark.parametrize("alg", ["none", "None", "ES224", "at+jwt"])
def test_an_unknown_algorithm_cannot_even_be_configured(alg: str) -> None:
    """J1: a program that lists none has a mistake, whatever token comes."""
    with pytest.raises(ValueError, match="algorithms"):
        judge(VALID, algorithms=("ES256", alg))


@pytest.mark.parametrize("algorithms", [(), "ES256", "HS256 ES256"])
def test_algorithms_must_be_a_collection_with_something_in_it(algorithms: Any) -> None:
    """J1: a string would be searched for substrings; an empty list would be a riddle."""
    with pytest.raises(ValueError, match="algorithms"):
        judge(VALID, algorithms=algorithms)


def public_key_as_secret(form: str) -> bytes:
    """Give the RSA public key in the forms in which it was mistaken for an HMAC secret."""
    private = serialization.load_der_private_key(RS256.to_private(), password=None)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, spki)
    jwk = RS256.verification_key.public_jwk()
    return {
        "pem": pem,
        "pem without final newline": pem.rstrip(b"\n"),
        "der": public.public_bytes(serialization.Encoding.DER, spki),
        "jwk": json.dumps(jwk).encode(),
        "modulus": jwk["n"].encode(),
    }[form]


@pytest.mark.parametrize("form", ["pem", "pem without final newline", "der", "jwk", "modulus"])
def test_a_public_key_is_never_an_hmac_secret(form: str) -> None:
    """J3, J59: the key decides the algorithm, and an asymmetric key never reaches an HMAC call."""
    key = counting(RS256)
    refused = refusal(hmac_token(public_key_as_secret(form), RS256.kid), key.keys)
    assert (refused.reason, key.count) == ("algorithm", 0)


def rsa_pss_signature(signing_input: bytes) -> bytes:
    """Sign with the RS256 key by PSS."""
    private = serialization.load_der_private_key(RS256.to_private(), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return private.sign(signing_input, scheme, hashes.SHA256())


def test_a_key_is_not_used_with_a_sister_algorithm() -> None:
    """J5: a valid PSS signature by an RS256 key is refused; one key, one algorithm."""
    signing_input = f"{base64url.encode(to_bytes(header_of(RS256, alg='PS256')))}.{VALID_PAYLOAD}"
    token = f"{signing_input}.{base64url.encode(rsa_pss_signature(signing_input.encode()))}"
    key = counting(RS256)
    assert refusal(token, key.keys, algorithms=("RS256", "PS256")).reason == "algorithm"
    assert key.count == 0


@pytest.mark.parametrize("alg", ["ES256", "ES512"])
def test_a_key_of_another_curve_is_refused_when_it_is_loaded(alg: str) -> None:
    """J6: a P-384 key under ES256 never gets as far as a signature."""
    numbers = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    x, y = (base64url.encode(value.to_bytes(48, "big")) for value in (numbers.x, numbers.y))
    with pytest.raises(KeyRefused):
        import_jwk({"kty": "EC", "crv": "P-384", "x": x, "y": y, "alg": alg})


def test_the_two_names_of_ed25519_are_two_algorithms() -> None:
    """J7: a key that says Ed25519 does not verify a token that says EdDSA."""
    key = SigningKey.generate("EdDSA")
    renamed = import_jwk({**key.verification_key.public_jwk(), "alg": "Ed25519"})
    token = issue(CLAIMS, key)
    assert judge(token, key_set(key)) == CLAIMS
    assert refusal(token, KeySet([renamed]), algorithms=("EdDSA", "Ed25519")).reason == "algorithm"
    with pytest.raises(KeyRefused):
        import_jwk({**key.verification_key.public_jwk(), "crv": "Ed448"})


ODD_KIDS: list[Any] = [
    "x' UNION SELECT 'secret'--",
    "*)(uid=*",
    "|id",
    "key\r\nDEL x",
    "../../dev/null\x00",
    "%00",
    "키",
    " ",
    "",
    "a" * 129,
]


@pytest.mark.parametrize("kid", ODD_KIDS, ids=ascii)
def test_an_odd_kid_is_refused_before_it_is_looked_up(kid: str) -> None:
    """J9, J10: injections, control characters, and lengths that no key name has."""
    assert refusal(signed(ES256, header_of(ES256, kid=kid))).reason == "kid"


@pytest.mark.parametrize("kid", [1, 1.5, True, None, [], ["a"], {"$ne": None}], ids=repr)
def test_a_kid_that_is_no_string_is_refused(kid: object) -> None:
    """J9, J10: an operator object must not reach a query."""
    assert refusal(signed(ES256, header_of(ES256, kid=kid))).reason == "header"


def test_a_kid_of_half_a_character_is_refused() -> None:
    r"""J10: "\ud800" is no character, and breaks whoever encodes it later."""
    header = b'{"alg":"ES256","typ":"at+jwt","kid":"\\ud800"}'
    assert refusal(signed(ES256, header)).reason == "header"


def test_a_kid_of_a_megabyte_is_refused_by_its_size() -> None:
    """J10: the length of the whole is bounded before anything is read."""
    assert refusal(signed(ES256, header_of(ES256, kid="a" * 2**20))).reason == "size"


def test_a_token_without_kid_or_of_an_unknown_key_is_refused() -> None:
    """J11: keys are never tried one after the other."""
    assert refusal(signed(ES256, header_of(ES256, kid=...))).reason == "kid"
    assert refusal(signed(ES256, header_of(ES256, kid="unknown"))).reason == "kid"
    assert refusal(VALID, KeySet()).reason == "kid"


def test_the_kid_of_another_key_does_not_help() -> None:
    """J11, J39: a token by one key under the name of another is refused."""
    other = SigningKey.generate("ES256")
    assert refusal(signed(other, header_of(ES256)), key_set(ES256, other)).reason == "signature"


ATTACKER = SigningKey.generate("ES256")


@pytest.mark.parametrize(
    "member",
    [
        {"jwk": ATTACKER.verification_key.public_jwk()},
        {"jku": "https://attacker.example/jwks.json"},
        {"x5u": "https://attacker.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"jwk": None},
        {"b64": False},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"crit": ["x"], "x": 1},
        {"crit": []},
        {"crit": "exp"},
        {"crit": ["alg"]},
        {"crit": ["absent"]},
        {"crit": ["x", "x"], "x": 1},
        {"crit": [1]},
        {"crit": None},
    ],
    ids=lambda member: str(member)[:32],  # without the key, which is another one in every run
)
def test_a_member_that_brings_a_key_or_changes_the_rules_is_refused(member: dict[str, Any]) -> None:
    """J15, J17, J45, J46: refused on sight, signed or not, before any cryptography."""
    key = counting(ES256)
    refused = refusal(signed(ES256, header_of(ES256, **member)), key.keys)
    assert (refused.reason, key.count) == ("member", 0)


def test_an_embedded_key_is_not_believed() -> None:
    """J15: a valid signature by the key in the header is still a stranger's."""
    header = header_of(ATTACKER, kid=ES256.kid, jwk=ATTACKER.verification_key.public_jwk())
    assert refusal(signed(ATTACKER, header)).reason == "member"


NUMBERS = {"0": 0, "1": 1, "n-1": P256_ORDER - 1, "n": P256_ORDER, "n+1": P256_ORDER + 1, "max": 2**256 - 1}


@pytest.mark.parametrize("r", NUMBERS)
@pytest.mark.parametrize("s", NUMBERS)
def test_a_psychic_signature_is_refused(r: str, s: str) -> None:
    """J18: r and s at their edges (CVE-2022-21449)."""
    signature = NUMBERS[r].to_bytes(32, "big") + NUMBERS[s].to_bytes(32, "big")
    assert refusal(with_signature(signature)).reason == "signature"


@pytest.mark.parametrize(
    "form", ["der", "short", "long", "leading", "trailing", "halves padded", "doubled", "one byte"]
)
def test_a_signature_of_another_form_is_refused(form: str) -> None:
    """J19: r and s at full length, and nothing else."""
    raw = base64url.decode(VALID_SIGNATURE.encode())
    forms = {
        "der": encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")),
        "short": raw[:-1],
        "long": raw + raw[:1],
        "leading": b"\0" + raw,
        "trailing": raw + b"\0",
        "halves padded": b"\0" + raw[:32] + b"\0" + raw[32:],
        "doubled": raw + raw,
        "one byte": raw[:1],
    }
    assert refusal(with_signature(forms[form])).reason == "signature"


@pytest.mark.parametrize("secret", [b"", b"\0", b"secret", b"null", b"propylon", b"a" * 31])
def test_a_guessable_hmac_secret_is_refused(secret: bytes) -> None:
    """J21: neither as a key to load, nor as the key behind a token."""
    with pytest.raises(KeyRefused):
        hmac_key(secret, "HS256")
    assert refusal(hmac_token(secret, HS256.kid)).reason == "signature"


H, P, S = VALID_HEADER, VALID_PAYLOAD, VALID_SIGNATURE


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", H, f"{H}.{P}", f"{H}.{P}.{S}.", f".{H}.{P}.{S}", f"{H}.{P}.{S}.{S}.{S}", f"{H}......",
     f"{H}.{P}.{S}.{P}.{S}.{H}.{H}", f".{P}.{S}", f"{H}..{S}", f"{H}.{P}.", f"{H}.{P}{S}"],
    ids=lambda token: token.replace(H, "H").replace(P, "P").replace(S, "S"),
)  # fmt: skip
def test_a_token_of_another_number_of_parts_is_refused(token: str) -> None:
    """J25: none, one, two, four and six dots, and empty parts."""
    assert refusal(token).reason in {"parts", "header", "signature"}


@pytest.mark.parametrize("kind", ["cookie", "refresh"])
def test_an_opaque_credential_is_no_token(kind: str) -> None:
    """J43: it has three parts as well, and none of them is a header; an access token is no opaque one either."""
    server_key = ServerKey("k1", bytes(range(32)))
    opaque = spell(new_session_id(bytes(16), "user-1"), 0, derive(server_key, bytes(32), kind, 0))
    assert opaque.count(".") == 2
    assert refusal(opaque).reason in {"base64url", "header"}
    assert parse(VALID) is None


def test_an_encrypted_token_is_not_a_signed_one() -> None:
    """J26: claims encrypted to our public key prove nothing (CVE-2023-51774)."""
    header = base64url.encode(b'{"alg":"RSA-OAEP","enc":"A256GCM","typ":"at+jwt"}')
    assert refusal(f"{header}.AAAA.AAAA.{P}.AAAA").reason == "parts"
    assert refusal(f"{header}.{P}.{S}").reason == "algorithm"


def test_the_json_serialization_is_not_accepted() -> None:
    """J25: the flattened form of the same signature is another language."""
    flattened = json.dumps({"protected": H, "payload": P, "signature": S})
    assert refusal(flattened).reason == "parts"


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("junk", ["=", "==", " ", "\n", "\t", "+", "/", "?", "\x00", "é", "%3D", ","], ids=ascii)
def test_a_second_spelling_of_base64url_is_refused(part: int, junk: str) -> None:
    """J27: at either end of every part; one token has one spelling."""
    for spelling in (junk + (H, P, S)[part], (H, P, S)[part] + junk):
        parts = [H, P, S]
        parts[part] = spelling
        assert refusal(".".join(parts)).reason == "base64url"


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "\n{}", "{}\x00", "Bearer {}"])
def test_space_around_a_token_is_not_stripped(around: str) -> None:
    """J27: what a lenient reader would trim is another token."""
    assert refusal(around.format(VALID)).reason == "base64url"


def test_unused_bits_must_be_zero() -> None:
    """J27: the last character of a 64-byte signature has four bits to spare; all 15 other spellings fail."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    start = alphabet.index(VALID[-1])
    lenient = base64.urlsafe_b64decode(VALID_SIGNATURE + "==")
    for offset in range(1, 16):
        spelling = VALID_SIGNATURE[:-1] + alphabet[start + offset]
        assert base64.urlsafe_b64decode(spelling + "==") == lenient
        assert refusal(f"{H}.{P}.{spelling}").reason == "base64url"


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_every_refusal_of_form_comes_before_cryptography(key: SigningKey) -> None:
    """None of these reaches the key; the valid token does, once."""
    counted = counting(key)
    valid = issue(CLAIMS, key)
    header, payload, signature = valid.split(".")
    forms = ["", valid + ".", valid + "=", valid[:-1] + "!", f"{payload}.{payload}.{signature}", f"{header}.{payload}.",
             "a" * (MAX_TOKEN_BYTES + 1), signed(key, header_of(key, typ="JWT")), signed(key, header_of(key, kid="x")),
             signed(key, header_of(key, crit=["x"])), signed(key, b"[" * 40 + b"]" * 40)]  # fmt: skip
    for token in forms:
        refusal(token, counted.keys)
    refusal(valid, counted.keys, algorithms=("PS512",))
    assert counted.count == 0
    assert judge(valid, counted.keys) == CLAIMS
    assert counted.count == 1


def test_the_wrong_signature_hides_every_other_fault() -> None:
    """Claims are judged only when they are known to be ours: expiry of a forgery is not told."""
    token = issue(CLAIMS, ATTACKER)
    forged = signed(ATTACKER, header_of(ES256), payload_with(exp=NOW - 1))
    assert refusal(token).reason == "kid"
    refused = refusal(forged)
    assert (refused.reason, refused.code) == ("signature", "credential_malformed")
