"""The machine that measures, as far as it can be told without naming it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from propylon.agora.results import Machine

# What the figures depend on beside Propylon itself.
_PACKAGES = ("cryptography", "granian", "starlette", "msgspec", "argon2-cffi", "redis", "asyncpg", "uvloop")


def this_machine() -> Machine:
    """Return what can be said of this machine without naming it."""
    versions = {name: metadata.version(name) for name in _PACKAGES if _is_installed(name)}
    return Machine(
        processor=_processor(),
        cores=_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        python=platform.python_version(),
        versions=versions,
    )


def is_this_machine(machine: Machine) -> bool:
    """Return whether figures of ``machine`` may be taken for figures of this one: the same processor, as many cores."""
    return (machine.processor, machine.cores) == (_processor(), _cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
