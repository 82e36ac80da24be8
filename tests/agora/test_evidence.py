"""Which figures hold for whose settings, and that each of them is one that an experiment measures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from tests.agora.planting import found, results

from propylon.agora import recommendation
from propylon.agora.evidence import _PLACE, Place, SetUp, filled, fitting
from propylon.agora.experiments import ALL, crypto, load, revocation, stores, traffic
from propylon.agora.machine import is_this_machine, this_machine
from propylon.agora.said import Said
from propylon.core.session import MODES

VARIANTS = {
    "load": set(load.LABELS),
    "stores": set(stores.STORES),
    "revocation": set(revocation.STORES),
    "traffic": set(traffic.VARIANTS),
    "crypto": set(crypto.ALGORITHMS.values()),
}
KEPT = (
    ("memory", "memory"),
    ("sqlite", "sqlite"),
    ("postgres", "postgres"),
    ("sqlite", "redis"),
    ("postgres", "redis"),
)


def every_set_up() -> Iterator[SetUp]:
    """Return every set-up that differs in what a figure depends on."""
    for mode, (accounts, sessions), algorithm in product(MODES, KEPT, crypto.ALGORITHMS):
        yield SetUp(mode=mode, accounts=accounts, sessions=sessions, algorithm=algorithm)  # type: ignore[arg-type]


def places_of_rules() -> Iterator[Place]:
    """Return the places that recommendations name."""
    for rule in recommendation.RULES:
        if rule.evidence is not None:
            yield from (Place(*named) for named in _PLACE.findall(rule.evidence.en))


def test_every_place_is_one_that_an_experiment_fills() -> None:
    """A slip of the pen would leave a sentence out for ever, and nobody would see it."""
    quantities = {one.name: set(one.quantities) for one in ALL}
    wanted = [place for one in every_set_up() for place in fitting(one).values() if place is not None]
    named = [*wanted, *places_of_rules()]
    assert len(set(named)) > 15
    for place in named:
        assert place.quantity in quantities[place.experiment], place
        assert place.variant in VARIANTS[place.experiment], place
        needs_more = place.experiment == "load" and place.variant in load.FULL_ALONE
        assert place.effort == ("full" if needs_more else "quick"), place


@pytest.mark.parametrize("set_up", [*every_set_up()], ids=str)
def test_no_figure_is_of_another_mode_store_or_algorithm(set_up: SetUp) -> None:
    """What a cookie costs says nothing to whoever sends tokens, nor SQLite to whoever keeps sessions in Redis."""
    fits = fitting(set_up)
    places = {name: place for name, place in fits.items() if place is not None}
    by_cookie = set_up.mode == "cookie"
    assert ("cookie" in fits, "token" in fits) == (by_cookie, not by_cookie)
    if not by_cookie:
        assert places["first_check"].variant == places["bytes"].variant == set_up.algorithm.lower()
        token = places.get("token")
        expected = {
            ("sqlite", "ES256"): "token", ("postgres", "ES256"): "token_postgres", ("redis", "ES256"): "token_redis",
        }.get((set_up.sessions, set_up.algorithm))  # fmt: skip
        if set_up.sessions == "sqlite":
            expected = expected or f"token_{set_up.algorithm.lower()}"
        assert (token.variant if token is not None else None) == expected
    if (lag := places.get("lag")) is not None:
        assert lag.variant == set_up.sessions
    assert ("lag" in fits) == (set_up.sessions != "memory")
    cookie = places.get("cookie")
    expected = {"sqlite": "cookie", "postgres": "cookie_postgres", "redis": "cookie_redis"}.get(set_up.sessions)
    assert (cookie.variant if cookie is not None else None) == (expected if by_cookie else None)


def test_look_ups_need_both_stores_as_they_were_measured() -> None:
    """A look-up reads the session and its user: Redis beside SQLite was not measured, and says so."""
    beside = SetUp(mode="cookie", accounts="sqlite", sessions="redis", algorithm="ES256")
    assert fitting(beside)["look_ups"] is None
    together = SetUp(mode="cookie", accounts="postgres", sessions="redis", algorithm="ES256")
    assert fitting(together)["look_ups"] == Place("stores", "redis", "look_ups_per_second")


@pytest.mark.parametrize("place", ["other.cookie.processor_us", "load.other.processor_us", "load.cookie.other"])
def test_evidence_without_its_figure_is_left_out(place: str) -> None:
    """As a whole, in both languages: half a sentence would be a false one."""
    held = results(found("load", {"cookie": {"processor_us": 30.0}}))
    assert filled(Said("{load.cookie.processor_us} us", "{load.cookie.processor_us}us"), held) == Said("30 us", "30us")
    assert filled(Said(f"30 and {{{place}}}", f"30, {{{place}}}"), held) is None
    experiment, variant, quantity = place.split(".")
    assert Place(experiment, variant, quantity).find(held) is None


def test_another_processor_or_fewer_cores_are_another_machine() -> None:
    """And this one is itself, whatever its memory and versions are meanwhile."""
    here = this_machine()
    assert is_this_machine(here)
    assert is_this_machine(type(here)(here.processor, here.cores, 1, "", "", {}))
    assert not is_this_machine(type(here)("another", here.cores, here.memory_bytes, here.system, here.python, {}))
    assert not is_this_machine(type(here)(here.processor, here.cores + 1, here.memory_bytes, "", "", {}))
