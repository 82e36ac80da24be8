"""Which ``Authorization`` headers are ours, and what is the one token in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.bearer import bearer_token, is_ours
from propylon.errors import CredentialRefused

# RFC 9110 section 5.6.2, written out here on its own.
TCHARS = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DELIMITERS = bytes(octet for octet in range(256) if octet not in TCHARS and octet != ord(" "))
SCHEMES = (b"Bearer", b"bearer", b"BEARER", b"bEaReR", b"DPoP", b"dpop", b"DPOP")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rest", [b"%c", b"%ctoken", b"%c token", b"%c\ttoken"])
def test_our_scheme_with_anything_but_a_space_behind_it_is_malformed(scheme: bytes, rest: bytes) -> None:
    """It does not pass for another scheme, or a cookie beside it would say who is calling."""
    for delimiter in DELIMITERS:
        authorization = scheme + rest % delimiter
        assert is_ours(authorization), authorization
        with pytest.raises(CredentialRefused, match="credential_malformed"):
            bearer_token(authorization)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rest", [b"", b" ", b"   ", b" a b", b" a  b", b" a b "])
def test_not_exactly_one_token_is_malformed(scheme: bytes, rest: bytes) -> None:
    """None, or more than one."""
    assert is_ours(scheme + rest)
    with pytest.raises(CredentialRefused, match="credential_malformed"):
        bearer_token(scheme + rest)


def test_no_token_is_good_under_the_scheme_dpop() -> None:
    """It comes without the proof that it is bound to."""
    with pytest.raises(CredentialRefused, match="credential_malformed"):
        bearer_token(b"DPoP token")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rest", [b"%c", b"%c token", b"%c\ttoken"])
def test_a_scheme_that_goes_on_is_not_ours(scheme: bytes, rest: bytes) -> None:
    """``Bearerx`` is somebody else's, as ``Basic`` is."""
    for more in TCHARS:
        authorization = scheme + rest % more
        assert not is_ours(authorization), authorization
        assert bearer_token(authorization) is None


@pytest.mark.parametrize("authorization", [b"", b" ", b"Basic eDp5", b"Basic Bearer", b"xBearer y", b"Digest a=bearer"])
def test_another_scheme_is_not_ours(authorization: bytes) -> None:
    """Also where our word stands elsewhere in it."""
    assert not is_ours(authorization)
    assert bearer_token(authorization) is None


@pytest.mark.parametrize("form", [b"Bearer %s", b"bearer %s", b"BEARER   %s", b"Bearer %s "])
def test_the_token_comes_after_one_space_or_more(form: bytes) -> None:
    """RFC 9110 section 11.4: ``1*SP``."""
    assert bearer_token(form % b"a.b.c") == "a.b.c"


@given(st.binary(max_size=40), st.sampled_from(["", "Bearer", "dpop", "Basic"]))
def test_whatever_stands_there_is_a_token_or_malformed_exactly_where_it_is_ours(rest: bytes, scheme: str) -> None:
    """Of any bytes; and no other error comes out of it."""
    authorization = scheme.encode() + rest
    refused, token = None, None
    try:
        token = bearer_token(authorization)
    except CredentialRefused as refusal:
        refused = refusal.code
    assert refused in (None, "credential_malformed")
    assert (refused is not None or token is not None) == is_ours(authorization)
