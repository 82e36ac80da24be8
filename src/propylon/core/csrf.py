"""Is this unsafe request, with a credential that the browser added by itself, one that our pages sent?

The decision of Go's ``net/http.CrossOriginProtection``: the strongest signal first. Nothing here reads a
request; ``http.transport`` hands in the facts.
"""

from __future__ import annotations

from collections.abc import Container

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Where nobody says what the method is; it is none of the safe ones.
UNTOLD_METHOD = ""


def same_site_intended(
    method: str,
    *,
    sec_fetch_site: str | None,
    origin: str | None,
    own_origins: Container[str],
    configured_origins: Container[str],
    strict: bool,
) -> bool:
    """Return whether the request may act with an ambient credential.

    Args:
        method: upper-case; behind forward-auth, the method of the original request. Of a websocket, and of its
            handshake, which is a GET: ``UNTOLD_METHOD``. Browsers let every page open one to anywhere, with cookies.
        sec_fetch_site: the ``Sec-Fetch-Site`` header. Pages cannot forge it; all browsers since 2023 send it.
        origin: the ``Origin`` header. ``null`` (sandboxed frames, data: URLs) never matches.
        own_origins: where our own pages live, as ``scheme://host[:port]``.
        configured_origins: other origins whose pages may call with credentials.
        strict: refuse when both headers are absent. They are absent only where no browser of the last years
            made the request, so by default such a request passes, as in Go; SameSite=Lax covers the rest.
    """
    if method in SAFE_METHODS:
        return True
    if sec_fetch_site in ("same-origin", "none"):
        return True
    if origin is not None and origin in configured_origins:
        return True
    if sec_fetch_site is not None:
        # same-site: a sibling subdomain is not us (RFC 10017, 6.1.3.3). cross-site: also where Origin names us,
        # since a browser that says both was sent here by somebody else. An unknown word is no permission.
        return False
    if origin is not None:
        # A browser from before Sec-Fetch-Site. Unlike Go we know our scheme: http is not https's own page.
        return origin in own_origins
    return not strict
