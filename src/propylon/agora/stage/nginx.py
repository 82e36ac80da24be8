"""An nginx of the agora's own, in front of some servers."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from propylon.agora.stage.processes import free_port, listens, program, running, wait_for

_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  log_format by_node "$upstream_addr";
  access_log {folder}/by_node.log by_node;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream propylon {{
    {policy}
    {servers}
    keepalive 64;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://propylon;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_next_upstream error timeout non_idempotent;
      proxy_connect_timeout 1s;
    }}
  }}
}}
"""


@dataclass(slots=True)
class Balancer:
    """The running nginx.

    Attributes:
        url: where people reach it.
    """

    url: str
    _folder: Path
    _port: int
    _policy: str
    _process: subprocess.Popen[bytes] | None = None

    def serve(self, ports: Sequence[int]) -> None:
        """Have these servers behind it from now on; requests under way end where they began."""
        self.configure(ports)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def configure(self, ports: Sequence[int]) -> Path:
        """Write the configuration and return its path."""
        servers = "\n    ".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;" for one in ports)
        path = self._folder / "nginx.conf"
        path.write_text(
            _CONFIGURATION.format(folder=self._folder, policy=self._policy, servers=servers, port=self._port)
        )
        return path

    def answered(self) -> Counter[int]:
        """Return how many requests each server has answered so far, by its port."""
        # Where several were tried for one request they are listed, and the last one has answered.
        last = (line.rpartition(":")[2] for line in (self._folder / "by_node.log").read_text().splitlines())
        return Counter(int(port) for port in last if port.isdigit())

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Run it until the block ends."""
        path, log = self._folder / "nginx.conf", self._folder / "nginx.log"
        errors = str(self._folder / "error.log")
        command = [program("nginx", "nginx"), "-p", str(self._folder), "-c", str(path), "-e", errors]
        with running(command, log) as process:
            wait_for(lambda: listens(self._port), process, log)
            self._process = process
            yield self


@contextmanager
def nginx(folder: Path, ports: Sequence[int], *, policy: str = "") -> Iterator[Balancer]:
    """Run one until the block ends."""
    port = free_port()
    balancer = Balancer(f"http://localhost:{port}", folder, port, policy)
    balancer.configure(ports)
    with balancer.running():
        yield balancer
