"""The access token: a JWT by RFC 9068, issued, and verified whole."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import msgspec

from propylon.core.jose import base64url, jws, strict_json
from propylon.core.jose.algorithms import ALGORITHMS
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.refusals import TokenRefused
from propylon.core.jose.signing import SigningKey

__all__ = ["AccessClaims", "TokenRefused", "carried_roles", "issue", "verify"]

TYP = "at+jwt"
MAX_TOKEN_BYTES = 8192  # what common servers allow a whole header line
MAX_ID_CHARS = 255
MAX_LIST_ENTRIES = 64  # audiences, roles, scopes: each
MAX_ROLES = MAX_LIST_ENTRIES
MAX_TIME = 253_402_300_799  # the last second of the year 9999
MAX_LEEWAY_S = 300  # RFC 7519 section 4.1.5: "no more than a few minutes"

_SUPPORTED = frozenset(ALGORITHMS)
_TYPES = frozenset({TYP, "application/at+jwt"})
# RFC 6749 section 3.3: printable ASCII but space, quote and backslash.
_SCOPE_ALPHABET = frozenset(chr(code) for code in range(0x21, 0x7F)) - {'"', "\\"}


class AccessClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token says; times in epoch seconds, a fraction of a second cut off.

    Attributes:
        issuer: ``iss``, the public URL of the issuer.
        subject: ``sub``, the public id of the user.
        audience: ``aud``, the services that the token is for.
        expires_at: ``exp``; from this second on the token is refused.
        issued_at: ``iat``.
        token_id: ``jti``, different for every token.
        session_id: ``sid``, the session that the token comes from and ends with.
        auth_time: ``auth_time``, when the user last proved who they are.
        roles: ``roles`` (RFC 9068 section 2.2.3.1).
        scopes: ``scope``, split.
        client_id: ``client_id``, where an OAuth client asked for the token.
    """

    issuer: str
    subject: str
    audience: tuple[str, ...]
    expires_at: int
    issued_at: int
    token_id: str
    session_id: str
    auth_time: int
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    client_id: str | None = None


class _Payload(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The claims as they travel; their order is how we write them."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: int | float
    iat: int | float
    jti: str
    sid: str
    auth_time: int | float
    scope: str = ""
    roles: tuple[str, ...] = ()
    client_id: str | None = None
    nbf: int | float = 0


def carried_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``roles`` that a token can carry: what is no name, or one too many, is left out."""
    return tuple(filter(_is_name, roles))[:MAX_ROLES]


def issue(claims: AccessClaims, key: SigningKey) -> str:
    """Sign an access token (RFC 9068 section 2).

    Raises:
        ValueError: `verify` would refuse these claims whoever signed them.
    """
    payload = _Payload(
        iss=claims.issuer,
        sub=claims.subject,
        aud=claims.audience[0] if len(claims.audience) == 1 else claims.audience,
        exp=claims.expires_at,
        iat=claims.issued_at,
        jti=claims.token_id,
        sid=claims.session_id,
        auth_time=claims.auth_time,
        scope=" ".join(claims.scopes),
        roles=claims.roles,
        client_id=claims.client_id,
    )
    # The comparison catches a scope with a space in it, which would come back as two.
    if not _is_sound(payload) or _claims(payload) != claims:
        raise ValueError("claims that no verifier would accept")
    header = jws.Header(key.alg, TYP, key.kid)
    signing_input = ".".join(base64url.encode(_ENCODER.encode(part)) for part in (header, payload))
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode('ascii')))}"


def verify(
    token: str | bytes,
    keys: KeySet,
    *,
    issuer: str,
    audience: str,
    algorithms: Collection[str],
    now: int,
    leeway_s: int,
) -> AccessClaims:
    """Verify everything about an access token (RFC 9068 section 4, RFC 7519 section 7.2, RFC 8725).

    Args:
        token: as it came; at most 8 KiB.
        keys: the keys of ``issuer``, and of nobody else (RFC 8725 section 3.8).
        issuer: must equal ``iss``, character by character.
        audience: must be in ``aud``.
        algorithms: those that may be used at all; the key then allows exactly one of them.
        now: epoch seconds.
        leeway_s: how far another node's clock may be ahead: for ``iat`` and ``nbf`` only, at most 300.
            ``exp`` knows none: a short life means what it says.

    Raises:
        TokenRefused: with code ``token_expired`` only when nothing but the time is wrong.
        ValueError: ``algorithms`` or ``leeway_s`` is not a sound setting (a mistake of the program).
    """
    _check_settings(algorithms, leeway_s)
    compact = jws.parse(token, max_bytes=MAX_TOKEN_BYTES)
    header = compact.header
    if header.typ is None or header.typ.lower() not in _TYPES:  # no other kind of token: RFC 8725 section 3.11
        raise TokenRefused("typ")
    if header.alg not in algorithms:
        raise TokenRefused("algorithm")
    key = keys.find(header.kid) if header.kid is not None else None
    if key is None:
        raise TokenRefused("kid")
    payload = _payload(jws.verify(compact, key))
    _check_claims(payload, issuer, audience)
    _check_times(payload, now, leeway_s)
    return _claims(payload)


def _check_settings(algorithms: Collection[str], leeway_s: int) -> None:
    if isinstance(algorithms, str) or not algorithms or not _SUPPORTED.issuperset(algorithms):
        raise ValueError("algorithms must be a collection of supported names")
    if not 0 <= leeway_s <= MAX_LEEWAY_S:
        raise ValueError("leeway_s must be from 0 to 300")


def _payload(data: bytes) -> _Payload:
    """Read the claims: at once when they are written our way, otherwise by the exact way.

    What encodes to the same bytes again has no repeated or unknown member and no second reading.
    """
    payload: _Payload | None
    try:
        payload = _DECODER.decode(data)
    except (ValueError, RecursionError):
        payload = None
    if payload is not None and _ENCODER.encode(payload) == data:
        return payload
    return _strict_payload(data)


def _strict_payload(data: bytes) -> _Payload:
    try:
        return msgspec.convert(strict_json.decode_object(data), _Payload)
    except msgspec.ValidationError:
        raise TokenRefused("claims") from None
    except ValueError:
        raise TokenRefused("json") from None


def _check_claims(payload: _Payload, issuer: str, audience: str) -> None:
    if payload.iss != issuer:
        raise TokenRefused("issuer")
    if payload.aud != audience and (isinstance(payload.aud, str) or audience not in payload.aud):
        raise TokenRefused("audience")
    if not _is_sound(payload):
        raise TokenRefused("claims")


def _check_times(payload: _Payload, now: int, leeway_s: int) -> None:
    """Judge the times; expiry last, so that `token_expired` says that all else was right.

    Fractions are legal (RFC 7519 section 2), and Python compares int and float exactly.
    """
    if max(payload.iat, payload.nbf) > now + leeway_s:
        raise TokenRefused("future")
    if payload.exp <= now:  # "on or after": RFC 7519 section 4.1.4
        raise TokenRefused("expired", code="token_expired")


def _is_sound(payload: _Payload) -> bool:
    """Tell whether every claim is of sound shape and size, whatever it says."""
    return (
        payload.iss != ""
        and len(payload.aud) > 0
        and _is_name(payload.sub)
        and _is_name(payload.jti)
        and _is_name(payload.sid)
        and (payload.client_id is None or _is_name(payload.client_id))
        and (isinstance(payload.aud, str) or _are_names(payload.aud))
        and -MAX_TIME <= payload.exp <= MAX_TIME
        and -MAX_TIME <= payload.iat <= MAX_TIME
        and -MAX_TIME <= payload.nbf <= MAX_TIME
        and -MAX_TIME <= payload.auth_time <= MAX_TIME
        and _are_names(payload.roles)
        and _are_scopes(payload.scope)
    )


def _is_name(value: str) -> bool:
    """An id: not empty, bounded, and without control or other invisible characters."""
    return 0 < len(value) <= MAX_ID_CHARS and value.isprintable()


def _are_names(values: tuple[str, ...]) -> bool:
    return not values or (len(values) <= MAX_LIST_ENTRIES and all(map(_is_name, values)))


def _are_scopes(scope: str) -> bool:
    if not scope:
        return True
    scopes = scope.split(" ")
    return len(scopes) <= MAX_LIST_ENTRIES and all(each and _SCOPE_ALPHABET.issuperset(each) for each in scopes)


def _claims(payload: _Payload) -> AccessClaims:
    return AccessClaims(
        issuer=payload.iss,
        subject=payload.sub,
        audience=(payload.aud,) if isinstance(payload.aud, str) else payload.aud,
        expires_at=math.floor(payload.exp),
        issued_at=math.floor(payload.iat),
        token_id=payload.jti,
        session_id=payload.sid,
        auth_time=math.floor(payload.auth_time),
        roles=payload.roles,
        scopes=tuple(payload.scope.split(" ")) if payload.scope else (),
        client_id=payload.client_id,
    )


_DECODER = msgspec.json.Decoder(_Payload)
_ENCODER = msgspec.json.Encoder()
