"""The shipped list of common passwords."""

from __future__ import annotations

import gzip
import secrets
import subprocess
import sys
import unicodedata
from importlib.resources import files

import pytest

from propylon.core.password import PasswordPolicy
from propylon.errors import RuleRefused
from propylon.outside import common_passwords


@pytest.mark.parametrize("password", ["password123", "qwertyuiop", "iloveyou1", "12345678", "1q2w3e4r", "Sunshine1"])
def test_what_every_attacker_tries_first_is_refused(password: str) -> None:
    """The list and the policy fit together: both fold alike."""
    with pytest.raises(RuleRefused) as refused:
        PasswordPolicy(common=common_passwords.load()).check(password)
    assert refused.value.errors == (("password", "common", {}),)


def test_a_random_password_is_not_on_the_list() -> None:
    """Nor is a passphrase."""
    policy = PasswordPolicy(common=common_passwords.load())
    policy.check(secrets.token_urlsafe(12))
    policy.check("correct horse battery staple")


def test_the_list_is_large_folded_and_free_of_what_its_length_refuses() -> None:
    """An entry in capitals or in another normal form could never be found."""
    entries = common_passwords.load()
    assert len(entries) > 10_000
    for entry in entries:
        assert entry == unicodedata.normalize("NFKC", entry.casefold())
        assert 8 <= len(entry) <= 64


def test_the_file_is_reproducible() -> None:
    """Sorted, and packed without the time of packing: whoever makes it anew gets the same content."""
    packed = files("propylon.outside").joinpath("data", "common_passwords.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    assert lines == sorted(set(lines))
    assert packed[4:8] == bytes(4)  # RFC 1952 section 2.3.1: MTIME


def test_the_list_is_read_at_the_first_use_and_once() -> None:
    """Importing the module reads nothing: a start that needs no sign-up does not pay."""
    assert common_passwords.load() is common_passwords.load()
    program = "import propylon.outside.common_passwords as c; print(c.load.cache_info().currsize)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "0"
