"""Whatever comes, the answer is claims or one typed refusal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.jose.forge import ALL_KEYS, CLAIMS, ES256, HS256, header_of, judge, key_set, payload_with, signed

from propylon.core.jose import base64url, jws
from propylon.core.jose.access_token import issue
from propylon.core.jose.jwk import KeySet, import_jwk
from propylon.core.jose.refusals import KeyRefused, TokenRefused
from propylon.core.jose.signing import SigningKey

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TOKENS = {key.alg: issue(CLAIMS, key).encode() for key in ALL_KEYS}


def refused_or_right(token: str | bytes, keys: KeySet) -> bool:
    """Tell whether the token was refused by the one typed error; any other error fails the test."""
    try:
        judge(token, keys)
    except TokenRefused:
        return True
    return False


@given(st.binary(max_size=400) | st.text(max_size=400))
def test_arbitrary_input_is_refused_by_the_one_error(token: str | bytes) -> None:
    """Bytes and text, of any kind."""
    assert refused_or_right(token, key_set(*ALL_KEYS))
    with pytest.raises(TokenRefused):
        jws.parse(token, max_bytes=300)


@given(st.binary(max_size=120), st.binary(max_size=120), st.binary(max_size=80))
def test_arbitrary_parts_are_refused_by_the_one_error(header: bytes, payload: bytes, signature: bytes) -> None:
    """Well-spelled base64url around anything."""
    token = ".".join(base64url.encode(part) for part in (header, payload, signature))
    assert refused_or_right(token, key_set(*ALL_KEYS))


@given(st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_signed_headers_and_claims_are_refused(text: bytes) -> None:
    """Even with a right signature."""
    assert refused_or_right(signed(HS256, text), key_set(HS256))
    assert refused_or_right(signed(HS256, None, text), key_set(HS256))


@given(st.sampled_from(["alg", "typ", "kid", "crit", "x", "b64"]), JSON)
def test_an_arbitrary_header_member_never_breaks_the_verifier(name: str, value: object) -> None:
    """One member replaced by anything."""
    outcome = refused_or_right(signed(HS256, header_of(HS256, **{name: value})), key_set(HS256))
    assert outcome or name == "x" or value == header_of(HS256).get(name)


@given(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "auth_time", "scope", "roles"]), JSON)
def test_an_arbitrary_claim_never_breaks_the_verifier(name: str, value: object) -> None:
    """One claim replaced by anything: an answer, whatever it is."""
    assert refused_or_right(signed(HS256, None, payload_with(**{name: value})), key_set(HS256)) in {True, False}


@pytest.mark.parametrize("alg", list(TOKENS))
@settings(max_examples=150)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_refused(alg: str, data: st.DataObject) -> None:
    """In header, claims, signature or a dot: every bit of a token counts."""
    token = bytearray(TOKENS[alg])
    position = data.draw(st.integers(0, len(token) * 8 - 1))
    token[position // 8] ^= 1 << position % 8
    assert refused_or_right(bytes(token), key_set(*ALL_KEYS))


def test_every_single_flipped_bit_of_one_token_is_refused() -> None:
    """All of them, once, with the cheapest algorithm."""
    whole = TOKENS["HS256"]
    keys = key_set(HS256)
    for position in range(len(whole) * 8):
        token = bytearray(whole)
        token[position // 8] ^= 1 << position % 8
        assert refused_or_right(bytes(token), keys), position


@given(JSON.filter(lambda value: isinstance(value, dict)))
def test_an_arbitrary_jwk_is_refused_by_the_one_error(members: dict[str, object]) -> None:
    """Import and key sets raise KeyRefused and nothing else."""
    with pytest.raises(KeyRefused):
        import_jwk(members)
    for name in ("kty", "crv", "x", "y", "alg", "use", "key_ops", "kid"):
        right = ES256.verification_key.public_jwk()
        changed = {**right, name: members}
        with pytest.raises(KeyRefused):
            import_jwk(changed)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps({"keys": value}).encode()))
def test_an_arbitrary_key_set_is_empty_or_refused_by_the_one_error(data: bytes) -> None:
    """Nothing that comes from there is a key by accident."""
    try:
        keys = KeySet.from_jwks(data)
    except KeyRefused:
        return
    assert len(keys) == 0


@given(st.binary(max_size=300))
def test_arbitrary_private_keys_are_refused_by_the_one_error(data: bytes) -> None:
    """A damaged seal gives damaged bytes."""
    for alg in ("ES256", "EdDSA", "RS256"):
        with pytest.raises(KeyRefused):
            SigningKey.from_private(alg, data)


@given(st.binary(max_size=200))
def test_base64url_goes_there_and_back(data: bytes) -> None:
    """Every value has a spelling, and it is read."""
    assert base64url.decode(base64url.encode(data).encode()) == data


@given(st.binary(max_size=60))
def test_base64url_has_no_second_spelling(text: bytes) -> None:
    """What decodes is what encoding would have written."""
    try:
        value = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(value).encode() == text
