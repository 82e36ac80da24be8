"""What an attacker has: the means to write any bytes into a token, and here also the keys to sign them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from propylon.core.jose import base64url
from propylon.core.jose.access_token import AccessClaims, verify
from propylon.core.jose.jwk import KeySet, VerificationKey
from propylon.core.jose.refusals import TokenRefused
from propylon.core.jose.signing import SigningKey

ISSUER = "https://id.example"
AUDIENCE = "https://api.example"
NOW = 1_700_000_000
LEEWAY_S = 60

CLAIMS = AccessClaims(
    issuer=ISSUER,
    subject="usr_minji",
    audience=(AUDIENCE,),
    expires_at=NOW + 300,
    issued_at=NOW,
    token_id="tok_1",
    session_id="ses_1",
    auth_time=NOW - 10,
)
PAYLOAD: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "usr_minji",
    "aud": AUDIENCE,
    "exp": NOW + 300,
    "iat": NOW,
    "jti": "tok_1",
    "sid": "ses_1",
    "auth_time": NOW - 10,
}

ES256 = SigningKey.generate("ES256")
EDDSA = SigningKey.generate("EdDSA")
RS256 = SigningKey.generate("RS256")
HS256 = SigningKey.generate("HS256")
ALL_KEYS = (ES256, EDDSA, RS256, HS256)


def header_of(key: SigningKey, **changes: Any) -> dict[str, Any]:
    """Give the right header for ``key``, changed; a member set to ``...`` is left out."""
    return without_ellipsis({"alg": key.alg, "typ": "at+jwt", "kid": key.kid, **changes})


def payload_with(**changes: Any) -> dict[str, Any]:
    """Give the right claims, changed; a claim set to ``...`` is left out."""
    return without_ellipsis({**PAYLOAD, **changes})


def without_ellipsis(members: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is set to ``...``."""
    return {name: value for name, value in members.items() if value is not ...}


def to_bytes(part: bytes | object) -> bytes:
    """Write JSON unless bytes are given."""
    return part if isinstance(part, bytes) else json.dumps(part).encode()


def signed(key: SigningKey, header: bytes | object = None, payload: bytes | object = None) -> str:
    """Sign any header and any payload with a real key."""
    parts = (to_bytes(header_of(key) if header is None else header), to_bytes(PAYLOAD if payload is None else payload))
    signing_input = ".".join(base64url.encode(part) for part in parts)
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"


def key_set(*keys: SigningKey) -> KeySet:
    """Collect the verification halves."""
    return KeySet(key.verification_key for key in keys)


def judge(
    token: str | bytes,
    keys: KeySet | None = None,
    *,
    issuer: str = ISSUER,
    audience: str = AUDIENCE,
    algorithms: Collection[str] = ("ES256", "EdDSA", "RS256", "HS256"),
    now: int = NOW,
    leeway_s: int = LEEWAY_S,
) -> AccessClaims:
    """Verify as a resource server would, with everything right unless a test says otherwise."""
    keys = key_set(*ALL_KEYS) if keys is None else keys
    return verify(token, keys, issuer=issuer, audience=audience, algorithms=algorithms, now=now, leeway_s=leeway_s)


def refusal(token: str | bytes, keys: KeySet | None = None, **settings: Any) -> TokenRefused:
    """Give the refusal of ``token``; fail when it is accepted."""
    try:
        claims = judge(token, keys, **settings)
    except TokenRefused as refused:
        return refused
    raise AssertionError(f"accepted: {claims}")


@dataclass
class Counted:
    """A key of the real set, and how often its cryptography was asked."""

    keys: KeySet
    count: int = 0


def counting(key: SigningKey) -> Counted:
    """Give a key set whose one key counts its uses."""
    real: VerificationKey = key.verification_key
    counted = Counted(KeySet())

    def primitive(signing_input: bytes, signature: bytes) -> bool:
        counted.count += 1
        return real.primitive(signing_input, signature)

    counted.keys = KeySet([replace(real, primitive=primitive)])
    return counted
