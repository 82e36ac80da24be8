"""Assembles: a ``Config`` and a store become an ASGI application. Library and server use this same file."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from propylon import config as settings
from propylon.config import Config
from propylon.core.access import TokenRules
from propylon.core.password import PROFILES, Hasher, PasswordPolicy
from propylon.core.principal import Principal
from propylon.core.secret import KeyRing
from propylon.errors import NotFound, PropylonError
from propylon.flows.account import Accounts
from propylon.flows.administration import Administration
from propylon.flows.gate import Gate
from propylon.flows.issue import Issuer
from propylon.flows.key_check import agree_on_keys
from propylon.flows.renew import Renew
from propylon.flows.server_mode import ServerMode
from propylon.flows.session_data import AtHome
from propylon.flows.session_place import agree_on_place
from propylon.flows.sign_in import SignIn
from propylon.flows.sign_out import SignOut
from propylon.flows.signing import SigningKeys
from propylon.flows.verifiers import Verifiers
from propylon.http.asgi import application
from propylon.http.feed import Feed
from propylon.http.metrics import Metrics, Observation
from propylon.http.middleware import Guarding, Protect, current_user, problem_handler
from propylon.http.services import Services
from propylon.http.transport import Transport
from propylon.outside import common_passwords, key_file
from propylon.outside.clock import SystemClock
from propylon.outside.hashing import HashPool, default_threads
from propylon.outside.security_log import JsonSecurityLog
from propylon.outside.user_agent import describe
from propylon.ports import Clock, SecurityLog, Store
from propylon.stores import make_store, sqlite_path

logger = logging.getLogger("propylon")

UPKEEP_INTERVAL_S = 60
# Somebody who comes back after a holiday is still told why their session is over.
KEEP_ENDED_S = 30 * settings.DAY_S


class Runtime:
    """Everything of one open Propylon; the parts of it are public for the command line and for tests."""

    def __init__(self, config: Config, store: Store, ring: KeyRing, clock: Clock, workers: int) -> None:
        policy, random = config.policy, secrets.token_bytes
        self.config, self.store, self.clock = config, store, clock
        self.metrics = Metrics()
        log = CountedLog(JsonSecurityLog(clock), self.metrics)
        threads = config.hash_threads or default_threads(workers)
        self.hashing = HashPool(Hasher(PROFILES[config.password_profile]), threads=threads, max_queue=config.hash_queue)
        self.keys = SigningKeys(store, ring, clock, random, algorithm=config.algorithm)
        self.transport = Transport(config)
        self.home = AtHome(store)
        self.issuer = Issuer(
            ring,
            self.keys,
            random,
            issuer=config.issuer,
            audience=config.token_audience,
            access_ttl_s=config.access_ttl_s,
        )
        self.gate = Gate(
            store,
            self.issuer,
            self.keys,
            clock,
            policy=policy,
            rules=TokenRules(config.issuer, config.token_audience),
            permissions_of=config.roles,
            home=self.home,
        )
        self.verifiers = Verifiers(store, self.gate, clock, random, log)
        self.feed = Feed(self.gate, self.verifiers, clock)
        self.administration = Administration(store, clock, log, policy=policy, default_mode=config.mode)
        self.accounts = Accounts(
            store,
            self.hashing,
            clock,
            random,
            log,
            passwords=PasswordPolicy(common=common_passwords.load()),
            policy=policy,
            site_name=config.site_name,
        )
        self.sign_in = SignIn(
            store,
            self.hashing,
            self.issuer,
            ring,
            clock,
            random,
            log,
            describe,
            policy=policy,
            limits=config.session_limit,
        )
        self.sign_out = SignOut(store, clock, log, describe, policy=policy)
        self.renew = Renew(store, self.issuer, clock, log, policy=policy)

    def look(self) -> Observation:
        """Return what the metrics look at."""
        cookies, tokens, revoked = self.gate.remembered()
        gauges = {
            "hash_queue_depth": self.hashing.depth,
            "remembered_cookies": cookies,
            "remembered_tokens": tokens,
            "revoked_sessions_held": revoked,
            "feed_readers": len(self.feed),
        }
        pulse = self.store.pulse()
        return Observation(gauges, pulse.silence_s, pulse.lags_s, self.gate.recalled, self.gate.not_recalled)

    def asgi(self) -> ASGIApp:
        """Return the ASGI application of the whole HTTP contract."""
        # Templates are compiled only where pages are served, not in an app that merely guards its routes.
        from propylon.web.pages import Pages  # noqa: PLC0415

        services = Services(
            config=self.config,
            policy=self.config.policy,
            clock=self.clock,
            transport=self.transport,
            gate=self.gate,
            issuer=self.issuer,
            keys=self.keys,
            mode=ServerMode(self.administration, self.gate, self.config.mode),
            sign_in=self.sign_in,
            sign_out=self.sign_out,
            renew=self.renew,
            accounts=self.accounts,
            home=self.home,
            sessions=self.store,
            upkeep=self.store,
            pages=Pages(site_name=self.config.site_name),
            metrics=self.metrics,
            verifiers=self.verifiers,
            feed=self.feed,
        )
        return application(services, look=self.look, nonce=secrets.token_bytes)

    async def tend(self) -> None:
        """Do the housekeeping of one round."""
        self.metrics.observe(self.look())
        await self.gate.listen()
        # After "sign everybody out" there is much to forget, and requests go first.
        while self.gate.forget_stale():  # noqa: ASYNC110 - nothing is waited for
            await asyncio.sleep(0)
        await self.store.purge(self.clock.now(), keep_ended_s=KEEP_ENDED_S)
        await self.keys.rotate_if_older(self.config.signing_key_ttl_s)

    async def close(self) -> None:
        """Finish what is under way and let go."""
        await self.feed.aclose()
        await self.hashing.aclose()
        await self.store.close()


class CountedLog:
    """A security log whose events are counted too."""

    def __init__(self, log: SecurityLog, metrics: Metrics) -> None:
        self._log, self._metrics = log, metrics

    def record(self, event: str, /, **facts: str | int | None) -> None:
        """Record and count."""
        self._metrics.events.labels(event).inc()
        self._log.record(event, **facts)


class Propylon:
    """Authentication for one service: an ASGI application to mount or serve, and a guard for your own routes.

    Example:
        ::

            propylon = Propylon.from_env()
            app = FastAPI(lifespan=propylon.lifespan)
            propylon.guard(app)
            app.mount("/auth", propylon)

            @app.get("/me")
            async def me(who: Principal = Depends(propylon.user)): ...
    """

    user = staticmethod(current_user)
    """Dependency that returns the ``Principal`` or refuses."""

    def __init__(
        self, config: Config | None = None, /, *, workers: int = 1, clock: Clock | None = None, **named: Any
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            config: checked settings; without it, ``named`` settings over the defaults.
            workers: how many processes share this machine's cores (bounds the hash threads of each).
            clock: for tests.
            named: settings by field name of ``Config``.

        Raises:
            SetupError: a setting is wrong.
        """
        self.config = config if config is not None else settings.made_of(named)
        self._workers = workers
        self._clock = clock or SystemClock()
        self._opening = asyncio.Lock()
        self._runtime: Runtime | None = None
        self._app: ASGIApp | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self.guarding: Guarding | None = None

    @classmethod
    def from_env(cls, *, workers: int = 1, **overrides: Any) -> Self:
        """Prepare from ``propylon.toml`` and ``PROPYLON_*``; ``overrides`` win."""
        return cls(settings.load(overrides=overrides), workers=workers)

    @property
    def runtime(self) -> Runtime:
        """The parts, while open."""
        if self._runtime is None:
            raise PropylonError("not_open")
        return self._runtime

    async def open(self) -> Self:
        """Open the store, bring it up to date, and load or make the keys. Again and again is harmless.

        Raises:
            SetupError: one sentence that says what to change.
        """
        async with self._opening:
            if self._runtime is None:
                await self._open()
        return self

    async def close(self) -> None:
        """Close everything; writes under way are finished first."""
        async with self._opening:
            if self._upkeep is not None:
                self._upkeep.cancel()
                with suppress(asyncio.CancelledError):
                    await self._upkeep
            if self._runtime is not None:
                await self._runtime.close()
            self._runtime = self._app = self._upkeep = self.guarding = None

    async def __aenter__(self) -> Self:
        """Open."""
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    @asynccontextmanager
    async def lifespan(self, _app: Any = None) -> AsyncIterator[None]:
        """Open and close together with an app: ``FastAPI(lifespan=propylon.lifespan)``."""
        async with self:
            yield

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Return ``app`` with ``scope["propylon"]``, which says who is calling when it is asked."""
        return Protect(app, self)

    def guard(self, app: Starlette) -> None:
        """Guard a Starlette or FastAPI app: ``propylon.user`` works in it, refusals are problem+json."""
        app.add_middleware(Protect, self)
        app.add_exception_handler(PropylonError, problem_handler(self.config.public_url))

    async def revoke(self, *, user_id: str | None = None, session_id: str | None = None) -> int:
        """End all sessions of a user, or one session, everywhere and at once; return how many ended."""
        administration = (await self.open()).runtime.administration
        if session_id is not None:
            try:
                await administration.end_session(session_id)
            except NotFound:
                return 0  # it had ended before, which is what was asked for
            return 1
        return await administration.end_sessions(user_id) if user_id is not None else 0

    async def principal(self, scope: Scope) -> Principal:
        """Return who is calling, for apps without the middleware."""
        return await (await self.ready()).asking(scope).principal()

    async def ready(self) -> Guarding:
        """Return the guard, opening first where nobody did."""
        await self.open()
        return Guarding(self.runtime.gate, self.runtime.transport)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve (ASGI)."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
            return
        if self._app is None:
            await self.open()
            if self._app is None:  # another request may have been waiting for the same opening
                self._app = self.runtime.asgi()
        await self._app(scope, receive, send)

    def said(self, error: PropylonError) -> str:
        """Return what the log of the server says where opening failed."""
        return str(error)

    async def _open(self) -> None:
        for weakness in self.config.weakened:
            logger.warning("%s weakens this service: remove it, unless somebody knows why it is there", weakness)
        config = self.config
        elsewhere = config.session_store not in ("", config.store)
        store = make_store(config.store, config.session_store, max_silence_s=config.max_silence_s)
        await store.open()
        try:
            await agree_on_place(store, elsewhere=elsewhere, said=bool(config.session_store))
            ring = await agree_on_keys(store, self._load_ring)
            runtime = Runtime(self.config, store, ring, self._clock, self._workers)
            await runtime.keys.ready()
            await runtime.gate.listen()
        except BaseException:
            await store.close()
            raise
        self._runtime = runtime
        self.guarding = Guarding(runtime.gate, runtime.transport)
        self._upkeep = asyncio.create_task(_tend(runtime))

    def _load_ring(self, *, may_create: bool) -> tuple[KeyRing, str]:
        if self.config.key:
            return KeyRing.parse(self.config.key), "PROPYLON_KEY"
        path = key_path(self.config)
        return key_file.load_or_create(path, may_create=may_create), str(path)

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.open()
                    self._app = self.runtime.asgi()
                except PropylonError as error:
                    await send({"type": "lifespan.startup.failed", "message": self.said(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def key_path(config: Config) -> Path:
    """Return where the server's key ring lies: as set, beside the SQLite file, or in the working directory."""
    if config.key_file:
        return Path(config.key_file)
    database = sqlite_path(config.store)
    return database.with_name("propylon.key") if database is not None else Path("propylon.key")


async def _tend(runtime: Runtime) -> None:
    while True:
        # Several nodes tend the same store: without jitter they would all do it in the same second.
        await asyncio.sleep(UPKEEP_INTERVAL_S * (0.75 + secrets.randbelow(500) / 1000))
        try:
            await runtime.tend()
        except PropylonError as error:
            logger.warning("upkeep was put off: %s", error)
        except Exception:
            logger.exception("upkeep failed")
