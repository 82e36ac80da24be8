"""``python -m bench [verify|load|sign_in|nodes|adapters ...]``: runs the benchmarks and prints a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from bench import adapters, load, nodes, sign_in, table, verify
from bench.table import Result

PARTS = {"verify": verify.run, "sign_in": sign_in.run, "load": load.run}
# Takes minutes, and needs redis-server and PostgreSQL, of which it starts its own.
SEVERAL_NODES = "nodes"
# Takes minutes, needs what others have (requirements/bench.txt), and has a table of its own.
ADAPTERS = "adapters"


def main() -> int:
    """Run the parts that are named, or those that need no servers; exit status 1 when a budget is missed."""
    if sys.argv[1:2] == [ADAPTERS]:
        return adapters.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures the budgets on this machine.")
    parser.add_argument(
        "part",
        nargs="*",
        help=f"{', '.join(PARTS)} (all of them without a name), or {SEVERAL_NODES}; {ADAPTERS} has options of its own",
    )
    parser.add_argument("--sessions", type=int, default=100_000, help="live sessions while several nodes are measured")
    parser.add_argument("--million", action="store_true", help="measure the memory of a million sessions in Redis too")
    asked = parser.parse_args()
    several_nodes = partial(nodes.run, asked.sessions, million=asked.million)
    parts: dict[str, Callable[[], list[Result]]] = {**PARTS, SEVERAL_NODES: several_nodes}
    for name in asked.part:
        if name not in parts:
            parser.error(f"there is no benchmark {name!r}: choose from {', '.join(parts)}")
    results = []
    for name in asked.part or PARTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        results += parts[name]()
    table.show(results)
    return 0 if all(result.kept for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
