"""``/v1/session`` and ``/v1/sessions``: sign-in, devices, sign-out."""

from __future__ import annotations

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from propylon.core.csrf import SAFE_METHODS, UNTOLD_METHOD
from propylon.core.principal import Principal
from propylon.core.session import Mode
from propylon.errors import ClientError, Conflict, CredentialRefused, NotFound
from propylon.flows.issue import Issued
from propylon.flows.opening import SignedIn, Wish
from propylon.flows.sign_in import SignInRequest
from propylon.http import bodies, problems
from propylon.http.context import (
    json_response,
    no_content,
    require_principal,
    require_session,
    root_of,
    tongue,
)
from propylon.http.cookies import signed_out_headers, welcome_cookies
from propylon.http.schemas import (
    ExchangeBody,
    SessionsOut,
    SignedInOut,
    SignInBody,
    UserOut,
    WhoOut,
    session_out,
    user_out,
)
from propylon.http.services import Services


class SessionsApi:
    """The life of a session over JSON."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def sign_in(self, request: Request) -> Response:
        """Open a session."""
        services = self._services
        body = await bodies.json(request, SignInBody)
        await services.gate.listen()  # a signing key that was replaced just now signs nothing more
        mode = await self._mode_for(request, body)
        if mode != "bearer":
            # Login CSRF: a cookie of somebody else's account must not be planted from another site.
            services.transport.require_same_site(request.scope)
            services.transport.require_kept_cookies(request.scope)
        # A page that signs in by tokens leaves its cookie behind; a program may hold both.
        leaves = mode == "cookie" or services.transport.is_page_of_ours(request.scope)
        replaced = await self.replaced(request) if leaves else None
        wish = SignInRequest(
            email=body.email,
            password=body.password,
            mode=mode,
            remember=body.remember,
            end=body.end if body.end is not UNSET else _id_of(replaced),
        )
        try:
            signed_in = await services.sign_in(wish, services.transport.caller(request.scope))
        except Conflict as conflict:
            return self._limit_reached(request, conflict)
        return await self._welcome(request, signed_in, replaced)

    async def exchange(self, request: Request) -> Response:
        """Open a session for whoever has one of another system (the setting ``bridge``)."""
        services = self._services
        if services.exchange is None:
            raise NotFound
        body = await bodies.optional_json(request, ExchangeBody) or ExchangeBody()
        services.transport.require_same_site(request.scope)  # their cookie is as ambient as ours
        services.transport.require_kept_cookies(request.scope)
        cookie = services.transport.foreign_cookie(request.scope, services.exchange.cookie_name)
        if cookie is None:
            raise CredentialRefused("credential_missing")
        mode = await self._mode_for(request, body)
        # As with a cookie of ours: no script in the page walks away with what lives long.
        mode = "cookie" if mode == "bearer" else mode
        replaced = await self.replaced(request)
        wish = Wish(mode=mode, remember=body.remember, end=_id_of(replaced))
        try:
            signed_in = await services.exchange(cookie, wish, services.transport.caller(request.scope))
        except Conflict as conflict:
            return self._limit_reached(request, conflict)
        return await self._welcome(request, signed_in, replaced)

    async def _mode_for(self, request: Request, body: SignInBody | ExchangeBody) -> Mode:
        if body.mode is not UNSET:
            return body.mode
        return await self._services.mode_of_sign_in(self._services.transport.caller(request.scope))

    async def _welcome(self, request: Request, signed_in: SignedIn, replaced: Principal | None) -> Response:
        services, issued = self._services, signed_in.issued
        if replaced is not None:
            await services.sign_out.here(replaced)
        services.metrics.sign_ins.labels(mode=issued.session.mode).inc()
        user = user_out(signed_in.user, services.gate.permissions(signed_in.user))
        answer = json_response(_signed_in(user, issued), 201)
        answer.raw_headers += welcome_cookies(services, request, issued)
        return answer

    async def replaced(self, request: Request) -> Principal | None:
        """Return the holder of the cookie that this browser is about to lose, or None.

        A sign-in ends that session (ASVS 7.2.4): nobody could end it later. It is also the one that makes room
        under a limit: whoever signs in again on the same device must not push out another one.
        """
        try:
            before = self._services.transport.session_cookie(request.scope)
            if before is None:
                return None
            return await self._services.gate.authenticate(before, self._services.transport.caller(request.scope))
        except CredentialRefused:
            return None  # it was dead already, or never ours

    async def who(self, request: Request) -> Response:
        """Say who is calling."""
        services = self._services
        principal = await require_principal(services, request)
        session, user = await require_session(services, principal)
        who = WhoOut(user_out(user, services.gate.permissions(user)), session_out(session, session.id))
        return json_response(who)

    async def sign_out(self, request: Request) -> Response:
        """End the caller's session."""
        principal = await require_principal(self._services, request)
        await self._services.sign_out.here(principal)
        return self._signed_out(request)

    async def devices(self, request: Request) -> Response:
        """List the caller's live sessions, newest first."""
        principal = await require_principal(self._services, request)
        sessions = await self._services.sessions.live_sessions(principal.user_id, self._services.clock.now())
        return json_response(
            SessionsOut([session_out(session, principal.session_id) for session in reversed(sessions)])
        )

    async def end_one(self, request: Request) -> Response:
        """End one of the caller's sessions."""
        principal = await require_principal(self._services, request)
        session_id = request.path_params["id"]
        await self._services.sign_out.one(principal, session_id, self._services.transport.caller(request.scope))
        return self._signed_out(request) if session_id == principal.session_id else no_content()

    async def end_many(self, request: Request) -> Response:
        """End all of the caller's sessions, or all but this one."""
        principal = await require_principal(self._services, request)
        caller = self._services.transport.caller(request.scope)
        keep = request.query_params.get("keep")
        if keep == "current":
            await self._services.sign_out.others(principal, caller)
            return no_content()
        if keep is not None:
            raise ClientError("request_malformed")  # a misspelt "keep" must not end what was to be kept
        await self._services.sign_out.everywhere(principal, caller)
        return self._signed_out(request)

    async def verify(self, request: Request) -> Response:
        """Answer a proxy that asks who is calling (forward-auth)."""
        services = self._services
        credential = services.transport.credential(request.scope)
        if credential is not None and credential.ambient:
            services.transport.require_same_site(request.scope, method=_original_method(request))
        principal = await require_principal(services, request)
        return no_content(
            {
                "x-propylon-user": principal.user_id,
                "x-propylon-session": principal.session_id,
                "x-propylon-roles": ",".join(sorted(principal.roles)),
            }
        )

    def _signed_out(self, request: Request) -> Response:
        answer = no_content()
        answer.raw_headers += signed_out_headers(self._services.transport, request.scope, root_of(request))
        return answer

    def _limit_reached(self, request: Request, conflict: Conflict) -> Response:
        if conflict.code != "session_limit_reached":
            raise conflict
        sessions = [session_out(session, None) for session in conflict.facts["sessions"]]
        public_url = self._services.config.public_url
        return problems.response(conflict, tongue(self._services, request), public_url, sessions=sessions)


def _original_method(request: Request) -> str:
    """Return the method that a proxy asks about, whoever the proxy is; where it does not tell, none that is safe.

    Its word needs no trust. An unsafe method makes the check stricter. A safe one that the proxy did not say is no
    attack either: a page of another site can add no header to a request that the app has not allowed it (CORS).
    """
    named = [*request.headers.getlist("x-forwarded-method"), *request.headers.getlist("x-original-method")]
    methods = [method.strip().upper() for method in named if method.strip()]
    # A proxy writes one of the two and lets a client's other one pass: an unsafe method counts.
    return next((method for method in methods if method not in SAFE_METHODS), next(iter(methods), UNTOLD_METHOD))


def _id_of(principal: Principal | None) -> str | None:
    return principal.session_id if principal is not None else None


def _signed_in(user: UserOut, issued: Issued) -> SignedInOut:
    body = SignedInOut(user, session_out(issued.session, issued.session.id))
    if issued.access is not None:
        body.access_token = issued.access.value
        body.token_type = "Bearer"  # noqa: S105 - a name of RFC 6750
        body.expires_in = issued.access.expires_in_s
    if issued.refresh_token is not None and issued.session.mode == "bearer":
        body.refresh_token = issued.refresh_token
    return body
