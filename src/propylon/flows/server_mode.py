"""The mode of new sign-ins: the setting, until ``propylon mode set`` says otherwise on any node."""

from __future__ import annotations

from propylon.core.session import Mode
from propylon.flows.administration import Administration
from propylon.flows.gate import Gate


class ServerMode:
    """Follows the mode through the feed; costs nothing while nobody changes it."""

    def __init__(self, administration: Administration, gate: Gate, default: Mode) -> None:
        self._administration, self._gate, self._mode = administration, gate, default
        self._version = -1

    async def current(self) -> Mode:
        """Return the mode that a sign-in takes when it names none."""
        await self._gate.listen()
        version = self._gate.mode_version
        if version != self._version:
            # Noted only once it was read: a store that fails now is asked again, and nobody who comes
            # meanwhile gets the mode before.
            self._mode = await self._administration.mode()
            self._version = version
        return self._mode
