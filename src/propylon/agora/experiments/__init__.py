"""One file for each question of the debate; ``ALL`` is their order in the report."""

from __future__ import annotations

from propylon.agora.experiment import Experiment
from propylon.agora.experiments import crypto, expiry, load, multilogin, traffic

ALL: tuple[Experiment, ...] = (
    load.EXPERIMENT,
    crypto.EXPERIMENT,
    traffic.EXPERIMENT,
    expiry.EXPERIMENT,
    multilogin.EXPERIMENT,
)
