"""The catalogues say the same in both languages, and a reader gets the one they asked for."""

from __future__ import annotations

import re
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.language import (
    LANGUAGES,
    MAX_ACCEPT_LANGUAGE_CHARS,
    ago,
    ahead,
    catalogue,
    date,
    moment,
    negotiate,
    say,
)

ENGLISH, KOREAN = catalogue("en"), catalogue("ko")
NOW = 1_795_495_000  # 2026-11-24T04:36:40Z
HANGUL = re.compile("[가-힣]")
# Names and values that are the same in Korean.
NOT_TRANSLATED = {"page.nav.docs", "page.problem.status", "time.moment", "cli.column.id"}

PROBLEMS = {
    "request_malformed": "", "json_malformed": "", "host_unknown": "host", "credential_ambiguous": "",
    "credential_missing": "", "credential_malformed": "", "session_expired": "", "session_revoked": "",
    "session_evicted": "at browser kind os", "token_expired": "", "token_reused": "", "user_disabled": "",
    "credentials_wrong": "", "forbidden": "", "cross_site_refused": "", "sign_up_closed": "", "not_found": "",
    "method_not_allowed": "", "email_taken": "", "session_limit_reached": "limit", "data_changed": "",
    "mode_changed_meanwhile": "", "body_too_slow": "within_s",
    "if_match_missing": "", "body_too_large": "max_bytes", "content_type_wrong": "expected",
    "fields_refused": "", "password_refused": "", "too_many_attempts": "retry_after_s", "headers_too_large": "",
    "internal": "",
    "unavailable": "", "store_unavailable": "", "overloaded": "",
}  # fmt: skip
FIELDS = {
    "required": "", "wrong_type": "", "unknown_field": "", "email_invalid": "", "too_long": "limit",
    "too_short": "limit", "common": "", "same_as_account": "", "same_as_old": "", "invalid": "",
    "mode_unknown": "", "clients_unknown": "", "data_too_large": "max_bytes", "not_an_object": "",
    "out_of_range": "least most", "too_many": "limit",
}  # fmt: skip


def placeholders(text: str) -> set[str]:
    """Return the names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_catalogues_have_the_same_keys_in_the_same_order() -> None:
    """Whoever adds a sentence adds it twice, at the same place."""
    assert list(ENGLISH) == list(KOREAN)


def test_both_languages_use_the_same_facts() -> None:
    """No fact is lost in translation, and none is asked for that nobody gives."""
    assert [key for key in ENGLISH if placeholders(ENGLISH[key]) != placeholders(KOREAN[key])] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_padded(language: str) -> None:
    """Every text says something, and its spaces are the template's business."""
    texts = catalogue(language)
    assert [key for key, text in texts.items() if not text or text != " ".join(text.split())] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_facts_are_named_and_plain(language: str) -> None:
    """No positions, attributes, conversions or formats in a template: a fact is a word to insert."""
    for text in catalogue(language).values():
        for _, name, format_spec, conversion in Formatter().parse(text):
            assert name is None or (name.isidentifier() and not format_spec and not conversion)


def test_korean_is_korean() -> None:
    """A text without one Hangul syllable was forgotten, unless it is on the list or all placeholders."""
    bare = {key: re.sub(r"\{\w+\}|\W", "", text) for key, text in KOREAN.items() if key not in NOT_TRANSLATED}
    assert [key for key, text in bare.items() if text and not HANGUL.search(text)] == []


def test_english_has_no_hangul() -> None:
    """Nor the other way round."""
    assert [key for key, text in ENGLISH.items() if HANGUL.search(text)] == []


@pytest.mark.parametrize(("code", "facts"), PROBLEMS.items())
def test_every_problem_has_a_title_and_a_detail(code: str, facts: str) -> None:
    """The title stands alone; the detail uses exactly the facts that its error carries."""
    assert placeholders(ENGLISH[f"problem.{code}.title"]) == set()
    assert placeholders(ENGLISH[f"problem.{code}.detail"]) == set(facts.split())


@pytest.mark.parametrize(("code", "facts"), FIELDS.items())
def test_every_reason_of_a_field_has_a_sentence(code: str, facts: str) -> None:
    """The sentence uses exactly the facts of its reason."""
    assert placeholders(ENGLISH[f"field.{code}"]) == set(facts.split())


@pytest.mark.parametrize("key", [*(f"device.{kind}" for kind in ("desktop", "mobile", "app")),
                                 *(f"mode.{mode}" for mode in ("cookie", "bearer", "hybrid")),
                                 "sign_in_method.password"])  # fmt: skip
def test_every_word_of_a_session_has_a_text(key: str) -> None:
    """Kinds, modes and methods are shown in the reader's words."""
    assert say("en", key) != say("ko", key)


def test_a_missing_key_is_an_error() -> None:
    """A test finds it; a reader never sees a bare key."""
    with pytest.raises(KeyError, match=r"page\.nonsense"):
        say("ko", "page.nonsense")


def test_a_missing_fact_is_an_error() -> None:
    """A sentence is never shown with a hole in it."""
    with pytest.raises(KeyError, match="limit"):
        say("en", "field.too_long")


def test_an_unknown_language_is_answered_in_english() -> None:
    """Whatever stands in a stored preference, people get a sentence."""
    assert say("tlh", "field.required") == ENGLISH["field.required"]


@pytest.mark.parametrize("fact", ["{limit}", "{0.__class__}", "%s", "<b>", "{"])
def test_a_fact_is_plain_text(fact: str) -> None:
    """Braces in a value are not filled again, so a value cannot read what it was not given."""
    assert fact in say("en", "problem.host_unknown.detail", host=fact)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("ko", "ko"),
        ("KO-kr", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("en;q=0.3, ko;q=0.301", "ko"),
        ("de, ko;q=0.1", "ko"),
        ("de, fr", "en"),
        ("*", "en"),
        ("en;q=0, *", "ko"),
        ("ko;q=0, *;q=0.5", "en"),
        ("en;q=0, ko;q=0", "en"),
        ("ko, en", "ko"),
        ("en, ko", "en"),
        (" ,ko ; q=1.000, ,", "ko"),
        ("\tko\t", "ko"),
    ],
)
def test_the_best_language_wins(header: str | None, language: str) -> None:
    """RFC 9110 section 12.5.4: the highest weight, among equals the first; nothing fits: English."""
    assert negotiate(header) == language


@pytest.mark.parametrize(
    "header",
    ["ko;q=1.5", "ko;q=0.1234", "ko;q=-1", "ko;q=", "ko;level=1", "ko_KR", "한국어", "ko;q=1;q=1", "ko q=1",
     "ko\r\nx", "-ko", "ko-", "ko;q=\u0660", "*-KR", "ko\x00"],
)  # fmt: skip
def test_a_malformed_header_is_english(header: str) -> None:
    """Odd input gets the default, not a guess."""
    assert negotiate(header) == "en"


def test_a_header_beyond_the_bound_is_not_read() -> None:
    """The limit is exact, and the cost of a header is bounded by it."""
    fill = "ko," + " " * MAX_ACCEPT_LANGUAGE_CHARS
    assert negotiate(fill[:MAX_ACCEPT_LANGUAGE_CHARS]) == "ko"
    assert negotiate(fill[: MAX_ACCEPT_LANGUAGE_CHARS + 1]) == "en"


@pytest.mark.parametrize(
    ("chosen", "language"), [("ko", "ko"), ("en", "en"), ("KO", "en"), ("", "en"), ("../ko", "en")]
)
def test_a_valid_choice_wins_over_the_header(chosen: str, language: str) -> None:
    """What somebody picked counts; anything else in the cookie does not."""
    assert negotiate("en", chosen) == language
    assert negotiate("ko", "en") == "en"


@given(st.text(max_size=600), st.none() | st.text(max_size=20))
def test_negotiation_always_ends_in_one_of_our_languages(header: str, chosen: str | None) -> None:
    """No header raises."""
    assert negotiate(header, chosen) in LANGUAGES


@pytest.mark.parametrize(
    ("distance_s", "english", "korean"),
    [
        (-5, "just now", "방금 전"),
        (0, "just now", "방금 전"),
        (59, "just now", "방금 전"),
        (60, "1 minute ago", "1분 전"),
        (180, "3 minutes ago", "3분 전"),
        (3_599, "59 minutes ago", "59분 전"),
        (3_600, "1 hour ago", "1시간 전"),
        (86_399, "23 hours ago", "23시간 전"),
        (86_400, "1 day ago", "1일 전"),
        (86_400 * 30, "1 month ago", "1개월 전"),
        (86_400 * 364, "12 months ago", "12개월 전"),
        (86_400 * 800, "2 years ago", "2년 전"),
    ],
)
def test_how_long_ago(distance_s: int, english: str, korean: str) -> None:
    """The largest whole unit, rounded down; a clock that runs ahead is "just now"."""
    assert ago("en", NOW - distance_s, NOW) == english
    assert ago("ko", NOW - distance_s, NOW) == korean


def test_how_long_until() -> None:
    """The same steps into the future."""
    assert [ahead("en", NOW + after_s, NOW) for after_s in (-1, 60, 7_200)] == [
        "now",
        "in 1 minute",
        "in 2 hours",
    ]
    assert ahead("ko", NOW + 86_400 * 20, NOW) == "20일 후"


def test_a_moment_is_written_as_people_write_it() -> None:
    """In UTC, and said so."""
    assert moment("en", NOW) == "24 November 2026, 04:36 UTC"
    assert moment("ko", NOW) == "2026년 11월 24일 04:36 UTC"
    assert date("en", 0) == "1 January 1970"
