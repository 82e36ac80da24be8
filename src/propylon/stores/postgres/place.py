"""Which database a URL names, how it is connected to, and one sentence for what keeps that from working."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import asyncpg

from propylon.errors import SetupError

#: What the driver raises when the server or the way to it fails, or when the server refuses.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

# Across a slow network a connection takes about six round trips.
CONNECT_TIMEOUT_S = 5.0

# A look or a write by key takes milliseconds; whoever waits for longer is better told so.
COMMAND_TIMEOUT_S = 3.0

OLDEST_SERVER = 13
SCHEMA = "propylon"

# What the code relies on is asked for by every connection, whatever the database's own defaults are.
_SESSION = {
    "application_name": "propylon",
    "search_path": SCHEMA,
    # After waiting for a lock, the next statement must see what its holder has committed.
    "default_transaction_isolation": "read committed",
    # A node that froze in the middle of a transaction keeps its locks no longer than this.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    # Compiling a query that finds one row by key takes longer than running it.
    "jit": "off",
}

_HOW = "postgresql://user:password@host:5432/database, with a password's special characters as %XX"


async def connect(url: str, **options: Any) -> Any:
    """Return a connection to a server that can be written to."""
    return await asyncpg.connect(url, **{**how(), **options})


def how() -> dict[str, Any]:
    """Return what every connection is made with."""
    return {
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "server_settings": dict(_SESSION),
        # Of several hosts in the URL the one that is not a standby.
        "target_session_attrs": "read-write",
    }


async def never_lose_a_commit(db: Any) -> None:
    """See to it that a commit which was answered survives a crash of the server.

    A stricter setting of the administrator (waiting for a standby) stays.
    """
    await db.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )


def shown(url: str) -> str:
    """Return the URL without user, password and options; of one that cannot be read, nothing but its kind."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "postgresql://..."
    # An @ behind the host belongs to a password whose special characters were not written as %XX.
    if "@" in parts.path + parts.query + parts.fragment:
        return "postgresql://..."
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"postgresql://{host}{port}{parts.path}"


def check_url(url: str) -> None:
    """Raise ``SetupError`` unless the URL names a database."""
    try:
        parts = urlsplit(url)
        named = parts.port is None or parts.port > 0
    except ValueError:
        named = False
    if not named or "@" in parts.path + parts.fragment:
        raise SetupError(f"A PostgreSQL store is written {_HOW}.")


def cannot_be_used(url: str, error: Exception) -> SetupError:
    """Return the one sentence for a database that cannot be used."""
    if isinstance(error, ValueError):  # about the URL, and may repeat a part of it
        return SetupError(f"The store {shown(url)} cannot be used: it is written {_HOW}.")
    return SetupError(f"The store {shown(url)} cannot be used ({_reason(error)}): {_advice(error)}.")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or "no connection"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _advice(error: Exception) -> str:
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):  # a wrong password too
        return "correct user and password in PROPYLON_STORE"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return "create the database, or name another with PROPYLON_STORE"
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return "raise max_connections of the server, or start fewer workers"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched | asyncpg.InternalClientError):
        return "name the server that can be written to, not a standby, with PROPYLON_STORE"
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"let its user create the schema {SCHEMA}, or create that schema for it"
    return "see that the server runs and accepts connections from here, or name another with PROPYLON_STORE"
