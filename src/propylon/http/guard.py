"""``scope["propylon"]``: who is calling, worked out only when a route asks."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.types import Message

from propylon.core.demand import SIGNED_IN, Demand
from propylon.core.discreet import Discreet
from propylon.core.principal import Principal
from propylon.errors import CredentialRefused
from propylon.flows.gate import Gate
from propylon.http.transport import Transport


class Asking(Discreet, msgspec.Struct, eq=False):
    """The question "who is calling?" of one request. Until it is asked it costs nothing.

    A struct, which is made without a call of Python: there is one for each request of a guarded app. It shows nothing
    of itself: a request's headers hold its secrets, and pages of debuggers print what a scope holds.
    """

    _gate: Gate
    _transport: Transport
    _scope: Any
    known: Principal | None = None

    async def principal(self) -> Principal:
        """Return the principal.

        Raises:
            CredentialRefused: nobody is signed in (``credential_missing``), or the credential is refused.
            Forbidden: ``cross_site_refused``: a cookie came with an unsafe request from another site.
            Unavailable: the store cannot say.
        """
        principal = self.known
        if principal is None:
            credential = self._transport.presented(self._scope)
            principal = self._gate.recall(credential)
            if principal is None:
                principal = await self._gate.verify(credential, self._transport.caller(self._scope))
            self.known = principal
        return principal

    def tell(self, start: Message, moves_to: str) -> None:
        """Tell a client, with the answer that starts, that its session is asked to move."""
        headers = [*start.get("headers", ())]
        told = self._transport.mode_headers(self._scope, moves_to)
        start["headers"] = headers + [header for header in told if header not in headers]

    async def require(self, demand: Demand) -> Principal:
        """Return the principal where it meets a demand.

        Raises:
            Forbidden, CredentialRefused: as ``principal`` and ``Demand.check`` do.
        """
        principal = await self.principal()
        if demand is not SIGNED_IN:
            self._gate.require(principal, demand)
        return principal

    async def principal_or_none(self) -> Principal | None:
        """Return the principal, or None for a visitor who presents nothing; a bad credential is refused."""
        try:
            return await self.principal()
        except CredentialRefused as refusal:
            if refusal.code == "credential_missing":
                return None
            raise


class AskingAgain(Asking):
    """The question of a websocket. It may stay open for days, so what was answered before is not the answer now."""

    async def principal(self) -> Principal:
        """Return the principal as of now; raises as ``Asking.principal`` does."""
        self.known = None
        return await Asking.principal(self)
