"""Signing keys: made, sealed, published, rotated with overlap, and followed while nodes are live."""

from __future__ import annotations

import asyncio

from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey
from propylon.core.secret import KeyRing, Unsealable, seal, unseal
from propylon.errors import SetupError, StoreUnavailable
from propylon.flows.randomness import Randomness
from propylon.ports import Clock, Store, StoredKey

# A retired key goes on verifying for as long as a token signed by it can live, and verifiers elsewhere may
# have cached the set for a while: an hour more than the longest token life.
OVERLAP_S = 2 * 3_600


class SigningKeys:
    """The key that signs, and the set that verifies."""

    def __init__(self, store: Store, ring: KeyRing, clock: Clock, random: Randomness, *, algorithm: str) -> None:
        self._store, self._ring, self._clock, self._random = store, ring, clock, random
        self._algorithm = algorithm
        self._signing: SigningKey | None = None
        self._stored: list[StoredKey] = []
        self._stale = True
        self._loading = asyncio.Lock()
        self.published = KeySet(())
        self.algorithms: frozenset[str] = frozenset()

    @property
    def current(self) -> SigningKey:
        """The key that signs now."""
        if self._signing is None:
            raise StoreUnavailable
        return self._signing

    @property
    def stored(self) -> tuple[StoredKey, ...]:
        """All keys at rest, oldest first."""
        return tuple(self._stored)

    def changed(self) -> None:
        """Note that the feed announced another set; the next use loads it."""
        self._stale = True

    async def ready(self) -> None:
        """Load the set if it has changed, and make the first key where there is none."""
        if self._stale:
            async with self._loading:
                if self._stale:
                    await self._load()

    async def rotate(self) -> StoredKey:
        """Publish a new key and retire the one that signs; tokens of the old one stay good for the overlap.

        Of two nodes that rotate at once one publishes; both return its key.
        """
        await self.ready()
        signing = self._signing_stored()
        await self._store.publish_key(self._generate(), replaces=signing.kid if signing else None)
        await self._load()
        return next(key for key in reversed(self._stored) if key.retired_at is None)

    async def rotate_if_older(self, ttl_s: int) -> bool:
        """Rotate when the signing key has served its time, and drop what nobody can need; for upkeep."""
        now = self._clock.now()
        await self._store.drop_keys(now - OVERLAP_S)
        await self.ready()
        signing = self._signing_stored()
        if signing is not None and now - signing.created_at < ttl_s:
            return False
        await self.rotate()
        return True

    def _signing_stored(self) -> StoredKey | None:
        usable = [key for key in self._stored if key.retired_at is None]
        return usable[-1] if usable else None

    async def _load(self) -> None:
        self._stale = False
        try:
            self._stored = await self._store.signing_keys()
            signing = self._signing_stored()
            if signing is None or self._wants_another(signing):
                # Of two nodes that start at once, one publishes; both then load the same key.
                await self._store.publish_key(self._generate(), replaces=signing.kid if signing else None)
                self._stored = await self._store.signing_keys()
            self._open()
        except BaseException:
            self._stale = True
            raise

    def _wants_another(self, signing: StoredKey) -> bool:
        # At the start only: while nodes are moved to another algorithm one by one, those not yet restarted
        # follow, or old and new would replace each other's key at every request.
        return self._signing is None and signing.alg != self._algorithm

    def _open(self) -> None:
        earliest = self._clock.now() - OVERLAP_S
        usable = [key for key in self._stored if key.retired_at is None or key.retired_at >= earliest]
        keys = {key.kid: self._unsealed(key) for key in usable}
        signing = self._signing_stored()
        self._signing = keys[signing.kid] if signing else None
        self.published = KeySet(key.verification_key for key in keys.values())
        self.algorithms = frozenset(key.alg for key in keys.values())

    def _generate(self) -> StoredKey:
        key = SigningKey.generate(self._algorithm)
        kid = key.verification_key.kid
        server_key = self._ring.current
        sealed = seal(server_key, key.to_private(), context=_context(kid, key.alg), nonce=self._random(12))
        return StoredKey(kid=kid, alg=key.alg, sealed=sealed, sealed_with=server_key.id, created_at=self._clock.now())

    def _unsealed(self, stored: StoredKey) -> SigningKey:
        server_key = self._ring.find(stored.sealed_with)
        if server_key is None:
            raise SetupError("server_key_of_signing_key", key_id=repr(stored.sealed_with))
        try:
            private = unseal(server_key, stored.sealed, context=_context(stored.kid, stored.alg))
        except Unsealable:
            raise SetupError("signing_key_sealed", kid=stored.kid, key_id=repr(stored.sealed_with)) from None
        return SigningKey.from_private(stored.alg, private)


def _context(kid: str, alg: str) -> bytes:
    return f"{kid} {alg}".encode()
