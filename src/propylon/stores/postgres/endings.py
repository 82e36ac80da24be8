"""Sessions, ended, with the feed's rows in the same statement; and the feed's other rows."""

from __future__ import annotations

from typing import Any

from propylon.core.revocation import FeedSubject
from propylon.core.session import Ending
from propylon.stores.news import kept_until
from propylon.stores.postgres.rows import DEADLINE
from propylon.stores.rows import Row, ending_values

_ANNOUNCE = "INSERT INTO feed (subject, id, reason, expires_at) VALUES ($1, $2, $3, $4)"


def _ending(which: str) -> str:
    """Return the statement that ends the sessions of which ``which`` is true; ``$7`` and on are its values.

    They are locked in the order of opening, so that two that end the same ones never wait for each other. The first
    ending stays: whoever waited for a lock looks again at what the row has become.
    """
    # ruff: noqa: S608 - conditions of this module, never values
    return f"""
    WITH going AS MATERIALIZED (
        SELECT seq FROM sessions WHERE {which} AND ended_at IS NULL ORDER BY seq FOR UPDATE
    ), over AS (
        UPDATE sessions
        SET (ended_reason, ended_at, ended_by_browser, ended_by_os, ended_by_kind) = ($1, $2, $3, $4, $5)
        FROM going WHERE sessions.seq = going.seq
        RETURNING sessions.seq, id, {DEADLINE} > $2 AS lived
    ), told AS (
        INSERT INTO feed (subject, id, reason, expires_at)
        SELECT 'session_ended', id, $1, $6 FROM over ORDER BY seq
    )
    SELECT id, lived FROM over ORDER BY seq
    """


END_ONE = _ending("id = $7 AND ($8::text IS NULL OR user_id = $8)")
END_SOME = _ending("id = any($7::text[])")
END_ALL = _ending("user_id = $7 AND ($8::text IS NULL OR id <> $8)")


def how_to_end(ending: Ending, feed_ttl_s: int) -> tuple[Any, ...]:
    """Return the first six values of a statement that ends sessions."""
    return (*ending_values(ending), ending.at + feed_ttl_s)


async def end_all(db: Any, user_id: str, ending: Ending, keep: str | None, feed_ttl_s: int) -> None:
    """End all sessions of a user but ``keep``, inside a transaction that holds the lock of the account."""
    await db.fetch(END_ALL, *how_to_end(ending, feed_ttl_s), user_id, keep)


def lived(rows: list[Row]) -> tuple[str, ...]:
    """Return the ids of the sessions that lived until they were ended.

    Expired ones are ended with them: a node whose clock is behind may still think that they live.
    """
    return tuple(session_id for session_id, alive in rows if alive)


async def announce(db: Any, subject: FeedSubject, id_: str = "") -> None:
    """Tell all processes to drop what they remember of something."""
    await db.execute(_ANNOUNCE, subject, id_, "", kept_until())


async def announce_ending(db: Any, session_id: str, ending: Ending, feed_ttl_s: int) -> None:
    """Tell all processes that a session's tokens are dead."""
    await db.execute(_ANNOUNCE, "session_ended", session_id, ending.reason, ending.at + feed_ttl_s)
