"""Sessions on Redis or Valkey: one server, one with replicas and sentinels, or a cluster.

Keys are named in ``layout``, records packed in ``records``. Verbs look, let the pure functions decide, and replace what
they have seen by a script that does nothing when it has changed (``user_sessions``, ``sessions``). ``feed`` follows;
``database`` alone talks to the servers.
"""

from __future__ import annotations

from propylon.stores.redis.place import Place
from propylon.stores.redis.tallies import Tallies
from propylon.stores.redis.upkeep import Upkeep


class RedisStore(Upkeep, Tallies):
    """A ``propylon.ports.SessionStore`` on Redis. One object serves one event loop."""

    def __init__(self, url: str, *, max_silence_s: float) -> None:
        """Remember where the servers are.

        Args:
            url: see ``place``.
            max_silence_s: ``news`` raises ``FeedSilent`` when it has heard nothing for longer.

        Raises:
            SetupError: the URL names no servers.
        """
        super().__init__(Place.parse(url), max_silence_s=max_silence_s)
