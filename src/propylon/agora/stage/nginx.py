"""An nginx of the agora's own, in front of some servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from propylon.agora.stage.processes import free_port, listens, program, running, wait_for

_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
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


@contextmanager
def nginx(folder: Path, ports: Sequence[int], *, policy: str = "") -> Iterator[str]:
    """Run it until the block ends; return its address."""
    port = free_port()
    servers = "\n    ".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;" for one in ports)
    path, log = folder / "nginx.conf", folder / "nginx.log"
    path.write_text(_CONFIGURATION.format(folder=folder, policy=policy, servers=servers, port=port))
    command = [program("nginx", "nginx"), "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")]
    with running(command, log) as process:
        wait_for(lambda: listens(port), process, log)
        yield f"http://localhost:{port}"
