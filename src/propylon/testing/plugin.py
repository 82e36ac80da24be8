"""Fixtures for pytest, found by it wherever Propylon is installed; ``-p no:propylon`` leaves them out.

Nothing of Propylon's server is loaded until a test asks for one of them. Say in ``conftest.py`` which Propylon, or
which verifier, is the app's::

    @pytest.fixture
    def propylon() -> Propylon:
        return app.propylon
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from propylon.app import Propylon
    from propylon.testing import FakeClock, FakeIssuer, Rehearsal, SecurityEvents
    from propylon.testing.rehearsal import Bridge
    from propylon.verifier import Verifier

_OVERRIDE = "say which {what} the app uses: define a fixture `{name}` in conftest.py that returns it (docs/testing.md)"


@pytest.fixture
def propylon() -> Propylon | Bridge:
    """The app's own ``Propylon``, or the ``Blocking`` that holds it: define it anew in ``conftest.py``."""
    return pytest.fail(_OVERRIDE.format(what="Propylon", name="propylon"), pytrace=False)


@pytest.fixture
def propylon_verifier() -> Verifier:
    """The ``Verifier`` of a service that only verifies: define it anew in ``conftest.py``."""
    return pytest.fail(_OVERRIDE.format(what="Verifier", name="propylon_verifier"), pytrace=False)


@pytest.fixture
def propylon_clock() -> FakeClock:
    """What time it is for ``propylon_users`` and ``propylon_issuer``: now, standing still until the test moves it."""
    from propylon.testing import FakeClock  # noqa: PLC0415 - here and below: nothing is loaded before it is needed

    return FakeClock(int(time.time()))


@pytest.fixture
def propylon_users(propylon: Propylon | Bridge, propylon_clock: FakeClock) -> Iterator[Rehearsal]:
    """The app's Propylon, empty and in memory for the length of a test, to sign in to."""
    from propylon.testing import Rehearsal  # noqa: PLC0415

    with Rehearsal(propylon, clock=propylon_clock) as users:
        yield users


@pytest.fixture
def propylon_events(propylon_users: Rehearsal) -> SecurityEvents:
    """What the security log of ``propylon_users`` was told."""
    return propylon_users.events


@pytest.fixture
def propylon_issuer(propylon_verifier: Verifier, propylon_clock: FakeClock) -> Iterator[FakeIssuer]:
    """An issuer in this process in place of the verifier's own."""
    from propylon.testing import FakeIssuer  # noqa: PLC0415

    with FakeIssuer(propylon_verifier, clock=propylon_clock) as issuer:
        yield issuer
