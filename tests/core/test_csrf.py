"""May an unsafe request act with a credential that the browser added by itself? The whole table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.csrf import SAFE_METHODS, same_site_intended

OWN = "https://example.com"
CONFIGURED = "https://shop.example.org"
NEIGHBOUR = "https://evil.example.com"
STRANGER = "https://attacker.example"

METHODS = ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "PROPFIND", "get", ""]


def intended(method: str = "POST", site: str | None = None, origin: str | None = None, *, strict: bool = False) -> bool:
    """Ask for one request to https://example.com, which trusts one other origin."""
    return same_site_intended(
        method, sec_fetch_site=site, origin=origin, own_origins={OWN}, configured_origins={CONFIGURED}, strict=strict
    )


# The cases of Go's ``TestCrossOriginProtectionSecFetchSite``; our own origin stands for its Host.
GO: list[tuple[str, str | None, str | None, bool]] = [
    ("POST", "same-origin", None, True),
    ("POST", "none", None, True),
    ("POST", "cross-site", None, False),
    ("POST", "same-site", None, False),
    ("POST", None, None, True),
    ("POST", None, OWN, True),
    ("POST", None, STRANGER, False),
    ("POST", None, "null", False),
    ("GET", "cross-site", None, True),
    ("HEAD", "cross-site", None, True),
    ("OPTIONS", "cross-site", None, True),
    ("PUT", "cross-site", None, False),
]
# Those of its ``TestCrossOriginProtectionTrustedOriginBypass``.
GO_TRUSTED: list[tuple[str | None, str | None, bool]] = [
    (CONFIGURED, None, True),
    (CONFIGURED, "cross-site", True),
    (STRANGER, None, False),
    (STRANGER, "cross-site", False),
]


@pytest.mark.parametrize(("method", "site", "origin", "expected"), GO)
def test_the_cases_of_go_come_out_the_same(
    method: str, site: str | None, origin: str | None, *, expected: bool
) -> None:
    """``net/http.CrossOriginProtection`` is what this follows."""
    assert intended(method, site, origin) is expected


@pytest.mark.parametrize(("origin", "site", "expected"), GO_TRUSTED)
def test_a_configured_origin_passes_as_in_go(origin: str | None, site: str | None, *, expected: bool) -> None:
    """With the newer header and without it."""
    assert intended("POST", site, origin) is expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_every_other_method_is_unsafe(method: str, site: str) -> None:
    """C107: what is not named safe may change something; methods are case-sensitive (RFC 9110 section 9.1)."""
    assert not intended(method, site)
    assert not intended(method, None, STRANGER)


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize("origin", [None, OWN, NEIGHBOUR, STRANGER, "null", ""])
def test_a_page_that_is_not_ours_does_not_pass(site: str, origin: str | None) -> None:
    """C110: the browser has said that it was not us, so an Origin in our name changes nothing."""
    assert not intended("POST", site, origin)


@pytest.mark.parametrize("site", ["", " ", "Same-Origin", "same-origin ", "same-origin, none", "unknown", "null", "*"])
@pytest.mark.parametrize("origin", [None, OWN, "null"])
def test_an_unknown_word_is_no_permission(site: str, origin: str | None) -> None:
    """Sec-Fetch-Site has four values; whatever else stands there was not written by a browser that we know."""
    assert not intended("POST", site, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "NULL",
        "http://example.com",
        "https://example.com:443",
        "https://example.com:8443",
        "https://EXAMPLE.com",
        "https://example.com/",
        "https://example.com.",
        "https://example.com.attacker.example",
        "https://attacker-example.com",
        "https://example.com@attacker.example",
        "https://example.com https://attacker.example",
        "https://shop.example.org, https://example.com",
        NEIGHBOUR,
        "https://shopXexample.org",
    ],
)
def test_without_the_newer_header_only_the_exact_origin_passes(origin: str) -> None:
    """C109, C118: scheme, host and port as browsers spell them; Go lets http through here, we know our scheme."""
    assert not intended("POST", None, origin)


@pytest.mark.parametrize("site", ["same-origin", "none"])
@pytest.mark.parametrize("origin", [None, OWN, STRANGER, "null", ""])
def test_our_own_page_passes_whatever_its_origin(site: str, origin: str | None) -> None:
    """Sec-Fetch-Site comes first: a form of our own page under ``no-referrer`` sends ``Origin: null``."""
    assert intended("POST", site, origin)


def test_strict_refuses_what_no_browser_says_anything_about() -> None:
    """C111: both headers absent."""
    assert intended("POST")
    assert not intended("POST", strict=True)


@pytest.mark.parametrize(("site", "origin"), [("same-origin", None), ("none", None), (None, OWN), (None, CONFIGURED)])
def test_strict_takes_nothing_from_browsers(site: str | None, origin: str | None) -> None:
    """Where a browser says who asks, strict changes nothing."""
    assert intended("POST", site, origin, strict=True)


SITES = st.none() | st.sampled_from(["same-origin", "none", "same-site", "cross-site", ""]) | st.text(max_size=12)
ORIGINS = st.none() | st.sampled_from([OWN, CONFIGURED, NEIGHBOUR, "null", ""]) | st.text(max_size=40)


@given(site=SITES, origin=ORIGINS, strict=st.booleans())
def test_reading_is_always_allowed(site: str | None, origin: str | None, *, strict: bool) -> None:
    """A safe method changes nothing, whoever sends it."""
    assert all(intended(method, site, origin, strict=strict) for method in SAFE_METHODS)


@given(method=st.sampled_from(METHODS), site=SITES, origin=ORIGINS)
def test_strict_only_takes_away(method: str, site: str | None, origin: str | None) -> None:
    """Whatever passes strictly passes without."""
    assert intended(method, site, origin) or not intended(method, site, origin, strict=True)


@given(method=st.sampled_from(METHODS), site=SITES, origin=ORIGINS)
def test_who_passes_is_us_configured_or_silent(method: str, site: str | None, origin: str | None) -> None:
    """The law behind the table, said once more and differently."""
    ours = site in ("same-origin", "none") or (site is None and origin == OWN)
    assert intended(method, site, origin) is (ours or origin == CONFIGURED or (site is None and origin is None))
