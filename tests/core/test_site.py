"""Which addresses are one site: as browsers see it, for the names that people meet."""

from __future__ import annotations

import pytest

from propylon.core.site import same_site


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
