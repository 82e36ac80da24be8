"""``httpx.Auth`` that keeps somebody signed in."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import suppress
from typing import ClassVar
from urllib.parse import urlsplit

import httpx

from propylon.client.account import Account
from propylon.client.exchange import Exchange
from propylon.client.flights import Flights, Work
from propylon.client.forking import after_fork
from propylon.client.keeper import Keeper, Want
from propylon.client.places import MemoryPlace, Place
from propylon.client.repeating import is_repeatable, may_refuse, read_async, read_sync, refusal_in, want_after
from propylon.client.tokens import Held, SystemClock
from propylon.core.discreet import Discreet
from propylon.core.origin import allowed_origin, service_url
from propylon.errors import SetupError, Unusable
from propylon.ports import Clock

Origin = tuple[str, str, int | None]

USER_AGENT = "propylon-client"
_PORTS = {"http": 80, "https": 443}


class PropylonAuth(Discreet, httpx.Auth):
    """Signs in where it must, renews before the access token ends, and repeats a refused request once.

    One object serves any number of ``httpx.Client`` and ``httpx.AsyncClient`` (asyncio), threads, tasks and event
    loops; all of them together make one renewal. In a process that was forked off it starts over.

    The token goes to the origins that are named here and to no other, whatever redirects say; requests to others
    pass as they are. Plain http is for this machine alone.

    Args:
        issuer: the public URL of the Propylon that signs in.
        email: who signs in; what is kept of anybody else is refused. None for whoever is kept.
        password: a text, or a function that asks for it when it is needed (on a thread; it may take its time).
            None where only what is kept counts.
        apis: origins beside the issuer's that may see the access token.
        place: where tokens are kept; in memory by default.
        remember: ask for a session that lasts (as "stay signed in" does).
        user_agent: what this device is called in its user's list of devices. It should stay the same.
        timeout_s: how long to wait for the issuer, for each of connecting, sending and reading.
        tls: for an issuer whose certificate the system does not know.
        transport: how to reach the issuer, where that is not the network.
        clock: for tests.
        chance: for tests; from 0 to 1.

    Raises:
        SetupError: one sentence that says what to change.
    """

    shown: ClassVar[tuple[str, ...]] = ("issuer", "user_id")

    def __init__(
        self,
        issuer: str,
        *,
        email: str | None = None,
        password: str | Callable[[], str] | None = None,
        apis: Iterable[str] = (),
        place: Place | None = None,
        remember: bool = False,
        user_agent: str = USER_AGENT,
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self.issuer = _checked_issuer(issuer)
        self._origins = frozenset(_origin(httpx.URL(url)) for url in (self.issuer, *map(_checked_api, apis)))
        clock = clock or SystemClock()
        exchange = Exchange(
            self.issuer, clock, transport=transport, tls=tls, timeout_s=timeout_s, user_agent=user_agent
        )
        account = Account(email, password, remember=remember)
        place = place if place is not None else MemoryPlace()
        chance = chance or random.SystemRandom().random
        self._keeper = Keeper(exchange, place, account, self.issuer, clock, chance)
        self._flights = Flights()
        after_fork(self, PropylonAuth._start_over)

    @property
    def user_id(self) -> str | None:
        """Whose session it is; None before the first request, and when nobody is signed in."""
        return self._keeper.user_id

    def sign_in(self) -> None:
        """Sign in now, also after a sign-out or a password that was wrong; a session that was held is ended.

        Raises:
            CredentialRefused: ``credentials_wrong``, or ``credential_missing`` where no password is given.
            Conflict: ``session_limit_reached``.
            TooMany: too many wrong passwords; ``retry_after_s`` says when to come back.
            Unavailable: the issuer cannot be asked.
        """
        self._alone(self._keeper.sign_in)

    def sign_out(self) -> None:
        """End the session and forget it; nobody is signed in again before ``sign_in``.

        Raises:
            Unavailable: it is forgotten here, but the issuer could not be told.
        """
        self._alone(self._keeper.sign_out)

    def confirm(self) -> None:
        """Prove again who is there, before a step that asks for a recent sign-in.

        Raises:
            CredentialRefused: ``credentials_wrong``, or ``reauthentication_required`` where no password is given.
        """
        self._alone(self._keeper.confirm)

    async def sign_in_async(self) -> None:
        """Do as ``sign_in`` does; the event loop turns."""
        await self._alone_async(self._keeper.sign_in)

    async def sign_out_async(self) -> None:
        """Do as ``sign_out`` does; the event loop turns."""
        await self._alone_async(self._keeper.sign_out)

    async def confirm_async(self) -> None:
        """Do as ``confirm`` does; the event loop turns."""
        await self._alone_async(self._keeper.confirm)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request of ``httpx.Client`` with a token, and once more what of it was refused.

        Raises:
            PropylonError: the request could not be made as somebody who is signed in.
        """
        if not self._is_ours(request):
            yield request
            return
        read_sync(request)
        sent = self._obtain(_first_want(request))
        response = yield _presenting(request, sent)
        if not self._may_refuse(response, sent):
            return
        response.read()
        refused = response.request  # where a redirect led: what led there has been done, and must not be done twice
        if (want := self._want_again(refused, response, sent)) is None:
            return
        sent = self._obtain(want)
        response = yield _presenting(refused, sent)
        if self._may_refuse(response, sent):
            response.read()
            _give_up(response)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same for ``httpx.AsyncClient``."""
        if not self._is_ours(request):
            yield request
            return
        await read_async(request)
        sent = await self._obtain_async(_first_want(request))
        response = yield _presenting(request, sent)
        if not self._may_refuse(response, sent):
            return
        await response.aread()
        refused = response.request  # as above
        if (want := self._want_again(refused, response, sent)) is None:
            return
        sent = await self._obtain_async(want)
        response = yield _presenting(refused, sent)
        if self._may_refuse(response, sent):
            await response.aread()
            _give_up(response)

    def _is_ours(self, request: httpx.Request) -> bool:
        return _origin(request.url) in self._origins

    def _may_refuse(self, response: httpx.Response, sent: Held) -> bool:
        # From http to https of the same host, httpx takes the token along: there it is not ours to send once more.
        return may_refuse(response, sent) and self._is_ours(response.request)

    def _want_again(self, request: httpx.Request, response: httpx.Response, sent: Held) -> Want | None:
        if not is_repeatable(request) and (refusal := refusal_in(response, unrepeatable=True)) is not None:
            self._keeper.spoil(sent)  # whoever makes the body anew begins with a new token
            raise refusal
        return want_after(response, sent)

    def _obtain(self, want: Want) -> Held:
        newest = self._keeper.number
        while (held := self._keeper.ready(want)) is None:
            flight, mine = self._flights.board()
            if mine:
                self._flights.fly(flight, lambda: self._keeper.fulfil(want))
            elif (held := self._keeper.usable(want)) is not None:
                return held  # somebody renews ahead of time: nobody else needs to wait for that
            held = flight.result()
            if held is not None and (mine or _serves(held, want, newest)):
                return held
        return held

    async def _obtain_async(self, want: Want) -> Held:
        newest = self._keeper.number
        while (held := self._keeper.ready(want)) is None:
            flight, mine = self._flights.board()
            if mine:
                self._flights.fly_elsewhere(flight, lambda: self._keeper.fulfil(want))
            elif (held := self._keeper.usable(want)) is not None:
                return held
            held = await asyncio.wrap_future(flight)
            if held is not None and (mine or _serves(held, want, newest)):
                return held
        return held

    def _alone(self, work: Work) -> None:
        flight, mine = self._flights.board()
        while not mine:
            with suppress(Exception):  # which is for those who have asked for it
                flight.result()
            flight, mine = self._flights.board()
        self._flights.fly(flight, work)
        flight.result()

    async def _alone_async(self, work: Work) -> None:
        flight, mine = self._flights.board()
        while not mine:
            with suppress(Exception):
                await asyncio.wrap_future(flight)
            flight, mine = self._flights.board()
        self._flights.fly_elsewhere(flight, work)
        await asyncio.wrap_future(flight)

    def _start_over(self) -> None:
        self._flights.start_over()
        self._keeper.start_over()


def _first_want(request: httpx.Request) -> Want:
    return Want(unrepeatable=not is_repeatable(request))


def _serves(landed: Held, want: Want, newest: int) -> bool:
    """Tell whether what another caller has got is new enough, however short its life is."""
    return landed.number > newest and want.met_by(landed)


def _presenting(request: httpx.Request, held: Held) -> httpx.Request:
    request.headers["authorization"] = f"Bearer {held.tokens.access_token}"
    return request


def _give_up(response: httpx.Response) -> None:
    """Refuse for good what was refused twice; any other 401 is the caller's to read."""
    if (refusal := refusal_in(response)) is not None:
        raise refusal


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def _checked_issuer(issuer: str) -> str:
    try:
        url = service_url(issuer)
        parts = urlsplit(url)
        allowed_origin(f"{parts.scheme}://{parts.netloc}")
    except Unusable as error:
        raise SetupError("client_issuer", why=error) from None
    return url


def _checked_api(origin: str) -> str:
    try:
        return allowed_origin(origin)
    except Unusable as error:
        raise SetupError("client_api", why=error) from None
