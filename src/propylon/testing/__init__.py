"""For tests of apps and of stores.

For who writes an app (``docs/testing.md``): ``Rehearsal`` signs in to the app's own Propylon in one line,
``FakeIssuer`` makes tokens for a service that only verifies, ``FakeClock`` and ``SecurityEvents`` go with them, and
``propylon.testing.plugin`` gives pytest the fixtures.

For who writes a store: it is proven by subclassing ``StoreContract``, or ``SharedStoreContract`` when several
processes can use it together; where it keeps accounts or sessions alone, by ``AccountStoreContract`` or
``SessionStoreContract`` besides. These four need pytest and pytest-asyncio, the rest does not::

    class TestMyStore(SharedStoreContract):
        async def make_store(self) -> Store:
            store = MyStore(...)
            await store.open()
            return store
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from propylon.testing.clock import FakeClock
    from propylon.testing.contract import (
        AccountStoreContract,
        SessionStoreContract,
        SharedStoreContract,
        StoreContract,
    )
    from propylon.testing.counting import CountingStore
    from propylon.testing.fake_issuer import FakeIssuer, TokenHolder
    from propylon.testing.records import NOW, a_session, a_signing_key, a_user, an_opening
    from propylon.testing.rehearsal import PASSWORD, Rehearsal
    from propylon.testing.security_events import SecurityEvent, SecurityEvents
    from propylon.testing.session_holder import SessionHolder

__all__ = [
    "NOW",
    "PASSWORD",
    "AccountStoreContract",
    "CountingStore",
    "FakeClock",
    "FakeIssuer",
    "Rehearsal",
    "SecurityEvent",
    "SecurityEvents",
    "SessionHolder",
    "SessionStoreContract",
    "SharedStoreContract",
    "StoreContract",
    "TokenHolder",
    "a_session",
    "a_signing_key",
    "a_user",
    "an_opening",
]

_CONTRACTS = ("AccountStoreContract", "SessionStoreContract", "SharedStoreContract", "StoreContract")
_RULES = ("account", "agreement", "follower", "outbox", "race", "refresh", "session", "sharing", "upkeep")
_HOMES = {
    "clock": ("FakeClock",),
    "contract": _CONTRACTS,
    "counting": ("CountingStore",),
    "fake_issuer": ("FakeIssuer", "TokenHolder"),
    "records": ("NOW", "a_session", "a_signing_key", "a_user", "an_opening"),
    "rehearsal": ("PASSWORD", "Rehearsal"),
    "security_events": ("SecurityEvent", "SecurityEvents"),
    "session_holder": ("SessionHolder",),
}


def __getattr__(name: str) -> Any:
    """Load what is asked for and no more: pytest loads the plugin for everybody who has Propylon installed."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home == "contract":  # its failures then show their values
        import pytest  # noqa: PLC0415 - only where the contract is used

        pytest.register_assert_rewrite(*(f"{__name__}.{rules}_rules" for rules in _RULES))
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
