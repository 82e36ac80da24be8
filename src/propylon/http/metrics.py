"""Prometheus metrics of one process, or of all workers together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Set by ``propylon serve`` when it starts several workers.
WORKERS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


_GAUGES = (
    ("hash_queue_depth", "Password hashes waiting or being worked on."),
    ("remembered_cookies", "Session cookies served from memory."),
    ("remembered_tokens", "Access tokens served from memory."),
    ("revoked_sessions_held", "Ended sessions whose tokens may still live."),
    ("feed_readers", "Verifiers elsewhere that follow the revocation feed here."),
    ("session_streams", "Holders of sessions who are told here when theirs ends."),
)


class Observation(NamedTuple):
    """What is looked at now and then, since counting it at every request would cost more than the request.

    Attributes:
        gauges: by name, as they are now.
        silence_s: how long ago this process last heard of the revocation feed.
        lags_s: of the entries that it has heard since the last look.
        recalled: how many credentials were served from memory so far.
        not_recalled: and how many were not.
        moves: how many sessions moved to another mode here so far, and how many moves failed.
    """

    gauges: Mapping[str, int]
    silence_s: float
    lags_s: Sequence[float]
    recalled: int
    not_recalled: int
    moves: Mapping[str, int]


class Metrics:
    """What is counted. Labels are closed sets: nothing that a caller sends becomes a label."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.sign_ups = Counter("propylon_sign_ups", "Accounts made over HTTP.", registry=registry)
        self.sign_ins = Counter("propylon_sign_ins", "Sessions opened.", ["mode"], registry=registry)
        self.refusals = Counter(
            "propylon_refusals", "Answers that refused, by problem code.", ["code"], registry=registry
        )
        self.events = Counter(
            "propylon_security_events",
            "Security events; token_late and token_repeated are sign-ins that a stricter rule would have lost.",
            ["event"],
            registry=registry,
        )
        self.requests = Histogram(
            "propylon_request_seconds",
            "Time to the answer, by route.",
            ["route", "status"],
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self.verifications = Counter(
            "propylon_verifications",
            "Credentials by how they were verified: remembered, or in full.",
            ["how"],
            registry=registry,
        )
        self.moves = Counter(
            "propylon_mode_moves",
            "Sessions that moved to the server's mode, and moves that failed.",
            ["outcome"],
            registry=registry,
        )
        self.left_to_move = Gauge(
            "propylon_mode_sessions_left",
            "Live sessions that are still to move to the server's mode, of all nodes; counted about once a minute.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.lag = Histogram(
            "propylon_feed_lag_seconds",
            "From the announcement of a change in the store until this process had heard of it, by two clocks.",
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )
        self.silence = Gauge(
            "propylon_feed_silence_seconds",
            "How long ago the revocation feed was last heard; of several workers the longest.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._counted: dict[str, int] = {}
        self._gauges = {
            name: Gauge(f"propylon_{name}", text, registry=registry, multiprocess_mode="livesum")
            for name, text in _GAUGES
        }

    def observe(self, seen: Observation) -> None:
        """Take over what was seen; called before a scrape and by upkeep."""
        for name, value in seen.gauges.items():
            self._gauges[name].set(value)
        self.silence.set(seen.silence_s)
        for lag_s in seen.lags_s:
            self.lag.observe(lag_s)
        for how, total in (("remembered", seen.recalled), ("verified", seen.not_recalled)):
            self.verifications.labels(how).inc(self._more(how, total))
        for outcome, total in seen.moves.items():
            self.moves.labels(outcome).inc(self._more(outcome, total))

    def _more(self, name: str, total: int) -> int:
        """Return by how much a total has grown since it was last seen."""
        more, self._counted[name] = total - self._counted.get(name, 0), total
        return more

    def exposition(self) -> bytes:
        """Return the text that Prometheus reads, of all workers where there are several."""
        if WORKERS_DIRECTORY not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
