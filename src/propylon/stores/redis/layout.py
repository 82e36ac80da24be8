"""Names of keys: where everything lies. A key is short, since its bytes are paid for once a session.

``p{3}s`` and the 16 bytes of an id is a session, ``p{3}d`` and the same its data, ``p{3}u`` and the end of the
SHA-256 of a user's id the list of that user's sessions, ``p{3}t`` and the beginning of the SHA-256 of its name a
tally of failures, ``p{3}f`` a feed, ``p{3}e`` the name of its history. The digit between the braces is one of sixteen
shards, and in a cluster its slot: all that is decided together lies in one. A single server has the same keys, so that
it may become a cluster.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from propylon.core.secret import SHARDS, shard_of_user

# The last character of 16 bytes in base64url carries two bits; the rest must be zero.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")

_TAGS: Final = tuple(b"p{%x}" % shard for shard in range(SHARDS))

EVERYTHING: Final = b"p{?}*"
KIND: Final = 4  # where in a key its kind stands
SESSION, DATA, USER, TALLY = b"sdut"

# A key of at most 14 bytes takes 16, a longer one 32. Of a million users two share 72 bits with a chance of one to ten
# thousand million; whoever did would share a list, in which each sees their own sessions alone.
USER_BYTES: Final = 9

BEAT: Final = tuple(tag + b"b" for tag in _TAGS)
EPOCHS: Final = tuple(tag + b"e" for tag in _TAGS)
FEEDS: Final = tuple(tag + b"f" for tag in _TAGS)
SESSIONS: Final = tuple(tag + b"s" for tag in _TAGS)


def raw_id(session_id: str) -> bytes | None:
    """Return the 16 bytes of a session id, or None for what is none."""
    if _ID.fullmatch(session_id) is None:
        return None
    return base64.urlsafe_b64decode(session_id + "==")


def spelled_id(raw: bytes) -> str:
    """Return the session id of 16 bytes."""
    return base64.urlsafe_b64encode(raw)[:22].decode()


def session_key(raw: bytes) -> bytes:
    """Return where a session is."""
    return _TAGS[raw[0] >> 4] + b"s" + raw


def data_key(raw: bytes) -> bytes:
    """Return where the data of a session are."""
    return _TAGS[raw[0] >> 4] + b"d" + raw


def user_key(user_id: str) -> bytes:
    """Return where the list of a user's sessions is."""
    digest = hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).digest()
    return _TAGS[shard_of_user(user_id)] + b"u" + digest[-USER_BYTES:]


def tally_key(name: str) -> bytes:
    """Return where failures of this name are counted."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return _TAGS[digest[0] >> 4] + b"t" + digest[:16]


def shard_of(key: bytes) -> int:
    """Return the shard of a key."""
    return int(key[2:3], 16)
