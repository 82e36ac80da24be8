"""What the endpoints are given: the flows, and a few values. Assembled in ``app``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from propylon.config import Config
from propylon.core.session import Mode, SessionPolicy
from propylon.flows.account import Accounts
from propylon.flows.caller import Caller
from propylon.flows.exchange import Exchange
from propylon.flows.gate import Gate
from propylon.flows.issue import Issuer
from propylon.flows.mode_change import ModeChange
from propylon.flows.moving import Moving
from propylon.flows.renew import Renew
from propylon.flows.session_data import AtHome
from propylon.flows.sign_in import SignIn
from propylon.flows.sign_out import SignOut
from propylon.flows.signing import SigningKeys
from propylon.flows.verifiers import Verifiers
from propylon.http.feed import Feed
from propylon.http.metrics import Metrics
from propylon.http.session_streams import SessionStreams
from propylon.http.transport import Transport
from propylon.ports import Clock, SessionReader, Upkeep
from propylon.web.pages import Pages

ModeOfSignIn = Callable[[Caller], Awaitable[Mode]]


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the HTTP contract."""

    config: Config
    policy: SessionPolicy
    clock: Clock
    transport: Transport
    gate: Gate
    issuer: Issuer
    keys: SigningKeys
    mode_of_sign_in: ModeOfSignIn
    mode_change: ModeChange
    moving: Moving
    sign_in: SignIn
    exchange: Exchange | None
    sign_out: SignOut
    renew: Renew
    accounts: Accounts
    home: AtHome
    sessions: SessionReader
    upkeep: Upkeep
    pages: Pages
    metrics: Metrics
    verifiers: Verifiers
    feed: Feed
    session_streams: SessionStreams
