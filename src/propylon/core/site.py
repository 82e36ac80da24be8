"""Whether two addresses are one site to a browser: what decides over ``SameSite`` cookies.

A browser knows the list of public suffixes, thousands of lines that change every week. For advice before anybody
asks, the rules and the names that people meet are enough; at run time ``Sec-Fetch-Site`` is the browser's own word.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from propylon.core.origin import is_loopback_host

# Below a country's two letters these are no owner's name: example.co.kr is a site, co.kr is none.
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org", "re"})
# Where each customer is a site of their own.
_SHARED = frozenset(
    {
        "azurewebsites.net", "cloudfront.net", "fly.dev", "firebaseapp.com", "github.io", "gitlab.io", "herokuapp.com",
        "netlify.app", "ngrok.app", "ngrok.io", "ngrok-free.app", "onrender.com", "pages.dev", "railway.app",
        "up.railway.app", "vercel.app", "web.app", "workers.dev",
    }
)  # fmt: skip


def same_site(url: str, other: str) -> bool:
    """Return whether pages of ``url`` are sent ``SameSite`` cookies of ``other``: one scheme, one registered name."""
    return _site(url) == _site(other)


def other_name_of_this_machine(origin: str, origins: Iterable[str], public_url: str) -> str | None:
    """Return the address of a set-up that names this machine as another site than ``origin`` does; None where none.

    Whoever opens ``http://127.0.0.1:5173`` where ``http://localhost:5173`` is configured needs no more origins.
    """
    place = _place_on_this_machine(origin)
    if place is None:
        return None
    same_place = [one for one in origins if _place_on_this_machine(one) == place]
    known = [*same_place, public_url] if _place_on_this_machine(public_url) is not None else same_place
    return next((one for one in known if not same_site(one, origin)), None)


def _place_on_this_machine(url: str) -> tuple[str, int | None] | None:
    """Return scheme and port of an address of this machine; a header may hold anything."""
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.port) if is_loopback_host(parts.hostname or "") else None
    except ValueError:
        return None


def _site(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, _registered(parts.hostname or "")


def _registered(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))  # an address has no parent
    except ValueError:
        labels = host.rstrip(".").split(".")
        return ".".join(labels[-(_suffix_labels(labels) + 1) :])


def _suffix_labels(labels: list[str]) -> int:
    """Return how many of the last labels nobody can own alone."""
    for n in (3, 2):
        if ".".join(labels[-n:]) in _SHARED:
            return n
    is_country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return 2 if is_country else 1
