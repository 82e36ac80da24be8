"""One file for each question of the debate; ``ALL`` is their order in the report."""

from __future__ import annotations

from propylon.agora.experiment import Experiment
from propylon.agora.experiments import (
    async_,
    clients,
    crypto,
    expiry,
    load,
    migration,
    multilogin,
    onboarding,
    payload,
    revocation,
    scaleout,
    storage,
    stores,
    tokens,
    traffic,
)

ALL: tuple[Experiment, ...] = (
    load.EXPERIMENT,
    crypto.EXPERIMENT,
    payload.EXPERIMENT,
    traffic.EXPERIMENT,
    stores.EXPERIMENT,
    revocation.EXPERIMENT,
    expiry.EXPERIMENT,
    multilogin.EXPERIMENT,
    tokens.EXPERIMENT,
    async_.EXPERIMENT,
    storage.EXPERIMENT,
    scaleout.EXPERIMENT,
    migration.EXPERIMENT,
    onboarding.EXPERIMENT,
    clients.EXPERIMENT,
)
