"""Which cookies an answer sets after a session's secrets have changed."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from propylon.core.principal import Principal
from propylon.core.session import Session
from propylon.errors import Forbidden
from propylon.flows.issue import Issued
from propylon.http.context import require_session, root_of
from propylon.http.services import Services
from propylon.http.transport import Transport

Header = tuple[bytes, bytes]


def signed_out_headers(transport: Transport, scope: Any, root: str) -> list[Header]:
    """Return what tells a browser that its session is over.

    It drops what it kept of our answers, so that the back button shows nothing (ASVS 7.4.1). A token may end its
    session from anywhere, and then the cookies of this browser may be somebody else's: they stay.
    """
    kept = (b"clear-site-data", b'"cache"')
    return [kept, *transport.clear_cookies(root)] if transport.is_same_site(scope) else [kept]


async def require_same_site_for_cookies(services: Services, request: Request, principal: Principal) -> None:
    """Refuse a token that another site sent where the answer would set a cookie (login CSRF).

    A cookie was held to this when it was read; a token elsewhere sets none and is free.
    """
    if principal.credential == "cookie" or services.transport.is_same_site(request.scope):
        return
    session, _ = await require_session(services, principal)
    if renewed_cookies(services, request, session):
        raise Forbidden("cross_site_refused")


def welcome_cookies(services: Services, request: Request, issued: Issued) -> list[Header]:
    """Return the cookies of somebody who has just signed in, and clear those that somebody before has left.

    Otherwise the next page, or the next renewal, would be theirs. The refresh cookie lives on another path and is not
    in the request, so both are cleared unseen; a program, which is no page, is told nothing of cookies.
    """
    transport, root = services.transport, root_of(request)
    headers = transport.cookies_of(issued, root, services.clock.now())
    if not transport.is_page_of_ours(request.scope):
        return headers
    if issued.session.mode != "hybrid":
        headers.append(transport.clear_refresh_cookie(root))
    if issued.cookie is None:
        headers.append(transport.clear_session_cookie())
    return headers


def renewed_cookies(services: Services, request: Request, session: Session) -> list[Header]:
    """Return new cookies for a browser that holds the old ones.

    The session cookie is renewed where the request carried one. The refresh cookie of a hybrid session lives
    on another path, so it is not in the request; it is renewed always.
    """
    transport, issuer, now = services.transport, services.issuer, services.clock.now()
    headers: list[Header] = []
    if session.mode == "cookie" or transport.session_cookie(request.scope) is not None:
        headers.append(transport.set_session_cookie(issuer.cookie(session), session, now))
    if session.mode == "hybrid":
        refresh_token = issuer.refresh_token(session)
        headers.append(transport.set_refresh_cookie(refresh_token, session, root_of(request), now))
    return headers
