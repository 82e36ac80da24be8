"""Propylon: authentication for Python web services.

A user signs in once; the app decides whether that session travels as a cookie, as tokens, or both. Importing
this package loads no server, no driver and no template engine: ``Propylon`` is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from propylon.core.demand import Demand
from propylon.core.principal import Principal
from propylon.errors import (
    ClientError,
    CredentialRefused,
    Forbidden,
    PropylonError,
    SetupError,
    Unavailable,
)

if TYPE_CHECKING:
    from propylon.app import Propylon

__version__ = "0.1.0"

__all__ = [
    "ClientError",
    "CredentialRefused",
    "Demand",
    "Forbidden",
    "Principal",
    "Propylon",
    "PropylonError",
    "SetupError",
    "Unavailable",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name != "Propylon":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from propylon.app import Propylon  # noqa: PLC0415 - the point of this function
    except ModuleNotFoundError as missing:
        raise SetupError("server_not_installed", package=repr(missing.name)) from missing
    return Propylon
