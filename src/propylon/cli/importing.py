"""``propylon import``: accounts of another system."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from propylon.cli.command import Command, option, store_options
from propylon.cli.opening import configured, with_store
from propylon.cli.output import note, print_json, print_line
from propylon.cli.texts import LANGUAGE, text
from propylon.config import Config

if TYPE_CHECKING:
    from propylon.flows.importing import Import, Refusal, Tally
    from propylon.outside.import_file import FileSource
    from propylon.outside.import_tables import TableSource
    from propylon.ports import Clock, Store
    from propylon.runtime import Runtime

SYSTEMS = ("django", "fastapi-users")
# A terminal shows so many refused lines; all of them stand in the report.
SHOWN = 10


@click.command("import", cls=Command, help=text("help.import"))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@option("--from", "system", help_key="import_from", type=click.Choice(SYSTEMS), metavar="SYSTEM")
@option("--database", help_key="import_database", metavar="URL")
@option("--dry-run", help_key="import_dry_run", is_flag=True)
@option("--report", help_key="import_report", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH")
@store_options
@click.pass_context
def import_accounts(
    ctx: click.Context,
    file: Path | None,
    *,
    system: str | None,
    database: str | None,
    dry_run: bool,
    report: Path | None,
    store: str | None,
    public_url: str | None,
    as_json: bool,
) -> None:
    """Take over accounts; every line is imported, skipped or refused with its reason."""
    if (file is None) == (system is None) or (system is None) != (database is None):
        raise click.UsageError(text("error.import_which"), ctx)
    if file is not None and report is not None and file.resolve() == report.resolve():
        raise click.UsageError(text("error.import_report"), ctx)
    config = configured(store, public_url)
    source = _source(file, system, database)
    started = time.monotonic()
    with ExitStack() as stack:
        tell = [stack.enter_context(_progress(source))]
        if report is not None:
            tell.append(_reporter(stack.enter_context(report.open("w", encoding="utf-8"))))
        tally = _take_over(config, source, dry_run=dry_run, seen=lambda tally: [seen(tally) for seen in tell])
    if as_json:
        print_json(_fields(tally))
    else:
        _print_summary(tally, time.monotonic() - started, dry_run=dry_run, report=report)
    if tally.refused:
        ctx.exit(1)


def _source(file: Path | None, system: str | None, database: str | None) -> FileSource | TableSource:
    # Both are loaded only here: this module serves --help, too.
    if file is not None:
        from propylon.outside.import_file import FileSource  # noqa: PLC0415

        return FileSource(file)
    from propylon.outside.import_tables import TableSource  # noqa: PLC0415

    return TableSource(database or "", system or "")


def _take_over(
    config: Config, source: FileSource | TableSource, *, dry_run: bool, seen: Callable[[Tally], Any]
) -> Tally:
    from propylon.stores import make_store, sqlite_path  # noqa: PLC0415 - not needed for --help

    path = sqlite_path(config.store)
    if dry_run and path is not None and not path.exists():
        from propylon.outside.clock import SystemClock  # noqa: PLC0415 - likewise

        # Looking must not make a store: to an empty one in memory everything is as new.
        return asyncio.run(_importer(make_store("memory://"), SystemClock(), dry_run=True)(source.batches(), seen))

    async def work(runtime: Runtime) -> Tally:
        return await _importer(runtime.store, runtime.clock, dry_run=dry_run)(source.batches(), seen)

    return with_store(config, work)


def _importer(store: Store, clock: Clock, *, dry_run: bool) -> Import:
    from propylon.flows.importing import Import  # noqa: PLC0415 - likewise
    from propylon.outside.security_log import JsonSecurityLog  # noqa: PLC0415 - likewise

    return Import(store, clock, secrets.token_bytes, JsonSecurityLog(clock), dry_run=dry_run)


@contextmanager
def _progress(source: FileSource | TableSource) -> Iterator[Callable[[Tally], None]]:
    """Show a bar on standard error, where somebody sits there."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - 30 ms
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task, started = bar.add_task("", total=None), time.monotonic()

        def seen(tally: Tally) -> None:
            counts = _counts(tally, time.monotonic() - started)
            bar.update(task, total=source.total, completed=source.done, description=text("import.progress", **counts))

        yield seen


def _reporter(stream: TextIO) -> Callable[[Tally], None]:
    """Return what writes each refused line as it comes, so that the report holds also what was done before an end."""
    written = 0

    def seen(tally: Tally) -> None:
        nonlocal written
        for refusal in tally.refused[written:]:
            stream.write(json.dumps(_refusal(refusal)) + "\n")
        written = len(tally.refused)
        stream.flush()

    return seen


def _fields(tally: Tally) -> dict[str, Any]:
    return {
        "imported": tally.imported,
        "skipped": tally.skipped,
        "refused": [_refusal(refusal) for refusal in tally.refused],
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    """Return a refused line for programs; nothing of the line itself, which may be a hash in the wrong column."""
    shown = {"line": refusal.line, "reason": refusal.reason.key, "detail": refusal.reason.said(LANGUAGE)}
    return {**shown, "id": refusal.key} if refusal.key else shown


def _counts(tally: Tally, took_s: float) -> dict[str, object]:
    seen = tally.imported + tally.skipped + len(tally.refused)
    return {
        "imported": f"{tally.imported:,}",
        "skipped": f"{tally.skipped:,}",
        "refused": f"{len(tally.refused):,}",
        "rate": f"{seen / max(took_s, 0.001):,.0f}",
    }


def _print_summary(tally: Tally, took_s: float, *, dry_run: bool, report: Path | None) -> None:
    for refusal in tally.refused[:SHOWN]:
        note(text("import.refused", line=refusal.line, why=refusal.reason.said(LANGUAGE)))
    if (more := len(tally.refused) - SHOWN) > 0:
        note(text("import.more", n=f"{more:,}"))
    print_line(text("import.would" if dry_run else "import.done", **_counts(tally, took_s)))
    if tally.without_password:
        print_line(text("import.without_password", n=f"{tally.without_password:,}"))
    if report is not None and tally.refused:
        print_line(text("import.reported", path=report))
