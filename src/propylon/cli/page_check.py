"""What ``propylon doctor --origin`` finds out: how the server that runs answers a browser on a page of that origin."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from propylon.cli.findings import Finding
from propylon.cli.texts import LANGUAGE
from propylon.config import Config
from propylon.core.origin import allowed_origin
from propylon.core.site import other_name_of_this_machine, same_site
from propylon.errors import Unusable

WITHIN_S = 10


def ask_as_page(config: Config, given: str) -> Finding:
    """Ask as a browser does before it sends what the page wants, and say what it would make of the answer."""
    try:
        origin = allowed_origin(given)
    except Unusable as why:
        return Finding("page", "fail", "unusable", {"why": why.said(LANGUAGE)})
    facts: dict[str, object] = {"origin": origin, "url": config.public_url}
    try:
        answer = _preflight(config.public_url, origin)
    except (OSError, HTTPException):
        return Finding("page", "fail", "unreachable", facts)
    if answer.get("access-control-allow-origin") != origin or answer.get("access-control-allow-credentials") != "true":
        known = other_name_of_this_machine(origin, config.origins, config.public_url)
        if known is not None:
            return Finding("page", "fail", "names", {**facts, "known": known})
        return Finding("page", "fail", "refused", facts)
    if config.mode != "bearer" and not same_site(origin, config.public_url):
        return Finding("page", "fail", "cross_site", {**facts, "mode": config.mode})
    return Finding("page", "ok", facts=facts)


def _preflight(url: str, origin: str) -> Mapping[str, str]:
    """Return the headers of the answer, lower-case, whatever its status."""
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    request = Request(f"{url}/v1/session/data", method="OPTIONS", headers=asked)  # noqa: S310 - a public URL is http or https
    try:
        with urlopen(request, timeout=WITHIN_S) as answer:  # noqa: S310 - likewise
            headers = answer.headers
    except HTTPError as error:
        headers = error.headers
    return {name.lower(): value for name, value in headers.items()}
