"""Principals that were verified lately: a bounded memory that never decides a refusal.

It only ever says "yes, still"; whoever is not remembered is verified in full. Entries are found by the
BLAKE2b of the credential (RFC 7693), so no usable secret is kept and look-ups leak nothing through timing. Deadlines
are monotonic: a wall clock that is set back revives nothing.

Not SHA-256: Python asks OpenSSL for that, which looks the algorithm up each time and takes locks. In a server of
several threads this was 4 us of a request, and half of all that remembering costs.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from propylon.core.principal import Principal

# One entry is about 1 KiB; this many is the bound on what a flood of distinct credentials can take.
MAX_REMEMBERED = 65_536
DIGEST_BYTES = 32


class Remembered(NamedTuple):
    """A principal and the monotonic second at which it must be verified anew."""

    principal: Principal
    until: float


class RememberedPrincipals:
    """Credential digest to principal, and back from session and user to forget them."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._found: dict[bytes, Remembered] = {}
        self._of_session: dict[str, set[bytes]] = {}
        self._sessions_of_user: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """Return how many credentials are remembered."""
        return len(self._found)

    def get(self, credential: str, monotonic: float) -> Principal | None:
        """Return the principal of ``credential`` while it need not be verified anew."""
        held = self._found.get(blake2b(credential.encode(), digest_size=DIGEST_BYTES).digest())
        return held.principal if held is not None and monotonic < held.until else None

    def put(self, credential: str, principal: Principal, until: float) -> None:
        """Remember ``principal`` until that monotonic second; the oldest entry goes when there is no room."""
        digest = blake2b(credential.encode(), digest_size=DIGEST_BYTES).digest()
        if digest in self._found:
            self._drop(digest)  # what was verified again is no longer the oldest
        elif len(self._found) >= self._most:
            self._drop(next(iter(self._found)))
        self._found[digest] = Remembered(principal, until)
        self._of_session.setdefault(principal.session_id, set()).add(digest)
        self._sessions_of_user.setdefault(principal.user_id, set()).add(principal.session_id)

    def forget_session(self, session_id: str) -> None:
        """Forget every credential of a session."""
        for digest in self._of_session.get(session_id, set()).copy():
            self._drop(digest)

    def forget_user(self, user_id: str) -> None:
        """Forget every credential of a user."""
        for session_id in self._sessions_of_user.get(user_id, set()).copy():
            self.forget_session(session_id)

    def forget_all(self) -> None:
        """Forget everything: what changed is not known any more."""
        self._found.clear()
        self._of_session.clear()
        self._sessions_of_user.clear()

    def forget_stale(self, monotonic: float) -> None:
        """Drop what would have to be verified anew anyway."""
        for digest in [digest for digest, held in self._found.items() if held.until <= monotonic]:
            self._drop(digest)

    def _drop(self, digest: bytes) -> None:
        principal = self._found.pop(digest).principal
        digests = self._of_session[principal.session_id]
        digests.discard(digest)
        if not digests:
            del self._of_session[principal.session_id]
            sessions = self._sessions_of_user[principal.user_id]
            sessions.discard(principal.session_id)
            if not sessions:
                del self._sessions_of_user[principal.user_id]
