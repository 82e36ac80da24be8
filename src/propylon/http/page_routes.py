"""The pages: forms in, redirects out. They always use the session cookie, whatever the mode of the API."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from propylon import language
from propylon.core.csrf import SAFE_METHODS
from propylon.core.principal import Principal, User
from propylon.core.session import Session
from propylon.errors import ClientError, Conflict, CredentialRefused, Forbidden, PropylonError, RuleRefused
from propylon.flows.account import NewAccount
from propylon.flows.sign_in import SignInRequest
from propylon.http import bodies, problems
from propylon.http.context import require_session, root_of, tongue
from propylon.http.cookies import renewed_cookies, signed_out_headers, welcome_cookies
from propylon.http.page_room import PageRoom, see_other, status_of_page
from propylon.http.services import Services
from propylon.http.sessions_api import SessionsApi
from propylon.web.pages import (
    AccountPage,
    Frame,
    ProblemPage,
    ProblemRow,
    SessionRow,
    SignInPage,
    SignUpPage,
    StartPage,
    UserView,
)


class PageRoutes(PageRoom):
    """Every page and every form."""

    def __init__(self, services: Services, sessions_api: SessionsApi, openapi: Mapping[str, Any], nonce: Any) -> None:
        super().__init__(services, nonce)
        self._sessions_api, self._openapi = sessions_api, openapi
        self._rows = tuple(ProblemRow(code, status) for code, status in problems.STATUS.items())

    async def start(self, request: Request) -> Response:
        """Show where to go."""
        frame = await self._frame(request)
        sign_up_open = self._services.config.sign_up == "open"
        return self._html(frame, self._services.pages.start(frame, StartPage(sign_up_open)))

    async def sign_in_page(self, request: Request) -> Response:
        """Show the sign-in form."""
        return await self._show_sign_in(request, SignInPage(next=self._next(request.query_params.get("next"))))

    async def sign_in(self, request: Request) -> Response:
        """Sign in and go on to where the person came from."""
        services = self._services
        services.transport.require_same_site(request.scope)
        fields = await bodies.form(request)
        page = SignInPage(
            email=fields.get("email", ""),
            remember=fields.get("remember") == "yes",
            next=self._next(fields.get("next")),
        )
        replaced = await self._sessions_api.replaced(request)
        wish = SignInRequest(
            email=page.email,
            password=fields.get("password", ""),
            mode="cookie",
            remember=page.remember,
            end=fields.get("end") or (replaced.session_id if replaced is not None else None),
        )
        try:
            signed_in = await services.sign_in(wish, services.transport.caller(request.scope))
        except PropylonError as error:
            return await self._sign_in_again(request, page, error)
        if replaced is not None:
            await services.sign_out.here(replaced)
        services.metrics.sign_ins.labels(mode="cookie").inc()
        answer = see_other(page.next or f"{root_of(request)}/account")
        answer.raw_headers += welcome_cookies(services, request, signed_in.issued)
        return answer

    async def sign_up_page(self, request: Request) -> Response:
        """Show the sign-up form."""
        return await self._show_sign_up(request, SignUpPage(open=self._services.config.sign_up == "open"))

    async def sign_up(self, request: Request) -> Response:
        """Make an account and go to the sign-in page."""
        services = self._services
        services.transport.require_same_site(request.scope)
        if services.config.sign_up != "open":
            raise Forbidden("sign_up_closed")
        fields = await bodies.form(request)
        account = NewAccount(
            email=fields.get("email", ""), password=fields.get("password", ""), name=fields.get("name", "")
        )
        try:
            await services.accounts.sign_up(account, services.transport.caller(request.scope))
        except PropylonError as error:
            problem, errors = self._told(request, error)
            page = SignUpPage(name=account.name, email=account.email, problem=problem, errors=errors)
            return await self._show_sign_up(request, page, error)
        services.metrics.sign_ups.inc()
        return self._redirect(request, "/login?notice=account_created")

    async def account_page(self, request: Request) -> Response:
        """Show profile, devices and security; who is not signed in is asked to, and comes back."""
        try:
            principal = await self._principal(request)
            return await self._show_account(request, principal)
        except CredentialRefused as refusal:
            return await self._sign_in_instead(request, refusal, f"{root_of(request)}/account")

    async def save_profile(self, request: Request) -> Response:
        """Change the name."""
        principal = await self._principal(request)
        fields = await bodies.form(request)
        name = fields.get("name", "")
        try:
            await self._services.accounts.rename(principal, name)
        except RuleRefused as error:
            problem, errors = self._told(request, error)
            return await self._show_account(
                request, principal, error, name=name, profile_problem=problem, profile_errors=errors
            )
        return self._redirect(request, "/account?notice=profile_saved")

    async def change_password(self, request: Request) -> Response:
        """Change the password and end every other session."""
        services = self._services
        principal = await self._principal(request)
        fields = await bodies.form(request)
        current, new = fields.get("current_password", ""), fields.get("new_password", "")
        caller = services.transport.caller(request.scope)
        try:
            session = await services.accounts.change_password(principal, current, new, caller)
        except PropylonError as error:
            problem, errors = self._told(request, error)
            return await self._show_account(request, principal, error, password_problem=problem, password_errors=errors)
        answer = self._redirect(request, "/account?notice=password_changed")
        answer.raw_headers += renewed_cookies(services, request, session)
        return answer

    async def end_session(self, request: Request) -> Response:
        """End one device."""
        principal = await self._principal(request)
        fields = await bodies.form(request)
        caller = self._services.transport.caller(request.scope)
        session_id = fields.get("session", "")
        await self._services.sign_out.one(principal, session_id, caller)
        if session_id == principal.session_id:
            return self._signed_out(request)
        return self._redirect(request, "/account?notice=session_ended")

    async def end_others(self, request: Request) -> Response:
        """End all other devices."""
        principal = await self._principal(request)
        await self._services.sign_out.others(principal, self._services.transport.caller(request.scope))
        return self._redirect(request, "/account?notice=others_ended")

    async def sign_out(self, request: Request) -> Response:
        """End this session; somebody who is signed out already is simply shown the sign-in page."""
        try:
            await self._services.sign_out.here(await self._principal(request))
        except CredentialRefused:
            return self._redirect(request, "/login?notice=signed_out")
        return self._signed_out(request)

    async def choose_language(self, request: Request) -> Response:
        """Remember the language and go back."""
        self._services.transport.require_same_site(request.scope)
        fields = await bodies.form(request)
        chosen = fields.get("language", "")
        if chosen not in language.LANGUAGES:
            raise ClientError("request_malformed")
        answer = see_other(self._next(fields.get("next")) or f"{root_of(request)}/")
        answer.raw_headers.append(self._services.transport.set_language_cookie(chosen))
        return answer

    async def reference(self, request: Request) -> Response:
        """Show the API reference."""
        frame = await self._frame(request)
        return self._html(frame, self._services.pages.reference(frame, self._openapi, self._rows))

    async def problem(self, request: Request, error: PropylonError) -> Response:
        """Show any refusal to a person."""
        # The language switch leads back by GET, which the address of a mere form does not take.
        path = None if request.method in SAFE_METHODS else "/"
        return self._problem(self._frame_of(request, signed_in_as=None, path=path), request, error)

    async def nowhere(self, request: Request, error: PropylonError) -> Response:
        """Show a person that an address leads nowhere, and the way back from it."""
        typed = quote(request.scope["path"].removeprefix(root_of(request)), safe="/:@!$&'()*+,;=~", errors="replace")
        path = typed if request.method in SAFE_METHODS else "/"
        try:
            frame = await self._frame(request, path)
        except PropylonError:  # the store is away: the page needs nothing of it
            frame = self._frame_of(request, signed_in_as=None, path=path)
        return self._problem(frame, request, error)

    def _problem(self, frame: Frame, request: Request, error: PropylonError) -> Response:
        title, detail = problems.sentence(tongue(self._services, request), error)
        status = problems.status_of(error)
        page = ProblemPage(status, error.code, title, detail, sign_in=status == HTTPStatus.UNAUTHORIZED)
        answer = self._html(frame, self._services.pages.problem(frame, page), status)
        answer.headers.update(problems.retry_headers(error))
        return answer

    async def _sign_in_again(self, request: Request, page: SignInPage, error: PropylonError) -> Response:
        problem, errors = self._told(request, error)
        chooser: tuple[SessionRow, ...] = ()
        if isinstance(error, Conflict) and error.code == "session_limit_reached":
            chooser = tuple(_row(session, None) for session in error.facts["sessions"])
        now = self._services.clock.now()
        again = SignInPage(page.email, page.remember, page.next, problem, errors, chooser, now=now)
        return await self._show_sign_in(request, again, error)

    async def _show_sign_up(self, request: Request, page: SignUpPage, error: PropylonError | None = None) -> Response:
        frame = await self._frame(request)
        return self._html(frame, self._services.pages.sign_up(frame, page), status_of_page(error), error)

    async def _show_account(
        self, request: Request, principal: Principal, error: PropylonError | None = None, **refill: Any
    ) -> Response:
        services = self._services
        _, user = await require_session(services, principal)
        now = services.clock.now()
        sessions = await services.sessions.live_sessions(user.id, now)
        # This device first, then the newest sign-ins.
        rows = sorted(
            (_row(session, principal.session_id) for session in reversed(sessions)),
            key=lambda row: not row.current,
        )
        frame = self._frame_of(request, signed_in_as=user.email, path="/account", console=self._may_console(user))
        page = AccountPage(_view(user), tuple(rows), now, **refill)
        return self._html(frame, services.pages.account(frame, page), status_of_page(error), error)

    def _signed_out(self, request: Request) -> Response:
        answer = self._redirect(request, "/login?notice=signed_out")
        answer.raw_headers += signed_out_headers(self._services.transport, request.scope, root_of(request))
        return answer


def _row(session: Session, current: str | None) -> SessionRow:
    return SessionRow(
        id=session.id,
        current=session.id == current,
        mode=session.mode,
        browser=session.device.browser,
        os=session.device.os,
        kind=session.device.kind,
        place=None,
        ip=session.ip,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
        sign_in_method=session.sign_in_method,
    )


def _view(user: User) -> UserView:
    return UserView(user.email, user.name, user.roles, user.created_at)
