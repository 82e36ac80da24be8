"""How sessions travel now: the setting, until ``propylon mode set`` says otherwise on any node."""

from __future__ import annotations

from propylon.core.mode import ModePlan, read_plan
from propylon.core.session import Mode
from propylon.ports import SettingStore

MODE_SETTING = "mode"


class KnownPlan:
    """What this process knows of the operator's decision; costs nothing while nobody changes it.

    Attributes:
        plan: as it was when it was last read.
        is_stale: a setting has changed since, and it may have been this one.
    """

    def __init__(self, settings: SettingStore, default: Mode) -> None:
        self._settings, self._default = settings, default
        self.plan = ModePlan.steady(default)
        self.is_stale = True
        self._announced = 0

    def announced(self) -> None:
        """Take note that a setting has changed."""
        self._announced += 1
        self.is_stale = True

    async def read(self) -> bool:
        """Read it; return whether it is another one than before. Raises ``StoreUnavailable``."""
        announced, before = self._announced, self.plan
        self.plan = read_plan(await self._settings.read_setting(MODE_SETTING), self._default)
        # Only what was read after the last announcement is known to be the newest.
        self.is_stale = self._announced != announced
        return self.plan != before

    async def newest(self) -> ModePlan:
        """Return the plan as it was when the feed was last heard.

        A store that fails now is asked again, and nobody who signs in meanwhile gets the mode before.
        """
        if self.is_stale:
            await self.read()
        return self.plan
