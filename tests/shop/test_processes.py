"""Child processes that live and end together."""

from __future__ import annotations

import subprocess
import sys

from examples.shop.processes import free_port, reachable
from tests.shop.launching import ROOT

ENDED_BEFORE_IT_STARTED = """
import os, signal
from examples.shop.processes import Children
with Children() as children:
    os.kill(os.getpid(), signal.SIGTERM)
    children.start("sleeper", ["sleep", "60"], os.environ)
    print(children.wait_first(), children.status("sleeper"))
"""

ASKED_TO_END = """
import os, signal, sys
from examples.shop.processes import Children
SLOW = '''
import signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print("ready", flush=True)
while not asked: time.sleep(0.01)
time.sleep(0.5)
sys.exit(len(asked))
'''
with Children() as children:
    children.start("quick", ["sleep", "60"], os.environ)
    children.start("slow", [sys.executable, "-c", SLOW], os.environ)
    input()  # whoever runs this has read "ready"
    os.kill(os.getpid(), signal.SIGTERM)
    print(children.wait_first())
    children.stop()
    print(children.status("slow"))
"""


def run(script: str, given: bytes = b"") -> list[str]:
    """Run a script that uses the children, to its end in order; return the lines that it printed."""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        rest, _ = process.communicate(given, timeout=20)
    assert process.returncode == 0
    return (first + rest).decode().splitlines()


def test_a_child_is_asked_to_end_once() -> None:
    """A second SIGTERM would cut short the end that the first one began."""
    assert run(ASKED_TO_END, b"\n") == ["ready", "quick", "1"]


def test_a_child_that_starts_after_the_signal_is_ended_too() -> None:
    """The signal found nobody to be passed on to; whoever comes later must not be waited for."""
    assert run(ENDED_BEFORE_IT_STARTED) == ["sleeper 0"]


def test_no_port_is_found_beyond_the_last_one() -> None:
    """There is none after 65535, and nothing is raised over it."""
    assert free_port("127.0.0.1", 65_536) is None


def test_an_address_as_it_stands_in_a_url() -> None:
    """Every address means this machine, and IPv6 wants brackets."""
    shown = {address: reachable(address) for address in ("127.0.0.1", "0.0.0.0", "::", "::1")}  # noqa: S104
    assert shown == {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}  # noqa: S104
