"""The two ways in which this package says no: to a token, and to a key."""

from __future__ import annotations

from propylon.errors import CredentialRefused, SetupError


class TokenRefused(CredentialRefused):
    """The token does not say who is calling.

    Attributes:
        code: ``token_expired`` when the signature and every other rule hold and only the time is over;
            ``credential_malformed`` for everything else, so that nobody learns which check failed.
        reason: one short word for logs and tests (``signature``, ``typ``, ``issuer``, ...). It is never
            shown to the caller and never holds anything that the token says.
    """

    code = "credential_malformed"

    def __init__(self, reason: str, /, *, code: str = "credential_malformed") -> None:
        super().__init__(code)
        self.reason = reason


class KeyRefused(SetupError):
    """A key or a key set is unfit for use; the sentence says why and never quotes key material."""

    code = "key_refused"
