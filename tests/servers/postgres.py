"""A private PostgreSQL server on a free loopback port, and a fresh database for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

from propylon.stores import bring_up_to_date

TEMPLATE = "propylon_template"
GUARDED, PASSWORD = "guarded", "hunter2-is-the-password"

# Debian keeps the programs of each version in a directory of its own, which is on nobody's path.
DEBIAN = Path("/usr/lib/postgresql")

# One account has a password; everybody else on this machine's loopback is whoever they say.
HBA = f"""
host all {GUARDED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
local all all trust
"""

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
}


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of the newest version that is installed."""
    found = shutil.which(name)
    versions = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if found is None and not versions:
        raise FileNotFoundError(f"the tests need PostgreSQL's {name}: install the package postgresql")
    return str(versions[-1]) if versions else str(found)


class PostgresServer:
    """One server. It refuses to run as root, so then it runs as the account that the package made."""

    def __init__(self) -> None:
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="propylon-postgres-"))
        self._data = self._home / "data"
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self._home, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count()
        self._initialise()

    def start(self, **settings: str) -> None:
        """Start the server and wait until it answers; ``settings`` are added to the usual ones."""
        options = [f"-c{name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        command = [program("postgres"), "-D", str(self._data), f"-p{self.port}", f"-k{self._home}", *options]
        with (self._home / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._home, **self._as
            )
        self._process = process
        deadline = time.monotonic() + 30
        while self._run("pg_isready", "-q", check=False):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError((self._home / "log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: cutting everybody off (SIGINT), or as a crash does (SIGQUIT)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop the server and remove what it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home)

    def url(self, database: str, *, user: str = "postgres", password: str = "", port: int | None = None) -> str:
        """Return the URL of a database."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as an administrator and return what it answers."""
        command = [program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url(database)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[str]:
        """Lend the name of a fresh database, which holds the schema and nothing else."""
        name = f"test_{next(self._names)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield name
        finally:
            self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def prepare(self) -> None:
        """Make the database that the others are copied from, and the account with a password."""
        self.sql(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
        bring_up_to_date(self.url(TEMPLATE))
        self.sql(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")

    def _initialise(self) -> None:
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-N")
        (self._data / "pg_hba.conf").write_text(HBA)

    def _run(self, name: str, *options: str, check: bool = True) -> int:
        place = [] if name == "initdb" else ["-h", "127.0.0.1", f"-p{self.port}"]
        done = subprocess.run(
            [program(name), *place, *options], capture_output=True, check=check, cwd=self._home, **self._as
        )
        return done.returncode
