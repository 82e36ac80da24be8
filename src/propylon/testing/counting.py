"""A store that counts what it is asked, to prove that a flow is as lazy as it claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from propylon.ports import Store

# A type checker takes it for whatever is asked, a ``Store`` for one, since every call is passed on.
_Anything: Any = object


class CountingStore(_Anything):  # type: ignore[misc]  # Any, see above
    """Passes every call on to another store and counts it by the method's name.

    Attributes:
        calls: how often each method was called since the start or the last ``calls.clear()``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the other store's method, counted."""
        method = getattr(self._store, name)

        def counted(*values: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return method(*values, **named)

        return counted
