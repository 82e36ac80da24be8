"""What a route asks of whoever calls it: one decision, for every framework and for verifiers elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from propylon.core.principal import Principal
from propylon.errors import CredentialRefused, Forbidden

Names = str | Iterable[str]


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """All of this at once. ``Demand.of`` makes one from what an app writes.

    Attributes:
        roles: that the user must hold, every one.
        permissions: that the user's roles must grant, every one.
        scopes: that an access token must cover, every one. One that names no scope covers what its user may do.
        fresh_s: the user must have proved who they are within so many seconds; None for whenever.
        left_s: an access token must be good for so many more seconds, so that it does not end in the middle of what
            begins now. A cookie is renewed by every request and always is.
    """

    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    fresh_s: int | None = None
    left_s: int = 0

    @classmethod
    def of(
        cls,
        *,
        roles: Names = (),
        permissions: Names = (),
        scopes: Names = (),
        fresh_s: int | None = None,
        left_s: int = 0,
    ) -> Demand:
        """Return a demand; one name may stand without a list around it. Where nothing is named it is ``SIGNED_IN``.

        Raises:
            ValueError: a time that nobody can meet (``fresh_s`` below 1, ``left_s`` below 0).
        """
        if (fresh_s is not None and fresh_s < 1) or left_s < 0:
            raise ValueError(f"nobody can meet this: {fresh_s=}, {left_s=}")
        demand = cls(
            roles=_names(roles),
            permissions=_names(permissions),
            scopes=_names(scopes),
            fresh_s=fresh_s,
            left_s=left_s,
        )
        return demand if demand != SIGNED_IN else SIGNED_IN

    def check(self, principal: Principal, now: int) -> None:
        """Refuse a principal who does not meet it, at ``now`` (epoch seconds).

        What no password can change is said first: nobody is asked for theirs and then turned away.

        Raises:
            Forbidden: ``forbidden``, or ``insufficient_scope`` (RFC 6750 section 3.1) for a token that was narrowed.
            CredentialRefused: ``reauthentication_required`` (RFC 9470), or ``token_expiring``.
        """
        if not (self.roles <= principal.roles and self.permissions <= principal.permissions):
            raise Forbidden
        if principal.scopes and not self.scopes <= principal.scopes:
            raise Forbidden("insufficient_scope", scope=" ".join(sorted(self.scopes)))
        if self.fresh_s is not None and now - principal.auth_time > self.fresh_s:
            raise CredentialRefused("reauthentication_required", max_age_s=self.fresh_s)
        if principal.credential == "access_token" and principal.expires_at - now < self.left_s:
            raise CredentialRefused("token_expiring", left_s=self.left_s)


SIGNED_IN: Final = Demand()
"""Everybody who is signed in meets it: most routes ask for no more, and whoever sees that it is this one need not look
at the clock."""


def _names(given: Names) -> frozenset[str]:
    return frozenset((given,)) if isinstance(given, str) else frozenset(given)
