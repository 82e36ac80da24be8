"""``core.navigation``: who is led to a page, and where it leads back to."""

from __future__ import annotations

import pytest

from propylon.core.navigation import is_for_a_person, is_navigation, mounted_at, page_for, whole_path


@pytest.mark.parametrize(
    ("method", "mode", "accept", "expected"),
    [
        ("GET", "navigate", None, True),
        ("GET", None, "text/html,application/xhtml+xml", True),
        ("GET", None, "TEXT/HTML", True),
        ("GET", "cors", "text/html", False),
        ("GET", "", "text/html", False),
        ("GET", None, "application/json", False),
        ("GET", None, None, False),
        ("POST", "navigate", "text/html", False),
        ("HEAD", "navigate", "text/html", False),
    ],
)
def test_only_a_person_who_opens_a_page_is_led_elsewhere(
    method: str, mode: str | None, accept: str | None, *, expected: bool
) -> None:
    """A script gets its 401, and what a form sent is not thrown away by a redirect."""
    assert is_navigation(method, sec_fetch_mode=mode, accept=accept) is expected
    if method == "GET":
        assert is_for_a_person(sec_fetch_mode=mode, accept=accept) is expected


@pytest.mark.parametrize(
    ("code", "pages", "target", "address"),
    [
        ("credential_missing", "/auth", "/orders", "/auth/login?next=/orders"),
        ("session_expired", "/auth/", "/orders?page=2&of=a b", "/auth/login?next=/orders%3Fpage%3D2%26of%3Da%20b"),
        ("reauthentication_required", "/auth", "/pay", "/auth/confirm?next=/pay"),
        ("credential_missing", "", "/orders#x", "/login?next=/orders%23x"),
        (
            "credential_missing",
            "https://id.example",
            "https://shop.example/a?b",
            "https://id.example/login?next=https%3A//shop.example/a%3Fb",
        ),
    ],
)
def test_the_page_leads_back(code: str, pages: str, target: str, address: str) -> None:
    """Nothing in an address that was opened adds a parameter of its own to the page's."""
    assert page_for(code, pages, target) == address


@pytest.mark.parametrize(
    ("path", "root_path", "whole"),
    [
        ("/me", "", "/me"),
        ("/api/me", "/api", "/api/me"),
        ("/me", "/api", "/api/me"),
        ("/api", "/api", "/api"),
        ("/apis", "/api", "/api/apis"),
        ("/api/me", "/api/", "/api/me"),
        ("/me", "/api/", "/api/me"),
    ],
)
def test_a_path_is_the_one_that_the_browser_asked_for(path: str, root_path: str, whole: str) -> None:
    """With what the server serves below, once: whether a proxy or a framework has taken it off or not."""
    assert whole_path(path, root_path) == whole


@pytest.mark.parametrize(
    ("prefix", "path", "root_path", "place"),
    [
        ("/auth", "/auth/login", "", "/auth"),
        ("/auth", "/auth/", "", "/auth"),
        ("/auth", "/auth", "", None),
        ("/auth", "/authors/ada", "", None),
        ("/auth", "/shop/auth/login", "", None),
        ("/api/auth", "/api/auth/login", "/api", "/api/auth"),
        ("/auth", "/api/auth/login", "/api", "/api/auth"),
        ("/auth", "/api/authors", "/api", None),
    ],
)
def test_what_is_for_propylon_lies_below_its_mount(prefix: str, path: str, root_path: str, place: str | None) -> None:
    """What begins alike is the app's."""
    assert mounted_at(prefix, path, root_path) == place
