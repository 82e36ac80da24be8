"""``/v1/session/tokens`` and ``/v1/session/cookie``: renewal, hand-over, and the way from one mode to another."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from propylon.core.principal import Credential
from propylon.core.secret import parse
from propylon.core.session import refusal
from propylon.errors import CredentialRefused, Forbidden
from propylon.flows.caller import Caller
from propylon.flows.issue import Issued
from propylon.http import bodies
from propylon.http.context import (
    ask_to_move,
    json_response,
    no_content,
    require_principal,
    require_session,
    root_of,
)
from propylon.http.cookies import Header
from propylon.http.schemas import RefreshBody, TokensOut
from propylon.http.services import Services


class RenewalApi:
    """What a session's holder gets for what they hold."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def renew(self, request: Request) -> Response:
        """Hand out a new access token, by exactly one of body, refresh cookie, session cookie."""
        services = self._services
        body = await bodies.optional_json(request, RefreshBody)
        await services.gate.listen()  # as at the sign-in
        caller = services.transport.caller(request.scope)
        if body is not None and body.refresh_token is not UNSET:
            issued = await services.renew.by_refresh_token(body.refresh_token, caller)
            if issued.refresh_token is None:
                return self._tokens(issued, [], in_body=False)
            return self._by_body(request, issued, await self._moved(request, issued, caller))
        credential = services.transport.credential(request.scope)
        cookie = services.transport.refresh_cookie(request.scope)
        # A bearer header wins and cookies are not looked at: it cannot renew, and renewing whoever the cookie
        # belongs to instead is how one user is taken for another.
        if cookie is not None and (credential is None or credential.ambient):
            services.transport.require_same_site(request.scope)
            await self._require_one_person(cookie, credential, caller)
            try:
                issued = await services.renew.by_refresh_token(cookie.value, caller)
            except CredentialRefused as refusal:
                # Given up with a mode of before, and an answer that was overtaken left it here: the session's own
                # cookie counts, or says no by itself.
                if refusal.code != "session_revoked" or not _of_one_session(cookie, credential):
                    raise
            else:
                if issued.refresh_token is None:
                    return self._tokens(issued, [], in_body=False)
                return self._by_refresh_cookie(request, await self._moved(request, issued, caller))
        return await self._by_session_cookie(request, credential, caller)

    async def to_cookie(self, request: Request) -> Response:
        """Hand a session that travels as tokens to the browser as a cookie; where it is to move there, it has moved."""
        services = self._services
        services.transport.require_same_site(request.scope)
        services.transport.require_kept_cookies(request.scope)
        principal = await require_principal(services, request)
        if principal.credential != "access_token":
            raise Forbidden
        session, _ = await require_session(services, principal)
        if principal.auth_time < session.auth_time:
            # Issued before a step-up: its holder, who may be a thief, must not get a cookie that has seen it.
            raise CredentialRefused("token_expired")
        if services.moving.target(session) == "cookie":
            caller = services.transport.caller(request.scope)
            session = await services.moving.move(session, "cookie", caller) or session
        answer = no_content()
        cookie = services.issuer.cookie(session)
        answer.raw_headers.append(services.transport.set_session_cookie(cookie, session, services.clock.now()))
        if session.mode == "cookie":
            ask_to_move(request, None)
            # It would be asked before the session cookie, and it is given up.
            answer.raw_headers.append(services.transport.clear_refresh_cookie(root_of(request)))
        return answer

    async def _require_one_person(
        self, refresh_cookie: Credential, credential: Credential | None, caller: Caller
    ) -> None:
        """Raise ``credential_ambiguous`` where the two cookies are of two sessions that live.

        One was planted, or left behind: whichever was believed, a page that shows one person would act as the other.
        """
        if credential is None or _of_one_session(refresh_cookie, credential):
            return
        try:
            await self._services.gate.authenticate(credential, caller)
        except CredentialRefused:
            return  # it is over; browsers keep what nobody cleared
        if await self._lives(refresh_cookie):
            raise CredentialRefused("credential_ambiguous")

    async def _lives(self, refresh_cookie: Credential) -> bool:
        secret = parse(refresh_cookie.value)
        session = await self._services.sessions.find_session(secret.session_id) if secret is not None else None
        return session is not None and refusal(session, self._services.clock.now()) is None

    async def _moved(self, request: Request, issued: Issued, caller: Caller) -> Issued:
        """Return what was renewed by a refresh token, moved between the modes that have one where that is asked."""
        services, session = self._services, issued.session
        to = services.moving.target(session)
        # A token in a body may come from anywhere: no cookie is planted for it, and none that would be dropped.
        holds = services.transport.is_same_site(request.scope) and services.transport.keeps_cookies(request.scope)
        right = to == "bearer" or (to == "hybrid" and holds)
        if to is not None and right and session.mode != "cookie":
            session = await services.moving.move_renewed(session, to, caller)
        ask_to_move(request, services.moving.target(session))
        return msgspec.structs.replace(issued, session=session)

    def _by_body(self, request: Request, before: Issued, issued: Issued) -> Response:
        """Answer a program that holds its refresh token, or a page that has just moved to the cookie for it."""
        moved_to_hybrid = before.session.mode == "bearer" and issued.session.mode == "hybrid"
        # Who is no page may have no place for cookies: it goes on with what it had.
        in_body = not (moved_to_hybrid and self._services.transport.is_page(request.scope))
        cookies = [self._refresh_cookie(request, issued)] if moved_to_hybrid else []
        return self._tokens(issued, cookies, in_body=in_body)

    def _by_refresh_cookie(self, request: Request, issued: Issued) -> Response:
        if issued.session.mode == "hybrid":
            return self._tokens(issued, [self._refresh_cookie(request, issued)], in_body=False)
        # It has moved, now or just before: to the body, or to the session cookie, which is the means of renewal.
        cookies = [self._services.transport.clear_refresh_cookie(root_of(request))]
        if issued.session.mode == "bearer":
            cookies += self._for_the_pages(request, issued)
        return self._tokens(issued, cookies, in_body=issued.session.mode == "bearer")

    async def _by_session_cookie(self, request: Request, credential: Credential | None, caller: Caller) -> Response:
        services = self._services
        principal = await require_principal(services, request)
        if credential is None or principal.credential != "cookie":
            # An access token must not make the next one: then a stolen one would live for ever.
            raise CredentialRefused("credential_missing")
        secret = parse(credential.value)
        generation = secret.generation if secret is not None else -1
        moved = await services.moving.by_cookie(principal.session_id, generation, caller)
        if moved is None:
            return self._tokens(await services.renew.by_cookie(principal), [], in_body=True)
        ask_to_move(request, None)
        cookies = [self._refresh_cookie(request, moved)] if moved.session.mode == "hybrid" else []
        cookies += self._for_the_pages(request, moved)
        return self._tokens(moved, cookies, in_body=moved.session.mode == "bearer")

    def _for_the_pages(self, request: Request, moved: Issued) -> list[Header]:
        """Return a session cookie for a browser that has moved away from its cookie.

        By it the pages go on, and so does a script that asked for an access token alone, or that keeps its tokens in
        memory and is loaded again.
        """
        transport = self._services.transport
        if not transport.is_page(request.scope):
            return []
        cookie = self._services.issuer.cookie(moved.session)
        return [transport.set_session_cookie(cookie, moved.session, self._services.clock.now())]

    def _refresh_cookie(self, request: Request, issued: Issued) -> Header:
        transport, now = self._services.transport, self._services.clock.now()
        return transport.set_refresh_cookie(issued.refresh_token or "", issued.session, root_of(request), now)

    def _tokens(self, issued: Issued, cookies: list[Header], *, in_body: bool) -> Response:
        access = issued.access
        if access is None:
            raise CredentialRefused("credential_missing")
        refresh_token = issued.refresh_token if in_body and issued.refresh_token is not None else UNSET
        answer = json_response(TokensOut(access.value, "Bearer", access.expires_in_s, refresh_token))
        answer.raw_headers += cookies
        return answer


def _of_one_session(refresh_cookie: Credential, credential: Credential | None) -> bool:
    one, other = parse(refresh_cookie.value), parse(credential.value) if credential is not None else None
    return one is not None and other is not None and one.session_id == other.session_id
