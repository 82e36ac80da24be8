"""A PostgreSQL of the agora's own."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from propylon.agora.stage.processes import Absent, done, free_port, program, running, wait_for

# What it acknowledged may be lost with the machine: it lives as long as an experiment. Both sides have it alike.
_SETTINGS = ("listen_addresses=127.0.0.1", "max_connections=100", "shared_buffers=64MB")


class PostgresServer:
    """One server; a context manager. It refuses to run as root, so then it runs as the account of its package."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack, self._names = folder, ExitStack(), count()
        self.port = free_port()
        self._as: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Make the files, start, and wait until it answers."""
        initdb, postgres = program("initdb", "postgresql"), program("postgres", "postgresql")
        self._become_somebody()
        data, log = self._folder / "data", self._folder / "postgres.log"
        words = ("-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        done([initdb, "-D", str(data), *words], self._folder, **self._as)
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        command = [postgres, "-D", str(data), "-p", str(self.port), "-k", str(self._folder), *settings]
        try:
            process = self._stack.enter_context(running(command, log, cwd=self._folder, **self._as))
            wait_for(lambda: self._try("pg_isready", "-q"), process, log)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop."""
        self._stack.close()

    def new_database(self) -> str:
        """Make a database, bring it up to date, and return its URL."""
        url = self.empty_database()
        done([sys.executable, "-m", "propylon", "migrate", "--store", url], self._folder)
        return url

    def empty_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"agora_{next(self._names)}"
        done([program("createdb", "postgresql"), *self._where(), "-U", "postgres", name], self._folder)
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _become_somebody(self) -> None:
        if os.geteuid() != 0:
            return
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            raise Absent("postgres", "postgresql") from None
        os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _where(self) -> tuple[str, ...]:
        return "-h", "127.0.0.1", "-p", str(self.port)

    def _try(self, name: str, *words: str) -> bool:
        command = [program(name, "postgresql"), *self._where(), *words]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - our words
