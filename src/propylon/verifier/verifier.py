"""The verifier: settings checked, a thread that follows, and the one question."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from propylon.core.access import TokenRules
from propylon.core.demand import Demand
from propylon.core.jose.access_token import MAX_TOKEN_BYTES
from propylon.core.jose.refusals import TokenRefused
from propylon.core.origin import is_loopback_host, service_url
from propylon.core.principal import Principal
from propylon.core.revocation import MAX_SILENCE_S
from propylon.errors import CredentialRefused, PropylonError, SetupError, Unavailable, Unusable
from propylon.ports import Clock
from propylon.problems import Answer, answer, reply
from propylon.verifier.asgi import App, Protect, Scope
from propylon.verifier.fetching import FAILURES, Fetcher, Source
from propylon.verifier.follower import Follower
from propylon.verifier.keys import RemoteKeys
from propylon.verifier.knowledge import Knowledge

logger = logging.getLogger("propylon.verifier")

# An issuer that is there answers within milliseconds; one that is not must not keep a service from starting.
START_WITHIN_S = 5.0
MAX_SECRET_CHARS = 256
LONGEST_SILENCE_S = 300
WARN_EVERY_S = 60.0


class SystemClock:
    """``ports.Clock``, of this machine."""

    def now(self) -> int:
        """Return epoch seconds."""
        return int(time.time())

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()


class Verifier:
    """Verifies the access tokens of one issuer, in memory, and refuses what has ended within milliseconds.

    Use it as a context manager, plain or ``async``. It is safe to share by threads, and starts anew in a process
    that was forked. While it does not know what has ended it refuses everything with ``Unavailable``.

    Args:
        issuer: the public URL of the Propylon that issues the tokens; https, or http on this machine.
        audience: what tokens must be for; the issuer's ``PROPYLON_AUDIENCE``, or its public URL where that is unset.
        secret: from ``propylon verifiers add NAME``.
        roles: role to the permissions that it grants here.
        feed_max_silence_s: refuse when nothing was heard for so long.
        unsafe_feed_silence: a reason to go on through any silence with what was known before; every start warns.
        tls: for an issuer whose certificate the system does not know.
        clock: for tests.

    Raises:
        SetupError: one sentence that says what to change.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        secret: str,
        roles: Mapping[str, Sequence[str]] | None = None,
        feed_max_silence_s: int = MAX_SILENCE_S,
        unsafe_feed_silence: str = "",
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        _check_secret(secret)
        if not audience:
            raise SetupError("verifier_audience")
        if not 1 <= feed_max_silence_s <= LONGEST_SILENCE_S:
            raise SetupError("verifier_silence", most=LONGEST_SILENCE_S)
        self.issuer = _checked_issuer(issuer)
        self._rules = TokenRules(self.issuer, audience)
        self.audience = audience
        self._source: Source = Fetcher(self.issuer, secret, tls)
        self._permissions_of = {role: tuple(granted) for role, granted in (roles or {}).items()}
        self._max_silence_s, self._unsafe_reason = feed_max_silence_s, unsafe_feed_silence
        self._clock = clock or SystemClock()
        self._warn_again_at = float("-inf")
        self._follower: Follower | None = None
        self._holding, self._holders = threading.Lock(), 0
        self._know_nothing()
        _after_fork(self)

    def __enter__(self) -> Self:
        """Start, and wait a few seconds for the first snapshot; without it tokens are refused until it comes.

        Of several that hold it at once, as apps that share it do, the last one stops it.
        """
        with self._holding:
            holds = self._follower is None or self._holders > 0
            self.start()
            self._holders += holds
        follower = self._follower
        if follower is not None:
            follower.settled.wait(START_WITHIN_S)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop, unless somebody else holds it: who called ``start`` calls ``close``, too."""
        with self._holding:
            last = self._holders == 1
            self._holders = max(0, self._holders - 1)
        if last:
            self.close()

    async def __aenter__(self) -> Self:
        """Start, as ``with`` does, without holding up the event loop."""
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        """Stop, as ``with`` does."""
        await asyncio.to_thread(self.__exit__, None, None, None)

    def start(self) -> None:
        """Begin to follow the feed and wait for nothing; again and again is harmless."""
        if self._follower is not None:
            return
        if self._unsafe_reason:
            logger.warning(
                "unsafe_feed_silence (%s): what has ended is accepted while the feed is silent", self._unsafe_reason
            )
        self._follower = Follower(
            self._source,
            self._knowledge,
            max_silence_s=self._max_silence_s,
            chance=random.SystemRandom().random,
            monotonic=self._clock.monotonic,
        )
        self._follower.start()

    def close(self) -> None:
        """Stop following and forget everything."""
        follower, self._follower = self._follower, None
        self._holders = 0
        if follower is not None:
            follower.stop()
        self._know_nothing()

    @property
    def silent_for_s(self) -> float:
        """Seconds since it was last certain to know all that has ended; infinite before the first time."""
        return self._knowledge.silent_for_s

    def verify(self, token: str) -> Principal:
        """Return who presents ``token``: in memory, a microsecond for one that was verified before.

        A key id that is not known makes it ask the issuer for the keys, at most once a minute for all callers
        together, who wait for the answer; nothing else in a token makes it ask anybody.

        Raises:
            CredentialRefused: ``code`` says why.
            Unavailable: it cannot be known at the moment whether the session lives.
        """
        principal = self._recalled(token)
        if principal is not None:
            return principal
        try:
            return self._knowledge.verify(token)
        except TokenRefused as refusal:
            if refusal.reason != "kid" or not self._keys.may_look_again():
                raise
        self._look_again()
        return self._knowledge.verify(token)

    async def verify_async(self, token: str) -> Principal:
        """Do as ``verify`` does; where it would wait for keys, the event loop turns."""
        principal = self._recalled(token)
        if principal is not None:
            return principal
        try:
            return self._knowledge.verify(token)
        except TokenRefused as refusal:
            if refusal.reason != "kid" or not self._keys.may_look_again():
                raise
        await asyncio.to_thread(self._look_again)
        return self._knowledge.verify(token)

    def require(self, principal: Principal, demand: Demand) -> None:
        """Refuse a principal who does not meet a demand now; see ``Demand.check``."""
        demand.check(principal, self._clock.now())

    def protect(self, app: App, *, pages: str | None = None) -> App:
        """Return ``app`` with ``scope["propylon"]``, which says who is calling when it is asked (ASGI).

        What the app refuses is answered, as by ``reply``, unless it has answered already.
        """
        return Protect(app, self, pages)

    def answer(
        self, error: PropylonError, accept_language: str | None = None, *, bearer_presented: bool = True
    ) -> Answer:
        """Return a refusal as problem+json, for a framework that handles exceptions itself."""
        return answer(error, self.issuer, accept_language=accept_language, bearer_presented=bearer_presented)

    def reply(self, error: PropylonError, scope: Scope, *, pages: str | None = None) -> Answer:
        """Return the whole answer to a request that is refused: problem+json, or the way to one of ``pages``.

        Nobody who comes with a token alone gains anything from a page: leave ``pages`` out, unless it is your own.
        """
        return reply(error, self.issuer, scope, pages=pages)

    async def lifespan(self, run: Callable[[], Awaitable[None]]) -> None:
        """Follow the feed while ``run`` runs; whoever had started it before also stops it."""
        async with self:
            await run()

    def _recalled(self, token: str) -> Principal | None:
        self._require_news()
        # Before anything is computed of it: an unbounded one would cost unbounded time.
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise CredentialRefused("credential_malformed")
        return self._knowledge.recall(token)

    def _require_news(self) -> None:
        """Refuse when it is not known what has ended."""
        if self._knowledge.silent_for_s <= self._max_silence_s:
            return
        if not self._unsafe_reason or not self._knowledge.was_complete:
            raise Unavailable
        if (monotonic := self._clock.monotonic()) >= self._warn_again_at:
            self._warn_again_at = monotonic + WARN_EVERY_S
            logger.warning(
                "nothing was heard for %d s and tokens are accepted all the same (unsafe_feed_silence: %s)",
                self._knowledge.silent_for_s,
                self._unsafe_reason,
            )

    def _look_again(self) -> None:
        try:
            self._keys.look_again()
        except FAILURES as error:
            logger.warning("the keys could not be fetched: %s", error)
            raise Unavailable from error

    def _take(self, source: Source, clock: Clock) -> None:
        self.close()
        self._source, self._clock = source, clock
        self._know_nothing()

    def _know_nothing(self) -> None:
        self._keys = RemoteKeys(self._source.jwks, self._clock.monotonic)
        self._knowledge = Knowledge(self._rules, self._keys, self._clock, self._permissions_of)

    def rehearse(self, source: Source, clock: Clock) -> Callable[[], None]:
        """Take keys, endings and the time of a test, and forget all that was known; return what takes them back.

        For ``propylon.testing.FakeIssuer``. What is real is refused here, where nobody gets around it.

        Raises:
            SetupError: the issuer is not of this machine.
        """
        if not _is_of_this_machine(self.issuer):
            raise SetupError("rehearsal_issuer", url=self.issuer)
        before = self._source, self._clock
        self._take(source, clock)
        return lambda: self._take(*before)

    def start_over(self) -> None:
        """Begin anew in a forked process, which has no thread, and locks in whatever state they were."""
        was_following, self._follower = self._follower is not None, None
        self._holding, self._holders = threading.Lock(), 0
        self._know_nothing()
        if was_following:
            self.start()


def _after_fork(verifier: Verifier) -> None:
    alive = weakref.ref(verifier)

    def start_over() -> None:
        if (held := alive()) is not None:
            held.start_over()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=start_over)


def _check_secret(secret: str) -> None:
    if not (0 < len(secret) <= MAX_SECRET_CHARS and secret.isascii() and secret.isprintable() and " " not in secret):
        raise SetupError("verifier_secret")


def _checked_issuer(issuer: str) -> str:
    """Return the issuer as its tokens spell it."""
    try:
        url = service_url(issuer)
    except Unusable as error:
        raise SetupError("verifier_issuer", why=error) from None
    if url.startswith("http://") and not _is_of_this_machine(url):
        raise SetupError("verifier_issuer_plain", url=url)
    return url


def _is_of_this_machine(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0]
    return is_loopback_host(host if host.endswith("]") else host.rpartition(":")[0] or host)
