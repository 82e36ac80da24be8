"""What is asked: a Propylon in this process, on a loop of its own, or a verifier of one elsewhere."""

# ruff: noqa: D102 - ``Side`` says what each method means
from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from propylon.blocking.environ import Asked, Scope
from propylon.blocking.loop import LoopThread
from propylon.core.demand import Demand
from propylon.core.principal import Credential, Principal, SessionData, User
from propylon.errors import PropylonError
from propylon.verifier import Verifier
from propylon.verifier.asgi import token_of

if TYPE_CHECKING:
    from propylon import Propylon
    from propylon.flows.caller import Caller
    from propylon.flows.session_data import AtHome
    from propylon.http.middleware import Guarding

T = TypeVar("T")

# Opening may bring a schema up to date, and closing finishes the writes under way.
OPEN_WITHIN_S = 60.0
CLOSE_WITHIN_S = 10.0


class Side(Protocol):
    """A source that is open."""

    @property
    def home(self) -> AtHome:
        """Where data and users are; raises ``not_at_hand`` where they are not."""

    def identify(self, asked: Asked) -> Principal:
        """Return who sent a request, or refuse."""

    async def identify_async(self, asked: Asked) -> Principal:
        """Do the same on an event loop."""

    def require(self, principal: Principal, demand: Demand) -> None:
        """Refuse a principal who does not meet a demand now."""

    def mode_headers(self, mode: str, scope: Scope) -> list[tuple[str, str]]:
        """Return what tells the client that its session is asked to move to this mode."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` where the source lives, and wait for its answer."""

    async def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the same on an event loop."""

    async def sign_out(self, scope: Scope) -> list[tuple[str, str]]:
        """End the caller's session; return the headers that tell their browser."""

    def close(self) -> None:
        """Let go."""

    def start_over(self) -> None:
        """Forget what belongs to the process that this one was forked from."""


class Inside:
    """A ``Propylon``, opened here, on a loop that is its own."""

    def __init__(self, propylon: Propylon, within_s: float) -> None:
        if propylon.guarding is not None:
            # Its store and its locks belong to that loop; from here they would fail now and then.
            raise RuntimeError("this Propylon is open on another event loop already: make one for each")
        self._propylon, self._within_s = propylon, within_s
        self._thread = LoopThread()
        try:
            self._guarding = self._thread.run(self._open(), OPEN_WITHIN_S)
        except BaseException:
            self._thread.stop()
            raise

    @property
    def home(self) -> AtHome:
        return self._propylon.runtime.home

    def identify(self, asked: Asked) -> Principal:
        gate, transport = self._guarding
        credential = asked.presented(transport)
        principal = gate.recall_anywhere(credential)
        if principal is None:
            principal = self.run(self._verified(credential, transport.caller(asked.scope)))
        return principal

    async def identify_async(self, asked: Asked) -> Principal:
        gate, transport = self._guarding
        credential = asked.presented(transport)
        principal = gate.recall_anywhere(credential)
        if principal is None:
            principal = await self.run_async(self._verified(credential, transport.caller(asked.scope)))
        return principal

    def require(self, principal: Principal, demand: Demand) -> None:
        self._guarding.gate.require(principal, demand)

    def mode_headers(self, mode: str, scope: Scope) -> list[tuple[str, str]]:
        told = self._guarding.transport.mode_headers(scope, mode)
        return [(name.decode(), value.decode()) for name, value in told]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(work, self._within_s)

    async def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        return await self._thread.run_async(work, self._within_s)

    async def sign_out(self, scope: Scope) -> list[tuple[str, str]]:
        return await self._propylon.sign_out(scope)

    def close(self) -> None:
        try:
            self._thread.run(self._propylon.close(), CLOSE_WITHIN_S)
        finally:
            self._thread.stop()

    def start_over(self) -> None:
        self._propylon.start_over()

    async def _open(self) -> Guarding:
        guarding = await self._propylon.ready()
        # Whoever awaits data of a principal does so on another loop than this one.
        guarding.gate.rehome(Afar(self._propylon.runtime.home, self.run_async))
        return guarding

    async def _verified(self, credential: Credential, caller: Caller) -> Principal:
        gate = self._guarding.gate
        await gate.listen()  # also where it is remembered: so that other threads can be told without asking here
        return await gate.authenticate(credential, caller)


class Afar:
    """``core.principal.Home`` for code on another event loop."""

    def __init__(self, home: AtHome, hop: Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]) -> None:
        self._home, self._hop = home, hop

    async def read_data(self, session_id: str) -> SessionData:
        """Return the app's data of this session."""
        data: SessionData = await self._hop(self._home.read_data(session_id))
        return data

    async def update_data(self, session_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> SessionData:
        """Apply ``change`` until nobody was in between, on Propylon's thread: it has to be quick."""
        data: SessionData = await self._hop(self._home.update_data(session_id, change))
        return data

    async def read_user(self, user_id: str) -> User:
        """Return the user."""
        user: User = await self._hop(self._home.read_user(user_id))
        return user


class Elsewhere:
    """A ``Verifier``, which any thread may ask and which knows tokens alone."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        verifier.__enter__()

    @property
    def home(self) -> NoReturn:
        raise PropylonError("not_at_hand")

    def identify(self, asked: Asked) -> Principal:
        return self._verifier.verify(token_of(asked.authorizations))

    async def identify_async(self, asked: Asked) -> Principal:
        return await self._verifier.verify_async(token_of(asked.authorizations))

    def require(self, principal: Principal, demand: Demand) -> None:
        self._verifier.require(principal, demand)

    def mode_headers(self, mode: str, scope: Scope) -> list[tuple[str, str]]:  # noqa: ARG002 - likewise
        return []  # no verifier knows of modes; the client hears of it when it renews

    def run(self, work: Coroutine[Any, Any, T]) -> NoReturn:
        work.close()
        raise PropylonError("not_at_hand")

    async def run_async(self, work: Coroutine[Any, Any, T]) -> NoReturn:
        self.run(work)

    async def sign_out(self, scope: Scope) -> NoReturn:  # noqa: ARG002 - ``Side`` has it
        raise PropylonError("not_at_hand")

    def close(self) -> None:
        self._verifier.close()

    def start_over(self) -> None:
        """It does so by itself."""
