"""Is this unsafe request, with a credential that the browser added by itself, one that our pages sent?

The decision of Go's ``net/http.CrossOriginProtection``: the strongest signal first. Nothing here reads a
request; ``http.transport`` hands in the four facts.
"""

from __future__ import annotations

from collections.abc import Container

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def same_site_intended(
    method: str,
    *,
    sec_fetch_site: str | None,
    origin: str | None,
    allowed_origins: Container[str],
    strict: bool,
) -> bool:
    """Return whether the request may act with an ambient credential.

    Args:
        method: upper-case; behind forward-auth, the method of the original request.
        sec_fetch_site: the ``Sec-Fetch-Site`` header. Pages cannot forge it; all browsers since 2023 send it.
        origin: the ``Origin`` header. ``null`` (sandboxed frames, data: URLs) never matches.
        allowed_origins: our own origin and the configured ones, as ``scheme://host[:port]``.
        strict: refuse when both headers are absent. They are absent only where no browser of the last years
            made the request, so by default such a request passes, as in Go; SameSite=Lax covers the rest.
    """
    if method in SAFE_METHODS:
        return True
    if sec_fetch_site in ("same-origin", "none"):
        return True
    if origin is not None:
        # With Sec-Fetch-Site present and cross-site or same-site, only a listed origin may pass: a sibling
        # subdomain is not us (RFC 10017, 6.1.3.3).
        return origin in allowed_origins
    return sec_fetch_site is None and not strict
