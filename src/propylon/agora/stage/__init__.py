"""Where experiments run: servers of their own on free loopback ports, in a folder that is removed afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path

from propylon.agora.stage.browsers import Visitor, lenient_visitor
from propylon.agora.stage.generator import Answered, Shot
from propylon.agora.stage.nginx import Balancer, nginx
from propylon.agora.stage.pages import Pages, pages
from propylon.agora.stage.postgres import PostgresServer
from propylon.agora.stage.processes import Absent, free_port
from propylon.agora.stage.redis import RedisServer, ReplicatedRedis
from propylon.agora.stage.senders import Senders
from propylon.agora.stage.sites import APP, Account, Site, starting

__all__ = [
    "Absent", "Account", "Answered", "Balancer", "Pages", "PostgresServer", "RedisServer", "ReplicatedRedis", "Shot",
    "Site", "Stage", "Visitor",
]  # fmt: skip


class Stage:
    """Starts and stops what experiments need."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="propylon-agora-"))
        # PostgreSQL, started as root, runs as another account and has to get through here.
        self.folder.chmod(0o755)
        self._senders = Senders(self.folder)

    def close(self) -> None:
        """Remove what was written. Whoever started a server has stopped it."""
        self._senders.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def propylon(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        open_to_all: bool = False,
        workers: int = 1,
        app: str = APP,
    ) -> Iterator[Site]:
        """Run a server with ``settings`` by field name of ``Config``, on a SQLite file of its own where none is named.

        Args:
            settings: such as ``store``, ``mode``, ``access_ttl_s``.
            open_to_all: its ``/me`` asks nobody: the baseline.
            workers: processes.
            app: another app, as ``module:factory``.
        """
        chosen = settings or {}
        with starting(self.new_folder(), open_to_all=open_to_all, workers=workers, settings=chosen, app=app) as ready:
            yield ready()

    @contextmanager
    def nodes(
        self, count: int, settings: Mapping[str, str] | None = None, *, app: str = APP, own_stores: bool = False
    ) -> Iterator[list[Site]]:
        """Run several servers of one set-up: the same key, store and public URL, each on a port of its own.

        Args:
            count: of servers.
            settings: of all.
            app: another app, as ``module:factory``.
            own_stores: each has a SQLite file that the others know nothing of.
        """
        folder = self.new_folder()
        shared = {
            "key_file": str(folder / "propylon.key"),
            "store": f"sqlite:///{folder}/nodes.db",
            "public_url": f"http://localhost:{free_port()}",
            **(settings or {}),
        }
        stores = [{"store": f"sqlite:///{folder}/node{number}.db"} if own_stores else {} for number in range(count)]
        with ExitStack() as stack:
            # The first one makes the key and the store; then the others start at the same time.
            first = stack.enter_context(starting(folder, settings=shared | stores[0], app=app))()
            others = [stack.enter_context(starting(folder, settings=shared | own, app=app)) for own in stores[1:]]
            yield [first, *(ready() for ready in others)]

    @contextmanager
    def redis(self, *words: str) -> Iterator[RedisServer]:
        """Run a Redis with options beside the usual ones."""
        with RedisServer(self.new_folder(), *words) as server:
            yield server

    @contextmanager
    def replicated_redis(self) -> Iterator[ReplicatedRedis]:
        """Run a Redis with replicas, and a Sentinel that lets one of them take over."""
        with ReplicatedRedis(self.new_folder) as servers:
            yield servers

    @contextmanager
    def postgres(self) -> Iterator[PostgresServer]:
        """Run a PostgreSQL."""
        with PostgresServer(self.new_folder()) as server:
            yield server

    @contextmanager
    def stores(self, *names: str) -> Iterator[dict[str, str]]:
        """Run what some stores need, and yield the settings that name them.

        Args:
            names: ``memory`` or ``postgres`` for everything, and SQLite without either; ``redis`` for the sessions.
        """
        with ExitStack() as stack:
            settings = {"store": "memory://"} if "memory" in names else {}
            if "postgres" in names:
                settings["store"] = stack.enter_context(self.postgres()).new_database()
            if "redis" in names:
                settings["session_store"] = stack.enter_context(self.redis()).url
            yield settings

    @contextmanager
    def nginx(self, ports: Sequence[int], *, policy: str = "") -> Iterator[Balancer]:
        """Run an nginx in front of servers; ``policy`` is a line of its ``upstream``."""
        with nginx(self.new_folder(), ports, policy=policy) as balancer:
            yield balancer

    @contextmanager
    def pages(self, folder: Traversable) -> Iterator[Pages]:
        """Serve the files of a folder as they are, and keep what is sent there."""
        with pages(folder) as server:
            yield server

    @contextmanager
    def lenient_visitor(self) -> Iterator[Visitor]:
        """Run a browser that withholds no cookie by itself."""
        with lenient_visitor(self.new_folder()) as visitor:
            yield visitor

    def fire(self, shot: Shot) -> Answered:
        """Send requests from a process of its own, and return what came back."""
        return self._senders.fire(shot)

    def fire_together(self, shots: Sequence[Shot]) -> list[Answered]:
        """Send several shots at the same time."""
        with ThreadPoolExecutor(len(shots)) as threads:
            return list(threads.map(self.fire, shots))

    def new_folder(self) -> Path:
        """Make an empty folder, which goes with the others."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        folder.chmod(0o755)
        return folder
