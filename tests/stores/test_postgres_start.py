"""PostgreSQL at the start: migrated on purpose, once, and one sentence for whatever is wrong."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.servers.ports import free_port
from tests.servers.postgres import GUARDED, PASSWORD, PostgresServer

from propylon.errors import SetupError
from propylon.stores import bring_up_to_date, inspect, make_store, migrations_of, postgres_store
from propylon.stores.migrations import Migration, released
from propylon.stores.postgres import PostgresStore, schema
from propylon.stores.postgres.place import shown
from propylon.testing.records import a_signing_key, a_user

MIGRATE = "import sys; from propylon.stores import bring_up_to_date; print(len(bring_up_to_date(sys.argv[1])))"


@pytest.fixture
def empty(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database with nothing in it."""
    with postgres.database("template0") as name:
        yield name


async def refusal(url: str) -> str:
    """Open a store that cannot be opened and return the sentence, which holds no password."""
    store = make_store(url)
    with pytest.raises(SetupError) as caught:
        await store.open()
    sentence = str(caught.value)
    assert PASSWORD not in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


async def test_an_empty_database_is_not_touched_by_a_start(postgres: PostgresServer, empty: str) -> None:
    """The sentence names the command; whoever mistyped the URL of a database finds nothing of ours in it."""
    assert "run 'propylon migrate'" in await refusal(postgres.url(empty))
    assert postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'propylon'", empty) == "0"
    await asyncio.to_thread(bring_up_to_date, postgres.url(empty))
    store = make_store(postgres.url(empty))
    await store.open()
    await store.close()


async def test_of_fifty_that_migrate_at_once_one_does(postgres: PostgresServer, empty: str) -> None:
    """Every one succeeds, forty-nine find it done, and each migration was applied once."""
    url = postgres.url(empty)
    applied = await asyncio.gather(*(asyncio.to_thread(bring_up_to_date, url) for _ in range(50)))
    assert sorted(map(len, applied)) == [0] * 49 + [len(released("postgres"))]
    assert postgres.sql("SELECT count(*) FROM propylon.migrations", empty) == str(len(released("postgres")))


def test_processes_that_migrate_at_once_agree(postgres: PostgresServer, empty: str) -> None:
    """As the nodes of one deployment do."""
    command = [sys.executable, "-c", MIGRATE, postgres.url(empty)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = [process.communicate()[0].strip() for process in running]
    assert sorted(told) == ["0"] * 3 + [str(len(released("postgres")))]


async def test_nodes_that_are_live_stay_so_while_another_migrates(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column more under their feet: they go on, with the statements that they have prepared."""
    store = make_store(postgres_url)
    await store.open()
    await store.add_user(a_user())
    assert await store.find_user("user-1") == a_user()
    more = Migration(len(released("postgres")) + 1, "more", "ALTER TABLE users ADD COLUMN shoe_size BIGINT;\n")
    monkeypatch.setattr(schema, "released", lambda kind: (*released(kind), more))
    assert await asyncio.to_thread(bring_up_to_date, postgres_url) == [more]
    assert await asyncio.to_thread(bring_up_to_date, postgres_url) == []
    assert await store.find_user("user-1") == a_user()
    assert await store.rename_user("user-1", "Lee")
    await store.close()


async def test_a_migration_that_fails_leaves_nothing(
    postgres: PostgresServer, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even those before it in the same run."""
    broken = Migration(
        len(released("postgres")) + 1, "broken", "CREATE TABLE half (x INT); CREATE TABLE users (x INT);\n"
    )
    monkeypatch.setattr(schema, "released", lambda kind: (*released(kind), broken))
    with pytest.raises(SetupError, match="already exists"):
        await asyncio.to_thread(bring_up_to_date, postgres.url(empty))
    assert postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'propylon'", empty) == "0"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE propylon.migrations SET checksum = 'x'", "unchanged Propylon"),
        ("INSERT INTO propylon.migrations VALUES (999, 'future', 'x', 0)", "install the newer"),
        ("DELETE FROM propylon.migrations", "run 'propylon migrate'"),
    ],
)
async def test_another_schema_than_ours_is_refused(
    postgres: PostgresServer, postgres_url: str, change: str, told: str
) -> None:
    """Edited, newer or older: one sentence, and nothing is touched."""
    postgres.sql(change, postgres_url.rpartition("/")[2])
    assert told in await refusal(postgres_url)


async def test_an_app_may_share_the_database(postgres: PostgresServer, empty: str) -> None:
    """Its tables of the same names are not ours, and ours are not in its way."""
    for table in ("users", "sessions", "migrations", "settings"):
        postgres.sql(f"CREATE TABLE {table} (app INT)", empty)
    await asyncio.to_thread(bring_up_to_date, postgres.url(empty))
    store = make_store(postgres.url(empty))
    await store.open()
    assert await store.add_user(a_user())
    await store.close()
    assert postgres.sql("SELECT count(*) FROM public.users", empty) == "0"


async def test_a_user_with_few_rights_is_enough(postgres: PostgresServer, empty: str) -> None:
    """Where an administrator has made the schema for it; where not, the sentence says what is missing."""
    url = postgres.url(empty, user=GUARDED, password=PASSWORD)
    with pytest.raises(SetupError, match="create the schema propylon"):
        await asyncio.to_thread(bring_up_to_date, url)
    postgres.sql(f"CREATE SCHEMA propylon AUTHORIZATION {GUARDED}", empty)
    await asyncio.to_thread(bring_up_to_date, url)
    store = make_store(url)
    await store.open()
    assert await store.publish_key(a_signing_key(), replaces=None)
    assert await store.purge(0, keep_ended_s=0) == 0
    await store.close()


async def test_a_wrong_password_is_one_sentence(postgres: PostgresServer, postgres_url: str) -> None:
    """Neither the wrong nor the right one is in it."""
    url = postgres.url(postgres_url.rpartition("/")[2], user=GUARDED, password=f"not-{PASSWORD}")
    assert "correct user and password in PROPYLON_STORE" in await refusal(url)


async def test_a_database_that_is_not_there_is_one_sentence(postgres: PostgresServer) -> None:
    """It names the database and what to do."""
    sentence = await refusal(postgres.url("nowhere", user=GUARDED, password=PASSWORD))
    assert "nowhere" in sentence
    assert "create the database" in sentence


async def test_no_server_is_one_sentence(postgres: PostgresServer) -> None:
    """Also for the command that migrates."""
    url = postgres.url("x", password=PASSWORD, port=free_port())
    assert "see that the server runs" in await refusal(url)
    with pytest.raises(SetupError, match="see that the server runs"):
        await asyncio.to_thread(bring_up_to_date, url)


async def test_a_server_without_room_is_one_sentence(postgres: PostgresServer, postgres_url: str) -> None:
    """It names the server's setting, and whoever tries again later gets in."""
    name = postgres_url.rpartition("/")[2]
    postgres.sql(
        f"GRANT ALL ON SCHEMA propylon TO {GUARDED}; GRANT ALL ON ALL TABLES IN SCHEMA propylon TO {GUARDED}", name
    )
    postgres.sql(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    url = postgres.url(name, user=GUARDED, password=PASSWORD)
    assert "max_connections" in await refusal(url)
    postgres.sql(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    store = make_store(url)
    await store.open()
    await store.close()


async def test_a_standby_is_refused(postgres: PostgresServer, postgres_url: str) -> None:
    """What cannot be written to is no store; the sentence names the kind of server that is wanted."""
    name = postgres_url.rpartition("/")[2]
    postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "not a standby" in await refusal(postgres_url)


async def test_a_database_in_another_encoding_is_refused(postgres: PostgresServer) -> None:
    """Names from all over the world would not fit into it."""
    postgres.sql("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    assert "ENCODING 'UTF8'" in await refusal(postgres.url("latin"))
    postgres.sql("DROP DATABASE latin WITH (FORCE)")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2/x@host/db",
        "postgresql://u:hunter2#x@host/db",
        "postgresql://u:p@host:hunter2/db",
        "postgresql://u:p@host:99999/db?x=hunter2",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    """A password's special characters that were not written as %XX take the URL apart in odd places."""
    with pytest.raises(SetupError, match="%XX") as caught:
        make_store(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u:hunter2@db.example:5433/p?sslmode=require", "postgresql://db.example:5433/p"),
        ("postgresql://u:hunter%402@[::1]/p", "postgresql://[::1]/p"),
        ("postgresql:///p?host=/run&password=hunter2", "postgresql:///p"),
        ("postgresql://u:hunter?2@host/p", "postgresql://..."),
        ("postgresql://u:1?hunter2@host/p", "postgresql://..."),
        ("postgresql://u:p@host:hunter2/p", "postgresql://..."),
    ],
)
def test_a_store_is_shown_without_its_secrets(url: str, name: str) -> None:
    """Where it cannot be told what is secret, nothing is shown."""
    assert shown(url) == name


def test_both_spellings_name_the_same_kind_of_store() -> None:
    """As PostgreSQL's own tools have it."""
    for url in ("postgresql://u@h/db", "postgres://u@h/db"):
        assert isinstance(make_store(url), PostgresStore)
        assert migrations_of(url) == released("postgres")


def test_the_histories_are_numbered_without_gaps() -> None:
    """Each kind of database has its own."""
    for kind in ("sqlite", "postgres"):
        migrations = released("sqlite" if kind == "sqlite" else "postgres")
        assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))


def test_without_the_driver_a_sentence_names_the_extra() -> None:
    """Whichever way the store is asked for."""
    code = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from propylon.errors import SetupError\n"
        "from propylon.stores import bring_up_to_date, inspect, make_store\n"
        "for ask in (make_store, bring_up_to_date, inspect):\n"
        "    try: ask('postgresql://u@h/db')\n"
        "    except SetupError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    sentence = "A PostgreSQL store needs the package 'asyncpg': install propylon[postgres]."
    assert done.stdout.splitlines() == [sentence] * 3


async def test_a_look_changes_nothing_and_shows_what_is_there(
    postgres: PostgresServer, postgres_url: str, empty: str
) -> None:
    """Schema, keys and mode of a store; an empty database; none at all."""
    store = postgres_store(postgres_url)
    await store.open()
    await store.publish_key(a_signing_key(), replaces=None)
    await store.write_setting("mode", "hybrid", expected=None)
    await store.close()
    seen = await asyncio.to_thread(inspect, postgres_url)
    assert (seen.exists, seen.unreadable, seen.unwritable, seen.mode) == (True, None, None, "hybrid")
    assert seen.applied == {migration.version: migration.checksum for migration in released("postgres")}
    assert [(key.kid, key.sealed) for key in seen.signing_keys] == [("key-a", b"")]
    seen = await asyncio.to_thread(inspect, postgres.url(empty))
    assert (seen.exists, seen.applied) == (False, {})
    seen = await asyncio.to_thread(inspect, postgres.url("nowhere"))
    assert seen.unreadable is not None
