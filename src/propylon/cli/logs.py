"""Logging of ``propylon serve``. Only the program configures it; the library never does."""

from __future__ import annotations

from typing import Any

STDERR = "ext://sys.stderr"


def log_settings(level: str) -> dict[str, Any]:
    """Return what ``logging.config.dictConfig`` takes, for the parent and every worker.

    Security events are JSON lines as they come, at any level: nobody turns an audit trail off by asking
    for less noise. All else is readable lines.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "readable": {
                "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
                "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            },
            "bare": {"format": "%(message)s"},
        },
        "handlers": {
            "readable": {"class": "logging.StreamHandler", "formatter": "readable", "stream": STDERR},
            "bare": {"class": "logging.StreamHandler", "formatter": "bare", "stream": STDERR},
        },
        "loggers": {
            "propylon.security": {"handlers": ["bare"], "level": "INFO", "propagate": False},
            # Its "info" tells of every step of its own; what it has to say to an operator is a warning.
            "_granian": {"level": "DEBUG" if level == "debug" else "WARNING"},
            "granian.access": {"handlers": [], "propagate": False},
        },
        "root": {"handlers": ["readable"], "level": level.upper()},
    }
