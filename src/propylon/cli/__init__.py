"""The command line. Nothing heavy is imported before a command runs: ``propylon --help`` answers at once."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``propylon`` and return its exit status; see `propylon.cli.program`."""
    from propylon.cli.program import run  # noqa: PLC0415 - importing this package costs nothing

    return run(arguments)
