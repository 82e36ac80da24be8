"""The ``Authorization`` header: which schemes are ours, and the one token in it (RFC 6750 section 2.1)."""

from __future__ import annotations

import re

from propylon.errors import CredentialRefused

# A scheme ends at the first character that is no tchar (RFC 9110 sections 5.6.2 and 11.1), whatever follows: a tab
# behind our scheme must not make the header somebody else's, or the cookie beside it would be taken instead.
_OURS = re.compile(rb"(?:bearer|dpop)(?![!#$%&'*+\-.^_`|~0-9a-z])", re.IGNORECASE)


def is_ours(authorization: bytes) -> bool:
    """Return whether a header carries a token for us, good or bad; a proxy's ``Basic`` does not."""
    return _OURS.match(authorization) is not None


def bearer_token(authorization: bytes) -> str | None:
    """Return the token of a bearer header, None for a scheme that is not ours.

    Raises:
        CredentialRefused: there is no token in it, or not exactly one.
    """
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        if is_ours(authorization):
            # No space ends the scheme; or it is DPoP, whose tokens are never good without a proof, which this version
            # does not read.
            raise CredentialRefused("credential_malformed")
        return None
    token = token.strip(b" ")
    if not token or b" " in token:
        raise CredentialRefused("credential_malformed")
    return token.decode("latin-1")
