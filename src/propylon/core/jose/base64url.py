"""Base64url as JOSE writes it (RFC 7515 section 2): one spelling for every value.

Lenient decoders skip what they do not know, so that one token has many spellings: a deny list or a
cache keyed by the token's hash is then passed by adding a space. Here exactly one spelling decodes.
"""

from __future__ import annotations

import binascii

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The characters of plain base64 become NUL, which the strict reader refuses with all other strangers.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/\0\0\0")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", None, b"==", b"=")
# A last character carries 2 or 4 bits too many; those must be zero, or `AB` would be another `AA`.
_LAST_CHARACTERS = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])


def encode(data: bytes) -> str:
    """Spell ``data`` in base64url, without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode(text: bytes) -> bytes:
    """Read base64url, accepting only what `encode` would have written.

    Raises:
        ValueError: padding, whitespace, a character of another alphabet, a length that cannot be, or
            unused bits that are not zero.
    """
    rest = len(text) % 4
    padding = _PADDING[rest]
    if padding is None or (rest and text[-1] not in _LAST_CHARACTERS[rest]):
        raise ValueError("base64url of impossible length or with unused bits set")
    return binascii.a2b_base64(text.translate(_FROM_URL) + padding, strict_mode=True)
