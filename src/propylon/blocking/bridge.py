"""The bridge: one ``Propylon`` or ``Verifier``, asked from any thread."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self, TypeVar

from propylon.blocking.environ import Asked, Environ, Scope
from propylon.blocking.sides import Elsewhere, Inside, Side
from propylon.core.demand import SIGNED_IN, Demand
from propylon.core.principal import Principal, SessionData, User
from propylon.errors import Conflict, CredentialRefused, PropylonError, SetupError, Unavailable
from propylon.problems import Answer, status_of
from propylon.verifier import Verifier

if TYPE_CHECKING:
    from propylon import Propylon
    from propylon.blocking.mount import Mount

T = TypeVar("T")

logger = logging.getLogger("propylon")

# Whoever waits for longer is told to come back: a thread of a WSGI server is not to be held for ever.
WITHIN_S = 10.0
# As often as an awaiting caller tries (``flows.session_data``).
MAX_ATTEMPTS = 64


class Blocking:
    """Answers threads. It opens what it was given at the first question, after a server has forked its workers.

    Args:
        source: a ``Propylon`` that nobody else opens, or a ``Verifier``.
        within_s: how long a caller waits for an answer before it is refused with ``Unavailable``.

    Example:
        ::

            blocking = Blocking(Propylon.from_env())
            principal = blocking.asking(environ).principal()
    """

    def __init__(self, source: Propylon | Verifier, *, within_s: float = WITHIN_S) -> None:
        self.source = source
        self._within_s = within_s
        self._starting = threading.Lock()
        self._side: Side | None = None
        _after_fork(self)

    def start(self) -> Self:
        """Open; again and again is harmless.

        Raises:
            SetupError: one sentence that says what to change.
            Unavailable: the store did not answer in time.
        """
        self.side()
        return self

    def close(self) -> None:
        """Finish what is under way and let go. The process does it at its end; the next question opens anew."""
        with self._starting:
            side, self._side = self._side, None
            if side is not None:
                side.close()

    def __enter__(self) -> Self:
        """Open."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def asking(self, environ: Environ, *, path: str | None = None) -> Asking:
        """Return the question "who is calling?" of one request.

        Args:
            environ: of WSGI, or what a framework has made alike.
            path: the whole path as text, where ``environ`` does not hold it as WSGI would.
        """
        return Asking(self, environ, path)

    def asking_in(self, scope: Scope) -> Asking:
        """Return the question of a request of which an ASGI server tells: its headers are as they were sent."""
        return Asking(self, {}, None, scope)

    def reply(self, error: PropylonError, scope: Scope, *, pages: str | None = None) -> Answer:
        """Return the whole answer to a request that is refused: problem+json, or the way to one of ``pages``."""
        if status_of(error) == 500:
            logger.error("an error that no caller can be told about", exc_info=error)
        return self.source.reply(error, scope, pages=pages)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run anything of a ``Propylon`` that is to be awaited: ``blocking.run(propylon.revoke(user_id=...))``.

        Raises:
            PropylonError: ``not_at_hand`` of a ``Verifier``, which has no loop.
        """
        return self.side().run(work)

    def data(self, principal: Principal) -> SessionData:
        """Return the app's data of this session."""
        side = self.side()
        return side.run(side.home.read_data(principal.session_id))

    def update_data(self, principal: Principal, change: Callable[[dict[str, Any]], dict[str, Any]]) -> SessionData:
        """Replace the app's data by ``change(data)``, losing no concurrent write; see ``Principal.update_data``.

        ``change`` runs on the caller's thread, where its database connections and request are.
        """
        side = self.side()
        for _ in range(MAX_ATTEMPTS):
            data = side.run(side.home.read_data(principal.session_id))
            try:
                return side.run(side.home.replace_data(principal.session_id, change(data.value), data.version))
            except Conflict:
                continue
        raise Conflict("data_changed")

    def user(self, principal: Principal) -> User:
        """Return the user: name, e-mail and roles as they are now."""
        side = self.side()
        return side.run(side.home.read_user(principal.user_id))

    def mount(self) -> Mount:
        """Return Propylon's HTTP contract and pages as a WSGI app, to be mounted where its public URL says.

        Raises:
            PropylonError: ``not_at_hand`` of a ``Verifier``.
        """
        from propylon.blocking.mount import Mount  # noqa: PLC0415 - a service that only verifies has no server

        if isinstance(self.source, Verifier):
            raise PropylonError("not_at_hand")
        return Mount(self, self.source)

    def pages(self, *, mount: bool) -> str | None:
        """Return where people are led to: where the pages are mounted, or to the public URL; None by a verifier.

        Raises:
            SetupError: they are to be mounted and the public URL names no path.
        """
        if isinstance(self.source, Verifier):
            return None
        config = self.source.config
        if mount and not config.prefix:
            raise SetupError("adapter_mount", url=config.public_url)
        return config.prefix if mount else config.public_url

    def side(self) -> Side:
        """Return the open source."""
        return self._side or self._started()

    def start_over(self) -> None:
        """Begin anew in a forked process, which has no thread, and locks in whatever state they were."""
        self._starting = threading.Lock()
        side, self._side = self._side, None
        if side is not None:
            side.start_over()

    def _started(self) -> Side:
        if not self._starting.acquire(timeout=self._within_s):
            raise Unavailable  # somebody else has been trying for so long
        try:
            if self._side is None:
                source = self.source
                self._side = Elsewhere(source) if isinstance(source, Verifier) else Inside(source, self._within_s)
                _at_exit(self)
            return self._side
        finally:
            self._starting.release()


class Asking(Asked):
    """The question of one request, for code that awaits and code that does not. Until it is asked it costs nothing.

    Attributes:
        was_asked: the answer to the request depends on who is calling, so it is nobody else's.
    """

    __slots__ = ("_blocking", "_principal", "was_asked")

    def __init__(self, blocking: Blocking, environ: Environ, path: str | None, scope: Scope | None = None) -> None:
        self._environ, self._path, self._scope = environ, path, scope
        self._blocking = blocking
        self._principal: Principal | None = None
        self.was_asked = False

    @property
    def told(self) -> list[tuple[str, str]]:
        """The headers to add to the answer, once it is known who is calling."""
        who = self._principal
        if who is None or who.moves_to is None:
            return []  # nearly always
        return self._blocking.side().mode_headers(who.moves_to, self.scope)

    def principal(self) -> Principal:
        """Return the principal.

        Raises:
            CredentialRefused: nobody is signed in (``credential_missing``), or the credential is refused.
            Forbidden: ``cross_site_refused``: a cookie came with an unsafe request from another site.
            Unavailable: nobody can say at the moment.
        """
        if self._principal is None:
            self.was_asked = True
            self._principal = self._blocking.side().identify(self)
        return self._principal

    def principal_or_none(self) -> Principal | None:
        """Return the principal, or None for a visitor who presents nothing; a bad credential is refused."""
        try:
            return self.principal()
        except CredentialRefused as refusal:
            if refusal.code != "credential_missing":
                raise
            return None

    def require(self, demand: Demand) -> Principal:
        """Return the principal where it meets a demand; raises as ``principal`` and ``Demand.check`` do."""
        principal = self._principal or self.principal()
        if demand is not SIGNED_IN:
            self._blocking.side().require(principal, demand)
        return principal

    def sign_out(self) -> list[tuple[str, str]]:
        """End the caller's session, in every mode and everywhere; return the headers that tell their browser.

        Raises:
            PropylonError: ``not_at_hand`` of a ``Verifier``: sessions are ended where they were begun.
        """
        side = self._blocking.side()
        return side.run(side.sign_out(self.scope))

    async def principal_async(self) -> Principal:
        """Do as ``principal`` does; where it would wait, the caller's event loop turns."""
        if self._principal is None:
            self.was_asked = True
            self._principal = await self._blocking.side().identify_async(self)
        return self._principal

    async def principal_or_none_async(self) -> Principal | None:
        """Do as ``principal_or_none`` does."""
        try:
            return await self.principal_async()
        except CredentialRefused as refusal:
            if refusal.code != "credential_missing":
                raise
            return None

    async def require_async(self, demand: Demand) -> Principal:
        """Do as ``require`` does."""
        principal = await self.principal_async()
        if demand is not SIGNED_IN:
            self._blocking.side().require(principal, demand)
        return principal

    async def sign_out_async(self) -> list[tuple[str, str]]:
        """Do as ``sign_out`` does."""
        side = self._blocking.side()
        return await side.run_async(side.sign_out(self.scope))


def _after_fork(blocking: Blocking) -> None:
    alive = weakref.ref(blocking)

    def start_over() -> None:
        if (held := alive()) is not None:
            held.start_over()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=start_over)


def _at_exit(blocking: Blocking) -> None:
    alive = weakref.ref(blocking)

    def close() -> None:
        held = alive()
        if held is not None:
            try:
                held.close()
            except Exception:
                logger.exception("closing failed")

    # Before the pools of threads are shut down, on which closing depends; ``atexit`` comes after that.
    register = getattr(threading, "_register_atexit", atexit.register)
    register(close)
