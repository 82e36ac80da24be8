"""nginx and HAProxy on a free loopback port, with the files of ``deploy`` as they stand, but for addresses."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

DEPLOY = Path(__file__).parents[2] / "deploy"
# Debian puts them where the paths of people do not lead.
PLACES = f"{os.environ['PATH']}:/usr/sbin"
START_WITHIN_S, STOP_WITHIN_S = 10.0, 15.0


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Return a configuration with other addresses; one that does not stand in it fails the test."""
    for told, here in pairs:
        assert told in text, told
        text = text.replace(told, here)
    return text


class Front:
    """A proxy: its own program says whether the configuration is sound, then it runs."""

    def __init__(self, port: int, check: list[str], run: list[str]) -> None:
        self.port, self._check, self._run = port, check, run
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address that people use."""
        return f"http://localhost:{self.port}"

    def __enter__(self) -> Self:
        """Check, start, and wait until it listens."""
        checked = subprocess.run(self._check, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        self._process = subprocess.Popen(self._run)
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.02)
        raise AssertionError(f"{self._run[0]} does not listen")

    def __exit__(self, *_: object) -> None:
        """Stop it at once."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_WITHIN_S)


def nginx(site: str, port: int, home: Path) -> Front:
    """Return an nginx that serves ``site``, a configuration for its http context, without TLS."""
    site = re.sub(r"^ *ssl_certificate.*\n", "", site, flags=re.MULTILINE)
    site = replaced(site, ("listen 443 ssl", f"listen 127.0.0.1:{port}"))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {home}/{kind};\n" for kind in kinds)
    head = f"pid {home}/nginx.pid;\ndaemon off;\nevents {{}}\n"
    logs = f"access_log off;\nerror_log {home}/nginx.log;\n"
    # What an operator may well have switched on for everything.
    gzip = "gzip on;\ngzip_proxied any;\ngzip_types *;\n"
    (home / "nginx.conf").write_text(f"{head}http {{\n{logs}{paths}{gzip}{site}}}\n")
    program = shutil.which("nginx", path=PLACES) or "nginx"
    run = [program, "-e", f"{home}/nginx.log", "-c", f"{home}/nginx.conf", "-p", str(home)]
    return Front(port, [*run, "-t"], run)


def haproxy(configuration: str, port: int, home: Path) -> Front:
    """Return a HAProxy with this configuration, without TLS."""
    here = (
        ("bind :443 ssl crt /etc/haproxy/id.pem", f"bind 127.0.0.1:{port}"),
        ("stats socket /run/haproxy/admin.sock", f"stats socket {home}/admin.sock"),
    )
    file = home / "haproxy.cfg"
    file.write_text(replaced(configuration, *here))
    program = shutil.which("haproxy", path=PLACES) or "haproxy"
    return Front(port, [program, "-c", "-f", str(file)], [program, "-db", "-q", "-f", str(file)])


def deployed(name: str, ports: list[int], port: int, home: Path) -> Front:
    """Return the proxy of one of the files in ``deploy``, in front of three nodes of this machine."""
    text = (DEPLOY / name).read_text()
    nodes = [(f"10.0.0.1{number}:8000", f"127.0.0.1:{here}") for number, here in enumerate(ports, 1)]
    text = replaced(text, *nodes)
    if name == "haproxy.cfg":
        return haproxy(text, port, home)
    return nginx(replaced(text, ("server_name id.example.com", "server_name localhost")), port, home)
