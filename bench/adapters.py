"""What signing in costs in each framework, beside what its users have today.

Each figure is a ratio of two rates, measured one right after the other: of a guarded route, and of the same request to
the same route in an app that has no authentication. Same request means the same header too: some frameworks read all
cookies of every request, and that is not the price of looking at one. Same route means that it is given the request,
as the one that asks for itself has to be: what a framework takes for a parameter, it takes for any. What it takes for
a dependency counts as the price of asking by one; one that does nothing is measured beside.

Every round starts all servers anew: two processes of the same app differ by some hundredths for as long as they live,
which no number of rounds with one of each would show.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import httpx
from rich.console import Console
from rich.table import Table

from bench.load import ACCOUNT, Asked, Measured, Site, free_port, needs_wrk, serving
from bench.table import median_of, ratios

ROUNDS = 5
SECONDS = 4
BUDGET = 0.90
WIDTH = 120  # of the table, also where nobody says how wide the terminal is
ASGI, WSGI = ("uvicorn", "granian"), ("gunicorn",)


class Peer(NamedTuple):
    """What users of a framework have today: where its app is made, in ``bench.peers``."""

    name: str
    module: str
    factory: str = "app"


class Framework(NamedTuple):
    """Where its apps are made, in ``bench.apps``, what serves them, and who is measured beside.

    Attributes:
        ways: to ask who is calling in it, and the factories of the apps that do.
        any_dependency: there is an app with a dependency that does nothing: what this framework takes for any.
    """

    module: str
    servers: tuple[str, ...]
    peers: tuple[Peer, ...] = ()
    ways: tuple[tuple[str, str], ...] = (("", "guarded"),)
    any_dependency: bool = False


BY_DEPENDENCY_OR_NOT = ((", asked in the route", "guarded_in_the_route"), (", by a dependency", "guarded"))
FRAMEWORKS = {
    "fastapi": Framework(
        "fastapi_app",
        ASGI,
        (
            Peer("fastapi-users, JWT", "fastapi_users_app", "by_jwt"),
            Peer("fastapi-users, database", "fastapi_users_app", "by_database"),
        ),
        ways=BY_DEPENDENCY_OR_NOT,
        any_dependency=True,
    ),
    "starlette": Framework("starlette_app", ASGI),
    "litestar": Framework("litestar_app", ASGI, ways=BY_DEPENDENCY_OR_NOT, any_dependency=True),
    "django": Framework("django_app", WSGI, (Peer("Django sessions, database", "django_sessions_app"),)),
    "drf": Framework("drf_app", WSGI, (Peer("simplejwt, user not loaded", "simplejwt_app"),)),
    "flask": Framework("flask_app", WSGI, (Peer("flask-jwt-extended", "flask_jwt_app"),)),
}
PEERS_NEED = ("fastapi_users", "rest_framework_simplejwt", "flask_jwt_extended", "aiosqlite")


class Contestant(NamedTuple):
    """A guarded route beside the unguarded one, asked the same."""

    name: str
    guarded: Asked
    unguarded: Asked


class Compared(NamedTuple):
    """What both took in one round."""

    name: str
    guarded: Measured
    unguarded: Measured


class Share(NamedTuple):
    """What is left of the unguarded route: of its requests per second, and of its requests per processor time."""

    name: str
    of_rate: tuple[float, tuple[float, float]]
    of_processor: tuple[float, tuple[float, float]]
    rates: tuple[float, float]
    costs_us: tuple[float, float]

    @property
    def kept(self) -> bool:
        """Whether it keeps the budget of ours."""
        return self.of_rate[0] >= BUDGET


class Row(NamedTuple):
    """One framework on one server."""

    name: str
    cookie: Share
    bearer: Share
    peers: list[Share]


def main(arguments: list[str]) -> int:
    """Measure the frameworks that are named, or all of them; exit status 1 when an adapter misses the budget."""
    parser = argparse.ArgumentParser(prog="scripts/bench adapters", description=__doc__)
    parser.add_argument("framework", nargs="*", metavar="framework", help=", ".join(FRAMEWORKS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each contestant in each round")
    asked = parser.parse_args(arguments)
    for name in asked.framework:
        if name not in FRAMEWORKS:
            parser.error(f"there is no framework {name!r}: choose from {', '.join(FRAMEWORKS)}")
    needs_wrk()
    _needs_peers()
    rows = []
    for name in asked.framework or FRAMEWORKS:
        for server in FRAMEWORKS[name].servers:
            print(f"measuring {name} on {server} ...", file=sys.stderr, flush=True)
            rows += _measured(name, server, asked.rounds, asked.seconds)
    _show(rows)
    return 0 if all(share.kept for row in rows for share in (row.cookie, row.bearer)) else 1


def _needs_peers() -> None:
    missing = [name for name in PEERS_NEED if find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"Measuring beside others needs {', '.join(missing)}: scripts/setup bench, "
            "or pip install --require-hashes -r requirements/bench.txt."
        )


def _measured(name: str, server: str, rounds: int, seconds: int) -> list[Row]:
    """Return a row for each way to ask; the peers are measured in the same run and stand beside the first."""
    framework = FRAMEWORKS[name]
    shares = list(map(_share, zip(*(_round(framework, server, seconds) for _ in range(rounds)), strict=True)))
    peers = shares[2 * len(framework.ways) :]
    return [
        Row(f"{name}{way}, {server}", shares[2 * number], shares[2 * number + 1], [] if number else peers)
        for number, (way, _) in enumerate(framework.ways)
    ]


def _round(framework: Framework, server: str, seconds: int) -> list[Compared]:
    with ExitStack() as stack:
        contestants = _contestants(stack, framework, server)
        for contestant in contestants:
            contestant.unguarded.warm_up()
            contestant.guarded.warm_up()
        return [
            Compared(name, unguarded=unguarded.measured(seconds), guarded=guarded.measured(seconds))
            for name, guarded, unguarded in contestants
        ]


def _contestants(stack: ExitStack, framework: Framework, server: str) -> list[Contestant]:
    apps = f"bench.apps.{framework.module}"
    plain = stack.enter_context(_app(server, f"{apps}:plain", "/me"))
    contestants = []
    for _, factory in framework.ways:
        ours = stack.enter_context(_app(server, f"{apps}:{factory}", "/auth/readyz"))
        contestants += [_contestant(how, ours, plain, header) for how, header in _signed_in(ours).items()]
    if framework.any_dependency:
        idle = stack.enter_context(_app(server, f"{apps}:any_dependency", "/me"))
        contestants.append(_contestant("a dependency that does nothing", idle, plain, "X-Bench: nobody"))
    return [*contestants, *(_peer(stack, server, peer, plain) for peer in framework.peers)]


def _contestant(name: str, guarded: Site, plain: Site, header: str) -> Contestant:
    return Contestant(name, Asked(guarded, header), Asked(plain, header))


def _peer(stack: ExitStack, server: str, peer: Peer, plain: Site) -> Contestant:
    site = stack.enter_context(_app(server, f"bench.peers.{peer.module}:{peer.factory}", "/sign-in"))
    header: str = httpx.get(f"{site.url}/sign-in").raise_for_status().json()
    return _contestant(peer.name, site, plain, header)


def _signed_in(site: Site) -> dict[str, str]:
    """Return the headers of somebody who is signed in to ours, by cookie and by bearer."""
    api = f"{site.url}/auth/v1"
    httpx.post(f"{api}/users", json=ACCOUNT).raise_for_status()
    bearer = httpx.post(f"{api}/sessions", json={**ACCOUNT, "mode": "bearer"}).raise_for_status()
    cookie = httpx.post(f"{api}/sessions", json={**ACCOUNT, "mode": "cookie"}).raise_for_status()
    return {
        "cookie": f"Cookie: propylon={cookie.cookies['propylon']}",
        "bearer": f"Authorization: Bearer {bearer.json()['access_token']}",
    }


@contextmanager
def _app(server: str, factory: str, ready: str) -> Iterator[Site]:
    """Run one worker of an app, with files of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "BENCH_DATABASE": str(Path(folder) / "peer.db"),
            "PROPYLON_STORE": f"sqlite:///{folder}/bench.db",
            "PROPYLON_PUBLIC_URL": f"http://localhost:{port}/auth",
            "PROPYLON_ACCESS_TTL_S": "3600",
            "PROPYLON_LOG_LEVEL": "warning",
        }
        with serving(_command(server, factory, port), environ, port, ready) as site:
            yield site


def _command(server: str, factory: str, port: int) -> list[str]:
    python = [sys.executable, "-m", server]
    if server == "granian":
        quiet = ["--no-access-log", "--log-level", "error"]
        return [*python, "--interface", "asgi", "--factory", "--loop", "uvloop", "--port", str(port), *quiet, factory]
    if server == "uvicorn":
        quiet = ["--no-access-log", "--log-level", "error"]
        return [*python, "--factory", "--loop", "uvloop", "--port", str(port), *quiet, factory]
    threads = ["--worker-class", "gthread", "--workers", "1", "--threads", "4"]
    return [*python, *threads, "--bind", f"127.0.0.1:{port}", "--log-level", "error", f"{factory}()"]


def _share(rounds: Sequence[Compared]) -> Share:
    guarded, unguarded = [one.guarded for one in rounds], [one.unguarded for one in rounds]
    rates = [one.rate for one in guarded], [one.rate for one in unguarded]
    costs_us = [one.cost_us for one in guarded], [one.cost_us for one in unguarded]
    return Share(
        rounds[0].name,
        median_of(ratios(*rates)),
        median_of(ratios(costs_us[1], costs_us[0])),
        (median_of(rates[0])[0], median_of(rates[1])[0]),
        (median_of(costs_us[0])[0], median_of(costs_us[1])[0]),
    )


def _show(rows: list[Row]) -> None:
    title = (
        f"What is left of the same route unguarded: of its requests a second (>= {BUDGET:.2f} for ours), and processor"
    )
    table = Table(title=title, title_justify="left", show_lines=True)
    for heading in ("framework", "ours by cookie", "ours by bearer", "what its users have today"):
        table.add_column(heading)
    for row in rows:
        peers = "\n".join(f"{peer.name}\n{_cell(peer)}" for peer in row.peers)
        table.add_row(row.name, *(_judged(share) for share in (row.cookie, row.bearer)), peers or "-")
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


def _judged(share: Share) -> str:
    return f"{_cell(share)}\n" + ("[green]kept[/green]" if share.kept else "[red]missed[/red]")


def _cell(share: Share) -> str:
    """Return median and spread of both shares, and the medians they are made of."""
    (middle, (low, high)), (processor, (least, most)) = share.of_rate, share.of_processor
    (rate, plain_rate), (cost_us, plain_us) = share.rates, share.costs_us
    return (
        f"{middle:.2f} ({low:.2f} - {high:.2f})\n[dim]{rate:,.0f} of {plain_rate:,.0f} a second[/dim]"
        f"\nprocessor {processor:.2f} ({least:.2f} - {most:.2f})\n[dim]{cost_us:.0f} us, {plain_us:.0f} unguarded[/dim]"
    )
