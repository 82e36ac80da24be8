"""What an operator does about the mode, and how far the sessions have come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

import msgspec

from propylon.core.device import Kind
from propylon.core.mode import CLIENTS, Clients, Course, ModePlan, read_plan, spelled
from propylon.core.session import MAX_ACCESS_TTL_S, Mode
from propylon.errors import Conflict
from propylon.flows.moving import FAILURES_SETTING, failures_of
from propylon.flows.server_mode import MODE_SETTING
from propylon.ports import Clock, SecurityLog, Store

Counts = Mapping[tuple[Mode, Kind], int]


class CourseReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of client travels, and how many live sessions are where."""

    mode: str
    previous: str | None
    moved: int
    left: int


class ModeReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How sessions travel now.

    Attributes:
        mode: of new sign-ins.
        previous: the mode before, or None.
        moved: live sessions in that mode.
        left: live sessions in another.
        errors: moves that failed since the last change, on all nodes; a node adds its own within two minutes.
        paused: nobody is asked to move at the moment.
        apps: where clients that are no browsers have a mode of their own; ``mode`` and ``previous`` are the browsers'.
    """

    mode: str
    previous: str | None
    moved: int
    left: int
    errors: int
    paused: bool = False
    apps: CourseReport | None = None


class ModeChange:
    """The operator's decision. Each change is one compare-and-swap: it is made, or it is not."""

    def __init__(self, store: Store, clock: Clock, log: SecurityLog, *, default: Mode) -> None:
        self._store, self._clock, self._log, self._default = store, clock, log, default

    async def report(self) -> ModeReport:
        """Return where the live sessions are."""
        plan, _ = await self._read()
        counts = await self._store.count_by_mode(self._clock.now())
        browsers, apps = (_course_report(plan, counts, clients) for clients in CLIENTS)
        errors = failures_of(await self._store.read_setting(FAILURES_SETTING), plan.change)
        return ModeReport(
            mode=browsers.mode,
            previous=browsers.previous,
            moved=browsers.moved + apps.moved,
            left=browsers.left + apps.left,
            errors=errors,
            paused=plan.paused,
            apps=apps if plan.apps != plan.browsers else None,
        )

    async def turn(self, mode: Mode, clients: Collection[Clients] = CLIENTS) -> ModeReport:
        """Let sign-ins of these clients take ``mode`` from now on, and ask their sessions to move to it.

        Raises:
            Conflict: somebody else has changed it in this moment.
        """
        plan = await self._change(lambda before: before.turned(mode, clients))
        if plan is not None:
            before = next(iter(_course(plan, one).previous for one in clients), None)
            self._log.record("mode_changed", mode=mode, previous=before, clients=" ".join(sorted(clients)))
        return await self.report()

    async def pause(self, *, paused: bool) -> ModeReport:
        """Ask nobody to move for a while, or go on; see ``turn``."""
        if await self._change(lambda before: before.held(paused=paused)) is not None:
            self._log.record("mode_paused" if paused else "mode_resumed")
        return await self.report()

    async def observe(self) -> int:
        """Return how many sessions are to move, and end the change once there were none for long; for upkeep.

        While nothing is changing nobody is counted.
        """
        plan, _ = await self._read()
        if not plan.in_motion:
            return 0
        counts = await self._store.count_by_mode(self._clock.now())
        left = sum(count for (mode, kind), count in counts.items() if mode in plan.course(kind).left)
        now = self._clock.now()
        with suppress(Conflict):  # of many nodes that see the same, one writes it
            await self._change(lambda same: same.seen(left, now, settle_s=MAX_ACCESS_TTL_S) if same == plan else same)
        return left

    async def _change(self, decide: Callable[[ModePlan], ModePlan]) -> ModePlan | None:
        """Keep what ``decide`` makes of the plan and return it; None where it changes nothing."""
        before, kept = await self._read()
        after = decide(before)
        if after == before:
            return None
        if not await self._store.write_setting(MODE_SETTING, spelled(after), expected=kept):
            raise Conflict("mode_changed_meanwhile")
        return after

    async def _read(self) -> tuple[ModePlan, str | None]:
        kept = await self._store.read_setting(MODE_SETTING)
        return read_plan(kept, self._default), kept


def _course(plan: ModePlan, clients: Clients) -> Course:
    return plan.apps if clients == "apps" else plan.browsers


def _course_report(plan: ModePlan, counts: Counts, clients: Clients) -> CourseReport:
    course = _course(plan, clients)
    ours = {mode: 0 for mode, _ in counts}
    for (mode, kind), count in counts.items():
        if plan.course(kind) is course and (kind == "app") == (clients == "apps"):
            ours[mode] += count
    moved = ours.get(course.mode, 0)
    return CourseReport(mode=course.mode, previous=course.previous, moved=moved, left=sum(ours.values()) - moved)
