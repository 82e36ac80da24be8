"""The page of step-up: it asks for the password again, and leads back to what needed it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from propylon.core.principal import Principal
from propylon.errors import CredentialRefused, PropylonError
from propylon.http import bodies
from propylon.http.context import require_session, root_of
from propylon.http.cookies import renewed_cookies
from propylon.http.page_room import PageRoom, see_other, status_of_page
from propylon.web.pages import ConfirmPage


class ConfirmRoutes(PageRoom):
    """``/confirm``."""

    async def confirm_page(self, request: Request) -> Response:
        """Show the form; who is not signed in signs in, which confirms as much."""
        target = self._next(request.query_params.get("next"))
        try:
            return await self._show(request, await self._principal(request), target)
        except CredentialRefused as refusal:
            return await self._sign_in_instead(request, refusal, target)

    async def confirm(self, request: Request) -> Response:
        """Check the password, renew the session's secrets, and go on to where the person came from."""
        fields = await bodies.form(request)
        target = self._next(fields.get("next"))
        try:
            principal = await self._principal(request)
        except CredentialRefused as refusal:
            return await self._sign_in_instead(request, refusal, target)
        services = self._services
        try:
            session = await services.accounts.confirm(
                principal, fields.get("password", ""), services.transport.caller(request.scope)
            )
        except PropylonError as error:
            return await self._show(request, principal, target, error)
        answer = see_other(target or f"{root_of(request)}/account")
        answer.raw_headers += renewed_cookies(services, request, session)
        return answer

    async def _show(
        self, request: Request, principal: Principal, target: str, error: PropylonError | None = None
    ) -> Response:
        services = self._services
        _, user = await require_session(services, principal)
        problem, errors = self._told(request, error) if error is not None else (None, {})
        frame = self._frame_of(request, signed_in_as=user.email, path="/confirm")
        page = ConfirmPage(email=user.email, next=target, problem=problem, errors=errors)
        return self._html(frame, services.pages.confirm(frame, page), status_of_page(error), error)
