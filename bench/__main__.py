"""``python -m bench [verify|load|sign_in ...]``: runs the benchmarks and prints a table."""

from __future__ import annotations

import sys

from bench import load, sign_in, table, verify

PARTS = {"verify": verify.run, "sign_in": sign_in.run, "load": load.run}


def main() -> int:
    """Run the parts that are named, or all; exit status 1 when a budget is missed."""
    names = sys.argv[1:] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}: choose from {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    results = []
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        results += PARTS[name]()
    table.show(results)
    return 0 if all(result.kept for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
