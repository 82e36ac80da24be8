"""Against joserfc, an implementation that is not ours: tokens of each verify at the other."""

from __future__ import annotations

import base64
import json

import pytest
from joserfc import jws as other_jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey, thumbprint
from tests.core.jose.forge import ALL_KEYS, CLAIMS, ES256, PAYLOAD, header_of, judge, key_set

from propylon.core.jose import base64url
from propylon.core.jose.access_token import issue
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey

# RFC 9864 would rather have the name Ed25519; verifiers in the field know EdDSA.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")

Key = ECKey | OKPKey | RSAKey | OctKey


def theirs(key: SigningKey) -> Key:
    """Load our private key there."""
    data = key.to_private()
    if key.alg == "HS256":
        return OctKey.import_key({"kty": "oct", "k": base64url.encode(data)})
    kinds: dict[str, type[ECKey | OKPKey | RSAKey]] = {"ES256": ECKey, "EdDSA": OKPKey, "RS256": RSAKey}
    pem = b"-----BEGIN PRIVATE KEY-----\n" + wrapped(data) + b"\n-----END PRIVATE KEY-----\n"
    return kinds[key.alg].import_key(pem)


def wrapped(der: bytes) -> bytes:
    """Write DER as the body of a PEM."""
    return base64.encodebytes(der).strip()


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_our_tokens_verify_there(key: SigningKey) -> None:
    """Issued here, verified by joserfc with the same key."""
    found = other_jws.deserialize_compact(issue(CLAIMS, key), theirs(key), algorithms=[key.alg])
    assert found.headers() == header_of(key)
    assert json.loads(found.payload) == PAYLOAD


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_their_tokens_verify_here(key: SigningKey) -> None:
    """Signed by joserfc, verified here, by the exact way since the spelling is theirs."""
    payload = json.dumps(PAYLOAD).encode()
    token = other_jws.serialize_compact(header_of(key), payload, theirs(key), algorithms=[key.alg])
    assert judge(token, key_set(key)) == CLAIMS


@pytest.mark.parametrize("key", ALL_KEYS[:3], ids=lambda key: key.alg)
def test_our_published_keys_are_read_there_and_theirs_here(key: SigningKey) -> None:
    """The same JWK, and the thumbprint that names it (RFC 7638)."""
    there = theirs(key)
    published = json.loads(key_set(key).to_jwks())["keys"][0]
    public = {name: value for name, value in there.as_dict(private=False).items() if name != "kid"}
    assert public.items() <= published.items()
    assert key.kid == thumbprint(there.as_dict(private=False))[:11]
    here = KeySet.from_jwks(json.dumps({"keys": [{**public, "alg": key.alg, "kid": key.kid}]}).encode())
    assert judge(issue(CLAIMS, key), here) == CLAIMS


def test_a_token_by_another_key_is_refused_on_both_sides() -> None:
    """The cross-test can fail."""
    token = issue(CLAIMS, SigningKey.generate("ES256"))
    with pytest.raises(Exception, match="bad_signature"):
        other_jws.deserialize_compact(token, theirs(ES256), algorithms=["ES256"])
