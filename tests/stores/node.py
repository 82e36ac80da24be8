"""One process of a set-up, as the tests start it: ``python node.py URL WORK``, what it has done on stdout."""

from __future__ import annotations

import asyncio
import resource
import sys

from propylon.core.session import Ending
from propylon.errors import StoreUnavailable
from propylon.ports import Opened, Store
from propylon.stores import make_store
from propylon.testing.records import NOW, a_session, a_user, an_opening


def tell(*lines: str) -> None:
    """Write to the test that started this process."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


async def open_and_end(store: Store) -> str:
    """Open a session, end it and return its id."""
    session = a_session()
    assert isinstance(await store.open_session(an_opening(session), NOW), Opened)
    assert await store.end_session(session.id, Ending("signed_out", NOW), user_id=None, feed_ttl_s=300)
    return session.id


async def work(store: Store) -> None:
    """End twenty-five sessions, eight at once, and tell which."""
    for _ in range(25):
        tell(*await asyncio.gather(*(open_and_end(store) for _ in range(8))))


async def work_for_ever(store: Store) -> None:
    """End sessions until the process is killed."""
    while True:
        await work(store)


async def fill_up(store: Store) -> None:
    """Write until no file may grow any more, then be allowed to again."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    session = a_session()
    await store.open_session(an_opening(session), NOW)
    version = 0
    try:
        while version < 10_000:
            version += 1
            assert await store.replace_data(session.id, {"n": "x" * 8000}, None) == version
    except StoreUnavailable:
        tell(f"full after {(await store.read_data(session.id)).version == version - 1}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    tell(f"again {await store.replace_data(session.id, {}, version - 1) == version}")


async def start(url: str, name: str) -> None:
    """Open the store, add the account if it is not there yet, do the work."""
    store = make_store(url)
    await store.open()
    await store.add_user(a_user())
    await {"work": work, "for-ever": work_for_ever, "fill-up": fill_up}[name](store)
    await store.close()


if __name__ == "__main__":
    asyncio.run(start(sys.argv[1], sys.argv[2]))
