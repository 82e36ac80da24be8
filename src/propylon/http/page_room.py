"""What every page needs: who looks at it, its frame, its security policy, and where it may lead."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from propylon.core.principal import Principal, User
from propylon.errors import ClientError, CredentialRefused, PropylonError, RuleRefused
from propylon.http import problems
from propylon.http.context import root_of, tongue
from propylon.http.mode_api import MODE_PERMISSION
from propylon.http.services import Services
from propylon.web.pages import Frame, SignInPage

NOTICES = frozenset(
    {"account_created", "profile_saved", "password_changed", "session_ended", "others_ended", "signed_out",
     "confirmed", "mode_changed", "mode_paused", "mode_resumed", "mode_same"}
)  # fmt: skip
NONCE_BYTES = 16


class PageRoom:
    """Shows pages."""

    def __init__(self, services: Services, nonce: Any) -> None:
        self._services, self._nonce = services, nonce

    async def _principal(self, request: Request) -> Principal:
        services = self._services
        credential = services.transport.session_cookie(request.scope)
        if credential is None:
            raise CredentialRefused("credential_missing")
        services.transport.require_same_site(request.scope)
        return await services.gate.authenticate(credential, services.transport.caller(request.scope))

    async def _show_sign_in(self, request: Request, page: SignInPage, error: PropylonError | None = None) -> Response:
        frame = await self._frame(request, path="/login")
        return self._html(frame, self._services.pages.sign_in(frame, page), status_of_page(error), error)

    async def _sign_in_instead(self, request: Request, refusal: CredentialRefused, target: str) -> Response:
        """Let a visitor sign in and come back; say why the session is over, above the form that begins a new one."""
        if refusal.code == "credential_missing":
            return self._redirect(request, f"/login?next={quote(target, safe='/')}")
        problem, _ = self._told(request, refusal)
        return await self._show_sign_in(request, SignInPage(next=target, problem=problem), refusal)

    async def _frame(self, request: Request, path: str | None = None) -> Frame:
        try:
            principal = await self._principal(request)
            user = await self._services.home.read_user(principal.user_id)
        except ClientError:  # the page itself is for everyone; who holds a dead cookie is a visitor
            return self._frame_of(request, signed_in_as=None, path=path)
        return self._frame_of(request, signed_in_as=user.email, path=path, console=self._may_console(user))

    def _may_console(self, user: User) -> bool:
        return MODE_PERMISSION in self._services.gate.permissions(user)

    def _frame_of(
        self, request: Request, *, signed_in_as: str | None, path: str | None = None, console: bool = False
    ) -> Frame:
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
            console=console,
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

    def _html(
        self, frame: Frame, text: str, status: int = 200, error: PropylonError | None = None, *, connects: bool = False
    ) -> Response:
        # Chromium applies form-action to the redirect after a form post too, so the origins that a sign-in
        # may lead on to have to be named.
        targets = " ".join(("'self'", *self._services.config.origins))
        policy = (
            f"default-src 'none'; style-src 'nonce-{frame.nonce}'; script-src 'nonce-{frame.nonce}';"
            f" img-src 'self' data:; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
        )
        if connects:  # its script asks for itself again
            policy += "; connect-src 'self'"
        headers = {"content-security-policy": policy, "content-language": frame.language}
        if error is not None:
            headers |= problems.retry_headers(error)
        return HTMLResponse(text, status, headers)

    def _redirect(self, request: Request, target: str) -> Response:
        return see_other(root_of(request) + target)

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


def see_other(location: str) -> Response:
    """Lead on by a GET: the browser must not send the form, password and all, there (RFC 9700 section 4.12)."""
    return Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": location})


def status_of_page(error: PropylonError | None) -> int:
    """Return the status of a page that shows a refusal, or none."""
    return 200 if error is None else problems.status_of(error)
