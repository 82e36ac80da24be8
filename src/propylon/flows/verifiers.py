"""Verifiers elsewhere: added, listed, removed, and recognised by their secret.

They are one setting, a JSON list changed by compare-and-swap: a handful of rows that are read once and again when
the feed says that a setting has changed. That needs no table of its own in any store, and reaches every node.
"""

from __future__ import annotations

import msgspec

from propylon.core import verifiers
from propylon.core.verifiers import MAX_VERIFIERS, NewVerifier, StoredVerifier
from propylon.errors import ClientError, Conflict, NotFound
from propylon.flows.gate import Gate
from propylon.flows.randomness import Randomness
from propylon.ports import Clock, SecurityLog, SettingStore

VERIFIERS_SETTING = "verifiers"

_Verifiers = tuple[StoredVerifier, ...]


class Verifiers:
    """Who may follow the feed."""

    def __init__(self, settings: SettingStore, gate: Gate, clock: Clock, random: Randomness, log: SecurityLog) -> None:
        self._settings, self._gate, self._clock, self._random, self._log = settings, gate, clock, random, log
        self._known: _Verifiers = ()
        self._version = -1

    async def add(self, name: str) -> NewVerifier:
        """Make a verifier and return it with its secret, once.

        Raises:
            ClientError: the name is unsound.
            Conflict: it is taken, there are too many, or somebody else was first.
        """
        if not verifiers.name_is_sound(name):
            raise ClientError("verifier_name", name=name)
        text, known = await self._read()
        if any(verifier.name == name for verifier in known):
            raise Conflict("verifier_exists", name=name)
        if len(known) >= MAX_VERIFIERS:
            raise Conflict("verifiers_too_many", limit=MAX_VERIFIERS)
        random = self._random(verifiers.ID_BYTES + verifiers.SECRET_BYTES)
        new, stored = verifiers.made(name, random, self._clock.now())
        await self._write((*known, stored), text)
        self._log.record("verifier_added", verifier=new.id)
        return new

    async def all(self) -> _Verifiers:
        """Return all, oldest first."""
        return (await self._read())[1]

    async def remove(self, name: str) -> StoredVerifier:
        """Remove one by its name or id: its streams are cut off, and its secret is good for nothing.

        Raises:
            NotFound: there is none.
            Conflict: somebody else was first.
        """
        text, known = await self._read()
        gone = next((verifier for verifier in known if name in (verifier.id, verifier.name)), None)
        if gone is None:
            raise NotFound("verifier_unknown", name=name)
        await self._write(tuple(verifier for verifier in known if verifier != gone), text)
        self._log.record("verifier_removed", verifier=gone.id)
        return gone

    async def recognise(self, secret: str) -> StoredVerifier | None:
        """Return whose secret this is now, or None."""
        await self._gate.listen()
        return verifiers.recognised(await self.current(), secret)

    async def current(self) -> _Verifiers:
        """Return all as they are now; free while no setting has changed since the last call."""
        version = self._gate.mode_version
        if version != self._version:
            # Noted only once it was read, as in ``server_mode``: a store that fails now is asked again.
            self._known = await self.all()
            self._version = version
        return self._known

    async def _read(self) -> tuple[str | None, _Verifiers]:
        text = await self._settings.read_setting(VERIFIERS_SETTING)
        return text, msgspec.json.decode(text, type=_Verifiers) if text is not None else ()

    async def _write(self, changed: _Verifiers, expected: str | None) -> None:
        value = msgspec.json.encode(changed).decode()
        if not await self._settings.write_setting(VERIFIERS_SETTING, value, expected=expected):
            raise Conflict("verifiers_changed_meanwhile")
