"""How many sessions one user may hold at once, and who has to go when one more comes (multi-login)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from propylon.core.session import Session

LimitPolicy = Literal["evict_oldest", "refuse_newest"]


class SessionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The most live sessions of one user: altogether, of one kind of device, and for holders of a role.

    A role's number replaces ``per_user`` for its holders; of several roles' numbers the smallest counts.
    """

    per_user: int | None = None
    per_kind: dict[str, int] = {}
    per_role: dict[str, int] = {}
    policy: LimitPolicy = "evict_oldest"

    def of(self, roles: Iterable[str]) -> int | None:
        """Return the number of sessions that a user with ``roles`` may hold, or None for any."""
        for_roles = [self.per_role[role] for role in roles if role in self.per_role]
        return min(for_roles) if for_roles else self.per_user


class Admitted(msgspec.Struct, frozen=True):
    """The newcomer may come in once ``evicted`` have ended (often nobody)."""

    evicted: tuple[Session, ...] = ()


class LimitReached(msgspec.Struct, frozen=True):
    """The newcomer is refused; ending one of ``sessions`` makes room. ``limit`` is the number in force."""

    sessions: tuple[Session, ...]
    limit: int


Admission = Admitted | LimitReached


def admit(limits: SessionLimits, live: Sequence[Session], newcomer: Session, roles: Iterable[str]) -> Admission:
    """Decide whether ``newcomer`` fits beside the ``live`` sessions (oldest first) of the same user.

    A store calls this inside the transaction that adds the newcomer, so two sign-ins at the same instant
    never count each other out.
    """
    kind = newcomer.device.kind
    of_kind = tuple(session for session in live if session.device.kind == kind)
    crowds = ((of_kind, limits.per_kind.get(kind)), (tuple(live), limits.of(roles)))
    leaving: list[Session] = []
    for crowd, limit in crowds:
        gone = {session.id for session in leaving}
        staying = [session for session in crowd if session.id not in gone]
        excess = len(staying) + 1 - limit if limit is not None else 0
        if excess > 0 and limits.policy == "refuse_newest":
            return LimitReached(tuple(staying), limit or 0)
        leaving += staying[: max(0, excess)]
    return Admitted(tuple(leaving))
