"""Passwords: the policy, the bytes that are hashed, and the hashes."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core import password as rules
from propylon.core.password import OWASP, PROFILES, UNSAFE_CHEAPEST, Hasher, PasswordPolicy, prepared
from propylon.errors import PropylonError, RuleRefused, SetupError

POLICY = PasswordPolicy(common=frozenset({"password123", "qwertyuiop"}))
GOOD = "correct horse battery staple"


def refusal(password: str, **account: str) -> tuple[str, str, dict[str, Any]]:
    """Return the one error with which the policy refuses a password."""
    with pytest.raises(RuleRefused) as refused:
        POLICY.check(password, **account)
    assert refused.value.code == "password_refused"
    (error,) = refused.value.errors
    return error


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "aaaaaaaaaaaa",
        "        ",
        "\ube44\ubc00\ubc88\ud638\uc5ec\ub35f\uae00\uc790",
        "\U0001f600" * 8,
        "with\0nul byte",
        "x" * 256,
        "password124",
    ],
)
def test_a_long_enough_password_is_accepted_whatever_it_is_composed_of(password: str) -> None:
    """There are no composition rules: NIST SP 800-63B-4 forbids them."""
    POLICY.check(password, email="alice@example.org", name="Alice", site_name="Shop")


@pytest.mark.parametrize("password", ["", "seven77", "\U0001f600" * 7, "a\u0301" * 7])
def test_a_short_password_is_refused_with_the_limit(password: str) -> None:
    """Code points are counted after NFKC, so a letter with its accent counts once."""
    assert refusal(password) == ("password", "too_short", {"limit": 8})


@pytest.mark.parametrize("password", ["x" * 257, "x" * 10_000_000, "\ufdfa" * 10_000])
def test_a_long_password_is_refused_with_the_limit(password: str) -> None:
    """The length is looked at before the text is."""
    assert refusal(password) == ("password", "too_long", {"limit": 256})


@pytest.mark.parametrize("password", ["password123", "PassWord123", "\uff50assword123", "QWERTYUIOP"])
def test_a_common_password_is_refused_in_every_spelling(password: str) -> None:
    """An attacker tries capitals too."""
    assert refusal(password) == ("password", "common", {})


@pytest.mark.parametrize(
    "password",
    ["alice.kim@example.org", "ALICE.KIM@EXAMPLE.ORG", "Alice.Kim", "\uff21lice Kim", "Example Shop"],
)
def test_what_the_account_shows_is_no_password(password: str) -> None:
    """The address, what stands before its @, the name and the site's name are tried first."""
    account = {"email": "alice.kim@example.org", "name": "Alice Kim", "site_name": "example shop"}
    assert refusal(password, **account) == ("password", "same_as_account", {})


def test_a_password_that_only_contains_the_name_is_accepted() -> None:
    """Only the whole password is compared (NIST SP 800-63B-4 section 3.1.1.2)."""
    POLICY.check("alice.kim and friends", email="alice.kim@example.org", name="alice.kim")


@pytest.mark.parametrize("password", ["\ud800longenough", "longenough\udfff"])
def test_a_lone_surrogate_is_refused(password: str) -> None:
    """JSON can carry half a character; UTF-8 cannot."""
    assert refusal(password) == ("password", "invalid", {})


def test_the_refusal_names_the_field_of_the_request() -> None:
    """Changing a password sends it as ``new_password``."""
    assert refusal("short", field="new_password")[0] == "new_password"


@pytest.mark.parametrize(("least", "most"), [(0, 10), (9, 8), (8, 1025)])
def test_a_policy_that_makes_no_sense_stops_the_start(least: int, most: int) -> None:
    """A weak setting is told at start, not at the first sign-up."""
    with pytest.raises(SetupError, match="password length"):
        PasswordPolicy(min_code_points=least, max_code_points=most)


@given(st.text(max_size=40))
def test_a_password_is_the_same_from_every_keyboard(text: str) -> None:
    """Composed or decomposed, the bytes that are hashed are the same."""
    assert prepared(unicodedata.normalize("NFD", text)) == prepared(unicodedata.normalize("NFC", text))


@given(st.text(st.characters(), max_size=2000))
def test_preparing_any_text_gives_bytes_or_a_refusal(text: str) -> None:
    """Nothing that can be sent makes preparing fail in another way."""
    try:
        assert prepared(text).decode() == unicodedata.normalize("NFKC", text)
    except RuleRefused as refused:
        assert refused.errors[0][1] in {"invalid", "too_long"}  # noqa: PT017 - anything else fails the test


def test_no_refusal_shows_the_password() -> None:
    """The error and what it is chained to may end up in a log."""
    with pytest.raises(RuleRefused) as refused:
        prepared("\ud800hunter22")
    assert "hunter22" not in repr(refused.value)
    assert refused.value.__suppress_context__


def test_a_password_is_never_truncated() -> None:
    """Two long ones that differ in the last character, beyond bcrypt's 72 bytes, differ."""
    hasher = Hasher(UNSAFE_CHEAPEST)
    stored = hasher.hash(prepared("x" * 255 + "a"))
    assert hasher.verify(stored, prepared("x" * 255 + "a"))
    assert not hasher.verify(stored, prepared("x" * 255 + "b"))
    assert not hasher.verify(stored, prepared("x" * 255))


def test_the_same_password_never_has_the_same_hash() -> None:
    """Every hash has a salt of its own."""
    hasher = Hasher(UNSAFE_CHEAPEST)
    assert hasher.hash(b"password") != hasher.hash(b"password")


def test_the_default_cost_is_that_of_owasp() -> None:
    """19 MiB, two passes, one lane; written into the stored hash."""
    assert Hasher().hash(b"password").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_found_by_its_name(name: str) -> None:
    """The setting names a profile by its source."""
    assert PROFILES[name].name == name


def test_a_hash_of_another_cost_verifies_and_asks_to_be_made_anew() -> None:
    """Raising the cost moves accounts over as their owners sign in."""
    stored = Hasher(UNSAFE_CHEAPEST).hash(b"password")
    assert Hasher(OWASP).verify(stored, b"password")
    assert Hasher(OWASP).needs_rehash(stored)
    assert not Hasher(UNSAFE_CHEAPEST).needs_rehash(stored)


@pytest.mark.parametrize("name", PROFILES)
def test_a_decoy_is_told_from_a_stored_hash_by_nothing(name: str) -> None:
    """The same form, the same length, the same cost; so an unknown user costs the same time."""
    hasher = Hasher(PROFILES[name])
    stored, decoy = hasher.hash(b"password"), hasher.decoy()
    assert not hasher.needs_rehash(decoy)
    assert len(decoy) == len(stored)
    assert decoy.rpartition("$")[0].rpartition("$")[0] == stored.rpartition("$")[0].rpartition("$")[0]


def test_no_password_opens_a_decoy() -> None:
    """Its tag was drawn, not computed; it is kept, since drawing it anew would be seen."""
    hasher = Hasher(UNSAFE_CHEAPEST)
    assert hasher.decoy() == hasher.decoy() != Hasher(UNSAFE_CHEAPEST).decoy()
    assert not any(hasher.verify(hasher.decoy(), guess) for guess in (b"", b"password", hasher.decoy().encode()))


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "password",
        "!",
        "$2b$12$abcdefghijklmnopqrstuuS7QXz6ZpO1Yk0v0Hc8k3e8m2v8yq9a",
        "$2b$31$abcdefghijklmnopqrstuuS7QXz6ZpO1Yk0v0Hc8k3e8m2v8yq9aW",
        "$argon2id$v=19$m=1048576,t=3,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2id$v=19$m=65536,t=1,p=4096$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
        "$argon2id$v=19$m=8,t=1,p=1$!!!!$????",
        "$argon2id$v=19$m=x,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",  # 4 GiB
        "$argon2id$v=19$m=8,t=100000,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$" + "A" * 600,
        "$argon2id$v=19$m=8,t=1,p=1$c2Fsd\u00e9NhbHQ$c2FsdHNhbHQ",
    ],
)
def test_a_stored_hash_that_cannot_be_read_is_no_wrong_password(stored: str) -> None:
    """A damaged or malicious record is the system's fault and shows as such, before it costs anything."""
    with pytest.raises(PropylonError) as refused:
        Hasher(UNSAFE_CHEAPEST).verify(stored, b"password")
    assert refused.value.code == "hash_unreadable"
    assert refused.value.__cause__ is None


@given(st.text(st.characters(), max_size=120).map("$argon2id$v=19$".__add__))
def test_any_stored_text_is_a_hash_or_unreadable(stored: str) -> None:
    """No text in the column raises anything else."""
    try:
        assert not Hasher(UNSAFE_CHEAPEST).verify(stored, b"password")
    except PropylonError as refused:
        assert refused.code == "hash_unreadable"  # noqa: PT017 - any other exception fails the test


def test_the_bounds_of_stored_hashes_leave_room_for_every_profile() -> None:
    """No profile of ours is refused as too dear."""
    assert all(profile.memory_kib * 4 <= rules.MAX_STORED_MEMORY_KIB for profile in PROFILES.values())
    assert all(profile.time_cost * 4 <= rules.MAX_STORED_TIME_COST for profile in PROFILES.values())
