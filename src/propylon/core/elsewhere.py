"""A request that a script of another origin sent: whose page it was, and whether cookies could have come along."""

from __future__ import annotations

from typing import NamedTuple


class Elsewhere(NamedTuple):
    """The page of another origin that sent a request.

    Attributes:
        origin: of the page, as its browser says it. It is not ours to believe: whoever is no browser may say anything.
        same_site: whether a browser sends ``SameSite`` cookies from there.
    """

    origin: str
    same_site: bool


def page_elsewhere(*, sec_fetch_site: str | None, sec_fetch_mode: str | None, origin: str | None) -> Elsewhere | None:
    """Return where a request comes from, None where no script of another origin sent it.

    The browser's own word decides. It alone has the list of public suffixes by which it takes two hosts for one site.

    Args:
        sec_fetch_site: the ``Sec-Fetch-Site`` header, which all browsers since 2023 send.
        sec_fetch_mode: the ``Sec-Fetch-Mode`` header; ``cors`` for what a script asks and wants to read.
        origin: the ``Origin`` header.
    """
    if sec_fetch_mode != "cors" or origin is None or sec_fetch_site not in ("same-site", "cross-site"):
        return None
    return Elsewhere(origin, sec_fetch_site == "same-site")
