"""The pages: forms in, redirects out. They always use the session cookie, whatever the mode of the API."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from propylon import language
from propylon.core.csrf import SAFE_METHODS
from propylon.core.principal import Principal, User
from propylon.core.session import Session
from propylon.errors import ClientError, Conflict, CredentialRefused, Forbidden, PropylonError, RuleRefused
from propylon.flows.account import NewAccount
from propylon.flows.sign_in import SignInRequest
from propylon.http import bodies, problems
from propylon.http.context import require_session, root_of, tongue
from propylon.http.cookies import renewed_cookies
from propylon.http.services import Services
from propylon.http.sessions_api import SIGN_OUT_HEADERS, SessionsApi
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

NOTICES = frozenset(
    {"account_created", "profile_saved", "password_changed", "session_ended", "others_ended", "signed_out"}
)
NONCE_BYTES = 16


class PageRoutes:
    """Every page and every form."""

    def __init__(self, services: Services, sessions_api: SessionsApi, openapi: Mapping[str, Any], nonce: Any) -> None:
        self._services, self._sessions_api, self._openapi, self._nonce = (
            services,
            sessions_api,
            openapi,
            nonce,
        )
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
        answer = _see_other(page.next or f"{root_of(request)}/account")
        now = services.clock.now()
        answer.raw_headers += services.transport.cookies_of(signed_in.issued, root_of(request), now)
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
            if refusal.code == "credential_missing":
                return self._redirect(request, f"/login?next={root_of(request)}/account")
            return await self._refused_at_account(request, refusal)

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
        answer = _see_other(self._next(fields.get("next")) or f"{root_of(request)}/")
        answer.raw_headers.append(self._services.transport.set_language_cookie(chosen))
        return answer

    async def reference(self, request: Request) -> Response:
        """Show the API reference."""
        frame = await self._frame(request)
        return self._html(frame, self._services.pages.reference(frame, self._openapi, self._rows))

    async def problem(self, request: Request, error: PropylonError) -> Response:
        """Show any refusal to a person."""
        title, detail = problems.sentence(tongue(self._services, request), error)
        status = problems.status_of(error)
        # The language switch leads back by GET, which the address of a mere form does not take.
        path = None if request.method in SAFE_METHODS else "/"
        frame = self._frame_of(request, signed_in_as=None, path=path)
        page = ProblemPage(status, error.code, title, detail, sign_in=status == HTTPStatus.UNAUTHORIZED)
        answer = self._html(frame, self._services.pages.problem(frame, page), status)
        answer.headers.update(problems.retry_headers(error))
        return answer

    async def _principal(self, request: Request) -> Principal:
        services = self._services
        credential = services.transport.session_cookie(request.scope)
        if credential is None:
            raise CredentialRefused("credential_missing")
        services.transport.require_same_site(request.scope)
        return await services.gate.authenticate(credential, services.transport.caller(request.scope))

    async def _sign_in_again(self, request: Request, page: SignInPage, error: PropylonError) -> Response:
        problem, errors = self._told(request, error)
        chooser: tuple[SessionRow, ...] = ()
        if isinstance(error, Conflict) and error.code == "session_limit_reached":
            chooser = tuple(_row(session, None) for session in error.facts["sessions"])
        now = self._services.clock.now()
        again = SignInPage(page.email, page.remember, page.next, problem, errors, chooser, now=now)
        return await self._show_sign_in(request, again, error)

    async def _refused_at_account(self, request: Request, refusal: CredentialRefused) -> Response:
        """Say why the session is over, above the form that begins a new one."""
        problem, _ = self._told(request, refusal)
        page = SignInPage(next=f"{root_of(request)}/account", problem=problem)
        return await self._show_sign_in(request, page, refusal)

    async def _show_sign_in(self, request: Request, page: SignInPage, error: PropylonError | None = None) -> Response:
        frame = await self._frame(request, path="/login")
        return self._html(frame, self._services.pages.sign_in(frame, page), _status(error), error)

    async def _show_sign_up(self, request: Request, page: SignUpPage, error: PropylonError | None = None) -> Response:
        frame = await self._frame(request)
        return self._html(frame, self._services.pages.sign_up(frame, page), _status(error), error)

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
        frame = self._frame_of(request, signed_in_as=user.email, path="/account")
        page = AccountPage(_view(user), tuple(rows), now, **refill)
        return self._html(frame, services.pages.account(frame, page), _status(error), error)

    async def _frame(self, request: Request, path: str | None = None) -> Frame:
        try:
            principal = await self._principal(request)
            email = (await self._services.home.read_user(principal.user_id)).email
        except ClientError:
            email = None  # the page itself is for everyone; who holds a dead cookie is a visitor
        return self._frame_of(request, signed_in_as=email, path=path)

    def _frame_of(self, request: Request, *, signed_in_as: str | None, path: str | None = None) -> Frame:
        root = root_of(request)
        notice = request.query_params.get("notice")
        return Frame(
            language=tongue(self._services, request),
            nonce=self._nonce(NONCE_BYTES).hex(),
            root=root,
            # Not request.url: it decodes the query too, and that may be any bytes.
            path=path or request.scope["path"].removeprefix(root) or "/",
            signed_in_as=signed_in_as,
            notice=notice if notice in NOTICES else None,
        )

    def _told(self, request: Request, error: PropylonError) -> tuple[str | None, dict[str, list[str]]]:
        """Return the sentence for the top of a form and those beside its fields."""
        spoken = tongue(self._services, request)
        if not isinstance(error, ClientError) and problems.status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise error
        errors: dict[str, list[str]] = {}
        if isinstance(error, RuleRefused):
            for name, _, said in problems.field_sentences(spoken, error):
                errors.setdefault(name, []).append(said)
        return problems.sentence(spoken, error)[1], errors

    def _html(self, frame: Frame, text: str, status: int = 200, error: PropylonError | None = None) -> Response:
        # Chromium applies form-action to the redirect after a form post too, so the origins that a sign-in
        # may lead on to have to be named.
        targets = " ".join(("'self'", *self._services.config.origins))
        policy = (
            f"default-src 'none'; style-src 'nonce-{frame.nonce}'; script-src 'nonce-{frame.nonce}';"
            f" img-src 'self' data:; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
        )
        headers = {"content-security-policy": policy, "content-language": frame.language}
        if error is not None:
            headers |= problems.retry_headers(error)
        return HTMLResponse(text, status, headers)

    def _redirect(self, request: Request, target: str) -> Response:
        return _see_other(root_of(request) + target)

    def _signed_out(self, request: Request) -> Response:
        answer = self._redirect(request, "/login?notice=signed_out")
        answer.headers.update(SIGN_OUT_HEADERS)
        answer.raw_headers += self._services.transport.clear_cookies(root_of(request))
        return answer

    def _next(self, wish: str | None) -> str:
        """Return where to go on if it is ours or a configured origin's, else nothing: no open redirector.

        A path counts from the root of the host: it may lead to the app that Propylon is mounted in.
        """
        if not wish or len(wish) > 2_000 or not wish.isprintable() or not wish.isascii() or "\\" in wish:
            return ""
        if wish.startswith("/") and not wish.startswith("//"):
            return wish
        try:
            parts = urlsplit(wish)
        except ValueError:  # "https://[" is no address
            return ""
        config = self._services.config
        return wish if f"{parts.scheme}://{parts.netloc}" in (config.public_origin, *config.origins) else ""


def _see_other(location: str) -> Response:
    # 303: the browser must not send the form, password and all, to the next address (RFC 9700 4.12).
    return Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": location})


def _status(error: PropylonError | None) -> int:
    return 200 if error is None else problems.status_of(error)


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
