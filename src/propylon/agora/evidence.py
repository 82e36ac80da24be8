"""Figures as evidence: where a sentence takes them from, and which of them fit somebody's own set-up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from propylon.agora.figures import Figure, spelled
from propylon.agora.results import Effort, NotMeasured, Results
from propylon.agora.said import Said

Kept = Literal["memory", "sqlite", "postgres", "redis"]

_PLACE = re.compile(r"\{(\w+)\.(\w+)\.(\w+)\}")


def filled(evidence: Said, results: Results) -> Said | None:
    """Return it with its places, ``{experiment.variant.quantity}``, filled; None where one of them was not measured."""

    def figure(found: re.Match[str]) -> str:
        return spelled(results.figure(*found.groups()).median)

    try:
        return Said(_PLACE.sub(figure, evidence.en), _PLACE.sub(figure, evidence.ko))
    except NotMeasured:
        return None


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure depends on beside the machine.

    Attributes:
        accounts: where accounts are kept.
        sessions: where sessions are kept, and with them the feed.
        algorithm: that signs access tokens, such as ``ES256``.
    """

    mode: Literal["cookie", "bearer", "hybrid"]
    accounts: Kept
    sessions: Kept
    algorithm: str


class _Variant(NamedTuple):
    variant: str
    effort: Effort


class Place(NamedTuple):
    """Where a figure stands in results, and the least effort that measures it."""

    experiment: str
    variant: str
    quantity: str
    effort: Effort = "quick"

    def find(self, results: Results) -> Figure | None:
        """Return the figure, or None where it was not measured."""
        try:
            return results.figure(self.experiment, self.variant, self.quantity)
        except NotMeasured:
            return None


def fitting(set_up: SetUp) -> Mapping[str, Place | None]:
    """Return where the figures stand that hold for a set-up: what each says to its place.

    None where no experiment measures it for such a set-up: the figure of another store, mode or algorithm is none.
    """
    return dict(_by_cookie(set_up) if set_up.mode == "cookie" else _by_token(set_up)) | dict(_lag(set_up))


# What is remembered is answered after a look at the feed, which lies where sessions are: it does not matter where
# accounts are. A look-up reads the session and its user, so there it matters too.
_COOKIE_BY_SESSIONS: Mapping[Kept, str] = {"sqlite": "cookie", "postgres": "cookie_postgres", "redis": "cookie_redis"}
_LOOKED_UP: Mapping[tuple[Kept, Kept], str] = {
    ("memory", "memory"): "memory",
    ("sqlite", "sqlite"): "sqlite",
    ("postgres", "postgres"): "postgres",
    ("postgres", "redis"): "redis",
}
# ``load`` measures tokens of one algorithm beside every store, and of every algorithm beside one.
_TOKEN_BESIDE: Mapping[tuple[Kept, str], _Variant] = {
    ("sqlite", "ES256"): _Variant("token", "quick"),
    ("sqlite", "EdDSA"): _Variant("token_eddsa", "full"),
    ("sqlite", "RS256"): _Variant("token_rs256", "full"),
    ("sqlite", "HS256"): _Variant("token_hs256", "full"),
    ("postgres", "ES256"): _Variant("token_postgres", "full"),
    ("redis", "ES256"): _Variant("token_redis", "full"),
}


def _by_cookie(set_up: SetUp) -> Iterator[tuple[str, Place | None]]:
    variant = _COOKIE_BY_SESSIONS.get(set_up.sessions)
    yield "cookie", Place("load", variant, "processor_us") if variant else None
    looked_up = _LOOKED_UP.get((set_up.accounts, set_up.sessions))
    yield "look_ups", Place("stores", looked_up, "look_ups_per_second") if looked_up else None
    yield "bytes", Place("traffic", "cookie", "request_1")
    yield "bytes_again", Place("traffic", "cookie", "request_2")


def _by_token(set_up: SetUp) -> Iterator[tuple[str, Place | None]]:
    variant = set_up.algorithm.lower()
    beside = _TOKEN_BESIDE.get((set_up.sessions, set_up.algorithm))
    yield "token", Place("load", beside.variant, "processor_us", beside.effort) if beside else None
    yield "first_check", Place("crypto", variant, "verify_us")
    yield "bytes", Place("traffic", variant, "request_1")
    yield "bytes_again", Place("traffic", variant, "request_2")
    yield "bytes_never_indexed", Place("traffic", variant, "never_indexed_2")


def _lag(set_up: SetUp) -> Iterator[tuple[str, Place | None]]:
    if set_up.sessions != "memory":  # that is one process
        yield "lag", Place("revocation", set_up.sessions, "p99_ms")
