"""Every page of Propylon: frozen values in, HTML text out.

The pages know neither requests nor stores. They hold to a strict content security policy: no inline script,
no inline style, no event handler; the one style sheet and the one script carry the request's nonce. All of
them work without the script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from propylon import language as languages
from propylon.web import reference
from propylon.web.assets import ASSETS

FieldErrors = Mapping[str, Sequence[str]]
"""Field name to sentences, already in the reader's language."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page needs, whatever it shows.

    Attributes:
        language: one of ``propylon.language.LANGUAGES``.
        nonce: of this answer's content security policy.
        root: mount prefix of every link and form action: ``""`` or as in ``"/auth"``.
        path: path of this page below ``root``, where the language switch returns to (``"/login"``).
        signed_in_as: e-mail of the caller, or None.
        notice: suffix of a ``page.notice.*`` key to show once, or None.
        console: the caller may open ``/console``, so pages lead there.
    """

    language: str
    nonce: str
    root: str
    path: str
    signed_in_as: str | None
    notice: str | None = None
    console: bool = False


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as people see it; times in epoch seconds.

    Attributes:
        mode: ``cookie``, ``bearer`` or ``hybrid``.
        kind: ``desktop``, ``mobile`` or ``app``.
        browser: such as ``Firefox 140``; empty when unknown.
        os: such as ``macOS``; empty when unknown.
        place: such as ``Seoul, KR``, or None.
    """

    id: str
    current: bool
    mode: str
    browser: str
    os: str
    kind: str
    place: str | None
    ip: str
    created_at: int
    last_seen_at: int
    expires_at: int
    sign_in_method: str


@dataclass(frozen=True, slots=True)
class UserView:
    """An account as its owner sees it; ``created_at`` in epoch seconds."""

    email: str
    name: str
    roles: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class StartPage:
    """The page at ``/``."""

    sign_up_open: bool = True


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The page at ``/login``; passwords are never refilled.

    Attributes:
        next: where to go afterwards (already checked), or empty.
        problem: sentence at the top, in the reader's language.
        chooser: sessions of which one has to end first (limit reached, policy ``refuse_newest``).
        now: epoch seconds, for the times in the chooser.
    """

    email: str = ""
    remember: bool = False
    next: str = ""
    problem: str | None = None
    errors: FieldErrors = field(default_factory=dict)
    chooser: tuple[SessionRow, ...] = ()
    sign_up_open: bool = True
    now: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """The page at ``/confirm``.

    Attributes:
        email: of whoever is signed in, for password managers and for people with two accounts.
        next: where to go afterwards (already checked), or empty.
        problem: sentence at the top, in the reader's language.
    """

    email: str
    next: str = ""
    problem: str | None = None
    errors: FieldErrors = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignUpPage:
    """The page at ``/signup``; without the form when sign-up is not ``open``."""

    name: str = ""
    email: str = ""
    problem: str | None = None
    errors: FieldErrors = field(default_factory=dict)
    open: bool = True


@dataclass(frozen=True, slots=True)
class AccountPage:
    """The page at ``/account``.

    Attributes:
        now: epoch seconds, for "3 minutes ago".
        name: what was typed into the profile form when it was refused; None shows ``user.name``.
        profile_problem: sentence above the profile form.
        password_problem: sentence above the password form.
    """

    user: UserView
    sessions: tuple[SessionRow, ...]
    now: int
    name: str | None = None
    profile_problem: str | None = None
    profile_errors: FieldErrors = field(default_factory=dict)
    password_problem: str | None = None
    password_errors: FieldErrors = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CourseView:
    """How one kind of client travels.

    Attributes:
        clients: ``browsers`` or ``apps``.
        mode: of new sign-ins.
        moving: there is a change that is not over.
        moved: live sessions in ``mode``.
        waiting: those that are to move.
        others: those in a mode that their client named.
    """

    clients: str
    mode: str
    previous: str | None
    moving: bool
    moved: int
    waiting: int
    others: int


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """The page at ``/console``.

    Attributes:
        failures: moves that failed since the last change.
        version: of the decision that is shown. The script loads the page again where there is another one.
        counted_at: when the sessions were counted, epoch seconds.
        now: epoch seconds, for "1 minute ago".
        chosen_mode: ticked in the form, or None.
        chosen_for: ``all``, ``browsers`` or ``apps``.
        to_confirm: the password will be asked for first.
        problem: sentence above the form.
    """

    courses: tuple[CourseView, ...]
    paused: bool
    failures: int
    version: str
    counted_at: int
    now: int
    chosen_mode: str | None = None
    chosen_for: str = "all"
    to_confirm: bool = False
    problem: str | None = None
    errors: FieldErrors = field(default_factory=dict)

    @property
    def ways_back(self) -> tuple[tuple[str, str], ...]:
        """Who can be turned round, and to which mode: ``all`` at once where both kinds go the same way."""
        moving = [one for one in self.courses if one.moving and one.previous is not None]
        if len(moving) > 1 and len({(one.mode, one.previous) for one in moving}) == 1:
            return (("all", str(moving[0].previous)),)
        return tuple((one.clients, str(one.previous)) for one in moving)


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """Any refusal, for people; ``title`` and ``detail`` in their language.

    Attributes:
        sign_in: offer to sign in as the way on (else the way back to the start page).
    """

    status: int
    code: str
    title: str
    detail: str
    sign_in: bool = False


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One line of the table of problem codes; its texts come from the catalogue."""

    code: str
    status: int


class Pages:
    """All pages, compiled once.

    Args:
        site_name: name of the service that people sign in to; shown as plain text.
    """

    def __init__(self, *, site_name: str) -> None:
        self._templates = _templates(site_name)

    def start(self, frame: Frame, page: StartPage) -> str:
        """Return ``/``: what this is and where to go."""
        return self._render("start.html.j2", frame, page=page)

    def sign_in(self, frame: Frame, page: SignInPage) -> str:
        """Return ``/login``."""
        return self._render("sign_in.html.j2", frame, page=page)

    def confirm(self, frame: Frame, page: ConfirmPage) -> str:
        """Return ``/confirm``: the password again."""
        return self._render("confirm.html.j2", frame, page=page)

    def sign_up(self, frame: Frame, page: SignUpPage) -> str:
        """Return ``/signup``."""
        return self._render("sign_up.html.j2", frame, page=page)

    def account(self, frame: Frame, page: AccountPage) -> str:
        """Return ``/account``: profile, devices, security."""
        return self._render("account.html.j2", frame, page=page, sessions=_in_order(page.sessions))

    def console(self, frame: Frame, page: ConsolePage) -> str:
        """Return ``/console``: how sessions travel, for administrators."""
        return self._render("console.html.j2", frame, page=page)

    def problem(self, frame: Frame, page: ProblemPage) -> str:
        """Return the page of any refusal."""
        return self._render("problem.html.j2", frame, page=page)

    def reference(self, frame: Frame, openapi: Mapping[str, Any], problems: Sequence[ProblemRow]) -> str:
        """Return ``/docs``: an OpenAPI 3.1 document and the problem codes, readable without a script."""
        groups = reference.groups(openapi)
        return self._render("reference.html.j2", frame, openapi=openapi, groups=groups, problems=problems)

    def _render(self, name: str, frame: Frame, **values: object) -> str:
        return self._templates[name].render(frame=frame, **_voice(frame.language), **values)


@lru_cache(maxsize=8)
def _templates(site_name: str) -> dict[str, Template]:
    """Compile all templates: once, however many services one process has, since it takes a tenth of a second."""
    environment = Environment(
        loader=PackageLoader("propylon.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(site_name=site_name, assets=ASSETS)
    return {name: environment.get_template(name) for name in environment.list_templates()}


def _voice(language: str) -> dict[str, Any]:
    """Return the functions by which a template speaks ``language``."""
    return {
        "say": partial(languages.say, language),
        "template": partial(languages.template, language),
        "moment": partial(languages.moment, language),
        "date": partial(languages.date, language),
        "ago": partial(languages.ago, language),
        "ahead": partial(languages.ahead, language),
        "iso": _iso,
        "device": partial(_device, language),
        "field_name": partial(_field_name, language),
    }


def _iso(at: int) -> str:
    """Return a time (epoch seconds) as RFC 3339 writes it, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _device(language: str, row: SessionRow) -> str:
    """Return what to call a device, from as much as is known of it."""
    if row.browser and row.os:
        return languages.say(language, "device.title", browser=row.browser, os=row.os)
    return row.browser or row.os or languages.say(language, "device.unknown")


def _field_name(language: str, name: str) -> str:
    """Return the label of a field, or the bare name of one that no form shows: its error has to be seen."""
    key = f"page.field.{name}"
    return languages.say(language, key) if key in languages.catalogue(language) else name


def _in_order(sessions: Sequence[SessionRow]) -> tuple[SessionRow, ...]:
    """Return this device first, then the others by their last sign of life."""
    return tuple(sorted(sessions, key=lambda row: (not row.current, -row.last_seen_at)))
