"""The security log as a test reads it: what was recorded, and a readable word about what was not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

#: Every event that there is, with the facts that it may carry.
VOCABULARY: dict[str, frozenset[str]] = {
    "authn_confirmed": frozenset({"user", "session"}),
    "authn_login_fail": frozenset({"user", "source", "reason"}),
    "authn_login_success": frozenset({"user", "session", "mode"}),
    "authn_password_change": frozenset({"user", "session"}),
    "everyone_signed_out": frozenset({"count", "reason"}),
    "excess_rate_limit_exceeded": frozenset({"kind", "source", "wait_s"}),
    "mode_changed": frozenset({"mode", "previous", "clients", "user", "session"}),
    "mode_paused": frozenset({"user", "session"}),
    "mode_resumed": frozenset({"user", "session"}),
    "session_ended": frozenset({"user", "session", "reason"}),
    "session_evicted": frozenset({"user", "session", "by"}),
    "session_moved": frozenset({"user", "session", "mode"}),
    "session_limit_reached": frozenset({"user", "limit"}),
    "sessions_ended": frozenset({"user", "count", "reason"}),
    "token_given_up": frozenset({"session", "source"}),
    "token_late": frozenset({"session"}),
    "token_repeated": frozenset({"session"}),
    "token_reused": frozenset({"user", "session", "source", "last_ip"}),
    "token_rotated": frozenset({"session"}),
    "user_created": frozenset({"user"}),
    "user_disabled": frozenset({"user"}),
    "user_enabled": frozenset({"user"}),
    "users_imported": frozenset({"count"}),
    "verifier_added": frozenset({"verifier"}),
    "verifier_removed": frozenset({"verifier"}),
}


class SecurityEvent(msgspec.Struct, frozen=True):
    """One event, as a line of the security log would tell it."""

    name: str
    facts: dict[str, str | int | None]

    def __str__(self) -> str:
        """Show it on one line."""
        return " ".join((self.name, *(f"{name}={value!r}" for name, value in self.facts.items())))


class SecurityEvents:
    """A ``propylon.ports.SecurityLog`` that a test asks.

    Where an event or a fact is named that does not exist, the question is refused: a misspelt event is never
    recorded, so a test that says so would hold for ever.
    """

    def __init__(self) -> None:
        self._events: list[SecurityEvent] = []

    def record(self, event: str, /, **facts: str | int | None) -> None:
        """Record ``event``; Propylon calls this."""
        self._events.append(SecurityEvent(event, facts))

    def __iter__(self) -> Iterator[SecurityEvent]:
        """Go through what was recorded, oldest first."""
        return iter(tuple(self._events))

    def __len__(self) -> int:
        """Return how many were recorded."""
        return len(self._events)

    def clear(self) -> None:
        """Forget what was recorded until now."""
        self._events.clear()

    def all(self, event: str, /, **facts: Any) -> list[SecurityEvent]:
        """Return the events of this name that carry these facts, among others; oldest first.

        Args:
            event: its name, one of ``VOCABULARY``.
            facts: for ``user`` and ``session``, the record or its id.

        Raises:
            ValueError: no such event is ever recorded, or never with such a fact.
        """
        _check(event, facts)
        wanted = {name: getattr(value, "id", value) for name, value in facts.items()}
        return [held for held in self if held.name == event and wanted.items() <= held.facts.items()]

    def has(self, event: str, /, **facts: Any) -> bool:
        """Return whether such an event was recorded; see ``all``."""
        return bool(self.all(event, **facts))

    def assert_recorded(self, event: str, /, *, times: int | None = None, **facts: Any) -> SecurityEvent:
        """Fail the test unless such an event was recorded, and ``times`` often where that is given.

        Returns:
            The last of them.
        """
        found = self.all(event, **facts)
        if not found or times not in (None, len(found)):
            raise AssertionError(self._report(event, facts, "not recorded" if not found else f"{len(found)} times"))
        return found[-1]

    def assert_not_recorded(self, event: str, /, **facts: Any) -> None:
        """Fail the test if such an event was recorded."""
        if self.has(event, **facts):
            raise AssertionError(self._report(event, facts, "recorded"))

    def _report(self, event: str, facts: dict[str, Any], verdict: str) -> str:
        wanted = SecurityEvent(event, {name: getattr(value, "id", value) for name, value in facts.items()})
        told = [f"  {held}" for held in self._events] or ["  nothing"]
        return "\n".join((f"{verdict}: {wanted}", "recorded was:", *told))


def _check(event: str, facts: dict[str, Any]) -> None:
    known = VOCABULARY.get(event)
    if known is None:
        raise ValueError(f"no event is called {event!r}; there are {', '.join(VOCABULARY)}")
    if strangers := facts.keys() - known:
        raise ValueError(f"{event} never tells {', '.join(sorted(strangers))}; it may tell {', '.join(sorted(known))}")
