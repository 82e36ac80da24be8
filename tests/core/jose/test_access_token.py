"""Access tokens by RFC 9068: what is issued, what is accepted, and which claims are not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.core.jose.forge import (
    ALL_KEYS,
    AUDIENCE,
    CLAIMS,
    ES256,
    ISSUER,
    LEEWAY_S,
    NOW,
    PAYLOAD,
    header_of,
    judge,
    payload_with,
    refusal,
    signed,
)

from propylon.core.jose import base64url
from propylon.core.jose.access_token import MAX_LEEWAY_S, issue
from propylon.core.jose.signing import SigningKey
from propylon.errors import CredentialRefused


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims."""
    header, payload, _ = token.split(".")
    return json.loads(base64url.decode(header.encode())), json.loads(base64url.decode(payload.encode()))


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.alg)
def test_what_is_issued_is_verified_as_text_and_as_bytes(key: SigningKey) -> None:
    """The whole way, with every algorithm."""
    token = issue(CLAIMS, key)
    assert judge(token) == CLAIMS
    assert judge(token.encode()) == CLAIMS


def test_a_token_says_no_more_than_it_must() -> None:
    """Empty lists are left out, a single audience is a string, the header has three members."""
    header, payload = parts_of(issue(CLAIMS, ES256))
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": ES256.kid}
    assert payload == PAYLOAD


def test_roles_scopes_and_several_audiences_travel_and_come_back() -> None:
    """``scope`` is one string with spaces (RFC 9068 section 2.2.3), ``roles`` and ``aud`` are lists."""
    claims = msgspec.structs.replace(
        CLAIMS, audience=("https://b.example", AUDIENCE), roles=("관리자", "user"), scopes=("a", "b:c"), client_id="app"
    )
    token = issue(claims, ES256)
    _, payload = parts_of(token)
    assert (payload["scope"], payload["roles"]) == ("a b:c", ["관리자", "user"])
    assert payload["aud"] == ["https://b.example", AUDIENCE]
    assert judge(token) == claims


@pytest.mark.parametrize(
    "change",
    [{"subject": ""}, {"session_id": ""}, {"token_id": "a\n"}, {"issuer": ""}, {"audience": ()}, {"scopes": ("a b",)},
     {"scopes": ('"',)}, {"roles": ("",)}, {"expires_at": 10**15}, {"client_id": ""}, {"roles": ("r",) * 65}],
    ids=str,
)  # fmt: skip
def test_claims_that_would_be_refused_are_not_issued(change: dict[str, Any]) -> None:
    """A mistake shows where it is made, and not at some verifier."""
    with pytest.raises(ValueError, match="no verifier"):
        issue(msgspec.structs.replace(CLAIMS, **change), ES256)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"])
def test_the_type_is_a_media_type_without_case(typ: str) -> None:
    """J41: both forms of RFC 9068 section 4, in any case."""
    assert judge(signed(ES256, header_of(ES256, typ=typ))) == CLAIMS


@pytest.mark.parametrize(
    "typ",
    [..., "", "JWT", "at+jwt ", " at+jwt", "at+jwt;x=1", "text/at+jwt", "id+jwt", "logout+jwt", "dpop+jwt", "dbsc+jwt",
     "secevent+jwt", "statuslist+jwt", "at-jwt", "at+jwt\x00", "a" * 65],
    ids=ascii,
)  # fmt: skip
def test_a_token_of_another_kind_is_refused(typ: object) -> None:
    """J41, J42, J43: no other kind of token, even by the same key, passes for an access token."""
    assert refusal(signed(ES256, header_of(ES256, typ=typ))).reason == "typ"


@pytest.mark.parametrize("typ", [None, 1, ["at+jwt"], {"typ": "at+jwt"}], ids=repr)
def test_a_type_that_is_no_string_is_refused(typ: object) -> None:
    """J41: a list with the right word in it is not the right word."""
    assert refusal(signed(ES256, header_of(ES256, typ=typ))).reason == "header"


@pytest.mark.parametrize(
    "issuer",
    [f"{ISSUER}/", "https://ID.example", "http://id.example", "https://id.example.attacker.example", "", f" {ISSUER}",
     "https://id.example:443", "https://tenant.example"],
)  # fmt: skip
def test_another_issuer_is_refused(issuer: str) -> None:
    """J39: character by character, without any kindness to URLs."""
    assert refusal(signed(ES256, None, payload_with(iss=issuer))).reason == "issuer"


@pytest.mark.parametrize(
    "audience", ["https://other.example", f"{AUDIENCE}/", AUDIENCE.upper(), "", [], ["x"], [[]][0]]
)
def test_another_audience_is_refused(audience: object) -> None:
    """A token for another service is not for this one (RFC 9068 section 4)."""
    assert refusal(signed(ES256, None, payload_with(aud=audience))).reason == "audience"


def test_a_part_of_the_audience_is_not_the_audience() -> None:
    """A string is compared whole, never searched."""
    assert refusal(signed(ES256, None, payload_with(aud=AUDIENCE)), audience="api").reason == "audience"
    assert refusal(signed(ES256, None, payload_with(aud=AUDIENCE)), audience="").reason == "audience"


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "auth_time"])
@pytest.mark.parametrize("value", [..., None, {}, [1], True], ids=str)
def test_every_claim_that_we_rely_on_must_be_there_and_of_its_type(claim: str, value: object) -> None:
    """J35, J39, J55: a missing claim is not an empty one."""
    assert refusal(signed(ES256, None, payload_with(**{claim: value}))).reason == "claims"


@pytest.mark.parametrize("claim", ["sub", "jti", "sid", "client_id"])
@pytest.mark.parametrize("value", ["", "a" * 256, "a\x00b", "a\nb", "\x7f", "a\u202eb", "\u200b", 7], ids=ascii)
def test_an_id_that_is_empty_endless_or_invisible_is_refused(claim: str, value: object) -> None:
    """J55: an id goes to logs, look-ups and screens."""
    assert refusal(signed(ES256, None, payload_with(**{claim: value}))).reason == "claims"


@pytest.mark.parametrize(
    "change",
    [{"scope": " "}, {"scope": "a  b"}, {"scope": "a "}, {"scope": "a\tb"}, {"scope": "é"}, {"scope": ["a"]},
     {"roles": "admin"}, {"roles": [1]}, {"roles": [""]}, {"roles": ["a\n"]}, {"roles": ["r"] * 65}, {"roles": None},
     {"aud": [AUDIENCE] * 65}, {"aud": [AUDIENCE, ""]}, {"aud": [AUDIENCE, 1]}],
    ids=lambda change: str(change)[:30],
)  # fmt: skip
def test_lists_of_odd_shape_are_refused(change: dict[str, Any]) -> None:
    """Scopes by RFC 6749 section 3.3; roles are a list of names, and a string is no list."""
    assert refusal(signed(ES256, None, payload_with(**change))).reason == "claims"


def test_an_unknown_claim_is_ignored() -> None:
    """RFC 7519 section 4: what is not understood is left alone."""
    assert judge(signed(ES256, None, payload_with(x={"y": [1, 2.5, None]}))) == CLAIMS


@pytest.mark.parametrize("indent", [None, 2])
def test_another_legal_spelling_of_the_same_claims_is_accepted(indent: int | None) -> None:
    """Order, spaces and escapes are free in JSON; only the fast way depends on ours."""
    text = json.dumps(dict(reversed(PAYLOAD.items())), indent=indent).replace("usr_minji", "\\u0075sr_minji")
    assert judge(signed(ES256, None, text.encode())) == CLAIMS


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0, -1, NOW - 0.5, -0.5, float(NOW)])
def test_an_expired_token_says_so(exp: float) -> None:
    """J34: from the second of ``exp`` on, without leeway; zero and negative times are long over."""
    refused = refusal(signed(ES256, None, payload_with(exp=exp)))
    assert (refused.code, refused.reason) == ("token_expired", "expired")


@pytest.mark.parametrize("exp", [NOW + 1, NOW + 0.5, NOW + 0.001, float(NOW + 1), 253402300799])
def test_a_fraction_of_a_second_counts(exp: float) -> None:
    """J34: fractions are legal and compared exactly; the claims tell the whole second before."""
    assert judge(signed(ES256, None, payload_with(exp=exp))).expires_at == int(exp)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize(
    ("ahead_s", "accepted"),
    [(0, True), (LEEWAY_S - 1, True), (LEEWAY_S, True), (LEEWAY_S + 0.5, False), (LEEWAY_S + 1, False), (3600, False)],
)
def test_the_future_is_tolerated_up_to_the_leeway(claim: str, ahead_s: float, *, accepted: bool) -> None:
    """J37: clocks of nodes differ a little; nothing else excuses a token from the future."""
    token = signed(ES256, None, payload_with(**{claim: NOW + ahead_s, "exp": NOW + 9000}))
    if accepted:
        assert judge(token).session_id == "ses_1"
    else:
        assert refusal(token).reason == "future"


def test_the_leeway_does_not_lengthen_a_life() -> None:
    """Expiry is strict however large the leeway."""
    assert refusal(issue(CLAIMS, ES256), now=CLAIMS.expires_at, leeway_s=MAX_LEEWAY_S).code == "token_expired"
    assert judge(issue(CLAIMS, ES256), now=CLAIMS.expires_at - 1, leeway_s=0) == CLAIMS


@pytest.mark.parametrize("leeway_s", [-1, MAX_LEEWAY_S + 1, 3600])
def test_a_leeway_beyond_five_minutes_is_a_mistake(leeway_s: int) -> None:
    """J37: a program may not ask for more, whatever token comes."""
    with pytest.raises(ValueError, match="leeway_s"):
        judge(issue(CLAIMS, ES256), leeway_s=leeway_s)


@pytest.mark.parametrize(
    "change", [{"iss": "https://x.example"}, {"aud": "x"}, {"sub": ""}, {"iat": NOW + 3600}, {"x": 2**63}], ids=str
)
def test_expiry_is_told_only_when_all_else_is_right(change: dict[str, Any]) -> None:
    """The code `token_expired` invites a renewal, so it must not answer a token that is not ours."""
    refused = refusal(signed(ES256, None, payload_with(exp=NOW - 1, **change)))
    assert refused.code == "credential_malformed"


def test_a_refusal_is_a_refused_credential_and_quotes_nothing() -> None:
    """The words for logs are few and fixed; the token never gets into them."""
    refused = refusal(signed(ES256, header_of(ES256, kid="secret kid"), payload_with(sub="secret-sub")))
    assert isinstance(refused, CredentialRefused)
    assert (str(refused), refused.code, refused.facts) == ("credential_malformed", "credential_malformed", {})
    assert "secret" not in repr((refused, refused.reason, refused.args, refused.__cause__, refused.__context__))
