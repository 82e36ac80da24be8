"""A limit of sign-ins as one writes it first: count, then act. Beside Propylon's it shows why that is not enough.

Two statements that are right each by itself, on a database that loses nothing, with nothing that holds them together.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

FILE = "PROPYLON_AGORA_NAIVE"
LIMIT = 3

_TABLE = "create table if not exists sessions (id integer primary key autoincrement, user text)"


async def sign_in(request: Request) -> Response:  # noqa: ARG001 - everybody is the same user
    """Open a session, and end the oldest one where there are already as many as allowed."""
    await run_in_threadpool(_sign_in)
    return Response(b"{}", 201, media_type="application/json")


async def count(request: Request) -> Response:  # noqa: ARG001 - the shape of an endpoint
    """Say how many sessions there are."""
    return Response(msgspec.json.encode(await run_in_threadpool(_count)), media_type="application/json")


def _sign_in() -> None:
    with closing(_database()) as database:
        there_are = database.execute("select count(*) from sessions where user = 'u'").fetchone()[0]
        if there_are >= LIMIT:
            oldest = "delete from sessions where id = (select min(id) from sessions where user = 'u')"
            database.execute(oldest)
        database.execute("insert into sessions (user) values ('u')")


def _count() -> int:
    with closing(_database()) as database:
        counted: int = database.execute("select count(*) from sessions where user = 'u'").fetchone()[0]
        return counted


def _database() -> sqlite3.Connection:
    database = sqlite3.connect(os.environ[FILE], timeout=30, isolation_level=None)
    database.execute("pragma journal_mode = wal")
    database.execute(_TABLE)
    return database
