"""What ``propylon explain`` says of costs: figures that the agora measured on this machine, for these settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from propylon.agora.evidence import Place, SetUp, fitting
from propylon.agora.figures import Figure, spelled
from propylon.agora.machine import is_this_machine
from propylon.agora.results import Effort, Results, load
from propylon.cli.agora import DEFAULT_OUT, RESULTS
from propylon.cli.outages import stores_of
from propylon.cli.sentences import Sentence
from propylon.config import Config
from propylon.core.session import Mode
from propylon.errors import SetupError


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of figures.

    Attributes:
        path: where results are, or would be.
        results: what is there, whatever it is worth here.
        unreadable: why it is nothing that can be read.
        figures: those that fit, by what each says.
        places: where they stand.
        missing: experiments that would measure the others.
        not_covered: what no experiment measures for such settings.
    """

    path: Path
    results: Results | None
    unreadable: SetupError | None
    figures: Mapping[str, Figure]
    places: Mapping[str, Place]
    missing: Sequence[str]
    not_covered: Sequence[str]

    @property
    def effort(self) -> Effort:
        """The effort that measures what is missing, and goes with the results that are there."""
        lacking = [place for name, place in self.places.items() if name not in self.figures]
        if any(place.effort == "full" for place in lacking):
            return "full"
        return self.results.effort if self.results is not None and self.usable else "quick"

    @property
    def usable(self) -> bool:
        """Whether any of the results may count for this machine."""
        return self.results is not None and is_this_machine(self.results.machine)


def look(config: Config, mode: Mode, folder: Path | None) -> Measured:
    """Look for figures in ``folder``, or where the agora leaves them.

    Raises:
        SetupError: a folder was named, and what lies there are no results.
    """
    path = (folder or Path(DEFAULT_OUT)) / RESULTS
    results, unreadable = _read(path)
    if unreadable is not None and folder is not None:
        raise unreadable
    stores = stores_of(config)
    set_up = SetUp(mode=mode, accounts=stores.accounts, sessions=stores.sessions, algorithm=config.algorithm)
    fits = fitting(set_up)
    places = {name: place for name, place in fits.items() if place is not None}
    counts = results if results is not None and is_this_machine(results.machine) else None
    found = {name: place.find(counts) if counts is not None else None for name, place in places.items()}
    missing = dict.fromkeys(place.experiment for name, place in places.items() if found[name] is None)
    return Measured(
        path=path,
        results=results,
        unreadable=unreadable,
        figures={name: figure for name, figure in found.items() if figure is not None},
        places=places,
        missing=tuple(missing),
        not_covered=tuple(name for name, place in fits.items() if place is None),
    )


def costs(measured: Measured, algorithm: str) -> Iterator[Sentence]:
    """Say what was measured, when and how thoroughly, and what was not."""
    yield from _source(measured)
    if measured.results is not None:
        when: dict[str, object] = {"measured": Sentence(*_when(measured.results))}
        for name, figure in measured.figures.items():
            yield Sentence(f"cost_{name}", _spelled(name, figure) | when | _further(name, algorithm))
    for name in measured.not_covered:
        yield Sentence(f"cost_not_covered_{name}")
    if measured.missing:
        key = "cost_missing" if measured.figures else "cost_nothing"
        yield Sentence(key, {"experiments": ", ".join(measured.missing), "command": command(measured)})


def command(measured: Measured) -> str:
    """Return the command that measures what is missing, and takes nobody's results away."""
    results, folder, names = measured.results, measured.path.parent, measured.missing
    words = ["propylon", "agora", "run"]
    if measured.effort == "quick":
        words.append("--quick")
    if results is not None and not measured.usable:
        folder = folder.with_name(f"{folder.name}-here")
    elif results is not None and (measured.effort != results.effort or any(_is_done(results, name) for name in names)):
        names = tuple(dict.fromkeys(place.experiment for place in measured.places.values()))
    elif results is not None:
        words.append("--resume")
    if folder != Path(DEFAULT_OUT):
        words += ["--out", str(folder)]
    return shlex.join([*words, *names])


def facts(measured: Measured) -> dict[str, object]:
    """Return the same for programs."""
    results = measured.results if measured.usable else None
    when = {} if results is None else {"started_at": results.started_at, "effort": results.effort}
    return {
        "path": str(measured.path),
        "propylon": results.propylon if results is not None else None,
        "noise": results.noise if results is not None else None,
        "figures": [
            {
                "name": name,
                "experiment": measured.places[name].experiment,
                "variant": measured.places[name].variant,
                "quantity": measured.places[name].quantity,
                "unit": figure.unit,
                "median": figure.median,
                "low": figure.low,
                "high": figure.high,
                "rounds": len(figure.values),
                **when,
            }
            for name, figure in measured.figures.items()
        ],
        "missing": list(measured.missing),
        "not_covered": list(measured.not_covered),
    }


def _read(path: Path) -> tuple[Results | None, SetupError | None]:
    if not path.exists():
        return None, None
    try:
        return load(path), None
    except SetupError as error:
        return None, error


def _source(measured: Measured) -> Iterator[Sentence]:
    results = measured.results
    if measured.unreadable is not None:
        yield Sentence("cost_unreadable", {"why": measured.unreadable})
    elif results is None:
        yield Sentence("cost_no_results", {"path": measured.path})
    elif not measured.usable:
        machine: dict[str, object] = {"processor": results.machine.processor, "cores": results.machine.cores}
        yield Sentence("cost_another_machine", {"path": measured.path, **machine})
    elif measured.figures:
        of: dict[str, object] = {"path": measured.path, "version": results.propylon, "noise": f"{results.noise:.0%}"}
        yield Sentence("cost_source", of)


def _when(results: Results) -> tuple[str, dict[str, object]]:
    at = datetime.fromisoformat(results.started_at)
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return f"measured_{results.effort}", {"measured_on": int(at.timestamp())}


def _spelled(name: str, figure: Figure) -> dict[str, object]:
    said: dict[str, object] = {"median": spelled(figure.median)}
    if name.startswith("bytes"):  # counted, not timed
        return said
    return said | {"low": spelled(figure.low), "high": spelled(figure.high)}


def _further(name: str, algorithm: str) -> dict[str, object]:
    return {"algorithm": algorithm} if name == "first_check" else {}


def _is_done(results: Results, name: str) -> bool:
    """Return whether ``--resume`` would take an experiment for done, so that it would not be run again."""
    return name in results.experiments and results.experiments[name].status == "done"
