"""What a public URL and an origin may be, and which hosts are this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.origin import MAX_URL_CHARS, allowed_origin, is_loopback_host, service_url

SPELLINGS = [
    ("https://id.example", "https://id.example"),
    ("https://id.example/", "https://id.example"),
    ("https://id.example///", "https://id.example"),
    ("HTTPS://ID.Example", "https://id.example"),
    ("https://id.example:443", "https://id.example"),
    ("https://id.example:443/auth/", "https://id.example/auth"),
    ("http://localhost:80", "http://localhost"),
    ("https://id.example:80", "https://id.example:80"),
    ("https://id.example:8443", "https://id.example:8443"),
    ("https://id.example:65535", "https://id.example:65535"),
    ("https://id.example/Auth/v%20", "https://id.example/Auth/v%20"),
    ("https://id.example.", "https://id.example."),
    ("https://xn--9t4b11yi5a.kr", "https://xn--9t4b11yi5a.kr"),
    ("https://192.0.2.7", "https://192.0.2.7"),
    ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
    ("https://[2001:db8:0:0:0:0:0:1]:443", "https://[2001:db8::1]"),
    ("http://[::1]:8000", "http://[::1]:8000"),
    ("https://under_score.example", "https://under_score.example"),
]

NO_ADDRESSES = [
    "",
    "/",
    "id.example",
    "//id.example",
    "https:id.example",
    "https://",
    "https:///path",
    "https://:443",
    "ftp://id.example",
    "javascript://id.example",
    "file:///etc/passwd",
    "https://id.example:0",
    "https://id.example:",
    "https://id.example:65536",
    "https://id.example:99999999999",
    "https://id.example:0443",
    "https://id.example:-1",
    "https://id.example:\uff14\uff14\uff13",
    "https://id.example?x=1",
    "https://id.example/#top",
    "https://id.example\\@attacker.example",
    "https://id.example/<script>",
    'https://id.example/"x',
    "https://id.example/a b",
    "https://id .example",
    "https://id.example\r\nX: y",
    "https://id\n.example",
    "https://id.example\x00",
    "https://*.example",
    "https://*",
    "https://.",
    "https://.example",
    "https://id..example",
    "https://id.example..",
    "https://\u017fhop.example",
    "https://\u212aelvin.example",
    "https://한글.kr",
    "https://id.example/\u212a",
    "https://[::1",
    "https://::1",
    "https://[zz]",
    "https://[::1%25eth0]",
    "https://[::1]x",
    "https://[1.2.3.4]",
    "null",
    "*",
]


@pytest.mark.parametrize(("written", "spelled"), SPELLINGS)
def test_an_address_has_one_spelling(written: str, spelled: str) -> None:
    """The one that browsers put into Origin and Host, and that ``iss`` is compared with."""
    assert service_url(written) == spelled


@pytest.mark.parametrize("text", NO_ADDRESSES, ids=ascii)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    """Anything that a header, a cookie or a page could break on, or that two programs would read differently."""
    with pytest.raises(ValueError, match=r"address|plain|ASCII"):
        service_url(text)


@pytest.mark.parametrize(
    "text", ["https://admin:hunter2@id.example", "https://hunter2@id.example", "https://id.example@hunter2.example"]
)
def test_a_password_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    """What the sentence says ends in a log."""
    for read in (service_url, allowed_origin):
        with pytest.raises(ValueError, match="no user name and no password") as caught:
            read(text)
        assert "hunter2" not in str(caught.value)


def test_a_huge_address_is_refused_by_its_size() -> None:
    """Before anything parses it; the bound is exact."""
    longest = "https://id.example/" + "a" * (MAX_URL_CHARS - 19)
    assert service_url(longest) == longest
    with pytest.raises(ValueError, match="at most 2048"):
        service_url(longest + "a")


def test_a_long_wrong_address_is_not_repeated_whole() -> None:
    """A sentence stays a sentence."""
    with pytest.raises(ValueError, match="plain characters") as caught:
        service_url("https://id.example/" + "<" * 1_900)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("https://shop.example", "https://shop.example"),
        ("https://Shop.Example:443/", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://app.localhost", "http://app.localhost"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_spelled_as_browsers_spell_it(written: str, spelled: str) -> None:
    """It is later compared character by character."""
    assert allowed_origin(written) == spelled


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("*", "every site"),
        ("https://*.shop.example", "plain characters"),
        ("https://shop.example/app", "without a path"),
        ("http://shop.example", "plain http"),
        ("http://192.0.2.7", "plain http"),
        ("http://localhost.attacker.example", "plain http"),
        ("http://127.0.0.1.attacker.example", "plain http"),
        ("null", "not an http"),
        ("https://", "not an http"),
        ("shop.example", "not an http"),
        ("https://shop.example, https://b.example", "plain characters"),
    ],
)
def test_an_origin_that_would_open_too_much_is_refused(text: str, because: str) -> None:
    """C118: no wildcard, no null, nothing that somebody on the way could be."""
    with pytest.raises(ValueError, match=because):
        allowed_origin(text)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "app.localhost", "a.b.localhost", "127.0.0.1", "127.8.9.10", "::1", "[::1]",
     "0:0:0:0:0:0:0:1"],
)  # fmt: skip
def test_these_are_this_machine(host: str) -> None:
    """RFC 6761 section 6.3 and the loopback networks."""
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "localhost.example", "localhost.", "notlocalhost", "127.0.0.1.example", "128.0.0.1", "10.0.0.1",
     "0.0.0.0",  # noqa: S104 - nothing is bound
     "::", "::2", "fe80::1", "127.1", "2130706433", "0x7f000001", "localhost\x00", " localhost", "example.com",
     "1" * 5_000],
)  # fmt: skip
def test_these_are_not(host: str) -> None:
    """Including what some program, but not we, would take for loopback: the doubt goes against it."""
    assert not is_loopback_host(host)


@given(st.text(max_size=60) | st.text("https:/.[]@#?%0189aZ_-", max_size=60).map(lambda rest: f"https://{rest}"))
def test_what_is_accepted_stays_as_it_is(text: str) -> None:
    """Any text is refused with one sentence or spelled so that nothing changes it again or breaks a header."""
    try:
        url = service_url(text)
    except ValueError:
        return
    assert service_url(url) == url
    assert url.isascii()
    assert url.isprintable()
    assert not set(url) & set(" \"'<>\\@?#;,")
    parts = urlsplit(url)
    assert url == f"{parts.scheme}://{parts.netloc}{parts.path}"
