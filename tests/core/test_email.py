"""E-mail addresses: one canonical form, and what is no address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.email import MAX_EMAIL_BYTES, NO_ADDRESS, canonical, checked
from propylon.errors import RuleRefused

#: Text with every code point, lone surrogates included, and often with an @.
ANY_TEXT = st.text(st.characters() | st.sampled_from("@.xn-\u00df\u0130\ufb00\u3002\ud800\0\r\n "), max_size=80)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("alice@example.org", "alice@example.org"),
        ("  Alice@Example.ORG\t", "alice@example.org"),
        ("a+b.c@example.org", "a+b.c@example.org"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("\ufb00@example.org", "ff@example.org"),  # ligature
        ("\u212aim@example.org", "kim@example.org"),  # Kelvin sign
        ("\uff4d\uff49\uff4b\uff45@example.org", "mike@example.org"),  # full-width
        ("a@\uff45xample.org", "a@example.org"),
        ("m\u0131ke@example.org", "m\u0131ke@example.org"),  # dotless i
        ("\u0130@example.org", "i\u0307@example.org"),  # I with a dot
        ("\uae40@example.org", "\uae40@example.org"),
        ("\u1100\u1175\u11b7@example.org", "\uae40@example.org"),  # the same in jamo, as a Mac writes it
        ("a@B\u00fccher.example", "a@xn--bcher-kva.example"),
        ("a@XN--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@stra\u00dfe.example", "a@strasse.example"),
        ("a@xn--strae-oqa.example", "a@strasse.example"),
        ("admin@localhost", "admin@localhost"),
        ("a@office.local", "a@office.local"),
        ("a@shop.test", "a@shop.test"),
    ],
)
def test_an_address_is_kept_as_written_and_found_by_its_canonical_form(written: str, folded: str) -> None:
    """Spellings that look or sound alike to a machine fold to one account."""
    assert checked(written) == (written.strip(), folded)
    assert canonical(written) == canonical(folded) == folded


def test_dotless_i_is_another_letter_than_i() -> None:
    """Turkish lower-casing once let somebody reset another's password (CVE-2019-19844)."""
    assert len({canonical(f"m{letter}ke@example.org") for letter in "i\u0131\u0130"}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@",
        "alice",
        "alice@",
        "@example.org",
        "a@b@example.org",
        "a\uff20b@example.org",  # its canonical form has two @
        '"a b"@example.org',
        '"alice"@example.org',
        "Alice <alice@example.org>",
        "alice@example.org.",
        ".alice@example.org",
        "a..b@example.org",
        "alice@[192.0.2.1]",
        "alice@-example.org",
        "alice@exa_mple.org",
        "alice@example.org\r\nBcc: eve@example.org",
        "alice@example.org\n",
        "alice@example.org,eve@example.org",
        "al ice@example.org",
        "al\0ice@example.org",
        "al\u200bice@example.org",  # zero-width space
        "al\u202eice@example.org",  # turns the text around
        "al\ufffdice@example.org",
        "\ud800@example.org",
        "alice@\ud800.org",
        "alice@xn--a",
        f"alice@{'a' * 64}.org",
        f"a@{'b.' * 130}org",
        " " * 10_000_000,
        "a" * 1_000_000,
    ],
    ids=lambda text: ascii(text[:40]),
)
def test_what_is_no_address_is_refused_with_the_field_and_the_reason(text: str) -> None:
    """A wrong address is refused by one code, whatever is wrong with it."""
    with pytest.raises(RuleRefused) as refused:
        checked(text)
    assert refused.value.code == "fields_refused"
    assert refused.value.errors == (("email", "email_invalid", {}),)


@pytest.mark.parametrize("text", ["a\0@example.org", "\ud800@example.org", "a\r@example.org", "a" * 255, "\uae40" * 85])
def test_a_look_up_with_what_no_account_can_have_finds_nobody(text: str) -> None:
    """A store that cannot hold the text never sees it, and no account has what it sees instead."""
    assert canonical(text) == NO_ADDRESS
    with pytest.raises(RuleRefused):
        checked(NO_ADDRESS)


def test_an_address_of_the_greatest_length_is_accepted_and_one_byte_more_is_not() -> None:
    """The bound of RFC 5321 is met exactly."""
    longest = f"{'a' * 64}@{'.'.join(['b' * 62] * 2 + ['c' * 59])}.org"
    assert len(longest) == MAX_EMAIL_BYTES
    assert checked(longest) == (longest, longest)
    with pytest.raises(RuleRefused):
        checked(longest.replace("@", "@b", 1))


@given(ANY_TEXT)
def test_canonical_is_idempotent_and_takes_any_text(text: str) -> None:
    """Folding what is folded changes nothing, and no text makes it fail or grow beyond its bound."""
    folded = canonical(text)
    assert canonical(folded) == folded
    assert len(folded.encode()) <= MAX_EMAIL_BYTES


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_an_accepted_address_has_an_accepted_canonical_form(local: str, label: str) -> None:
    """Whatever is signed up with can be signed in with, in the form under which it is kept."""
    try:
        written, folded = checked(f"{local}@{label}.example")
    except RuleRefused as refused:
        assert refused.errors[0][1] == "email_invalid"  # noqa: PT017 - any other exception fails the test
    else:
        assert canonical(written) == folded
        assert checked(folded) == (folded, folded)
