"""Records to bytes and back, packed tightly: at a million sessions every byte is a megabyte.

A session is one MessagePack array. Times stand as seconds since it was opened, frequent words as numbers, addresses and
UUIDs as their bytes: about 120 bytes with its salt, where JSON takes 600.
"""

from __future__ import annotations

import re
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, Final, NamedTuple

import msgspec

from propylon.core.device import Device
from propylon.core.session import Ending, Session
from propylon.core.throttle import Tally
from propylon.stores.redis.layout import spelled_id

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

# Words that most sessions hold. What is not in here is kept as it is; the order is part of what is stored, so new
# ones go to the end.
_WORDS: Final = (
    "cookie", "bearer", "hybrid", "desktop", "mobile", "app", "password",
    "signed_out", "ended_by_user", "ended_by_administrator", "password_changed", "evicted", "reused", "user_disabled",
    "", "Chrome", "Chrome Mobile", "Firefox", "Safari", "Mobile Safari", "Edge", "Samsung Internet", "Whale",
    "KakaoTalk", "Windows", "macOS", "iOS", "Android", "Linux",
)  # fmt: skip
_NUMBERS: Final = {word: number for number, word in enumerate(_WORDS)}

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ORIGIN: Final = re.compile(r"(.*) ([0-9a-f]{12})")
_DIGEST_BYTES: Final = 6

_ID_BYTES: Final = 16
_VERSION_BYTES: Final = 4


class Held(NamedTuple):
    """A session as it is kept.

    Attributes:
        raw: the bytes that must still be there when it is replaced.
        opened_us: when it was opened, in microseconds by the clock of the node: the order in a list of everyone's.
        security_version: the user's, when it was opened.
    """

    session: Session
    raw: bytes
    opened_us: int
    security_version: int


class UserSessions(NamedTuple):
    """The list of a user's sessions, in the order in which they were opened.

    Attributes:
        raw: the bytes that must still be there when it is replaced.
        security_version: the newest that a change with an ending has made known.
    """

    raw: bytes
    security_version: int
    ids: tuple[bytes, ...]


def packed(session: Session, opened_us: int, security_version: int) -> bytes:
    """Return the bytes of a session, all but its id, which is in the key."""
    opened_at, device, ip = session.created_at, session.device, _short_address(session.ip)
    return _encode(
        (
            opened_at,
            opened_us - opened_at * 1_000_000,
            security_version,
            _short_id(session.user_id),
            session.salt,
            session.key_id,
            _number(session.mode),
            session.remember,
            session.auth_time - opened_at,
            session.expires_at - opened_at,
            session.idle_ttl_s,
            session.last_seen_at - opened_at,
            (_number(device.browser), _number(device.os), _number(device.kind)),
            ip,
            _number(session.sign_in_method),
            session.cookie_generation,
            _since(opened_at, session.cookie_rotated_at),
            _since(opened_at, session.earlier_auth_time),
            session.refresh_generation,
            _since(opened_at, session.refresh_rotated_at),
            _short_origin(session.refresh_origin, ip),
            session.late_generation,
            _short_ending(opened_at, session.ending),
            *_rare(opened_at, session),
        )
    )


def unpacked(raw_id: bytes, raw: bytes) -> Held:
    """Return the session of these bytes."""
    row = _decode(raw)
    opened_at = row[0]
    session = Session(
        id=spelled_id(raw_id),
        user_id=_long_id(row[3]),
        salt=row[4],
        key_id=row[5],
        mode=_word(row[6]),
        remember=row[7],
        created_at=opened_at,
        auth_time=opened_at + row[8],
        expires_at=opened_at + row[9],
        idle_ttl_s=row[10],
        last_seen_at=opened_at + row[11],
        device=_device(row[12]),
        ip=_long_address(row[13]),
        sign_in_method=_word(row[14]),
        cookie_generation=row[15],
        cookie_rotated_at=0 if row[16] is None else opened_at + row[16],
        earlier_auth_time=0 if row[17] is None else opened_at + row[17],
        refresh_generation=row[18],
        refresh_rotated_at=0 if row[19] is None else opened_at + row[19],
        refresh_origin=_long_origin(row[20], row[13]),
        late_generation=row[21],
        ending=None if row[22] is None else _long_ending(opened_at, row[22]),
        moved_at=opened_at + row[23] if len(row) > 23 and row[23] is not None else 0,
        refresh_floor=row[24] if len(row) > 24 else 0,
        confirmed_from=row[25] if len(row) > 25 else "",
    )
    return Held(session, raw, opened_at * 1_000_000 + row[1], row[2])


def packed_list(security_version: int, ids: tuple[bytes, ...]) -> bytes:
    """Return the bytes of a user's list."""
    return security_version.to_bytes(_VERSION_BYTES, "big") + b"".join(ids)


def unpacked_list(raw: bytes) -> UserSessions:
    """Return the list of these bytes; none are an empty one."""
    ids = tuple(raw[at : at + _ID_BYTES] for at in range(_VERSION_BYTES, len(raw), _ID_BYTES))
    return UserSessions(raw, int.from_bytes(raw[:_VERSION_BYTES], "big"), ids)


def packed_data(version: int, value: Any) -> bytes:
    """Return the bytes of an app's data."""
    return version.to_bytes(_VERSION_BYTES, "big") + msgspec.json.encode(value)


def unpacked_data(raw: bytes | None) -> tuple[int, Any]:
    """Return the version of an app's data and what they are; an empty object where there are none."""
    if raw is None:
        return 0, {}
    return int.from_bytes(raw[:_VERSION_BYTES], "big"), msgspec.json.decode(raw[_VERSION_BYTES:])


def unpacked_tally(raw: bytes | None) -> tuple[Tally, int]:
    """Return failures, and when nothing of them counts any more; the script that counts has written them as text."""
    if raw is None:
        return Tally(), 0
    failures, last_at, forgotten_at = map(int, raw.split())
    return Tally(failures, last_at), forgotten_at


def _number(word: str) -> int | str:
    return _NUMBERS.get(word, word)


def _word(kept: int | str) -> Any:
    return kept if isinstance(kept, str) else _WORDS[kept]


def _since(opened_at: int, at: int) -> int | None:
    return at - opened_at if at else None  # 0 is never


def _device(kept: Any) -> Device:
    browser, os, kind = kept
    return Device(_word(browser), _word(os), _word(kind))


def _short_id(user_id: str) -> bytes | str:
    return bytes.fromhex(user_id.replace("-", "")) if _UUID.fullmatch(user_id) else user_id


def _long_id(kept: bytes | str) -> str:
    if isinstance(kept, str):
        return kept
    digits = kept.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _short_address(ip: str) -> bytes | str:
    family = AF_INET6 if ":" in ip else AF_INET
    try:
        raw = inet_pton(family, ip)
    except (OSError, ValueError):
        return ip
    return raw if inet_ntop(family, raw) == ip else ip


def _long_address(kept: bytes | str) -> str:
    if isinstance(kept, str):
        return kept
    return inet_ntop(AF_INET if len(kept) == 4 else AF_INET6, kept)


def _rare(opened_at: int, session: Session) -> tuple[Any, ...]:
    """Return what most sessions have not: they never move, nor is their user asked again; they pay nothing for it."""
    moved = _since(opened_at, session.moved_at)
    if session.confirmed_from:
        return moved, session.refresh_floor, session.confirmed_from
    return (moved, session.refresh_floor) if session.moved_at or session.refresh_floor else ()


def _short_origin(origin: str, ip: bytes | str) -> bytes | str:
    shape = _ORIGIN.fullmatch(origin)
    if shape is None or not shape[1]:  # nothing before the digest stands for the network of the address
        return origin
    network = "" if shape[1] == _network_of(ip) else shape[1]  # nearly always that of the address beside it
    return bytes.fromhex(shape[2]) + network.encode()


def _long_origin(kept: bytes | str, ip: bytes | str) -> str:
    if isinstance(kept, str):
        return kept
    return f"{kept[_DIGEST_BYTES:].decode() or _network_of(ip)} {kept[:_DIGEST_BYTES].hex()}"


def _network_of(ip: bytes | str) -> str:
    """Return the /24 around an IPv4 address, as ``core.network.neighbourhood`` spells it but ten times as fast."""
    return f"{ip[0]}.{ip[1]}.{ip[2]}.0/24" if isinstance(ip, bytes) and len(ip) == 4 else ""


def _short_ending(opened_at: int, ending: Ending | None) -> Any:
    if ending is None:
        return None
    by = ending.by
    device = None if by is None else (_number(by.browser), _number(by.os), _number(by.kind))
    return _number(ending.reason), ending.at - opened_at, device


def _long_ending(opened_at: int, kept: Any) -> Ending:
    reason, at, by = kept
    return Ending(_word(reason), opened_at + at, None if by is None else _device(by))
