"""The parts of one open Propylon, put together: a ``Config`` and a store become flows, and an ASGI application."""

from __future__ import annotations

import asyncio
import secrets

from starlette.types import ASGIApp

from propylon import config as settings
from propylon.config import Config
from propylon.config.bridge import load as load_bridge
from propylon.core.access import TokenRules
from propylon.core.password import PROFILES, Hasher, PasswordPolicy
from propylon.core.secret import KeyRing
from propylon.core.session import Mode
from propylon.flows.account import Accounts
from propylon.flows.administration import Administration
from propylon.flows.caller import Caller
from propylon.flows.exchange import Exchange
from propylon.flows.gate import Gate
from propylon.flows.issue import Issuer
from propylon.flows.mode_change import ModeChange
from propylon.flows.moving import Moving
from propylon.flows.opening import Opener
from propylon.flows.renew import Renew
from propylon.flows.server_mode import KnownPlan
from propylon.flows.session_data import AtHome
from propylon.flows.sign_in import SignIn
from propylon.flows.sign_out import SignOut
from propylon.flows.signing import SigningKeys
from propylon.flows.verifiers import Verifiers
from propylon.http.asgi import application
from propylon.http.feed import Feed
from propylon.http.metrics import Metrics, Observation
from propylon.http.services import Services
from propylon.http.session_streams import SessionStreams
from propylon.http.transport import Transport
from propylon.outside import common_passwords
from propylon.outside.foreign_sessions import foreign_sessions
from propylon.outside.hashing import HashPool, default_threads
from propylon.outside.security_log import JsonSecurityLog
from propylon.outside.user_agent import describe
from propylon.ports import Clock, SecurityLog, Store

# Somebody who comes back after a holiday is still told why their session is over.
KEEP_ENDED_S = 30 * settings.DAY_S


class Runtime:
    """Everything of one open Propylon; the parts of it are public for the command line and for tests."""

    def __init__(
        self,
        config: Config,
        store: Store,
        ring: KeyRing,
        clock: Clock,
        workers: int,
        log: SecurityLog | None = None,
    ) -> None:
        policy, random = config.policy, secrets.token_bytes
        self.config, self.store, self.clock = config, store, clock
        self.metrics = Metrics()
        log = CountedLog(log if log is not None else JsonSecurityLog(clock), self.metrics)
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
        known = KnownPlan(store, config.mode)
        self.gate = Gate(
            store,
            self.issuer,
            self.keys,
            clock,
            policy=policy,
            rules=TokenRules(config.issuer, config.token_audience),
            permissions_of=config.roles,
            known=known,
            home=self.home,
        )
        self.verifiers = Verifiers(store, self.gate, clock, random, log)
        self.feed = Feed(self.gate, self.verifiers, clock)
        self.session_streams = SessionStreams(self.gate, store, self.home, clock)
        self.administration = Administration(store, clock, log, policy=policy)
        self.mode_change = ModeChange(store, clock, log, default=config.mode)
        self.moving = Moving(store, known, self.issuer, clock, log, policy=policy)
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
        opener = Opener(store, ring, clock, random, log, describe, policy=policy, limits=config.session_limit)
        self.sign_in = SignIn(store, self.hashing, self.issuer, opener, clock, log)
        self.exchange: Exchange | None = None
        if (bridge := load_bridge(config.bridge)) is not None:
            foreign = foreign_sessions(bridge)
            self.exchange = Exchange(
                store, foreign, self.issuer, opener, clock, log, bridge.cookie_name, max_age_s=bridge.max_age_s
            )
        self.sign_out = SignOut(store, clock, log, describe, policy=policy)
        self.renew = Renew(store, self.issuer, clock, log, policy=policy)

    async def mode_of_sign_in(self, caller: Caller) -> Mode:
        """Return the mode that a sign-in takes when it names none."""
        return (await self.gate.plan()).course(describe(caller.user_agent).kind).mode

    def look(self) -> Observation:
        """Return what the metrics look at."""
        cookies, tokens, revoked = self.gate.remembered()
        gauges = {
            "hash_queue_depth": self.hashing.depth,
            "remembered_cookies": cookies,
            "remembered_tokens": tokens,
            "revoked_sessions_held": revoked,
            "feed_readers": len(self.feed),
            "session_streams": len(self.session_streams),
        }
        pulse = self.store.pulse()
        recalled = self.gate.recalled + self.gate.recalled_elsewhere
        moves = {"moved": self.moving.moved, "failed": self.moving.failed}
        return Observation(gauges, pulse.silence_s, pulse.lags_s, recalled, self.gate.not_recalled, moves)

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
            mode_of_sign_in=self.mode_of_sign_in,
            mode_change=self.mode_change,
            moving=self.moving,
            sign_in=self.sign_in,
            exchange=self.exchange,
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
            session_streams=self.session_streams,
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
        await self.moving.report_failures()
        self.metrics.left_to_move.set(await self.mode_change.observe())

    def end_streams(self) -> None:
        """End what would not end by itself, for a server that stops when all requests are answered."""
        self.feed.stop()
        self.session_streams.stop()

    async def close(self) -> None:
        """Finish what is under way and let go."""
        await self.feed.aclose()
        await self.session_streams.aclose()
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
