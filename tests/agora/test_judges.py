"""Every verdict turns with the figures: nothing is written down beforehand."""

from __future__ import annotations

from typing import Any

import pytest
from tests.agora.planting import Planted, found, outcomes

from propylon.agora.experiments import (
    ALL,
    async_,
    clients,
    crypto,
    expiry,
    load,
    migration,
    multilogin,
    payload,
    revocation,
    stores,
    tokens,
    traffic,
)

CPU = "processor_us"


def loads(cookie: Any, token: Any, token_and_user: Any, lazy: Any, asked: Any = 90, stormed: Any = 4) -> Planted:
    """Return what the experiment ``load`` may find; calm, everybody waits for 2 ms."""
    values = {"cookie": cookie, "token": token, "token_and_user": token_and_user, "lazy": lazy, "cookie_asked": asked}
    storm = {"calm_ms": 2, "p99_ms": stormed, "sign_ins": 30}
    return {"storm": storm, **{name: {CPU: value} for name, value in values.items()}}


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (loads(60, 50, 80, 30), ["holds", "holds", "holds", "holds", "partly"]),
        (loads(40, 50, 40, 60), ["does_not_hold", "does_not_hold", "does_not_hold", "holds", "partly"]),
        (loads((49, 52, 50), 50, (51, 49, 50), (50, 51, 49), (49, 53, 50), (1, 2, 3)), ["no_difference"] * 5),
        (loads(50.5, 50, 50.5, 50.4, 50.6, 2.01), ["no_difference"] * 5),
    ],
)
def test_load(planted: Planted, expected: list[str]) -> None:
    """More, less, and within the noise."""
    assert outcomes(load.EXPERIMENT, found("load", planted)) == expected


@pytest.mark.parametrize("fallen", ["storm", "cookie_asked"])
def test_load_is_judged_without_what_nobody_claimed(fallen: str) -> None:
    """A variant that fell takes its own sentence away and no other."""
    planted = {name: figures for name, figures in loads(60, 50, 80, 30).items() if name != fallen}
    assert outcomes(load.EXPERIMENT, found("load", planted))[:3] == ["holds", "holds", "holds"]
    assert len(outcomes(load.EXPERIMENT, found("load", planted))) == 4


def signed(verify: float, again: float, cookie: float, by_hand: float) -> Planted:
    """Return what the experiment ``crypto`` may find."""
    algorithm = {"verify_us": verify, "again_us": again, "sign_us": 1.0}
    others = {"cookie": {"again_us": cookie}, "by_hand": {"verify_us": by_hand}}
    return {**dict.fromkeys(("es256", "eddsa", "rs256", "hs256"), algorithm), **others}


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (signed(70, 1, 0.5, 3), ["partly", "partly"]),
        (signed(1, 1, 1, 3), ["does_not_hold", "does_not_hold"]),
        (signed(10, 1, 1, 10), ["partly", "does_not_hold"]),
    ],
)
def test_crypto(planted: Planted, expected: list[str]) -> None:
    """A first check that is as cheap as a cookie would change it; so would a home-made text that is not cheaper."""
    assert outcomes(crypto.EXPERIMENT, found("crypto", planted)) == expected


@pytest.mark.parametrize(("personal", "readable", "expected"), [
    (0, 8, ["does_not_hold", "holds"]),
    (2, 8, ["holds", "holds"]),
    (0, 0, ["does_not_hold", "does_not_hold"]),
])  # fmt: skip
def test_payload(personal: float, readable: float, expected: list[str]) -> None:
    """A token that names a person, or none that can be read, would change it."""
    planted: Planted = {"token": {"personal": personal, "readable": readable}, "token_of_examples": {"personal": 2}}
    assert outcomes(payload.EXPERIMENT, found("payload", planted)) == expected


@pytest.mark.parametrize(
    ("token", "outcome"), [(750, "partly"), (900, "does_not_hold"), (510, "does_not_hold"), (650, "does_not_hold")]
)
def test_traffic(token: float, outcome: str) -> None:
    """About half as much again is a third to two thirds."""
    sizes = {"request_1": token, "request_2": 25.0, "never_indexed_2": 300.0}
    cookie = {"request_1": 500.0, "request_2": 25.0, "answer_1": 170.0}
    planted = {"cookie": cookie, "es256": sizes, "es256_roles": sizes, "rs256": sizes}
    assert outcomes(traffic.EXPERIMENT, found("traffic", planted)) == [outcome, "holds"]


@pytest.mark.parametrize(
    ("redis", "postgres", "outcome"),
    [(20_000, 10_000, "holds"), (10_000, 20_000, "does_not_hold"), ((9, 11, 10), 10, "no_difference")],
)
def test_stores(redis: Any, postgres: Any, outcome: str) -> None:
    """A slow Redis turns it."""
    planted = {
        name: {"look_ups_per_second": value, "cached": 1.0}
        for name, value in (("redis", redis), ("postgres", postgres))
    }
    assert outcomes(stores.EXPERIMENT, found("stores", planted)) == [outcome]


@pytest.mark.parametrize(
    ("lag_ms", "expected"),
    [(20, ["does_not_hold", "partly"]), (5_000, ["partly", "partly"]), (400_000, ["holds", "holds"])],
)
def test_revocation(lag_ms: float, expected: list[str]) -> None:
    """A feed that takes seconds, or longer than the token lives, turns it."""
    waits = {
        f"wait_{life}": {"p50_ms": life * 30_000, "p99_ms": life * 60_000, "through": life * 15}
        for life in revocation.LIVES_MIN
    }
    slow = {"redis": {"p50_ms": lag_ms, "p99_ms": lag_ms, "through": lag_ms / 2_000}}
    assert outcomes(revocation.EXPERIMENT, found("revocation", {**slow, **waits})) == expected


def test_expiry() -> None:
    """With renewal that breaks orders all the same, the length of life matters again."""
    calm = {
        f"{policy}_{life}": {"broken": 0.0, "sign_ins": 0.0, "refreshes": 1.0, "exposed_s": 60.0}
        for policy in expiry.POLICIES
        for life in expiry.LIVES_MIN
    }
    assert outcomes(expiry.EXPERIMENT, found("expiry", calm)) == ["partly", "holds", "holds", "holds"]
    breaking = {name: {**values, "broken": 100.0, "sign_ins": 100.0} for name, values in calm.items()}
    assert outcomes(expiry.EXPERIMENT, found("expiry", breaking)) == ["partly", "holds", "does_not_hold", "partly"]
    without = {name: values if "none" not in name else breaking[name] for name, values in calm.items()}
    assert outcomes(expiry.EXPERIMENT, found("expiry", without)) == ["does_not_hold", "does_not_hold", "holds", "holds"]


@pytest.mark.parametrize(
    ("left", "naive", "expected"),
    [(3, 20, ["partly", "holds"]), (9, 20, ["does_not_hold", "holds"]), (3, 3, ["partly", "no_difference"])],
)
def test_multilogin(left: float, naive: float, expected: list[str]) -> None:
    """A limit that leaks turns it."""
    planted = {name: {"survivors": 3.0, "entered": 90.0} for name in multilogin.OURS}
    planted["bearer_redis"]["survivors"] = left
    planted["check_then_act"] = {"survivors": naive, "entered": 90.0}
    assert outcomes(multilogin.EXPERIMENT, found("multilogin", planted)) == expected


@pytest.mark.parametrize(
    ("mixed_up", "lost", "naive", "expected"),
    [
        (0, 0, 90, ["does_not_hold", "holds"]),
        (1, 0, 90, ["holds", "holds"]),
        (0, 1, 0, ["holds", "no_difference"]),
    ],
)
def test_async(mixed_up: float, lost: float, naive: float, expected: list[str]) -> None:
    """One answer for somebody else, or one write that is lost, turns it."""
    planted = {
        "cookie": {"mixed_up": 0.0, "lost": 0.0},
        "token": {"mixed_up": mixed_up, "lost": lost},
        "read_then_write": {"mixed_up": 0.0, "lost": naive},
    }
    assert outcomes(async_.EXPERIMENT, found("async", planted)) == expected


@pytest.mark.parametrize(("naive", "outcome"), [(1, "holds"), (4, "does_not_hold")])
def test_tokens(naive: float, outcome: str) -> None:
    """If the first try came out right everywhere, tokens would be easy."""
    planted = {"propylon": {"held": 8.0}, "first_try": {"held": naive}}
    assert outcomes(tokens.EXPERIMENT, found("tokens", planted)) == [outcome]


@pytest.mark.parametrize(("app", "outcome"), [(5, "holds"), (4, "does_not_hold")])
def test_clients(app: float, outcome: str) -> None:
    """An app that cannot do one of the things turns it."""
    planted = {name: {"done": 5.0} for name in clients.KINDS} | {"app": {"done": app}}
    assert outcomes(clients.EXPERIMENT, found("clients", planted)) == [outcome]


@pytest.mark.parametrize("experiment", ALL, ids=lambda one: one.name)
def test_what_was_not_measured_is_not_judged(experiment: Any) -> None:
    """Without figures there is no verdict, and no plot that shows nothing as something."""
    from propylon.agora.experiment import judged  # noqa: PLC0415 - only here

    findings = found(experiment.name, {})
    assert {verdict.outcome for verdict in judged(experiment, findings, 0.03)} == {"open"}


@pytest.mark.parametrize("experiment", ALL, ids=lambda one: one.name)
def test_an_experiment_says_what_it_is(experiment: Any) -> None:
    """Question, claims, method and what would change it, in both languages; rows of the mission; times."""
    said = [experiment.question, *experiment.claims, experiment.method, experiment.would_change]
    assert all(one.en.strip() and one.ko.strip() and one.en != one.ko for one in said)
    assert experiment.rows
    assert all(row.startswith("Q") for row in experiment.rows)
    assert 0 < experiment.takes_s["quick"] <= experiment.takes_s["full"]
    assert len({one.name for one in ALL}) == len(ALL)


def moves(moved: float = 100, signed_out: float = 0, errors: float = 0) -> Planted:
    """Return what the experiment ``migration`` may find."""
    way = {"people": 100, "moved": 100, "signed_out": 0, "errors": 0, "answered": 900, "until_all_s": 1.5}
    return {"there": way, "back": {**way, "moved": moved, "signed_out": signed_out, "errors": errors}}


@pytest.mark.parametrize(
    ("planted", "outcome"),
    [
        (moves(), "holds"),
        (moves(signed_out=1), "does_not_hold"),
        (moves(errors=1), "does_not_hold"),
        (moves(moved=99), "does_not_hold"),
    ],
)
def test_migration(planted: Planted, outcome: str) -> None:
    """One person who is signed out, one error, or one who stays behind turns it."""
    assert outcomes(migration.EXPERIMENT, found("migration", planted)) == [outcome]
