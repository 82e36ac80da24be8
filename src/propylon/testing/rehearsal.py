"""An app's own Propylon, taken over by a test: in memory, at a standing clock, its security log at hand.

Nothing is mocked. The test is a second node on the same store with the same key: it opens real sessions and ends
them, and the app's gate decides about every request as it always does.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Protocol, Self

from propylon.app import Propylon
from propylon.core.email import canonical
from propylon.core.password import UNSAFE_CHEAPEST, Hasher, PasswordPolicy, prepared
from propylon.core.principal import User
from propylon.core.secret import KeyRing
from propylon.core.session import Mode
from propylon.errors import PropylonError
from propylon.flows.account import Accounts, NewAccount
from propylon.flows.caller import Caller
from propylon.flows.opening import Opener
from propylon.flows.sign_in import SignIn, SignInRequest
from propylon.outside.user_agent import describe
from propylon.runtime import Runtime
from propylon.testing.client_hosts import AtHome
from propylon.testing.clock import FakeClock
from propylon.testing.security_events import SecurityEvents
from propylon.testing.session_holder import SessionHolder
from propylon.testing.shared_memory import SharedMemory, done

#: The password of every account that a rehearsal makes.
PASSWORD = "rehearsed battery staple"  # noqa: S105 - it opens nothing

CLOSE_WITHIN_S = 30.0


class Bridge(Protocol):
    """What holds a ``Propylon`` for code that does not await, and opens it at the first question."""

    @property
    def source(self) -> Any:
        """What it holds."""

    def close(self) -> None:
        """Close what it holds; the next question opens it anew."""


class Rehearsal:
    """Takes a ``Propylon`` over for the length of a ``with``: empty, in memory, with nothing of it on a disk.

    Under pytest the fixture ``propylon_users`` is one. Elsewhere::

        with Rehearsal(propylon) as users:
            client = TestClient(app, headers=users.sign_in(roles=["admin"]).headers())

    The app opens Propylon as it always does, and must not have done so yet. In a coroutine write ``async with``.

    Args:
        propylon: the app's own, or the ``Blocking`` that holds it.
        clock: what time it is; without one, now, standing still.

    Attributes:
        clock: moves by ``clock.advance(seconds)``.
        events: what the security log was told.

    Raises:
        SetupError: it is open, its public URL is not of this machine, or its store is PostgreSQL or Redis.
    """

    def __init__(self, propylon: Propylon | Bridge, *, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(int(time.time()))
        self.events = SecurityEvents()
        self._bridge = None if isinstance(propylon, Propylon) else propylon
        self._propylon: Propylon = propylon if isinstance(propylon, Propylon) else propylon.source
        self._memory = SharedMemory()
        self._numbers = itertools.count(1)
        self._take_back: Callable[[], None] | None = None
        self._node: _Node | None = None

    def __enter__(self) -> Self:
        """Take over."""
        if self._bridge is not None:
            self._bridge.close()  # an earlier test has left it open
        elif self._propylon.loop is not None and not self._propylon.loop.is_running():
            _close(self._propylon)  # likewise, on a loop that will not turn again
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, wherever it is open, and give it back."""
        try:
            if self._bridge is not None:
                self._bridge.close()
            _close(self._propylon)
        finally:
            self._end()

    async def __aenter__(self) -> Self:
        """Take over."""
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it and give it back."""
        try:
            if self._bridge is not None:
                await asyncio.to_thread(self._bridge.close)
            await self._propylon.close()
        finally:
            self._end()

    def add_user(self, email: str = "", *, roles: Iterable[str] = (), name: str = "", password: str = PASSWORD) -> User:
        """Make an account.

        Args:
            email: where none is given, one is made up.
            roles: what it holds.
            name: what is shown of it.
            password: for tests of the sign-in itself; one other than ``PASSWORD`` costs a hash.

        Raises:
            RuleRefused, Conflict: as for everybody else.
        """
        email = email or f"user-{next(self._numbers)}@example.org"
        account = NewAccount(email=email, password=password, name=name, roles=tuple(roles))
        return done(self._open_node.accounts.add(account))

    def sign_in(
        self,
        email: str = "",
        *,
        roles: Iterable[str] | None = None,
        name: str = "",
        mode: Mode | None = None,
        remember: bool = False,
        ip: str = "127.0.0.1",
        user_agent: str | None = None,
    ) -> SessionHolder:
        """Open a session, on another device each time; limits on sign-ins count it, and may evict an older one.

        Args:
            email: whose; where there is no such account it is made, and where none is given too.
            roles: of the new account, or those that the account is known to hold.
            name: of the new account.
            mode: ``cookie``, ``bearer`` or ``hybrid``; where it is not given, that of the setting.
            remember: whether the browser keeps the cookie when it is closed.
            ip: where the device is.
            user_agent: what it says of itself.

        Raises:
            ValueError: there is such an account and it holds other roles.
            PropylonError: as for everybody else: the account is disabled, or a limit was reached.
        """
        node, caller = self._open_node, Caller(ip, user_agent)
        user = self._user(email, roles, name)
        request = SignInRequest(
            email=user.email, password=PASSWORD, mode=mode or node.runtime.config.mode, remember=remember
        )
        signed_in = done(node.sign_in(request, caller))
        return SessionHolder(user, signed_in.issued.session, caller, node.runtime, self.clock, self.events)

    def _user(self, email: str, roles: Iterable[str] | None, name: str) -> User:
        found = done(self._open_node.runtime.store.find_user_by_email(canonical(email))) if email else None
        if found is None:
            return self.add_user(email, roles=roles or (), name=name)
        if roles is not None and set(roles) != set(found.roles):
            raise ValueError(f"{email} is there and holds other roles: {', '.join(found.roles) or 'none'}")
        return found

    def _begin(self) -> None:
        key = f"rehearsal {secrets.token_hex(32)}"
        public_host = self._propylon.config.public_host
        self._take_back = self._propylon.rehearse(
            make_store=lambda _: self._memory.view(),
            key=key,
            clock=self.clock,
            log=self.events,
            around=lambda app: AtHome(app, public_host),
        )
        ring = KeyRing.parse(key)
        runtime = Runtime(self._propylon.config, self._memory.view(), ring, self.clock, 1, self.events)
        self._node = _Node(runtime, ring, self.events)

    def _end(self) -> None:
        if self._take_back is not None:
            self._take_back()
        self._take_back = self._node = None

    @property
    def _open_node(self) -> _Node:
        if self._node is None:
            raise PropylonError("not_open")
        return self._node


class _Node:
    """The test's own node: as the app's, but that it hashes no password twice."""

    def __init__(self, runtime: Runtime, ring: KeyRing, log: SecurityEvents) -> None:
        store, clock, config = runtime.store, runtime.clock, runtime.config
        self.runtime = runtime
        self.accounts = Accounts(
            store,
            _KnownPassword(),
            clock,
            secrets.token_bytes,
            log,
            passwords=PasswordPolicy(),
            policy=config.policy,
            site_name=config.site_name,
        )
        opener = Opener(
            store, ring, clock, secrets.token_bytes, log, describe, policy=config.policy, limits=config.session_limit
        )
        self.sign_in = SignIn(store, _KnownPassword(), runtime.issuer, opener, clock, log)


class _KnownPassword:
    """``ports.PasswordHashing`` of a test: whoever it signs in has given the right password."""

    async def hash(self, password: bytes) -> str:
        return _hash_of_known() if password == prepared(PASSWORD) else _hasher().hash(password)

    async def verify(self, stored: str, password: bytes) -> bool:  # noqa: ARG002 - the port's
        return True

    async def decoy_verify(self, password: bytes) -> bool:  # noqa: ARG002 - the port's
        return False

    def needs_rehash(self, stored: str) -> bool:  # noqa: ARG002 - the port's
        return False


@cache
def _hasher() -> Hasher:
    return Hasher(UNSAFE_CHEAPEST)


@cache
def _hash_of_known() -> str:
    return _hasher().hash(prepared(PASSWORD))


def _close(propylon: Propylon) -> None:
    """Close it from outside of its event loop, which runs in another thread, stands still, or is gone."""
    loop = propylon.loop
    if loop is None:
        return
    if loop is _running_here():
        raise RuntimeError("in a coroutine write `async with`: nobody waits here for Propylon to close")
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(propylon.close(), loop).result(CLOSE_WITHIN_S)
        return
    # In a thread of its own, since another loop may be running in this one.
    run: Callable[[Any], None] = asyncio.run if loop.is_closed() else loop.run_until_complete
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: run(propylon.close())).result(CLOSE_WITHIN_S)


def _running_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
