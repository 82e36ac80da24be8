"""Private Redis servers on free loopback ports: alone, with a replica and sentinels, or as a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry
from tests.servers.ports import free_port

PASSWORD = "hunter2-is-the-password"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
AT_ONCE = ("--repl-diskless-sync-delay", "0")
SERVICE = "sessions"
START_TIMEOUT_S = 30
# After how long of silence a server is taken for dead. Where none is to die, a busy machine must not kill any.
SOON_MS, NEVER_MS = 1500, 60_000


def wait_until(holds: Callable[[], Any], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Ask until the answer is yes; a server that does not answer says no."""
    deadline = time.monotonic() + timeout_s
    while True:
        with suppress(redis.RedisError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


class RedisServer:
    """One process, which can be killed, frozen and started again with what it had written."""

    def __init__(self, *words: str, sentinel: str = "") -> None:
        """Take a port and a directory; ``words`` are options beside the usual ones, ``sentinel`` a configuration."""
        self.port = free_port()
        self.home = Path(tempfile.mkdtemp(prefix="propylon-redis-"))
        self._command = self._as_sentinel(sentinel) if sentinel else self._as_server(words)
        self._process: subprocess.Popen[bytes] | None = None
        self.admin: Any = redis.Redis(port=self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))

    @property
    def url(self) -> str:
        """How a store finds it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start, and wait until it answers."""
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self.home)
        try:
            wait_until(self.answers, "the server does not start")
        except TimeoutError:
            raise RuntimeError((self.home / "log").read_text()[-2000:]) from None
        return self

    def answers(self) -> bool:
        """Tell whether it is there, also to those who know no password."""
        try:
            return bool(self.admin.ping())
        except redis.AuthenticationError:
            return True

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still, its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it, and remove what it kept."""
        self.admin.close()
        if self._process is not None:
            self._end(signal.SIGKILL)
        shutil.rmtree(self.home)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)
        self._process = None

    def _as_server(self, words: tuple[str, ...]) -> list[str]:
        usual = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.home), "--save", "")
        return ["redis-server", *usual, *words]

    def _as_sentinel(self, configuration: str) -> list[str]:
        path = self.home / "sentinel.conf"
        path.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.home}\n{configuration}")
        return ["redis-server", str(path), "--sentinel"]


def _is_followed(node: RedisServer) -> bool:
    """Tell whether a replica has all that a master has, and goes on receiving."""
    online = node.admin.info("replication").get("slave0", {}).get("state") == "online"
    if not online:
        return False
    with node.admin.pipeline(transaction=False) as commands:
        for shard in range(16):  # of a cluster, this node has some
            commands.set(f"{{{shard:x}}}followed", 1)
        have_it: int = commands.execute_command("WAIT", 1, 500).execute(raise_on_error=False)[-1]
    return have_it == 1


class Sentinels:
    """A master, a replica, and three sentinels that watch them."""

    def __init__(self, dead_after_ms: int = NEVER_MS) -> None:
        self.nodes = [RedisServer(*DURABLE, *AT_ONCE)]
        self.nodes.append(RedisServer(*DURABLE, *AT_ONCE, "--replicaof", f"127.0.0.1 {self.nodes[0].port}"))
        watched = (
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.nodes[0].port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {dead_after_ms}\n"
            # One failover a test: a second one, to a replica that has not caught up yet, may lose what it likes.
            f"sentinel failover-timeout {SERVICE} 60000\n"
        )
        self.sentinels = [RedisServer(sentinel=watched) for _ in range(3)]

    @property
    def url(self) -> str:
        """How a store finds it."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/{SERVICE}?db=0"

    def start(self) -> Sentinels:
        """Start all, and wait until they know of each other."""
        for node in self.nodes:
            node.start()
        wait_until(lambda: _is_followed(self.nodes[0]), "no replica")
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(lambda: all(self._knows_all(sentinel) for sentinel in self.sentinels), "sentinels are alone")
        wait_until(lambda: _is_followed(self.nodes[0]), "the replica has gone")
        return self

    def master(self) -> RedisServer:
        """Return the node that the sentinels name."""
        host_and_port = self.sentinels[0].admin.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(node for node in self.nodes if node.port == int(host_and_port[1]))

    def remove(self) -> None:
        """End all of them."""
        for one in (*self.sentinels, *self.nodes):
            one.remove()

    def _knows_all(self, sentinel: RedisServer) -> bool:
        told: dict[str, Any] = sentinel.admin.sentinel_master(SERVICE)
        return bool(told["num-other-sentinels"] == 2 and told["num-slaves"] == 1)


class Cluster:
    """Three masters, each with a replica."""

    def __init__(self, dead_after_ms: int = NEVER_MS) -> None:
        self.nodes = [self._node(dead_after_ms) for _ in range(6)]

    @property
    def url(self) -> str:
        """How a store finds it."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes[:3])}"

    def start(self) -> Cluster:
        """Start all, and wait until each has its part."""
        for node in self.nodes:
            node.start()
        places = [f"127.0.0.1:{node.port}" for node in self.nodes]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *places, "--cluster-replicas", "1", "--cluster-yes"],
            check=True,
            capture_output=True,
        )
        wait_until(lambda: all(self._is_ready(node) for node in self.nodes), "the cluster does not come up")
        return self

    def empty(self) -> None:
        """Remove what is kept."""
        for node in self.nodes:
            if node.admin.info("replication")["role"] == "master":
                node.admin.flushall()

    def master_of(self, key: bytes) -> RedisServer:
        """Return the master that a key belongs to."""
        slot = key_slot(key)
        for start, end, (_, port, *_rest), *_replicas in self._slots():
            if start <= slot <= end:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(key)

    def remove(self) -> None:
        """End all of them."""
        for node in self.nodes:
            node.remove()

    def _node(self, dead_after_ms: int) -> RedisServer:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(dead_after_ms))
        return RedisServer(*options, "--cluster-port", str(free_port()), *DURABLE, *AT_ONCE)

    def _slots(self) -> list[Any]:
        for node in self.nodes:
            with suppress(redis.RedisError):
                # As the server says it: the client would make an object of it.
                connection = node.admin.connection_pool.get_connection()
                try:
                    connection.send_command("CLUSTER", "SLOTS")
                    answer: list[Any] = connection.read_response()
                    return answer
                finally:
                    node.admin.connection_pool.release(connection)
        raise LookupError("nobody answers")

    def _is_ready(self, node: RedisServer) -> bool:
        told: bytes = node.admin.execute_command("CLUSTER", "INFO")
        linked = node.admin.info("replication")
        follows = linked["role"] == "master" or linked["master_link_status"] == "up"
        followed = linked["role"] == "slave" or _is_followed(node)
        return b"cluster_state:ok" in told and follows and followed
