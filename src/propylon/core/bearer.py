"""The ``Authorization`` header: which schemes are ours, and the one token in it (RFC 6750 section 2.1)."""

from __future__ import annotations

from propylon.errors import CredentialRefused


def is_ours(authorization: bytes) -> bool:
    """Return whether a header carries a token for us, good or bad; a proxy's ``Basic`` does not."""
    return authorization.partition(b" ")[0].lower() in (b"bearer", b"dpop")


def bearer_token(authorization: bytes) -> str | None:
    """Return the token of a bearer header, None for a scheme that is not ours.

    Raises:
        CredentialRefused: there is no token in it, or not exactly one.
    """
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        if is_ours(authorization):
            # A DPoP-bound token is never good without its proof, which this version does not read.
            raise CredentialRefused("credential_malformed")
        return None
    token = token.strip(b" ")
    if not token or b" " in token:
        raise CredentialRefused("credential_malformed")
    return token.decode("latin-1")
