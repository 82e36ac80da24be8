"""Addresses: sources, neighbourhoods, and whose X-Forwarded-For is believed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.network import MAX_HOPS, UNKNOWN, Networks, client_address, neighbourhood, source
from propylon.errors import SetupError

PROXIES = Networks.parse("10.0.0.0/8, 192.0.2.7, 2001:db8:aaaa::/48")

GARBAGE = [
    "",
    "unknown",
    "_hidden",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "0x7f.1",
    "2130706433",
    "1.2.3.4/24",
    "1.2.3.4%eth0",
    "1.2.3.4\0",
    " 1.2.3.4",
    "\u0661.2.3.4",
    "::g",
    "1::2::3",
    "fe80::1%",
    "\ud800",
    "1" * 1_000_000,
]


@pytest.mark.parametrize(
    ("ip", "one", "around"),
    [
        ("203.0.113.9", "203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.0/24"),
        ("::FFFF:cb00:7109", "203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/56"),
        ("2001:0DB8:0001:00ff::1", "2001:db8:1:ff::/64", "2001:db8:1::/56"),
        ("2001:db8:1:1ff::1", "2001:db8:1:1ff::/64", "2001:db8:1:100::/56"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/56"),
        ("::1", "::/64", "::/56"),
    ],
)
def test_an_address_counts_as_its_source_and_its_neighbourhood(ip: str, one: str, around: str) -> None:
    """However it is spelled, IPv4 counts alone or as its /24, IPv6 as its /64 or /56."""
    assert (source(ip), neighbourhood(ip)) == (one, around)


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:20]))
def test_what_is_no_address_is_unknown(text: str) -> None:
    """Garbage shares one bucket, so that inventing more of it gains nothing."""
    assert source(text) == neighbourhood(text) == UNKNOWN
    assert client_address(text, ["203.0.113.9"], PROXIES) == UNKNOWN
    assert text not in Networks.parse("0.0.0.0/0, ::/0")


@given(st.text(st.characters(), max_size=60), st.lists(st.text(st.characters(), max_size=60), max_size=4))
def test_no_text_makes_an_address_fail(text: str, lines: list[str]) -> None:
    """Headers are anybody's to write: the answer is an address or the word for none."""
    assert source(text)
    client = client_address("10.0.0.1", [*lines, text], PROXIES)
    assert str(ipaddress.ip_address(client)) == client


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_ipv6_subscriber_are_one_source(address: ipaddress.IPv6Address, interface: int) -> None:
    """Who has 2**64 addresses has one bucket."""
    first = ipaddress.IPv6Address(int(address) >> 64 << 64)
    other = ipaddress.IPv6Address(int(first) | interface)
    assert (source(str(first)) == source(str(other))) or other.ipv4_mapped is not None


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),  # nobody asked this one
        ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8:aaaa::1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),  # the client wrote 1.2.3.4
        ("10.0.0.1", ["1.2.3.4", "203.0.113.9"], "203.0.113.9"),  # on a line of its own
        ("10.0.0.1", ["203.0.113.9, 192.0.2.7,10.9.9.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", "192.0.2.7", "10.9.9.9"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["1.2.3.4, evil, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["1.2.3.4, , 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("10.0.0.1", ["[2001:db8::9]"], "2001:db8::9"),
        ("10.0.0.1", ["2001:DB8:0::9%eth0"], "2001:db8::9"),
        ("10.0.0.1", ["203.0.113.9:port"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:123456"], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::9"], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::9]x"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9\r\nX-Real-IP: 1.2.3.4"], "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(peer: str, lines: list[str], client: str) -> None:
    """Hops count from the right, up to the first one that is not ours or that cannot be read."""
    assert client_address(peer, lines, PROXIES) == client


def test_without_trusted_proxies_no_header_is_believed() -> None:
    """The default trusts nobody."""
    assert client_address("10.0.0.1", ["203.0.113.9"], Networks()) == "10.0.0.1"


def test_hops_beyond_the_bound_are_not_looked_at() -> None:
    """A header of a million hops costs no more than one of sixteen, on one line or on many."""
    endless = ["203.0.113.9"] + ["10.0.0.2"] * MAX_HOPS
    assert client_address("10.0.0.1", [",".join(["10.0.0.3"] * 1_000_000)], PROXIES) == "10.0.0.3"
    assert client_address("10.0.0.1", [",".join(endless)], PROXIES) == "10.0.0.2"
    assert client_address("10.0.0.1", endless, PROXIES) == "10.0.0.2"
    assert client_address("10.0.0.1", endless[:-1], PROXIES) == "203.0.113.9"


def test_networks_are_read_from_addresses_and_cidrs() -> None:
    """Empty text trusts nobody, and stray commas do no harm."""
    assert "192.0.2.7" in PROXIES
    assert "192.0.2.8" not in PROXIES
    assert "2001:db8:aaaa:1::5" in PROXIES
    assert "2001:db8:aaab::5" not in PROXIES
    assert Networks.parse(" , ") == Networks.parse("") == Networks()


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;::1", "*", "1" * 9999])
def test_a_wrong_network_stops_the_start_with_one_sentence(text: str) -> None:
    """A network with bits beyond its mask is a slip too: which one was meant?"""
    with pytest.raises(SetupError, match="neither an address nor a network") as refused:
        Networks.parse(f"192.0.2.7, {text}")
    assert len(str(refused.value)) < 250
