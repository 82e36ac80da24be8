"""A Redis of the agora's own, alone or with replicas of which one takes over."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from propylon.agora.stage.processes import free_port, kill, listens, program, running, wait_for

REPLICAS = 2
_SERVICE = "sessions"
# A replica that comes is sent everything at once instead of after five seconds, in which others might come too.
_AT_ONCE = ("--repl-diskless-sync-delay", "0")
_SENTINEL = """\
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 5000
"""


class RedisServer:
    """One server that keeps what it acknowledged; a context manager."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._folder, self._words, self._stack = folder, words, ExitStack()
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How a store finds it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        durable = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder))
        log = self._folder / "redis.log"
        command = [program("redis-server", "redis-server"), *place, *durable, *self._words]
        self.process = self._stack.enter_context(running(command, log))
        try:
            wait_for(lambda: listens(self.port), self.process, log)
        except BaseException:
            self._stack.close()
            raise
        return self

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            kill(self.process)

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop."""
        self._stack.close()


class ReplicatedRedis:
    """A master, two replicas, and a Sentinel that promotes one when the master is gone; a context manager.

    Two: a write is acknowledged once a replica has it, so when the only one has taken over none is until another comes.
    Three Sentinels would outvote one that errs. Here nobody cuts it off, so that one is enough to measure with.
    """

    def __init__(self, new_folder: Callable[[], Path]) -> None:
        self._new_folder, self._stack = new_folder, ExitStack()
        self.master = RedisServer(new_folder(), *_AT_ONCE)
        self._sentinel_port = free_port()

    @property
    def url(self) -> str:
        """How a store finds whoever is the master."""
        return f"redis+sentinel://127.0.0.1:{self._sentinel_port}/{_SERVICE}?db=0"

    def __enter__(self) -> Self:
        """Start all, and wait until the replicas have what the master has and the Sentinel knows of them."""
        with ExitStack() as starting:
            starting.enter_context(self.master)
            follows = ("--replicaof", f"127.0.0.1 {self.master.port}")
            replicas = [
                starting.enter_context(RedisServer(self._new_folder(), *_AT_ONCE, *follows)) for _ in range(REPLICAS)
            ]
            folder = self._new_folder()
            (folder / "sentinel.conf").write_text(
                _SENTINEL.format(port=self._sentinel_port, folder=folder, service=_SERVICE, master=self.master.port)
            )
            command = [program("redis-server", "redis-server"), str(folder / "sentinel.conf"), "--sentinel"]
            process = starting.enter_context(running(command, folder / "log"))
            wait_for(lambda: self._is_watched(replicas), process, folder / "log")
            self._stack = starting.pop_all()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop all."""
        self._stack.close()

    def _is_watched(self, replicas: Sequence[RedisServer]) -> bool:
        import redis  # noqa: PLC0415 - an extra, which every store on Redis needs

        with suppress(redis.RedisError), redis.Redis(port=self._sentinel_port) as of_sentinel:
            known = of_sentinel.sentinel_master(_SERVICE)["num-slaves"]
            return bool(known == REPLICAS and all(_follows(replica) for replica in replicas))
        return False


def _follows(replica: RedisServer) -> bool:
    import redis  # noqa: PLC0415 - likewise

    with redis.Redis(port=replica.port) as asked:
        return bool(asked.info("replication").get("master_link_status") == "up")
