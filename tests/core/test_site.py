"""Which addresses are one site: as browsers see it, for the names that people meet."""

from __future__ import annotations

import pytest

from propylon.core.site import other_name_of_this_machine, same_site


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://example.com", "https://example.com"),
        ("https://app.example.com", "https://api.example.com"),
        ("https://example.com:8443", "https://a.b.example.com/auth"),
        ("https://shop.example.co.kr", "https://api.example.co.kr"),
        ("https://me.github.io", "https://me.github.io:8443"),
        ("https://a.me.vercel.app", "https://me.vercel.app"),
        ("https://co.kr.example.com", "https://example.com"),
        ("http://localhost:5173", "http://localhost:8000"),
        ("http://app.shop.localhost:1", "http://api.shop.localhost:2"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:8000"),
        ("http://[::1]:5173", "http://[::1]:8000"),
    ],
)
def test_one_registered_name_is_one_site(url: str, other: str) -> None:
    """Whatever stands before it, and whatever the port."""
    assert same_site(url, other)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://example.com", "https://example.org"),
        ("https://example.com", "https://evilexample.com"),
        ("https://example.co.kr", "https://other.co.kr"),
        ("https://example.com", "http://example.com"),
        ("https://me.github.io", "https://you.github.io"),
        ("https://a.up.railway.app", "https://b.up.railway.app"),
        ("https://page.vercel.app", "https://api.fly.dev"),
        ("http://localhost:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "http://[::1]:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.2:8000"),
        ("http://app.localhost:8000", "http://api.localhost:8000"),
        ("http://localhost:8000", "http://app.localhost:8000"),
        ("https://10.0.0.1", "https://9.0.0.1"),
    ],
)
def test_all_else_is_another_site(url: str, other: str) -> None:
    """Also what looks alike: another scheme, a neighbour below a shared name, another name of this machine."""
    assert not same_site(url, other)
    assert not same_site(other, url)


PAGE, ELSEWHERE = "http://localhost:5173", "https://id.example.com"


@pytest.mark.parametrize(
    ("origin", "public_url", "known"),
    [
        ("http://127.0.0.1:5173", ELSEWHERE, PAGE),
        ("http://[::1]:5173", ELSEWHERE, PAGE),
        ("http://app.localhost:5173", ELSEWHERE, PAGE),
        ("http://127.0.0.1:5173", "http://localhost:8000", PAGE),
        ("http://127.0.0.1:3000", "http://localhost:8000", "http://localhost:8000"),
        ("http://localhost:3000", "http://127.0.0.1:8000/auth", "http://127.0.0.1:8000/auth"),
    ],
)
def test_another_name_of_this_machine_is_found(origin: str, public_url: str, known: str) -> None:
    """An origin of the same port, or the public URL at any: browsers take the two for different sites."""
    assert other_name_of_this_machine(origin, ["https://shop.example.com", PAGE], public_url) == known


@pytest.mark.parametrize(
    ("origin", "public_url"),
    [
        ("http://127.0.0.1:3000", ELSEWHERE),
        ("https://127.0.0.1:5173", ELSEWHERE),
        ("http://localhost:3000", "http://localhost:8000"),
        ("http://evil.shop.localhost:3000", "http://api.shop.localhost:8000"),
        ("https://shop.example.org", "http://localhost:8000"),
        ("null", "http://localhost:8000"),
        ("http://[::1", "http://localhost:8000"),
        ("http://127.0.0.1:port", "http://localhost:8000"),
        ("", "http://localhost:8000"),
    ],
)
def test_a_name_that_is_no_other_one_is_not_taken_for_it(origin: str, public_url: str) -> None:
    """Of the same site, of another port, of another machine, or no address at all."""
    assert other_name_of_this_machine(origin, [PAGE], public_url) is None
