"""Hashes of other systems: what their libraries write verifies; what is dear, weak or broken is refused unread."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core import foreign_hash
from propylon.core.foreign_hash import MAX_PBKDF2_ITERATIONS, MAX_STORED_CHARS
from propylon.core.password import (
    NO_PASSWORD,
    OWASP,
    UNSAFE_CHEAPEST,
    Hasher,
    as_hashed,
    imported,
    is_foreign,
    reads_all_of,
)
from propylon.errors import PropylonError, RuleRefused, Unusable

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors/foreign_hashes/hashes.json").read_text()
)["hashes"]
HASHER = Hasher(UNSAFE_CHEAPEST)
TAG = "c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ="
BCRYPT_TAIL = "loZv0iHcA5svLnT87MvGQuE5YNo51H9KqW7dTOPuuOAdmI5cysp/."
EVERY_KIND = sorted(
    {(vector["made_by"], vector["hash"]) for vector in VECTORS if vector["password"].startswith("corr")}
)

every_vector = pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda vector: f"{vector['made_by']} {vector['password']!a}"
)
every_kind = pytest.mark.parametrize("stored", [stored for _, stored in EVERY_KIND], ids=[by for by, _ in EVERY_KIND])


def verified(stored: str, password: str) -> bool:
    """Import a hash, and compare a password with it as a sign-in does."""
    kept = imported(stored)
    return HASHER.verify(kept, as_hashed(kept, password))


@every_vector
def test_the_password_that_was_hashed_elsewhere_is_right_here(vector: dict[str, Any]) -> None:
    """In Hangul, not in NFKC, beyond 72 bytes, with a NUL: nobody's password stops working."""
    assert verified(vector["hash"], vector["password"])


@every_vector
def test_every_other_password_is_wrong(vector: dict[str, Any]) -> None:
    """One more character in front, none at all, and all in other letters."""
    password = vector["password"]
    for guess in (f"x{password}", "", password[::-1], password.encode().hex()):
        assert not verified(vector["hash"], guess)


@every_kind
def test_an_imported_hash_is_known_as_foreign_and_asks_to_be_made_anew(stored: str) -> None:
    """Also an Argon2 hash, which without its mark would be one of ours, over other bytes."""
    kept = imported(stored)
    assert is_foreign(kept)
    assert Hasher(OWASP).needs_rehash(kept)
    assert imported(kept) == kept


def test_a_dearer_argon2id_hash_is_not_replaced_by_a_weaker() -> None:
    """A rehash may not lower what an attacker pays."""
    assert not Hasher(UNSAFE_CHEAPEST).needs_rehash("argon2" + Hasher(OWASP).hash(b"password"))


def test_ours_is_compared_in_nfkc_and_theirs_as_typed() -> None:
    """None of these systems normalises; a right password in another spelling was wrong there, too."""
    typed, composed = "cafe\u0301 long enough", "caf\u00e9 long enough"
    ours = HASHER.hash(composed.encode())
    assert HASHER.verify(ours, as_hashed(ours, typed))
    theirs = imported(ours)
    assert not HASHER.verify(theirs, as_hashed(theirs, typed))
    assert HASHER.verify(theirs, as_hashed(theirs, composed))


@every_kind
@pytest.mark.parametrize("password", ["lone \ud800 surrogate", "x" * 1_025])
def test_what_no_account_can_have_is_refused_before_it_costs(stored: str, password: str) -> None:
    """The bounds of a password hold for every hash."""
    with pytest.raises(RuleRefused):
        as_hashed(imported(stored), password)


def test_bcrypt_alone_says_nothing_about_what_follows_the_72nd_byte() -> None:
    """It matches with any tail, as in the system that made it; so such a password must not be hashed anew."""
    long = next(
        vector for vector in VECTORS if vector["made_by"] == "pwdlib BcryptHasher" and len(vector["password"]) > 72
    )
    mistyped = long["password"] + "?"
    assert verified(long["hash"], mistyped)
    assert not reads_all_of(long["hash"], mistyped.encode())
    assert reads_all_of(long["hash"], b"x" * 72)
    others = [
        vector for vector in VECTORS if len(vector["password"]) > 72 and vector["hash"][:3] not in {"$2a", "$2b", "$2y"}
    ]
    for vector in others:
        cut = "bcrypt$" in vector["hash"]
        assert verified(vector["hash"], vector["password"] + "?") is cut
        assert reads_all_of(imported(vector["hash"]), vector["password"].encode()) is not cut


def test_padding_bits_in_a_salt_of_bcrypt_change_nothing() -> None:
    """Some libraries filled them with chance, and the one that computes here refuses such a salt."""
    stored = next(vector for vector in VECTORS if vector["made_by"] == "passlib bcrypt 2b")
    padded = stored["hash"][:28] + {".": "/", "O": "P", "e": "f", "u": "v"}[stored["hash"][28]] + stored["hash"][29:]
    assert verified(padded, stored["password"])
    assert not verified(padded, "x" + stored["password"])


@pytest.mark.parametrize("stored", ["", "!", "!Zk4hV7kWmP1b3dTq8yQx"])
def test_no_usable_password_is_kept_as_none(stored: str) -> None:
    """Django writes ``!`` and chance for an account that signs in otherwise."""
    assert imported(stored) == NO_PASSWORD


REFUSED = {
    "hash_too_dear": [
        f"pbkdf2_sha256${MAX_PBKDF2_ITERATIONS + 1}$saltsalt${TAG}",
        f"pbkdf2_sha256$999999999$saltsalt${TAG}",
        f"$pbkdf2-sha512$50000000$c2FsdHNhbHQ${TAG[:40]}",
        f"pbkdf2:sha1:3000001$saltsalt${'ab' * 20}",
        f"scrypt$1048576$saltsalt$8$1${TAG}",
        f"scrypt$524288$saltsalt$8$1${TAG}",  # within the work, beyond the memory
        f"scrypt$16384$saltsalt$8$1000${TAG}",
        f"scrypt$2$saltsalt$999999999$1${TAG}",
        f"$scrypt$ln=99,r=8,p=1$c2FsdHNhbHQ${TAG[:40]}",
        f"scrypt:32768:8:999999999$saltsalt${'ab' * 64}",
        f"$2b$15${BCRYPT_TAIL}",
        f"$2y$31${BCRYPT_TAIL}",
        f"bcrypt_sha256$$2b$99${BCRYPT_TAIL}",
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "argon2$argon2id$v=19$m=1048576,t=3,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2i$v=19$m=64,t=100000,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2d$v=19$m=1000000,t=1,p=1000$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
    ],
    "hash_weak": [
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
        "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
        "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19",
        "md5$saltsalt$5f4dcc3b5aa765d61d8327deb882cf99",
        "sha1$$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
        "crypt$$ab1EFrgX3WjlM",
        "ab1EFrgX3WjlM",
        "{SSHA}0pZPpd6qVbxc0JGgKqKxYzl0cG9Yb2Jh",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
        "$apr1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
        f"pbkdf2_sha256$999${'saltsalt'}${TAG}",
        f"pbkdf2_sha256$600000$${TAG}",
        f"pbkdf2_sha256$600000$short${TAG}",
        "pbkdf2_sha256$600000$saltsalt$c2hvcnQ=",
        "pbkdf2:sha256:600000$saltsalt$abcd",
    ],
    "hash_unsupported": [
        "$6$rounds=656000$saltsalt$abc",
        "$5$saltsalt$abc",
        "$y$j9T$salt$abc",
        f"$2x$10${BCRYPT_TAIL}",
    ],
    "hash_unreadable": [
        "correct horse battery staple",
        "password",
        "$",
        "pbkdf2_sha256$600000$saltsalt",
        f"pbkdf2_sha256$-1$saltsalt${TAG}",
        f"pbkdf2_sha256$6e5$saltsalt${TAG}",
        f"pbkdf2_sha256$\u0661\u0662\u0663\u0664$saltsalt${TAG}",
        "pbkdf2_sha256$600000$saltsalt$====",
        f"pbkdf2_sha256$600000$saltsalt${TAG}\n",
        "pbkdf2_sha256$600000$saltsalt$c2FsdHNhbHRzYWx0c2FsdHNhbHRz*",
        f"scrypt$1000$saltsalt$8$1${TAG}",
        f"scrypt$16384$saltsalt$0$1${TAG}",
        f"scrypt$0$saltsalt$8$1${TAG}",
        f"$2b$03${BCRYPT_TAIL}",
        f"$2b$10${BCRYPT_TAIL}x",
        f"$2b$10${BCRYPT_TAIL[:-1]}",
        f"$2b$10${BCRYPT_TAIL[:-1]}\u00e9",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
        "$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2id$v=19$m=8,t=1,p=64$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$!!!!",
        "argon2$md5$abc",
        "x" * (MAX_STORED_CHARS + 1),
    ],
}


@pytest.mark.parametrize(("why", "stored"), [(why, stored) for why, hashes in REFUSED.items() for stored in hashes])
def test_what_is_dear_weak_or_broken_is_refused_with_its_reason(why: str, stored: str) -> None:
    """Nothing is computed to find out, and the reason does not repeat the hash."""
    started = time.process_time()
    with pytest.raises(Unusable) as refused:
        imported(stored)
    assert (refused.value.key, refused.value.facts) == (why, {})
    assert time.process_time() - started < 0.25  # the cheapest of the dear ones takes a second


@pytest.mark.parametrize(
    "stored", [stored for hashes in REFUSED.values() for stored in hashes if not stored.startswith("!")]
)
def test_what_no_import_keeps_is_not_computed_at_a_sign_in_either(stored: str) -> None:
    """A row that somebody else wrote into the store gets the same bounds."""
    with pytest.raises(PropylonError) as refused:
        HASHER.verify(stored, b"password")
    assert refused.value.code == "hash_unreadable"
    assert refused.value.__cause__ is None


@given(st.sampled_from([stored for _, stored in EVERY_KIND]), st.integers(0, 100), st.characters())
def test_a_damaged_hash_is_refused_or_wrong(stored: str, place: int, character: str) -> None:
    """Whatever one character is changed to, nothing else is raised."""
    damaged = stored[: place % len(stored)] + character + stored[place % len(stored) + 1 :]
    try:
        imported(damaged)
    except Unusable as refused:
        assert refused.key.startswith("hash_")  # noqa: PT017 - any other exception fails the test


def test_a_hash_does_not_show_what_it_holds() -> None:
    """A traceback with its locals may end up in a log."""
    shown = [
        repr(foreign_hash.read(stored))
        for _, stored in EVERY_KIND
        if not stored.removeprefix("argon2").startswith("$argon2")
    ]
    assert set(shown) == {"Pbkdf2()", "Scrypt()", "Bcrypt()"}
