"""The mode of new sign-ins: the setting, until ``propylon mode set`` says otherwise on any node."""

from __future__ import annotations

from propylon.core.session import Mode
from propylon.flows.administration import Administration
from propylon.flows.gate import Gate


class ServerMode:
    """Follows the mode through the feed; costs nothing while nobody changes it."""

    def __init__(self, administration: Administration, gate: Gate, default: Mode) -> None:
        self._administration, self._gate, self._mode = administration, gate, default

    async def current(self) -> Mode:
        """Return the mode that a sign-in takes when it names none."""
        self._gate.listen()
        if self._gate.mode_changed:
            self._gate.mode_changed = False
            self._mode = await self._administration.mode()
        return self._mode
