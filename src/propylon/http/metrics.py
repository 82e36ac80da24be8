"""Prometheus metrics of one process, or of all workers together."""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Set by ``propylon serve`` when it starts several workers.
WORKERS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


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
        self._gauges = {
            name: Gauge(f"propylon_{name}", text, registry=registry, multiprocess_mode="livesum")
            for name, text in (
                ("hash_queue_depth", "Password hashes waiting or being worked on."),
                ("remembered_cookies", "Session cookies served from memory."),
                ("remembered_tokens", "Access tokens served from memory."),
                ("revoked_sessions_held", "Ended sessions whose tokens may still live."),
                ("feed_readers", "Verifiers elsewhere that follow the revocation feed here."),
            )
        }

    def observe(self, sources: dict[str, Callable[[], int]]) -> None:
        """Read each gauge from its source; called before a scrape and by upkeep."""
        for name, source in sources.items():
            self._gauges[name].set(source())

    def exposition(self) -> bytes:
        """Return the text that Prometheus reads, of all workers where there are several."""
        if WORKERS_DIRECTORY not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
