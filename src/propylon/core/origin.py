"""Addresses of services: what a public URL and an origin may be, and which hosts are this machine.

The functions raise ``Unusable``, whose clause says what is wrong; ``config`` puts it into a sentence.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from propylon.errors import Unusable

MAX_URL_CHARS = 2_048

# A host as it stands in an Origin header: no wildcard, no space, no quote, nothing that a header could break on.
_PLAIN_URL = re.compile(
    r"https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?(/[a-z0-9._~%/-]*)?",
    re.IGNORECASE,
)
# Browsers leave these out of the Origin and Host headers.
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_SHOWN_CHARS = 100


def is_loopback_host(host: str) -> bool:
    """Return whether ``host`` (no port) names this machine: localhost, *.localhost, 127.0.0.0/8, ::1."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def service_url(text: str) -> str:
    """Return the address of a service in its one spelling: lower-case host, no default port, no last slash.

    Raises:
        Unusable: it is no http or https address, or has more than a host, a port and a path.
    """
    text = text.rstrip("/")
    if len(text) > MAX_URL_CHARS:
        raise Unusable("url_too_long", limit=MAX_URL_CHARS)
    if "@" in text:
        raise Unusable("url_with_account")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # brackets around no address, or a port that is none
        raise Unusable("url_not_http", given=_shown(text)) from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise Unusable("url_not_http", given=_shown(text))
    if not text.isascii():  # also because a case-blind [a-z] would take the long s and the Kelvin sign
        raise Unusable("url_not_ascii", given=_shown(text))
    if not _PLAIN_URL.fullmatch(text):
        raise Unusable("url_not_plain", given=_shown(text))
    host = f"[{ipaddress.IPv6Address(parts.hostname)}]" if ":" in parts.hostname else parts.hostname
    spelled_port = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{spelled_port}{parts.path}"


def allowed_origin(text: str) -> str:
    """Return an origin whose pages may call with credentials, spelled as browsers spell it.

    Raises:
        Unusable: it is ``*``, has a path, is plain http to another machine, or is no origin at all.
    """
    if text == "*":
        raise Unusable("origin_any")
    url = service_url(text)
    parts = urlsplit(url)
    if parts.path:
        raise Unusable("origin_with_path", given=_shown(text))
    if parts.scheme == "http" and not is_loopback_host(parts.hostname or ""):
        raise Unusable("origin_plain_http", given=_shown(text))
    return url


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "...")
