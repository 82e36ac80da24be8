"""Base64url: one spelling for every value (RFC 7515 section 2 and appendix C)."""

from __future__ import annotations

import pytest

from propylon.core.jose import base64url


def test_the_example_of_the_standard() -> None:
    """RFC 7515 appendix C, both ways; it has both characters that differ from base64."""
    value = bytes([3, 236, 255, 224, 193])
    assert base64url.encode(value) == "A-z_4ME"
    assert base64url.decode(b"A-z_4ME") == value
    assert (base64url.encode(b""), base64url.decode(b"")) == ("", b"")


@pytest.mark.parametrize(
    "text",
    [b"A", b"AAAAA", b"AB", b"AAB", b"A-z_4MF", b"AA==", b"AAA=", b"=", b"AA ", b" AA", b"A\nA", b"+A", b"/A", b"A.",
     b"A\x00", b"\xc3\xa9", b"AA\r\n", b"AAAA===="],
)  # fmt: skip
def test_any_other_spelling_is_refused(text: bytes) -> None:
    """Impossible lengths, unused bits, padding, whitespace, and other alphabets."""
    with pytest.raises(ValueError, match="base64"):
        base64url.decode(text)
