"""The issuer's public keys, as last published."""

from __future__ import annotations

import threading
from collections.abc import Callable

from propylon.core.jose.algorithms import ALGORITHMS
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.refusals import KeyRefused
from propylon.verifier.events import FeedBroken

# An unknown key id is nearly always made up, and whoever makes them up must not make us ask again and again.
LOOK_AGAIN_AFTER_S = 60.0


# With any other, whoever can verify can also sign. Of these each key allows the one that is its own.
ALLOWED = frozenset(name for name, algorithm in ALGORITHMS.items() if algorithm.kty != "oct")


class RemoteKeys:
    """Fetches the key set; keeps the one it has where that fails."""

    def __init__(self, fetch: Callable[[], bytes], monotonic: Callable[[], float]) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._fetching = threading.Lock()
        self._look_again_at = float("-inf")
        self.current = KeySet()
        self.fetched = 0  # how often, for who wants to count

    def load(self) -> None:
        """Replace the set by what is published now; raises one of ``fetching.FAILURES``."""
        with self._fetching:  # one at a time: an answer that was overtaken must not replace a newer one
            self._load()

    def _load(self) -> None:
        self.fetched += 1
        try:
            # A key that is no public one is left out: whoever verifies with it could sign.
            usable = KeySet(key for key in KeySet.from_jwks(self._fetch()) if not key.is_symmetric)
        except KeyRefused as error:
            raise FeedBroken(f"the published keys are unusable: {error}") from error
        if not len(usable):
            raise FeedBroken("the issuer publishes no public key (with HS256 none can be: choose another algorithm)")
        self.current = usable

    def may_look_again(self) -> bool:
        """Return whether ``look_again`` would do anything: nobody has looked within a minute, or somebody does now."""
        return self._fetching.locked() or self._monotonic() >= self._look_again_at

    def look_again(self) -> None:
        """Load the set for an unknown key id: at most once a minute for all callers together, who wait for the one."""
        with self._fetching:
            if self._monotonic() < self._look_again_at:
                return
            self._look_again_at = self._monotonic() + LOOK_AGAIN_AFTER_S
            self._load()
