"""``/v1/mode``: how sessions travel, for administrators."""

from __future__ import annotations

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from propylon.core.demand import Demand
from propylon.core.mode import CLIENTS
from propylon.core.principal import Principal, User
from propylon.errors import Forbidden, RuleRefused
from propylon.http import bodies
from propylon.http.context import json_response, require_principal, require_session
from propylon.http.schemas import ModeBody, mode_out
from propylon.http.services import Services

MODE_PERMISSION = "propylon:mode"
FRESH_S = 600

# A token that was narrowed was made for something else: it has to name this one too, or an app that somebody let read
# their calendar would turn the whole service.
LOOKING = Demand.of(permissions=MODE_PERMISSION, scopes=MODE_PERMISSION)
CHANGING = Demand.of(permissions=MODE_PERMISSION, scopes=MODE_PERMISSION, fresh_s=FRESH_S)


async def require_administrator(services: Services, principal: Principal, demand: Demand) -> User:
    """Return who may do this to everybody's sessions, or refuse.

    The account is asked too: an access token says what its user was allowed when it was issued.
    """
    services.gate.require(principal, demand)
    _, user = await require_session(services, principal)
    if not demand.permissions <= services.gate.permissions(user):
        raise Forbidden
    return user


class ModeApi:
    """The change of mode, as ``propylon mode`` has it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def show(self, request: Request) -> Response:
        """Return how sessions travel and how far they have come."""
        principal = await require_principal(self._services, request)
        await require_administrator(self._services, principal, LOOKING)
        return json_response(mode_out(await self._services.mode_change.view()))

    async def change(self, request: Request) -> Response:
        """Turn to another mode, pause, or go on."""
        principal = await require_principal(self._services, request)
        await require_administrator(self._services, principal, CHANGING)
        body = await bodies.json(request, ModeBody)
        if body.mode is UNSET and (body.paused is UNSET or body.clients is not UNSET):
            raise RuleRefused(errors=(("mode", "required", {}),))  # a pause is everybody's
        # Counted first: a count that fails says that nothing was changed, and then nothing must have been.
        view = await self._services.mode_change.view()
        decided = await self._services.mode_change.decide(
            mode=None if body.mode is UNSET else body.mode,
            clients=CLIENTS if body.clients is UNSET else tuple(dict.fromkeys(body.clients)),
            paused=None if body.paused is UNSET else body.paused,
            by=principal,
        )
        return json_response(mode_out(view.after(decided)))
