"""Security events as one JSON object a line, on the logger ``propylon.security``."""

from __future__ import annotations

import logging
import secrets

import msgspec

from propylon.ports import Clock

logger = logging.getLogger("propylon.security")

# Long facts are cut: no fact of ours is longer, and no caller can fill the disk.
MAX_FACT_CHARS = 200


class JsonSecurityLog:
    """Writes events; JSON escapes line breaks and control characters, so one event is always one line."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def record(self, event: str, /, **facts: str | int | None) -> None:
        """Record ``event`` with public facts: ids, addresses, reasons; never a secret."""
        told = {name: fact[:MAX_FACT_CHARS] if isinstance(fact, str) else fact for name, fact in facts.items()}
        line = {"at": self._clock.now(), "event": event, "id": secrets.token_hex(4), **told}
        logger.info("%s", msgspec.json.encode(line).decode())
