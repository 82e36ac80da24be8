"""The server's keys and what is made from them: rotating secrets, their spelling, and sealed values.

A rotating secret is derived, never stored: HMAC-SHA256 under a server key of the session's salt, what the
secret is for, and its generation. So the database alone forges nothing, nor does the key alone, and nothing
usable is at rest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from propylon.errors import PropylonError, SetupError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D section 8.2.2: 96 random bits
SESSION_ID_BYTES: Final = 16
SHARDS: Final = 16  # as many as the four bits of a session id that are its user's can tell apart

MAX_CREDENTIAL_BYTES: Final = 100
MAX_RING_CHARS: Final = 8192
MAX_KEYS: Final = 32
MAX_GENERATION: Final = 2**31 - 1

# Fewer distinct bytes than this among 32 is no random key (chance below 2**-100), but `00000000...`.
_FEWEST_DISTINCT_BYTES: Final = 8

# Every use of a key begins with its own name and version, so that no output of one use is valid in another.
# The zero byte ends the name: none is the beginning of another.
_DERIVED: Final = b"propylon derived secret v1\0"
_FINGERPRINT: Final = b"propylon key fingerprint v1\0"
_SEAL: Final = b"propylon seal signing key v1"
_SEAL_VERSION: Final = b"\x01"

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_HEX_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
# In base64url the last character of 16 bytes carries two bits, that of 32 bytes four; the rest must be zero.
_CREDENTIAL: Final = re.compile(
    r"([A-Za-z0-9_-]{21}[AQgw])\.(0|[1-9][0-9]{0,9})\.([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"
)


class Unsealable(PropylonError):
    """A sealed value was made with another key or for another context, or was altered."""

    code = "unsealable"


class _Masked(msgspec.Struct, frozen=True):
    """A record whose bytes are secret: they appear in no repr, also not in rich's tracebacks."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return [(name, "***" if isinstance(value, bytes) else value) for name, value in fields]


class ServerKey(_Masked, frozen=True):
    """One key of the ring: its public id and 256 secret bits."""

    id: str
    value: bytes


class KeyRing(msgspec.Struct, frozen=True):
    """The server's keys; the first is the current one, the others still open what was made with them."""

    keys: tuple[ServerKey, ...]

    @property
    def current(self) -> ServerKey:
        """The key that new secrets are made with."""
        return self.keys[0]

    def find(self, key_id: str) -> ServerKey | None:
        """Return the key with this id, or None."""
        return next((key for key in self.keys if key.id == key_id), None)

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read a ring: an entry a line, ``<id> <key>``, the key 32 bytes in base64url or hex.

        Commas separate entries too, since a line break is hard to put into an environment variable; ``#``
        starts a comment line.

        Raises:
            SetupError: one sentence, which never shows a key.
        """
        if len(text) > MAX_RING_CHARS:
            raise SetupError("ring_too_long", limit=MAX_RING_CHARS)
        keys = tuple(_server_key(number, entry) for number, entry in enumerate(_entries(text), start=1))
        if not keys:
            raise SetupError("ring_empty")
        if len(keys) > MAX_KEYS or len({key.id for key in keys}) < len(keys):
            raise SetupError("ring_repeats", limit=MAX_KEYS)
        return cls(keys)


class Presented(_Masked, frozen=True):
    """An opaque credential as parsed: well-formed, not yet verified."""

    session_id: str
    generation: int
    secret: bytes


def new_session_id(random: bytes, user_id: str) -> str:
    """Spell a session id: public, unguessable, 22 characters.

    Its first four bits come from the SHA-256 of the user's id, so that a store which is spread over several servers
    finds a session by its id alone and still has all sessions of one user in one place, where a limit is decided in
    one step. They give nothing away (the id names no user: one in sixteen shares them) and leave 124 random bits,
    which have to be unique, not secret: the secret of a session is derived from its salt.
    """
    if len(random) != SESSION_ID_BYTES:
        raise ValueError(f"a session id is made of {SESSION_ID_BYTES} random bytes")
    routed = shard_of_user(user_id) << 4 | random[0] & 0x0F
    return _encode(bytes((routed,)) + random[1:])


def shard_of_user(user_id: str) -> int:
    """Return which of the `SHARDS` the sessions of a user belong to."""
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).digest()[0] >> 4


def derive(key: ServerKey, salt: bytes, kind: str, generation: int) -> bytes:
    """Derive the 256-bit secret of one generation of a session.

    Args:
        key: the server key named in the session's record.
        salt: the session's own 256 bits.
        kind: what the secret is for, such as ``cookie`` or ``refresh``.
        generation: counter of rotations, from 0 to `MAX_GENERATION`.
    """
    named = kind.encode()
    # The lengths stand first: salt and kind must not be able to trade bytes and make the same message.
    lengths = bytes((len(salt), len(named)))
    return _mac(key, _DERIVED + lengths + salt + named + generation.to_bytes(8, "big"))


def matches(key: ServerKey, salt: bytes, kind: str, presented: Presented) -> bool:
    """Say in constant time whether the presented secret is the one derived for its generation."""
    return hmac.compare_digest(derive(key, salt, kind, presented.generation), presented.secret)


def fingerprint(key: ServerKey) -> str:
    """Return a public value by which two nodes notice that their keys differ; it gives nothing else away."""
    return _encode(_mac(key, _FINGERPRINT)[:16])


def spell(session_id: str, generation: int, secret: bytes) -> str:
    """Write an opaque credential: ``sid.generation.secret``."""
    return f"{session_id}.{generation}.{_encode(secret)}"


def parse(text: str) -> Presented | None:
    """Read an opaque credential; None for anything that `spell` would not have written letter for letter.

    One spelling each: a second one (leading zeros, other trailing bits) would slip past a comparison.
    """
    if len(text) > MAX_CREDENTIAL_BYTES or not (shape := _CREDENTIAL.fullmatch(text)):
        return None
    session_id, counted, spelled = shape.groups()
    generation = int(counted)
    if generation > MAX_GENERATION:
        return None
    return Presented(session_id, generation, base64.urlsafe_b64decode(spelled + "="))


def seal(key: ServerKey, plaintext: bytes, *, context: bytes, nonce: bytes) -> bytes:
    """Encrypt the private part of a signing key for the store (AES-256-GCM).

    Args:
        key: the server key.
        plaintext: what to protect.
        context: where it belongs, such as the signing key's id; it opens nowhere else.
        nonce: `NONCE_BYTES` fresh random bytes, never used twice under one key.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
    return _SEAL_VERSION + nonce + _cipher(key).encrypt(nonce, plaintext, context)


def unseal(key: ServerKey, sealed: bytes, *, context: bytes) -> bytes:
    """Decrypt what `seal` made with the same key and context.

    Raises:
        Unsealable: another key, another context, or altered bytes; which of them cannot be told.
    """
    version, nonce, box = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if version != _SEAL_VERSION or len(nonce) != NONCE_BYTES:
        raise Unsealable
    try:
        return _cipher(key).decrypt(nonce, box, context)
    except InvalidTag:
        raise Unsealable from None


def _mac(key: ServerKey, message: bytes) -> bytes:
    return hmac.digest(key.value, message, hashlib.sha256)


def _cipher(key: ServerKey) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_SEAL).derive(key.value))


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    """Decode base64url without padding; None unless it is the one spelling of its bytes."""
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return value if _encode(value) == text else None  # the decoder skips foreign characters and trailing bits


def _entries(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            yield from filter(None, map(str.strip, line.split(",")))


def _server_key(number: int, entry: str) -> ServerKey:
    parts = entry.split()
    if len(parts) != 2 or not _KEY_ID.fullmatch(parts[0]):
        raise SetupError("ring_entry", number=number)
    key_id, spelled = parts
    value = bytes.fromhex(spelled) if _HEX_KEY.fullmatch(spelled) else _decode(spelled.rstrip("="))
    if value is None or len(value) != KEY_BYTES:
        raise SetupError("ring_key_size", number=number, n_bytes=KEY_BYTES)
    if len(set(value)) < _FEWEST_DISTINCT_BYTES:
        raise SetupError("ring_key_weak", number=number)
    return ServerKey(key_id, value)
