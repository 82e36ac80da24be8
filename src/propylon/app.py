"""Assembles: a ``Config`` and a store become an ASGI application. Library and server use this same file."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from propylon import config as settings
from propylon.config import Config
from propylon.config.bridge import weakened as weakened_bridge
from propylon.core.principal import Principal
from propylon.core.secret import KeyRing
from propylon.errors import NotFound, PropylonError, SetupError
from propylon.flows.key_check import agree_on_keys
from propylon.flows.session_place import agree_on_place
from propylon.http.cookies import signed_out_headers
from propylon.http.middleware import Guarding, Protect
from propylon.outside import key_file
from propylon.outside.clock import SystemClock
from propylon.ports import Clock, SecurityLog, Store
from propylon.problems import Answer, answer, reply
from propylon.runtime import Runtime
from propylon.stores import MEMORY_URL, kind_of, make_store, sqlite_path

logger = logging.getLogger("propylon")

UPKEEP_INTERVAL_S = 60

# What processes that were forked from this one's parent must never let go of.
_INHERITED: list[object] = []


class Propylon:
    """Authentication for one service: an ASGI application to mount or serve, and a guard for your own routes.

    Example:
        ::

            auth = propylon.adapters.fastapi.Auth(Propylon.from_env())
            app = FastAPI()
            auth.guard(app)

            @app.get("/me")
            async def me(who: SignedIn): ...
    """

    def __init__(
        self,
        config: Config | None = None,
        /,
        *,
        workers: int = 1,
        clock: Clock | None = None,
        log: SecurityLog | None = None,
        **named: Any,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            config: checked settings; without it, ``named`` settings over the defaults.
            workers: how many processes share this machine's cores (bounds the hash threads of each).
            clock: for tests.
            log: where security events go; without it, to the logger ``propylon.security``, a line of JSON each.
            named: settings by field name of ``Config``.

        Raises:
            SetupError: a setting is wrong.
        """
        self.config = config if config is not None else settings.made_of(named)
        self._workers = workers
        self._clock = clock or SystemClock()
        self._log = log
        self._make_store: Callable[[Config], Store] = _store_of
        self._around: Callable[[ASGIApp], ASGIApp] | None = None
        self._opening = asyncio.Lock()
        self._runtime: Runtime | None = None
        self._app: ASGIApp | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._inherited = False
        self._holders = 0
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

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that it was opened on, while open."""
        return self._upkeep.get_loop() if self._upkeep is not None else None

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
            self._holders = 0

    async def __aenter__(self) -> Self:
        """Open. Of several that hold it open at once, as apps that share it do, the last one closes."""
        # Another loop could not close it: what was opened belongs to the loop that it was opened on.
        holds = self._runtime is None or (self._holders > 0 and self.loop is asyncio.get_running_loop())
        await self.open()
        if holds:
            self._holders += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, unless somebody else holds it open: who called ``open`` calls ``close``, too."""
        if self._holders == 0 or self.loop is not asyncio.get_running_loop():
            return
        self._holders -= 1
        if self._holders == 0:
            await self.close()

    def protect(self, app: ASGIApp, *, pages: str | None = None) -> ASGIApp:
        """Return ``app`` with ``scope["propylon"]``, which says who is calling when it is asked.

        What the app refuses is answered, as by ``reply``, unless it has answered already. ``pages`` that are a path
        are this Propylon, mounted there in ``app``; they are open to all, whatever the app's middleware refuses.
        """
        return Protect(app, self, pages)

    def answer(
        self, error: PropylonError, accept_language: str | None = None, *, bearer_presented: bool = True
    ) -> Answer:
        """Return a refusal as problem+json, for a framework that handles exceptions itself."""
        return answer(error, self.config.public_url, accept_language=accept_language, bearer_presented=bearer_presented)

    def reply(self, error: PropylonError, scope: Scope, *, pages: str | None = None) -> Answer:
        """Return the whole answer to a request that is refused: problem+json, or the way to one of ``pages``."""
        return reply(error, self.config.public_url, scope, pages=pages, origins=self.config.origins)

    async def sign_out(self, scope: Scope) -> list[tuple[str, str]]:
        """End the caller's session, in every mode and everywhere; return the headers that tell their browser.

        Raises:
            CredentialRefused: nobody is signed in.
            Forbidden: a cookie came with a request of another site.
        """
        principal = await self.principal(scope)
        await self.runtime.sign_out.here(principal)
        headers = signed_out_headers(self.runtime.transport, scope, self.config.prefix)
        return [(name.decode(), value.decode()) for name, value in headers]

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

    def start_over(self) -> None:
        """Begin anew in a process that was forked from one in which this was open, or was not.

        What the parent has opened is its own: it is kept as it is, since closing it here would disturb it there.
        """
        if self._runtime is not None:
            _INHERITED.append((self._runtime, self._app, self._upkeep))
            self._inherited = sqlite_path(self.config.store) is not None
        self._opening = asyncio.Lock()
        self._runtime = self._app = self._upkeep = self.guarding = None
        self._holders = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve (ASGI)."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
            return
        if self._app is None:
            await self.open()
            if self._app is None:  # another request may have been waiting for the same opening
                self._app = self._serving()
        await self._app(scope, receive, send)

    def said(self, error: PropylonError) -> str:
        """Return what the log of the server says where opening failed."""
        return str(error)

    async def _open(self) -> None:
        if self._inherited:
            # SQLite believes that this process still holds the locks of its parent, and takes none.
            raise SetupError("sqlite_forked")
        for weakness in (*self.config.weakened, *weakened_bridge(self.config.bridge)):
            logger.warning("%s weakens this service: remove it, unless somebody knows why it is there", weakness)
        config = self.config
        elsewhere = config.session_store not in ("", config.store)
        store = self._make_store(config)
        await store.open()
        try:
            await agree_on_place(store, elsewhere=elsewhere, said=bool(config.session_store))
            ring = await agree_on_keys(store, self._load_ring)
            runtime = Runtime(self.config, store, ring, self._clock, self._workers, self._log)
            await runtime.gate.listen()  # before there is a key: a store without one has issued no token
            await runtime.keys.ready()
        except BaseException:
            await store.close()
            raise
        self._runtime = runtime
        self.guarding = Guarding(runtime.gate, runtime.transport)
        self._upkeep = asyncio.create_task(_tend(runtime))

    def rehearse(
        self,
        *,
        make_store: Callable[[Config], Store],
        key: str,
        clock: Clock,
        log: SecurityLog,
        around: Callable[[ASGIApp], ASGIApp] | None = None,
    ) -> Callable[[], None]:
        """Take store, key, clock and log of a test from the next opening on; return what takes them back.

        For ``propylon.testing.Rehearsal``. What is real is refused here, where nobody gets around it. What is served
        stands in ``around``, where there is one.

        Raises:
            SetupError: it is open, its public URL is not of this machine, or its store is PostgreSQL or Redis.
        """
        if self._runtime is not None:
            raise SetupError("rehearsal_open")
        check_rehearsal(self.config)
        before = self.config, self._make_store, self._clock, self._log

        def take_back() -> None:
            self.config, self._make_store, self._clock, self._log = before
            self._around = None

        self.config = msgspec.structs.replace(self.config, store=MEMORY_URL, session_store="", key=key, key_file="")
        self._make_store, self._clock, self._log, self._around = make_store, clock, log, around
        return take_back

    def _serving(self) -> ASGIApp:
        app = self.runtime.asgi()
        return self._around(app) if self._around is not None else app

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
                    await self.__aenter__()
                    self._app = self._serving()
                except PropylonError as error:
                    await send({"type": "lifespan.startup.failed", "message": self.said(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.__aexit__()
                await send({"type": "lifespan.shutdown.complete"})
                return


def key_path(config: Config) -> Path:
    """Return where the server's key ring lies: as set, beside the SQLite file, or in the working directory."""
    if config.key_file:
        return Path(config.key_file)
    database = sqlite_path(config.store)
    return database.with_name("propylon.key") if database is not None else Path("propylon.key")


def check_rehearsal(config: Config) -> None:
    """Refuse to rehearse on what may be real: whoever can sign in without a password must be alone.

    Raises:
        SetupError: the sentence says what to change.
    """
    if not config.loopback:
        raise SetupError("rehearsal_public", url=config.public_url)
    for url in filter(None, (config.store, config.session_store)):
        if kind_of(url) not in ("memory", "sqlite"):
            raise SetupError("rehearsal_store", url=settings.without_password(url))


def _store_of(config: Config) -> Store:
    return make_store(config.store, config.session_store, max_silence_s=config.max_silence_s)


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
