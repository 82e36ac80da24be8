"""``/v1/users``, ``/v1/user``: accounts over JSON."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from propylon.core.session import Session
from propylon.errors import Forbidden
from propylon.flows.account import NewAccount
from propylon.http import bodies
from propylon.http.context import json_response, no_content, require_principal
from propylon.http.cookies import renewed_cookies, require_same_site_for_cookies
from propylon.http.schemas import ConfirmBody, PasswordBody, SignUpBody, UserCreated, user_out
from propylon.http.services import Services


class AccountsApi:
    """Sign-up, change of password, step-up."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def sign_up(self, request: Request) -> Response:
        """Make an account."""
        services = self._services
        services.transport.require_same_site(request.scope)
        if services.config.sign_up != "open":
            raise Forbidden("sign_up_closed")
        body = await bodies.json(request, SignUpBody)
        account = NewAccount(email=body.email, password=body.password, name=body.name)
        user = await services.accounts.sign_up(account, services.transport.caller(request.scope))
        services.metrics.sign_ups.inc()
        return json_response(UserCreated(user_out(user, services.gate.permissions(user))), 201)

    async def change_password(self, request: Request) -> Response:
        """Store a new password and end every other session."""
        services = self._services
        principal = await require_principal(services, request)
        await require_same_site_for_cookies(services, request, principal)
        body = await bodies.json(request, PasswordBody)
        session = await services.accounts.change_password(
            principal, body.current_password, body.new_password, services.transport.caller(request.scope)
        )
        return self._with_new_cookies(request, session)

    async def confirm(self, request: Request) -> Response:
        """Prove again who is there: the time of authentication is now, every secret is new."""
        services = self._services
        principal = await require_principal(services, request)
        await require_same_site_for_cookies(services, request, principal)
        body = await bodies.json(request, ConfirmBody)
        session = await services.accounts.confirm(principal, body.password, services.transport.caller(request.scope))
        return self._with_new_cookies(request, session)

    def _with_new_cookies(self, request: Request, session: Session) -> Response:
        answer = no_content()
        answer.raw_headers += renewed_cookies(self._services, request, session)
        return answer
