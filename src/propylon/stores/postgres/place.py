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
        raise SetupError("postgres_url")


def cannot_be_used(url: str, error: Exception) -> SetupError:
    """Return the one sentence for a database that cannot be used."""
    if isinstance(error, ValueError):  # about the URL, and may repeat a part of it
        return SetupError("postgres_url_unusable", store=shown(url))
    key = "postgres_unreachable"
    if isinstance(error, TimeoutError):
        key = "postgres_silent"
    elif isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):  # a wrong password too
        key = "postgres_login"
    elif isinstance(error, asyncpg.InvalidCatalogNameError):
        key = "postgres_no_database"
    elif isinstance(error, asyncpg.TooManyConnectionsError):
        key = "postgres_no_room"
    elif isinstance(error, asyncpg.TargetServerAttributeNotMatched | asyncpg.InternalClientError):
        key = "postgres_standby"
    elif isinstance(error, asyncpg.InsufficientPrivilegeError):
        key = "postgres_rights"
    return SetupError(key, store=shown(url), reason=_reason(error), schema=SCHEMA)


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0].rstrip(".")
    return said or type(error).__name__
