"""Security events as one JSON object a line, on the logger ``propylon.security``."""

from __future__ import annotations

import json
import logging
import secrets

from propylon.ports import Clock

logger = logging.getLogger("propylon.security")

# Long facts are cut: no fact of ours is longer, and no caller can fill the disk.
MAX_FACT_CHARS = 200


class JsonSecurityLog:
    """Writes events in ASCII alone, all else escaped: one event is one line to every program that reads it.

    Bare JSON leaves in U+0085 and U+2028, which some take for the end of a line, and C1 controls, which a
    terminal obeys.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def record(self, event: str, /, **facts: str | int | None) -> None:
        """Record ``event`` with public facts: ids, addresses, reasons; never a secret."""
        told = {name: fact[:MAX_FACT_CHARS] if isinstance(fact, str) else fact for name, fact in facts.items()}
        line = {"at": self._clock.now(), "event": event, "id": secrets.token_hex(4), **told}
        logger.info("%s", json.dumps(line, separators=(",", ":")))
