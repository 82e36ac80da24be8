"""What an operator does about the mode, and how far the sessions have come."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import msgspec

from propylon.core.mode import CLIENTS, Clients, Course, ModePlan, read_plan, spelled
from propylon.core.principal import Principal
from propylon.core.session import MAX_ACCESS_TTL_S, Mode
from propylon.errors import Conflict
from propylon.flows.census import Census, Counting
from propylon.flows.moving import FAILURES_SETTING, failures_of
from propylon.flows.server_mode import MODE_SETTING
from propylon.ports import Clock, SecurityLog, Store


class CourseReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of client travels, and how far it has come; see ``ModeReport``."""

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
        left: live sessions that are to move there; those whose client named another mode at sign-in stay as they are.
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


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one kind of client has come.

    Attributes:
        moved: live sessions in ``mode``.
        waiting: those that are to move.
        others: those that were opened in another mode because their client named it; they stay as they are.
    """

    mode: Mode
    previous: Mode | None
    moved: int
    waiting: int
    others: int


class Decided(msgspec.Struct, frozen=True):
    """What a decision has changed, and what counts since."""

    turned: bool
    held: bool
    plan: ModePlan


class ModeView(msgspec.Struct, frozen=True):
    """What the operator has decided, and what was counted a moment ago.

    Attributes:
        plan: as it is now.
        census: as it was at ``census.at``.
        errors: as in ``ModeReport``.
    """

    plan: ModePlan
    census: Census
    errors: int

    def course(self, clients: Clients) -> Course:
        """Return how these clients travel."""
        return _course(self.plan, clients)

    def after(self, decided: Decided) -> ModeView:
        """Return it as a decision has left it, without another question to the store, which might fail."""
        return ModeView(decided.plan, self.census, 0 if decided.turned else self.errors)

    def progress(self, clients: Clients) -> Progress:
        """Return how far they have come."""
        course, sessions = self.course(clients), self._sessions(clients)
        moved = sessions.get(course.mode, 0)
        waiting = sum(sessions.get(mode, 0) for mode in course.left)
        others = sum(sessions.values()) - moved - waiting
        return Progress(mode=course.mode, previous=course.previous, moved=moved, waiting=waiting, others=others)

    def report(self) -> ModeReport:
        """Return it in numbers."""
        browsers, apps = (self._report_of(clients) for clients in CLIENTS)
        return ModeReport(
            mode=browsers.mode,
            previous=browsers.previous,
            moved=browsers.moved + apps.moved,
            left=browsers.left + apps.left,
            errors=self.errors,
            paused=self.plan.paused,
            apps=apps if self.plan.apps != self.plan.browsers else None,
        )

    def _report_of(self, clients: Clients) -> CourseReport:
        seen = self.progress(clients)
        return CourseReport(mode=seen.mode, previous=seen.previous, moved=seen.moved, left=seen.waiting)

    def _sessions(self, clients: Clients) -> dict[Mode, int]:
        found: dict[Mode, int] = {}
        for (mode, kind), count in self.census.counts.items():
            if (kind == "app") == (clients == "apps"):
                found[mode] = found.get(mode, 0) + count
        return found


class ModeChange:
    """The operator's decision. Each change is one compare-and-swap: it is made, or it is not."""

    def __init__(self, store: Store, clock: Clock, log: SecurityLog, *, default: Mode) -> None:
        self._store, self._clock, self._log, self._default = store, clock, log, default
        self._counting = Counting(store, clock)

    async def report(self) -> ModeReport:
        """Return where the live sessions are, counted now."""
        return (await self._view(await self._counting.now())).report()

    async def view(self) -> ModeView:
        """Return what is decided, and a count that may be some seconds old: for whoever asks again and again."""
        return await self._view(await self._counting.lately())

    async def turn(self, mode: Mode, clients: Collection[Clients] = CLIENTS) -> ModeReport:
        """Let sign-ins of these clients take ``mode`` from now on, and ask their sessions to move to it.

        Raises:
            Conflict: somebody else has changed it in this moment.
        """
        await self.decide(mode=mode, clients=clients)
        return await self.report()

    async def pause(self, *, paused: bool) -> ModeReport:
        """Ask nobody to move for a while, or go on; see ``turn``."""
        await self.decide(paused=paused)
        return await self.report()

    async def decide(
        self,
        *,
        mode: Mode | None = None,
        clients: Collection[Clients] = CLIENTS,
        paused: bool | None = None,
        by: Principal | None = None,
    ) -> Decided:
        """Turn to ``mode``, and pause or go on, in one step; what is None stays. Nobody is counted.

        Args:
            mode: of these clients from now on.
            clients: whose mode it is; a pause is everybody's.
            paused: whether nobody is asked to move. A change of mode ends a pause, unless it says otherwise.
            by: who decides, for the security log; None for whoever is at the command line.

        Raises:
            Conflict: somebody else has changed it in this moment.
        """
        before, kept = await self._read()
        turned = before if mode is None else before.turned(mode, clients)
        after = turned if paused is None else turned.held(paused=paused)
        await self._keep(before, after, kept)
        decided = Decided(turned != before, after != turned, after)
        user, session = (None, None) if by is None else (by.user_id, by.session_id)
        if decided.turned:
            # Not who was in that mode already.
            whose = [one for one in sorted(clients) if _course(after, one) != _course(before, one)]
            named, previous = " ".join(whose), _course(after, whose[0]).previous
            self._log.record("mode_changed", mode=mode, previous=previous, clients=named, user=user, session=session)
        if decided.held:
            self._log.record("mode_paused" if paused else "mode_resumed", user=user, session=session)
        return decided

    async def observe(self) -> int:
        """Return how many sessions are to move, and end the change once there were none for long; for upkeep.

        While nothing is changing nobody is counted.
        """
        plan, kept = await self._read()
        if not plan.in_motion:
            return 0
        counts = (await self._counting.now()).counts
        left = sum(count for (mode, kind), count in counts.items() if mode in plan.course(kind).left)
        with suppress(Conflict):  # of many nodes that see the same, one writes it
            await self._keep(plan, plan.seen(left, self._clock.now(), settle_s=MAX_ACCESS_TTL_S), kept)
        return left

    async def _keep(self, before: ModePlan, after: ModePlan, kept: str | None) -> None:
        if after == before:
            return
        if not await self._store.write_setting(MODE_SETTING, spelled(after), expected=kept):
            raise Conflict("mode_changed_meanwhile")

    async def _view(self, census: Census) -> ModeView:
        plan, _ = await self._read()
        errors = failures_of(await self._store.read_setting(FAILURES_SETTING), plan.change)
        return ModeView(plan, census, errors)

    async def _read(self) -> tuple[ModePlan, str | None]:
        kept = await self._store.read_setting(MODE_SETTING)
        return read_plan(kept, self._default), kept


def _course(plan: ModePlan, clients: Clients) -> Course:
    return plan.apps if clients == "apps" else plan.browsers
