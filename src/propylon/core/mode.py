"""How sessions travel on this set-up, and which of them are asked to travel another way.

The operator's decision is one value, changed by one compare-and-swap: whoever is killed in the middle of a change has
made all of it or none. It is kept as JSON in one setting that every node follows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from propylon.core.device import Kind
from propylon.core.session import MODES, Mode, Session

Clients = Literal["browsers", "apps"]
CLIENTS: tuple[Clients, ...] = ("browsers", "apps")


class Course(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one kind of client travels.

    Attributes:
        mode: of a sign-in that names none.
        previous: the mode before, until then.
        left: the modes that the server has had and has no more: sessions in them are asked to move. Others were
            opened by clients that named their mode, and go on as they wish.
    """

    mode: Mode
    previous: Mode | None = None
    left: tuple[Mode, ...] = ()

    def turned(self, mode: Mode) -> Course:
        """Return the course after a change to ``mode``; turning round is the same as setting out."""
        if mode == self.mode:
            return self
        left = tuple(one for one in MODES if one != mode and (one == self.mode or one in self.left))
        return Course(mode, self.mode, left)


class ModePlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the operator has decided.

    Attributes:
        browsers: the course of sessions whose device is a browser.
        apps: the course of all other sessions.
        paused: nobody is asked to move at the moment, and nobody does.
        change: how many changes there were; what was counted for one is not counted for the next.
        empty_since: since when no session was seen that is to move, epoch seconds; None while there are some.
    """

    browsers: Course
    apps: Course
    paused: bool = False
    change: int = 0
    empty_since: int | None = None

    @classmethod
    def steady(cls, mode: Mode) -> ModePlan:
        """Return the plan of a set-up that was never changed."""
        return cls(Course(mode), Course(mode))

    @property
    def in_motion(self) -> bool:
        """Whether sessions are to move, or were until so lately that tokens from before may live."""
        return bool(self.browsers.left or self.apps.left)

    def course(self, kind: Kind) -> Course:
        """Return the course of a kind of device."""
        return self.apps if kind == "app" else self.browsers

    def target(self, session: Session) -> Mode | None:
        """Return the mode that a session is asked to move to, or None."""
        course = self.course(session.device.kind)
        return course.mode if session.mode in course.left and not self.paused else None

    def turned(self, mode: Mode, clients: Collection[Clients] = CLIENTS) -> ModePlan:
        """Return the plan after a change to ``mode``, which also ends a pause; the same plan if nothing changes."""
        browsers = self.browsers.turned(mode) if "browsers" in clients else self.browsers
        apps = self.apps.turned(mode) if "apps" in clients else self.apps
        if (browsers, apps) == (self.browsers, self.apps):
            return self
        return ModePlan(browsers, apps, change=self.change + 1)

    def held(self, *, paused: bool) -> ModePlan:
        """Return the plan, paused or going on."""
        return msgspec.structs.replace(self, paused=paused)

    def seen(self, left: int, now: int, *, settle_s: int) -> ModePlan:
        """Return the plan after ``left`` sessions were seen that are to move; it ends once there were none for long.

        Until then tokens of sessions that have moved may live, and are looked up.
        """
        if not self.in_motion:
            return self
        if left:
            return msgspec.structs.replace(self, empty_since=None)
        if self.empty_since is None:
            return msgspec.structs.replace(self, empty_since=now)
        if now - self.empty_since < settle_s:
            return self
        return ModePlan(
            Course(self.browsers.mode, self.browsers.previous),
            Course(self.apps.mode, self.apps.previous),
            change=self.change,
        )


def read_plan(kept: str | None, default: Mode) -> ModePlan:
    """Return the plan that is kept; without one the setting counts, for everybody."""
    if kept is None:
        return ModePlan.steady(default)
    try:
        return msgspec.json.decode(kept, type=ModePlan)
    except msgspec.DecodeError:
        # Of another version, or of other hands: nobody is kept from signing in for that.
        return ModePlan.steady(next((mode for mode in MODES if mode == kept), default))


def spelled(plan: ModePlan) -> str:
    """Return the plan as it is kept."""
    return msgspec.json.encode(plan).decode()
