"""Never run: verification that leaves something out, or mixes kinds, is no program. See ``test_wrong_use``."""

from __future__ import annotations

from propylon.core.jose.access_token import AccessClaims, issue, verify
from propylon.core.jose.jwk import KeySet, VerificationKey
from propylon.core.jose.signing import SigningKey

ISSUER = AUDIENCE = "https://id.example"


def verifying(token: str, keys: KeySet, signer: SigningKey) -> None:
    """Leave something out, or give one thing for another."""
    # Nothing about a token is optional, and nothing has a default.
    verify(token, keys)  # type: ignore[call-arg]
    verify(token, keys, audience=AUDIENCE, algorithms=["ES256"], now=0, leeway_s=0)  # type: ignore[call-arg]
    verify(token, keys, issuer=ISSUER, algorithms=["ES256"], now=0, leeway_s=0)  # type: ignore[call-arg]
    verify(token, keys, issuer=ISSUER, audience=AUDIENCE, now=0, leeway_s=0)  # type: ignore[call-arg]
    verify(token, keys, issuer=ISSUER, audience=AUDIENCE, algorithms=["ES256"], leeway_s=0)  # type: ignore[call-arg]
    verify(token, keys, issuer=ISSUER, audience=AUDIENCE, algorithms=["ES256"], now=0)  # type: ignore[call-arg]
    # No issuer and no audience is not "any".
    verify(token, keys, issuer=None, audience=AUDIENCE, algorithms=["ES256"], now=0, leeway_s=0)  # type: ignore[arg-type]
    verify(token, keys, issuer=ISSUER, audience=None, algorithms=["ES256"], now=0, leeway_s=0)  # type: ignore[arg-type]
    verify(token, keys, issuer=ISSUER, audience=AUDIENCE, algorithms=None, now=0, leeway_s=0)  # type: ignore[arg-type]
    # Order cannot swap them: they are given by name.
    verify(token, keys, ISSUER, AUDIENCE, ["ES256"], 0, 0)  # type: ignore[call-arg]
    # There is no switch to turn a check off.
    verify(token, keys, issuer=ISSUER, audience=AUDIENCE, algorithms=["ES256"], now=0, leeway_s=0, verify_exp=False)  # type: ignore[call-arg]
    # A secret, a PEM file or a JWK is no key set: an asymmetric key must not end as an HMAC secret.
    verify(token, "secret", issuer=ISSUER, audience=AUDIENCE, algorithms=["HS256"], now=0, leeway_s=0)  # type: ignore[arg-type]
    verify(token, {"keys": []}, issuer=ISSUER, audience=AUDIENCE, algorithms=["HS256"], now=0, leeway_s=0)  # type: ignore[arg-type]
    KeySet([b"secret"])  # type: ignore[list-item]
    KeySet([signer])  # type: ignore[list-item]


def issuing(claims: AccessClaims, signer: SigningKey, public: VerificationKey) -> None:
    """Say what was never checked."""
    # Claims are typed and cannot be changed afterwards.
    _ = claims["sub"]  # type: ignore[index]
    claims.subject = "admin"  # type: ignore[misc]
    issue({"sub": "admin"}, signer)  # type: ignore[arg-type]
    # What verifies cannot sign.
    issue(claims, public)  # type: ignore[arg-type]
