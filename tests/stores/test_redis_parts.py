"""The parts of the store on Redis: where the servers are, how records are packed, what runs inside the server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.servers.redis import RedisServer

from propylon.core import throttle
from propylon.core.device import Device
from propylon.core.session import MODES, Ending, EndReason
from propylon.core.throttle import Pace, Tally
from propylon.errors import SetupError
from propylon.stores.redis import RedisStore, layout
from propylon.stores.redis.database import FAIL
from propylon.stores.redis.place import Place
from propylon.stores.redis.records import packed, unpacked, unpacked_tally
from propylon.testing import NOW, a_session

times = st.integers(0, 2**40)
texts = st.text(max_size=40)
devices = st.builds(
    Device, texts | st.sampled_from(("", "Chrome", "Whale")), texts, st.sampled_from(("desktop", "app"))
)
reasons: Any = st.sampled_from(EndReason.__args__)  # type: ignore[attr-defined]  # of a Literal
sessions = st.builds(
    a_session,
    texts | st.uuids().map(str),
    salt=st.binary(min_size=32, max_size=32),
    key_id=texts,
    mode=st.sampled_from(MODES),
    remember=st.booleans(),
    created_at=times,
    auth_time=times,
    expires_at=times,
    idle_ttl_s=times,
    last_seen_at=times,
    device=devices,
    ip=texts | st.ip_addresses().map(str) | st.sampled_from(("::FFFF:1.2.3.4", "01.2.3.4", "unknown")),
    sign_in_method=texts,
    cookie_generation=times,
    cookie_rotated_at=times,
    earlier_auth_time=times,
    refresh_generation=times,
    refresh_rotated_at=times,
    refresh_origin=texts
    | st.sampled_from(("203.0.113.0/24 0123456789ab", "2001:db8::/56 0123456789ab", " 0123456789ab")),
    late_generation=st.integers(-1, 2**40),
    moved_at=times,
    refresh_floor=times,
    confirmed_from=texts | st.sampled_from(("203.0.113.0/24", "2001:db8::/56")),
    ending=st.none() | st.builds(Ending, reasons, times, st.none() | devices),
)


@given(sessions, times, st.integers(0, 2**32 - 1))
@example(a_session(ip="192.0.2.7", refresh_origin=" 0123456789ab"), 0, 0)
@example(a_session(refresh_floor=3), 0, 0)
@example(a_session(confirmed_from="192.0.2.0/24"), 0, 0)
def test_a_session_comes_back_as_it_was_packed(session: Any, opened_us: int, version: int) -> None:
    """Every field, however unlikely what is in it."""
    raw_id = layout.raw_id(session.id)
    assert raw_id is not None
    held = unpacked(raw_id, packed(session, opened_us, version))
    assert held[0] == session
    assert held[2:] == (opened_us, version)


def test_a_usual_session_is_small() -> None:
    """The allocator of Redis gives 128 bytes to a value of up to 124, and 160 to the next."""
    session = a_session(
        "3f0c1d1e-55a6-4c8e-9d52-0c8a1f3b7e21",
        key_id="key-2026-11",
        last_seen_at=NOW + 86_400,
        refresh_rotated_at=NOW,
        earlier_auth_time=NOW,
        ip="203.0.113.77",
        refresh_origin="203.0.113.0/24 0123456789ab",
        device=Device("Chrome", "Windows", "desktop"),
    )
    assert len(packed(session, NOW * 1_000_000 + 999_999, 1)) <= 124


@pytest.mark.parametrize(
    "text", ["", "s", "A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "é" * 22, "A" * 22 + "\n"]
)
def test_what_is_no_session_id_has_no_key(text: str) -> None:
    """It is answered without asking anybody."""
    assert layout.raw_id(text) is None


@given(st.text(), st.text())
def test_all_of_a_user_lies_in_one_slot(user_id: str, name: str) -> None:
    """What is between the braces of a key decides it."""
    session = a_session(user_id)
    raw = layout.raw_id(session.id)
    assert raw is not None
    shard = layout.shard_of(layout.user_key(user_id))
    for key in (layout.session_key(raw), layout.data_key(raw), layout.FEEDS[shard], layout.SESSIONS[shard]):
        assert key[:4] == b"p{%x}" % shard
    assert 0 <= layout.shard_of(layout.tally_key(name)) < 16
    assert layout.spelled_id(raw) == session.id


PACES = st.builds(Pace, st.integers(0, 10), st.integers(1, 10**6), st.integers(1, 10**6))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.none() | st.tuples(st.integers(0, 10**6), st.integers(NOW - 10**6, NOW + 10**6)), PACES)
def test_what_counts_failures_in_the_server_decides_as_the_core(
    redis_server: RedisServer, before: tuple[int, int] | None, pace: Pace
) -> None:
    """The same tally for every tally, pace and moment, and the same end of it."""
    key = layout.tally_key("key")
    redis_server.admin.delete(key)
    if before is not None:
        redis_server.admin.set(key, f"{before[0]} {before[1]} 0")
    redis_server.admin.eval(FAIL.text.decode(), 1, key, NOW, pace.forgive_s, pace.longest_wait_s, 60)
    expected = throttle.failed(Tally(*(before or (0, 0))), pace, NOW)
    assert unpacked_tally(redis_server.admin.get(key)) == (
        expected,
        throttle.forgotten_at(expected, pace),
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", Place(kind="single", hosts=(("localhost", 6379),))),
        ("valkey://host:1/2", Place(kind="single", hosts=(("host", 1),), db=2)),
        ("redis://[::1]:7/?db=3", Place(kind="single", hosts=(("::1", 7),), db=3)),
        ("redis://h?replicas=1", Place(kind="single", hosts=(("h", 6379),), replicas=1)),
        (
            "rediss://name:p%40ss@host/0?ssl_ca_certs=/ca.pem",
            Place(
                kind="single",
                hosts=(("host", 6379),),
                username="name",
                password="p@ss",
                tls=True,
                options={"ssl_ca_certs": "/ca.pem"},
            ),
        ),
        ("unix:///run/redis.sock?db=4", Place(kind="single", socket="/run/redis.sock", db=4)),
        (
            "redis+sentinel://:pw@a:1,b/svc?db=2",
            Place(kind="sentinel", hosts=(("a", 1), ("b", 26379)), service="svc", db=2, replicas=1, password="pw"),
        ),
        ("redis+cluster://a:1,b:2", Place(kind="cluster", hosts=(("a", 1), ("b", 2)), replicas=1)),
        ("rediss+cluster://a?replicas=0", Place(kind="cluster", hosts=(("a", 6379),), tls=True)),
    ],
)
def test_a_url_names_servers(url: str, expected: Place) -> None:
    """One server, sentinels and their service, or some nodes of a cluster."""
    assert Place.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis",
        "mysql://:hunter2@host",
        "redis://:hunter2@a,b",
        "redis://:hunter2@host/one",
        "redis://:hunter2@host:port",
        "redis://:hunter2@host:99999",
        "redis://:hunter2@host?decode_responses=yes",
        "redis://:hunter2@host#1",
        "unix://:hunter2@",
        "redis+sentinel://:hunter2@a,b",
        "redis+sentinel://:hunter2@a,b/",
        "redis+cluster://:hunter2@a/1",
        "redis+cluster://:hunter2@a?db=1",
        "redis+cluster://:hunter2@a?replicas=-1",
    ],
)
def test_a_url_that_names_none_is_refused_in_one_sentence(url: str) -> None:
    """It shows how one is written, and no password."""
    with pytest.raises(SetupError, match=r"redis\+sentinel://host") as caught:
        RedisStore(url, max_silence_s=1)
    assert "hunter2" not in str(caught.value)


def test_a_place_shows_no_password() -> None:
    """Neither to people nor to who debugs."""
    place = Place.parse("redis+sentinel://name:hunter2@a:1,b:2/svc?sentinel_password=hunter2")
    assert str(place) == "a:1, b:2"
    assert "hunter2" not in repr(place)
    assert msgspec.structs.asdict(place)["password"] == "hunter2"
