"""For tests of apps and of stores: the contract that every store keeps, a clock, a counter, small records.

A store of your own is proven by subclassing ``StoreContract``, or ``SharedStoreContract`` when several processes
can use it together; where it keeps accounts or sessions alone, by ``AccountStoreContract`` or
``SessionStoreContract`` besides. These four need pytest and pytest-asyncio, the rest does not::

    class TestMyStore(SharedStoreContract):
        async def make_store(self) -> Store:
            store = MyStore(...)
            await store.open()
            return store
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from propylon.testing.clock import FakeClock
from propylon.testing.counting import CountingStore
from propylon.testing.records import NOW, a_session, a_signing_key, a_user, an_opening

if TYPE_CHECKING:
    from propylon.testing.contract import (
        AccountStoreContract,
        SessionStoreContract,
        SharedStoreContract,
        StoreContract,
    )

__all__ = [
    "NOW",
    "AccountStoreContract",
    "CountingStore",
    "FakeClock",
    "SessionStoreContract",
    "SharedStoreContract",
    "StoreContract",
    "a_session",
    "a_signing_key",
    "a_user",
    "an_opening",
]

_CONTRACTS = ("AccountStoreContract", "SessionStoreContract", "SharedStoreContract", "StoreContract")
_RULES = ("account", "agreement", "follower", "outbox", "race", "refresh", "session", "sharing", "upkeep")


def __getattr__(name: str) -> Any:
    """Load the contract, and pytest with it, when it is asked for; its failures then show their values."""
    if name not in _CONTRACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest  # noqa: PLC0415 - only where the contract is used

    pytest.register_assert_rewrite(*(f"{__name__}.{rules}_rules" for rules in _RULES))
    from propylon.testing import contract  # noqa: PLC0415 - after its assertions are registered

    return getattr(contract, name)
