"""What a run leaves behind: ``results.json``, written anew after every experiment, read by reports and comparisons.

Its fields are told in ``docs/agora/README.md``.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from propylon.agora.figures import Figure
from propylon.agora.said import Said
from propylon.errors import SetupError

SCHEMA = "propylon-agora/1"
Effort = Literal["quick", "full"]
Status = Literal["done", "partly", "failed", "not_run"]
Outcome = Literal["holds", "partly", "does_not_hold", "no_difference", "open"]


class Variant(msgspec.Struct):
    """One of the things that an experiment compares.

    Attributes:
        reason: why it failed or was not run.
        figures: by the name of the quantity.
        facts: what is no figure: a matrix cell, a list of steps.
    """

    name: str
    label: Said
    status: Status = "done"
    reason: Said | None = None
    figures: dict[str, Figure] = {}
    facts: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True):
    """What the measurement makes of a claim.

    Attributes:
        claim: its place in the experiment's list of claims; None for a finding that nobody had claimed.
        outcome: ``no_difference`` where what was seen is within the noise, ``open`` where too little was measured.
        said: the verdict in words, with the figures it rests on.
    """

    claim: int | None
    outcome: Outcome
    said: Said


class Findings(msgspec.Struct):
    """What one experiment found."""

    name: str
    status: Status = "not_run"
    reason: Said | None = None
    took_s: float = 0.0
    variants: dict[str, Variant] = {}
    verdicts: list[Verdict] = []

    def figure(self, variant: str, quantity: str) -> Figure:
        """Return what was measured.

        Raises:
            NotMeasured: the variant was not run, or failed before.
        """
        found = self.variants.get(variant)
        if found is None or quantity not in found.figures:
            raise NotMeasured(variant, quantity)
        return found.figures[quantity]

    def median(self, variant: str, quantity: str) -> float:
        """Return the median of what was measured; raises as ``figure`` does."""
        return self.figure(variant, quantity).median

    def measured(self) -> list[Variant]:
        """Return the variants that have figures or facts, in order."""
        return [variant for variant in self.variants.values() if variant.figures or variant.facts]


class NotMeasured(LookupError):
    """A verdict needs what was not measured; it stays open."""

    def __init__(self, variant: str, quantity: str) -> None:
        super().__init__(f"{variant}: {quantity}")
        self.variant, self.quantity = variant, quantity


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    versions: dict[str, str]


class _OfSomeSchema(msgspec.Struct):
    """What results of every schema have."""

    schema: str


class Results(msgspec.Struct):
    """A run of the agora.

    Attributes:
        started_at: RFC 3339 in UTC; ``finished_at`` is None while it is not finished.
        noise: the share by which two measurements of the same work differ on this machine.
    """

    schema: str
    propylon: str
    effort: Effort
    started_at: str
    machine: Machine
    noise: float
    finished_at: str | None = None
    experiments: dict[str, Findings] = {}

    def figure(self, experiment: str, variant: str, quantity: str) -> Figure:
        """Return what an experiment measured; raises ``NotMeasured``."""
        if experiment not in self.experiments:
            raise NotMeasured(variant, quantity)
        return self.experiments[experiment].figure(variant, quantity)


def load(path: Path) -> Results:
    """Read results; raises ``SetupError`` for a file that is none, or of another schema."""
    try:
        content = path.read_bytes()
        schema = msgspec.json.decode(content, type=_OfSomeSchema).schema
        if schema != SCHEMA:
            raise SetupError("agora_schema", path=str(path), found=schema, expected=SCHEMA)
        found = msgspec.json.decode(content, type=Results)
        datetime.fromisoformat(found.started_at)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise SetupError("agora_results", path=str(path), reason=str(error)) from None
    return found


def save(results: Results, path: Path) -> None:
    """Write results so that whoever interrupts it leaves the old file or the new one, whole."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    unfinished.replace(path)
