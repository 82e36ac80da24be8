"""The page of administrators: how sessions travel, how far they have come, and the forms that change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from propylon.core.mode import CLIENTS, Clients
from propylon.core.principal import Principal, User
from propylon.core.session import MODES, Mode
from propylon.errors import Conflict, CredentialRefused, RuleRefused
from propylon.flows.mode_change import ModeView
from propylon.http import bodies
from propylon.http.context import root_of
from propylon.http.mode_api import CHANGING, FRESH_S, LOOKING, require_administrator
from propylon.http.page_room import PageRoom, status_of_page
from propylon.web.pages import ConsolePage, CourseView

Whose = Literal["all", "browsers", "apps"]


class Wish(NamedTuple):
    """What a form asks for, or a return from the confirmation keeps in mind."""

    mode: Mode | None = None
    whose: Whose = "all"

    @property
    def clients(self) -> tuple[Clients, ...]:
        """Whose mode is meant."""
        return CLIENTS if self.whose == "all" else (self.whose,)


class ConsoleRoutes(PageRoom):
    """``/console``."""

    async def console_page(self, request: Request) -> Response:
        """Show how sessions travel; who is not signed in signs in and comes back, others are refused."""
        try:
            principal = await self._principal(request)
        except CredentialRefused as refusal:
            return await self._sign_in_instead(request, refusal, f"{root_of(request)}/console")
        user = await require_administrator(self._services, principal, LOOKING)
        return await self._show(request, principal, user, _remembered(request.query_params))

    async def change_mode(self, request: Request) -> Response:
        """Turn to another mode, which may be the one before."""
        principal, user, fields = await self._asked(request)
        try:
            wish = _wish(fields)
        except RuleRefused as error:
            return await self._show(request, principal, user, _remembered(fields), error)
        return await self._decided(request, principal, user, wish)

    async def pause(self, request: Request) -> Response:
        """Ask nobody to move for a while, or go on."""
        principal, user, fields = await self._asked(request)
        return await self._decided(request, principal, user, Wish(), paused=fields.get("paused") == "yes")

    async def _asked(self, request: Request) -> tuple[Principal, User, Mapping[str, str]]:
        principal = await self._principal(request)
        user = await require_administrator(self._services, principal, LOOKING)
        return principal, user, await bodies.form(request)

    async def _decided(
        self, request: Request, principal: Principal, user: User, wish: Wish, *, paused: bool | None = None
    ) -> Response:
        try:
            self._services.gate.require(principal, CHANGING)
            decided = await self._services.mode_change.decide(
                mode=wish.mode, clients=wish.clients, paused=paused, by=principal
            )
        except CredentialRefused:
            # Back from there the choice is made again, and the button is still to be pressed: a GET changes nothing.
            kept = f"&mode={wish.mode}&for={wish.whose}" if wish.mode is not None else ""
            target = f"{root_of(request)}/console?notice=confirmed{kept}"
            return self._redirect(request, f"/confirm?next={quote(target, safe='/')}")
        except Conflict as error:
            return await self._show(request, principal, user, wish, error)
        held = "mode_paused" if paused else "mode_resumed"
        notice = "mode_changed" if decided.turned else held if decided.held else "mode_same"
        return self._redirect(request, f"/console?notice={notice}")

    async def _show(
        self,
        request: Request,
        principal: Principal,
        user: User,
        wish: Wish,
        error: RuleRefused | Conflict | None = None,
    ) -> Response:
        services = self._services
        view, now = await services.mode_change.view(), services.clock.now()
        problem, errors = self._told(request, error) if error is not None else (None, {})
        page = ConsolePage(
            courses=tuple(_course(view, clients) for clients in CLIENTS),
            paused=view.plan.paused,
            failures=view.errors,
            version=f"{view.plan.change}.{int(view.plan.paused)}.{int(view.plan.in_motion)}",
            counted_at=view.census.at,
            now=now,
            chosen_mode=wish.mode,
            chosen_for=wish.whose,
            to_confirm=now - principal.auth_time > FRESH_S,
            problem=problem,
            errors=errors,
        )
        frame = self._frame_of(request, signed_in_as=user.email, path="/console", console=True)
        return self._html(frame, services.pages.console(frame, page), status_of_page(error), error, connects=True)


def _wish(fields: Mapping[str, str]) -> Wish:
    """Return what the form asks for, or raise ``fields_refused``: nothing is guessed that turns a whole service."""
    wish = _remembered(fields)
    if wish.mode is None:
        raise RuleRefused(errors=(("mode", "mode_unknown" if fields.get("mode") else "required", {}),))
    if fields.get("for") != wish.whose:
        raise RuleRefused(errors=(("for", "clients_unknown" if fields.get("for") else "required", {}),))
    return wish


def _remembered(fields: Mapping[str, str]) -> Wish:
    """Return as much of a wish as makes sense."""
    mode = next((one for one in MODES if one == fields.get("mode")), None)
    whose: Whose = next((one for one in get_args(Whose) if one == fields.get("for")), "all")
    return Wish(mode, whose)


def _course(view: ModeView, clients: Clients) -> CourseView:
    seen = view.progress(clients)
    return CourseView(
        clients=clients,
        mode=seen.mode,
        previous=seen.previous,
        moving=bool(view.course(clients).left),
        moved=seen.moved,
        waiting=seen.waiting,
        others=seen.others,
    )
