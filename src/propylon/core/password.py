"""Passwords: which are accepted, which bytes are hashed, and how.

Length and a list of common passwords, and no composition rules: NIST SP 800-63B-4 section 3.1.1.2 forbids
them because people answer ``Password1!`` to every one. A password is never truncated.
"""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Final

import argon2
import msgspec
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from propylon.core import foreign_hash
from propylon.core.foreign_hash import MAX_STORED_CHARS
from propylon.errors import PropylonError, RuleRefused, SetupError, Unusable

#: No policy may allow more. Checked before normalising: NFKC can lengthen a text eighteenfold.
MAX_PASSWORD_CODE_POINTS: Final = 1024

#: The dearest stored hash that is looked at: an imported one must not take the machine down.
MAX_STORED_MEMORY_KIB: Final = 1024 * 1024
MAX_STORED_TIME_COST: Final = 64
MAX_STORED_WORK_KIB: Final = 2 * 1024 * 1024  # memory times passes, about two seconds
MAX_STORED_PARALLELISM: Final = 64

#: What an account has that was imported without a hash: nobody signs in to it until it gets a password.
NO_PASSWORD: Final = ""

_SALT_BYTES: Final = 16  # RFC 9106 section 3.1
_TAG_BYTES: Final = 32


def prepared(password: str, *, field: str = "password") -> bytes:
    """Return the bytes to hash: NFKC (NIST SP 800-63B-4 section 3.1.1.2), then UTF-8.

    So a password is the same from every keyboard, whichever way it spells Hangul and accents.

    Raises:
        RuleRefused: ``password_refused``: ``too_long`` above `MAX_PASSWORD_CODE_POINTS`, ``invalid`` when it
            holds a lone surrogate, which no keyboard types and UTF-8 cannot say.
    """
    if len(password) > MAX_PASSWORD_CODE_POINTS:
        raise _refusal(field, "too_long", limit=MAX_PASSWORD_CODE_POINTS)
    try:
        return unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:
        raise _refusal(field, "invalid") from None  # the chained error would quote the password


def as_hashed(stored: str, password: str) -> bytes:
    """Return the bytes of a password that a stored hash is compared with; raises as `prepared` does.

    Ours: `prepared`. Another system's: UTF-8 as it was typed, since that is what was hashed there.
    """
    normalised = prepared(password)
    return password.encode() if is_foreign(stored) else normalised


def is_foreign(stored: str) -> bool:
    """Say whether another system made this hash; an Argon2 hash of theirs keeps Django's ``argon2`` before it."""
    return not stored.startswith("$argon2")


def imported(stored: str) -> str:
    """Return the form in which another system's hash is kept; `NO_PASSWORD` for Django's "no usable password".

    Raises:
        Unusable: ``hash_too_dear``, ``hash_weak``, ``hash_unsupported`` or ``hash_unreadable``.
    """
    if not stored or stored.startswith("!"):
        return NO_PASSWORD
    bare = stored.removeprefix(_FOREIGN_ARGON2)
    if not bare.startswith("$argon2"):
        foreign_hash.read(stored)
        return stored
    if not _PHC.fullmatch(bare):
        raise Unusable("hash_unreadable")
    _cost_of(bare)
    return _FOREIGN_ARGON2 + bare


class PasswordPolicy(msgspec.Struct, frozen=True):
    """What a new password has to be.

    Attributes:
        min_code_points: fewest code points, counted after NFKC.
        max_code_points: most code points, counted as sent.
        common: what is refused as known to every attacker, in NFKC and case-folded.
    """

    min_code_points: int = 8
    max_code_points: int = 256
    common: Container[str] = frozenset()

    def __post_init__(self) -> None:
        if not 1 <= self.min_code_points <= self.max_code_points <= MAX_PASSWORD_CODE_POINTS:
            raise SetupError(
                "password_lengths",
                limit=MAX_PASSWORD_CODE_POINTS,
                least=self.min_code_points,
                most=self.max_code_points,
            )

    def check(
        self, password: str, *, email: str = "", name: str = "", site_name: str = "", field: str = "password"
    ) -> None:
        """Accept a new password, or say why not.

        Args:
            password: as sent.
            email: the account's address; neither it nor what stands before its @ may be the password.
            name: the account's name, likewise.
            site_name: the service's name, likewise.
            field: how the request calls the password.

        Raises:
            RuleRefused: ``password_refused`` with one of ``too_short`` (``limit``), ``too_long`` (``limit``),
                ``common``, ``same_as_account`` and ``invalid``.
        """
        if len(password) > self.max_code_points:
            raise _refusal(field, "too_long", limit=self.max_code_points)
        folded = _fold(password)
        if len(prepared(password, field=field).decode()) < self.min_code_points:
            raise _refusal(field, "too_short", limit=self.min_code_points)
        if folded in self.common:
            raise _refusal(field, "common")
        if folded in {_fold(text) for text in (email, email.rpartition("@")[0], name, site_name) if text}:
            raise _refusal(field, "same_as_account")


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _refusal(field: str, code: str, **facts: object) -> RuleRefused:
    return RuleRefused("password_refused", errors=((field, code, facts),))


class Profile(msgspec.Struct, frozen=True):
    """The cost of one Argon2id hash, by the name of where it is recommended."""

    name: str
    memory_kib: int
    time_cost: int
    parallelism: int


#: OWASP Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane.
OWASP: Final = Profile("owasp", 19 * 1024, 2, 1)
#: RFC 9106 section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
RFC_9106_LOW_MEMORY: Final = Profile("rfc9106_low_memory", 64 * 1024, 3, 4)
#: For tests alone: it protects nothing.
UNSAFE_CHEAPEST: Final = Profile("unsafe_cheapest", 8, 1, 1)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {profile.name: profile for profile in (OWASP, RFC_9106_LOW_MEMORY, UNSAFE_CHEAPEST)}
)


class Hasher:
    """Argon2id at one profile's cost; it verifies hashes of any other cost, and imported ones, too.

    Blocking and dear on purpose: call it through `propylon.outside.hashing.HashPool`.
    """

    def __init__(self, profile: Profile = OWASP) -> None:
        self.profile = profile
        self._argon2 = argon2.PasswordHasher(
            time_cost=profile.time_cost,
            memory_cost=profile.memory_kib,
            parallelism=profile.parallelism,
            hash_len=_TAG_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._decoy = self._spell_decoy()

    def hash(self, prepared: bytes) -> str:
        """Hash a prepared password with a new salt; the result is a PHC string."""
        return self._argon2.hash(prepared)

    def verify(self, stored: str, prepared: bytes) -> bool:
        """Say whether a stored hash is that of this password.

        Args:
            stored: ours, or one that was imported.
            prepared: the password, as `as_hashed` spells it for this hash.

        Raises:
            PropylonError: ``hash_unreadable``: what is stored is no hash that is known here, or too dear a one.
        """
        bare = stored.removeprefix(_FOREIGN_ARGON2)
        if not bare.startswith("$argon2"):
            return _foreign(stored).matches(prepared)
        _bounded_cost(bare)
        try:
            return self._argon2.verify(bare, prepared)
        except VerifyMismatchError:
            return False
        except VerificationError:
            raise PropylonError("hash_unreadable") from None

    def needs_rehash(self, stored: str) -> bool:
        """Say whether a stored hash was cheaper to make than this profile's, counted in memory times passes.

        Whatever is not Argon2id was. A dearer one, imported or of an earlier profile, is never replaced by a weaker.

        Raises:
            PropylonError: ``hash_unreadable``.
        """
        bare = stored.removeprefix(_FOREIGN_ARGON2)
        if not bare.startswith("$argon2"):
            return True
        cost = _bounded_cost(bare)
        outdated = cost.type is not argon2.Type.ID or cost.version != ARGON2_VERSION
        return outdated or cost.memory_cost * cost.time_cost < self.profile.memory_kib * self.profile.time_cost

    def decoy(self) -> str:
        """Return the stored hash of nobody's password.

        Verifying against it costs what a real one costs, so that the answer for an unknown user takes as
        long as that for a wrong password (enumeration by time).
        """
        return self._decoy

    def _spell_decoy(self) -> str:
        # To whoever lacks the password a tag is random: drawing one is as good as hashing, and free.
        salt, tag = (
            base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (_SALT_BYTES, _TAG_BYTES)
        )
        cost = f"m={self.profile.memory_kib},t={self.profile.time_cost},p={self.profile.parallelism}"
        return f"$argon2id$v=19${cost}${salt}${tag}"


# What Django writes before an Argon2 hash.
_FOREIGN_ARGON2: Final = "argon2"

_PHC: Final = re.compile(
    r"\$argon2(?:id|i|d)(?:\$v=(?:16|19))?\$m=[0-9]{1,9},t=[0-9]{1,9},p=[0-9]{1,9}"
    r"\$[A-Za-z0-9+/]{11,100}\$[A-Za-z0-9+/]{22,200}"
)


def reads_all_of(stored: str, password: bytes) -> bool:
    """Say whether a hash that matches proves the whole password: bcrypt's proves the first 72 bytes.

    Raises:
        PropylonError: ``hash_unreadable``.
    """
    argon2id = stored.removeprefix(_FOREIGN_ARGON2).startswith("$argon2")
    return argon2id or _foreign(stored).reads_all_of(password)


def _foreign(stored: str) -> foreign_hash.ForeignHash:
    try:
        return foreign_hash.read(stored)
    except Unusable:
        raise PropylonError("hash_unreadable") from None


def _bounded_cost(stored: str) -> argon2.Parameters:
    """Return the cost of an Argon2 hash; what is none, or would stall the service, is refused."""
    try:
        return _cost_of(stored)
    except Unusable:
        raise PropylonError("hash_unreadable") from None


def _cost_of(stored: str) -> argon2.Parameters:
    if len(stored) > MAX_STORED_CHARS or not stored.isascii():
        raise Unusable("hash_unreadable")
    try:
        cost = argon2.extract_parameters(stored)
    except (InvalidHashError, ValueError):
        raise Unusable("hash_unreadable") from None
    too_much = cost.memory_cost * cost.time_cost > MAX_STORED_WORK_KIB or cost.parallelism > MAX_STORED_PARALLELISM
    if too_much or cost.memory_cost > MAX_STORED_MEMORY_KIB or cost.time_cost > MAX_STORED_TIME_COST:
        raise Unusable("hash_too_dear")
    if cost.memory_cost < 8 * cost.parallelism or not cost.time_cost or not cost.parallelism:  # RFC 9106 section 3.1
        raise Unusable("hash_unreadable")
    return cost
