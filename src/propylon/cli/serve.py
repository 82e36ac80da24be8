"""``propylon serve``."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
import msgspec

from propylon import config as settings
from propylon.cli.command import Command, option, public_url_option, store_option
from propylon.cli.logs import log_settings
from propylon.cli.opening import configured
from propylon.cli.output import print_line
from propylon.cli.texts import text
from propylon.config import Config
from propylon.errors import SetupError

MAX_WORKERS = 256
# Requests in flight when somebody stops the server get this long.
STOP_WITHIN_S = 10
WORKERS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class Address(msgspec.Struct, frozen=True):
    """Where to listen: the host as it was given, and the address that it stands for."""

    host: str
    port: int
    ip: str

    @property
    def shown_host(self) -> str:
        """The host as it stands in an URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


@click.command("serve", cls=Command, help=text("help.serve"))
@option("--host", help_key="host", envvar="PROPYLON_HOST", default="127.0.0.1", metavar="ADDRESS")
@option("--port", help_key="port", envvar="PROPYLON_PORT", type=click.IntRange(1, 65_535), default=8000, metavar="N")
@option(
    "--workers",
    help_key="workers",
    envvar="PROPYLON_WORKERS",
    type=click.IntRange(1, MAX_WORKERS),
    default=1,
    metavar="N",
)
@store_option
@public_url_option
def serve(*, host: str, port: int, workers: int, store: str | None, public_url: str | None) -> None:
    """Serve until told to stop."""
    config = _configured(port, store, public_url)
    _check(config, workers)
    address = _free_address(host, port)
    with _metrics_directory(workers):
        # After the directory is known: the metrics library looks for it once, when it is imported.
        asyncio.run(_try_out(config))
        _hand_over(config, workers)
        _serve(config, address, workers)
    print_line(text("serve.stopped"))


def _configured(port: int, store: str | None, public_url: str | None) -> Config:
    if public_url is None and not settings.is_set("public_url"):
        public_url = f"http://localhost:{port}"
    return configured(store, public_url)


def _check(config: Config, workers: int) -> None:
    from propylon.stores import is_shared  # noqa: PLC0415 - drivers, not needed for --help

    if workers > 1 and not is_shared(config.store):
        raise SetupError("memory_workers")


def _free_address(host: str, port: int) -> Address:
    """Refuse a port that is taken: the workers share theirs (SO_REUSEPORT) and would share with a stranger."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
        return Address(host, port, str(target[0]))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SetupError("listen", host=host, port=port, reason=reason) from None


@contextmanager
def _metrics_directory(workers: int) -> Iterator[None]:
    """Give several workers a place where each finds the counts of the others."""
    if workers == 1:
        os.environ.pop(WORKERS_DIRECTORY, None)
        yield
        return
    directory = tempfile.mkdtemp(prefix="propylon-metrics-")
    os.environ[WORKERS_DIRECTORY] = directory
    try:
        yield
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _try_out(config: Config) -> None:
    """Open everything once, here: a wrong setting stops the start with one sentence, not each worker with its own."""
    from propylon.app import Propylon  # noqa: PLC0415 - see above

    async with Propylon(config):
        pass


def _hand_over(config: Config, workers: int) -> None:
    """Give the workers what the command line said, by the environment."""
    os.environ.update(
        PROPYLON_STORE=config.store,
        PROPYLON_SESSION_STORE=config.session_store,
        PROPYLON_PUBLIC_URL=config.public_url,
        PROPYLON_WORKERS=str(workers),
    )


def _serve(config: Config, address: Address, workers: int) -> None:
    from propylon.cli.server import Server  # noqa: PLC0415 - 200 ms

    server = Server(
        address.ip,
        address.port,
        workers=workers,
        stop_within_s=STOP_WITHIN_S,
        log_settings=log_settings(config.log_level),
    )
    threading.Thread(target=_announce, args=(config, address), daemon=True).start()
    try:
        server.serve()
    except SystemExit as stop:
        if not server.told_to_stop:
            raise SetupError("workers_failed") from stop
    if server.cut_off:
        raise SetupError("cut_off")


def _announce(config: Config, address: Address) -> None:
    """Say where it listens, once it does."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.02)
        with suppress(OSError), socket.create_connection((_reachable(address.ip), address.port), timeout=1):
            _print_welcome(config, address)
            return


def _reachable(ip: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ip, ip)  # noqa: S104 - not binding


def _print_welcome(config: Config, address: Address) -> None:
    where = f"http://{address.shown_host}:{address.port}"
    print_line(click.style(text("serve.listening", where=where), fg="green", bold=True))
    for name, path in (("pages", "/"), ("reference", "/docs")):
        print_line(f"  {text(f'serve.{name}')}  {click.style(config.public_url + path, fg='cyan')}")
