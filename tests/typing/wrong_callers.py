"""Never run: what was not verified, decided or checked is not accepted. See ``test_wrong_use``."""

from __future__ import annotations

from propylon.config import Config
from propylon.core.csrf import same_site_intended
from propylon.core.limits import Admission, SessionLimits
from propylon.core.principal import Credential, Principal
from propylon.core.refresh import RefreshOutcome
from propylon.core.session import Ending, Session
from propylon.flows.caller import Caller
from propylon.flows.gate import Gate
from propylon.ports import SessionReader, Store
from propylon.stores.memory import MemoryStore
from propylon.testing import CountingStore


def show_orders(principal: Principal) -> None:
    """Stand for an app's own function."""


# Claims, a mapping or an id are no principal: only verification makes one.
show_orders({"user_id": "u1", "roles": ["admin"]})  # type: ignore[arg-type]
show_orders("u1")  # type: ignore[arg-type]
show_orders(None)  # type: ignore[arg-type]
Principal(user_id="u1")  # type: ignore[call-arg]


def promote(principal: Principal) -> None:
    """Who was verified stays who they are."""
    principal.roles = frozenset({"admin"})  # type: ignore[misc]
    principal.roles.add("admin")  # type: ignore[attr-defined]


# A credential says whether the browser added it by itself; there is no default to forget.
Credential("cookie", "value")  # type: ignore[call-arg]
Credential("session", "value", ambient=True)  # type: ignore[arg-type]


async def authenticate(gate: Gate, caller: Caller) -> None:
    """A bare string is not one credential of a known kind."""
    await gate.authenticate("token", caller)  # type: ignore[arg-type]


# All facts of the CSRF decision are given, and by name.
same_site_intended("POST")  # type: ignore[call-arg]
same_site_intended("POST", sec_fetch_site=None, origin=None, own_origins=(), configured_origins=())  # type: ignore[call-arg]
same_site_intended("POST", None, None, (), (), True)  # type: ignore[call-arg] # noqa: FBT003 - that is the point


def outcomes(outcome: RefreshOutcome, admission: Admission) -> None:
    """An outcome is looked at before anything is taken from it."""
    _ = outcome.session.id  # type: ignore[union-attr]
    _ = admission.evicted  # type: ignore[union-attr]


# Words that do not exist.
Ending("gone", 0)  # type: ignore[arg-type]
SessionLimits(policy="evict_newest")  # type: ignore[arg-type]
Config(mode="jwt")  # type: ignore[arg-type]


def change(session: Session, config: Config) -> None:
    """What was decided is not altered, but decided anew."""
    session.expires_at = 2**40  # type: ignore[misc]
    config.mode = "bearer"  # type: ignore[misc]


class Forgetful:
    """Keeps sessions, and says too little of them."""

    async def find_session(self, session_id: str) -> Session:
        """Return a session, always: what is missing is not an answer here."""
        raise KeyError(session_id)


reader: SessionReader = Forgetful()  # type: ignore[assignment]
# What we ship keeps the whole contract, in types too.
store: Store = MemoryStore()
counting: Store = CountingStore(store)
