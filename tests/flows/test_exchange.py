"""A session of a real Django or Starlette is exchanged for ours: once, by who holds it, while it is good there."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import asyncpg
import httpx
import pytest
from itsdangerous import TimestampSigner
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.http.driving import SESSION_COOKIE, Connect, MakePropylon, refused, set_cookies, sign_in

from propylon import Propylon, SetupError
from propylon.config.bridge import MAX_AGE_S, load
from propylon.core import foreign_session
from propylon.core.principal import User
from propylon.flows.importing import Import, Tally
from propylon.outside.foreign_ids import id_of_django_row
from propylon.outside.import_tables import TableSource
from propylon.outside.security_log import JsonSecurityLog
from propylon.testing import FakeClock

EXCHANGE = "/v1/session/exchange"
# As in django_origin.py, which configures Django for its process when it is imported.
SECRET, OLD_SECRET = "the secret of this Django, long enough", "the secret before that, long enough, too"
DAY_S = 86_400
MINA, ONLY_HERE = id_of_django_row(1), "f4617e39-5928-4182-96c5-90dc93888a83"


@pytest.fixture
def clock() -> FakeClock:
    """The time of this machine, which the other systems sign with."""
    return FakeClock(int(time.time()))


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A real Django's database, and the cookies of its people."""
    return made_by_django(tmp_path_factory.mktemp("django") / "db.sqlite3")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Another Django's, which signs with the same secret and has other people under the same numbers."""
    return made_by_django(tmp_path_factory.mktemp("elsewhere") / "db.sqlite3", "elsewhere")


def made_by_django(database: Path, *which: str) -> tuple[Path, dict[str, str]]:
    """Let a Django make its database, and return what browsers hold."""
    command = [sys.executable, str(Path(__file__).with_name("django_origin.py")), str(database), *which]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    held: dict[str, str] = json.loads(done.stdout)
    return database, held


def bridge_file(folder: Path, **said: object) -> str:
    """Write the file that the setting names."""
    path = folder / "bridge.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in said.items()))
    return str(path)


Make = Callable[..., Awaitable[Propylon]]


@pytest.fixture
def bridged(make_propylon: MakePropylon, tmp_path: Path) -> Make:
    """Make a service that honours another system's sessions, with the accounts that were imported before."""

    async def make(store: str = "memory", imported: str = "", **said: object) -> Propylon:
        propylon = await make_propylon(store=store, bridge=bridge_file(tmp_path, **said))
        await propylon.runtime.store.add_user(account(ONLY_HERE, "only-here@example.com"))
        if imported:
            await take_over(propylon, imported)
        return propylon

    return make


def account(user_id: str, email: str) -> User:
    """Return an account that was not imported."""
    return User(id=user_id, email=email, email_key=email, name="", password_hash="")


async def take_over(propylon: Propylon, url: str) -> Tally:
    """Import the accounts of a Django, as the command does."""
    runtime = propylon.runtime
    source, log = TableSource(url, "django"), JsonSecurityLog(runtime.clock)
    return await Import(runtime.store, runtime.clock, secrets.token_bytes, log)(source.batches(), lambda _: None)


async def nobody_signed_in(propylon: Propylon) -> bool:
    """Say whether there is no session of anybody."""
    return await propylon.runtime.store.all_live_sessions(propylon.runtime.clock.now(), 10) == []


async def turned_away(propylon: Propylon, connect: Connect, cookie: str) -> None:
    """Hold that a cookie of the other system lets nobody in."""
    answer = await exchanged(connect(propylon), cookie)
    refused(answer, 401, "credential_malformed")
    assert "set-cookie" not in answer.headers
    assert await nobody_signed_in(propylon)


def django(origin: tuple[Path, dict[str, str]], sessions: str) -> dict[str, object]:
    """Return the bridge to that Django, whose accounts were imported."""
    return {"imported": f"sqlite:///{origin[0]}.imported", **bridge_to(origin, sessions)}


def bridge_to(origin: tuple[Path, dict[str, str]], sessions: str) -> dict[str, object]:
    """Return the settings of the bridge to that Django."""
    where = f"sqlite:///{origin[0]}"
    return {"system": "django", "secrets": [SECRET, OLD_SECRET], "sessions": sessions, "database": where}


async def exchanged(client: httpx.AsyncClient, cookie: str, name: str = "sessionid", **body: object) -> httpx.Response:
    """Exchange a session."""
    headers = {"cookie": f"{name}={cookie}", "sec-fetch-site": "same-origin"}
    return await client.post(EXCHANGE, headers=headers, json=body or None)


SESSIONS = ("database", "cookie")
both = pytest.mark.parametrize("sessions", SESSIONS)


@both
@pytest.mark.parametrize("which", ["good", "long", "old secret"])
async def test_a_session_of_django_is_exchanged_once(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], sessions: str, which: str
) -> None:
    """Mina is signed in without a password; the same cookie opens no second session, also after the first has ended."""
    propylon, cookie = await bridged(**django(origin, sessions)), origin[1][f"{sessions} {which}"]
    client = connect(propylon)
    answer = await exchanged(client, cookie)
    assert answer.status_code == 201, answer.text
    assert answer.json()["user"]["email"] == "mina@example.com"
    assert answer.json()["session"]["sign_in_method"] == "exchange"
    assert (await client.get("/v1/session")).status_code == 200
    refused(await exchanged(connect(propylon), cookie), 401, "session_revoked")
    assert (await client.delete("/v1/session")).status_code == 204
    refused(await exchanged(connect(propylon), cookie), 401, "session_revoked")


@both
async def test_another_session_of_the_same_person_is_another(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], sessions: str
) -> None:
    """Somebody with two devices exchanges both."""
    propylon = await bridged(**django(origin, sessions))
    for which in ("good", "second"):
        assert (await exchanged(connect(propylon), origin[1][f"{sessions} {which}"])).status_code == 201


@both
@pytest.mark.parametrize("which", ["stranger", "inactive", "old password", "forged", "anonymous"])
async def test_what_django_would_not_honour_is_not_honoured(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], sessions: str, which: str
) -> None:
    """Signed by another, of an account that was stopped or got a new password, of nobody, or of nobody here."""
    await turned_away(await bridged(**django(origin, sessions)), connect, origin[1][f"{sessions} {which}"])


@both
@pytest.mark.parametrize("which", ["twin", "late twin", "by username", "by id", "mover", "settler", "leaver"])
async def test_no_account_of_django_becomes_somebody_elses(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], sessions: str, which: str
) -> None:
    """A victim's address in other case, as a username, or put in after the import; a victim's id as a username."""
    await turned_away(await bridged(**django(origin, sessions)), connect, origin[1][f"{sessions} {which}"])


@both
async def test_who_has_an_address_for_a_username_is_exchanged(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], sessions: str
) -> None:
    """The import took the username for their address, and so does the exchange."""
    propylon = await bridged(**django(origin, sessions))
    answer = await exchanged(connect(propylon), origin[1][f"{sessions} nameless"])
    assert (answer.status_code, answer.json()["user"]["email"]) == (201, "hana@example.com")


@both
async def test_another_django_opens_nothing_of_this_one(
    bridged: Make,
    connect: Connect,
    origin: tuple[Path, dict[str, str]],
    elsewhere: tuple[Path, dict[str, str]],
    sessions: str,
) -> None:
    """A bridge to the wrong database: number, address and signing secret are the victim's, the person is not."""
    propylon = await bridged(**{**django(origin, sessions), **bridge_to(elsewhere, sessions)})
    await turned_away(propylon, connect, elsewhere[1][f"{sessions} usurper"])


async def test_an_account_that_was_here_before_the_import_has_no_bridge(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]]
) -> None:
    """Its address is no proof: the import left it as it is, and whoever has the row there signs in here."""
    propylon = await bridged(**bridge_to(origin, "database"))
    await propylon.runtime.store.add_user(account("0f1c7f0e-3d0b-4b7c-9a53-0d9b6f2f3a11", "mina@example.com"))
    tally = await take_over(propylon, f"sqlite:///{origin[0]}.imported")
    assert tally.skipped == 1
    refused(await exchanged(connect(propylon), origin[1]["database good"]), 401, "credential_malformed")


async def test_importing_again_leaves_the_bridge_as_it_was(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]]
) -> None:
    """Also after addresses were changed there: nobody gets a second account, and nobody another's."""
    propylon = await bridged(**django(origin, "database"))
    tally = await take_over(propylon, f"sqlite:///{origin[0]}")
    assert [(one.key, one.reason.key) for one in tally.refused if one.reason.key == "row_taken"] == [("8", "row_taken")]
    assert (await exchanged(connect(propylon), origin[1]["database good"])).status_code == 201
    for which in ("mover", "settler", "leaver", "late twin"):
        refused(await exchanged(connect(propylon), origin[1][f"database {which}"]), 401, "credential_malformed")


DJANGO_ON_POSTGRESQL = """
CREATE TABLE auth_user (
    id integer PRIMARY KEY, password varchar(128), is_superuser bool, username varchar(150), first_name varchar(150),
    last_name varchar(150), email varchar(254), is_staff bool, is_active bool, date_joined timestamptz
);
CREATE TABLE auth_group (id integer PRIMARY KEY, name varchar(150));
CREATE TABLE auth_user_groups (id integer PRIMARY KEY, user_id integer, group_id integer);
"""


async def test_a_row_is_the_same_wherever_django_keeps_it(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], postgres_url: str
) -> None:
    """Imported from SQLite, and moved to PostgreSQL since, where numbers and times have types; or the other way."""
    with closing(sqlite3.connect(origin[0])) as theirs:
        (hashed,) = theirs.execute("SELECT password FROM auth_user WHERE id = 1").fetchone()
    db = await asyncpg.connect(postgres_url)
    await db.execute(DJANGO_ON_POSTGRESQL)
    await db.execute(
        "INSERT INTO auth_user VALUES (1, $1, false, 'mina', '', '', 'mina@example.com', false, true, $2)",
        hashed,
        datetime.fromisoformat("2024-05-01T21:00:00.999999+09:00"),
    )
    await db.close()
    there = {**bridge_to(origin, "cookie"), "database": postgres_url}
    for imported in (f"sqlite:///{origin[0]}.imported", postgres_url):
        propylon = await bridged(imported=imported, **there)
        assert (await exchanged(connect(propylon), origin[1]["cookie good"])).status_code == 201
    propylon = await bridged(imported=postgres_url, **bridge_to(origin, "cookie"))
    assert (await exchanged(connect(propylon), origin[1]["cookie good"])).status_code == 201


async def new_password_of_an_operator(propylon: Propylon, _: httpx.AsyncClient) -> None:
    """As ``propylon user password``."""
    await propylon.runtime.accounts.set_password("mina@example.com", "correct horse battery")


async def new_password_of_their_own(_: Propylon, client: httpx.AsyncClient) -> None:
    """By the API, with the password that came along from Django."""
    token = (await sign_in(client, "bearer", email="mina@example.com", password="pass word"))["access_token"]
    body = {"current_password": "pass word", "new_password": "correct horse battery"}
    answer = await client.put("/v1/user/password", json=body, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code < 300, answer.text


async def stopped_for_a_while(propylon: Propylon, _: httpx.AsyncClient) -> None:
    """As ``propylon user disable`` and ``enable``."""
    await propylon.runtime.administration.disable("mina@example.com")
    await propylon.runtime.administration.enable("mina@example.com")


RESETS = (new_password_of_an_operator, new_password_of_their_own, stopped_for_a_while)


@both
@pytest.mark.parametrize("reset", RESETS)
async def test_a_new_password_here_ends_the_sessions_there(
    bridged: Make,
    connect: Connect,
    origin: tuple[Path, dict[str, str]],
    sessions: str,
    reset: Callable[[Propylon, httpx.AsyncClient], Awaitable[None]],
) -> None:
    """A thief who kept another system's cookie is put out as one with a cookie of ours."""
    propylon = await bridged(**django(origin, sessions))
    await reset(propylon, connect(propylon))
    for which in ("good", "second"):
        refused(await exchanged(connect(propylon), origin[1][f"{sessions} {which}"]), 401, "session_revoked")


async def test_a_sign_in_here_leaves_the_sessions_there(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]]
) -> None:
    """The hash becomes ours and the password stays: other devices are still exchanged."""
    propylon = await bridged(**django(origin, "database"))
    await sign_in(connect(propylon), email="mina@example.com", password="pass word")
    user = await propylon.runtime.store.find_user(MINA)
    assert user is not None
    assert user.password_hash.startswith("$argon2id$")
    assert (await exchanged(connect(propylon), origin[1]["database good"])).status_code == 201


async def test_a_session_that_is_over_there_is_over_here(
    bridged: Make, connect: Connect, clock: FakeClock, origin: tuple[Path, dict[str, str]]
) -> None:
    """By the database's own time, or by the age of the signature, to the second."""
    database = await bridged(**django(origin, "database"))
    refused(await exchanged(connect(database), origin[1]["database expired"]), 401, "credential_malformed")
    signed = await bridged(**django(origin, "cookie"))
    clock.advance(14 * DAY_S + 60)
    refused(await exchanged(connect(signed), origin[1]["cookie good"]), 401, "credential_malformed")
    refused(await exchanged(connect(database), origin[1]["database good"]), 401, "credential_malformed")


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_of_many_at_once_one_gets_the_session(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], store: str
) -> None:
    """Twenty tabs, or a thief beside the owner: one answer is a session, and nothing else was opened."""
    propylon = await bridged(store, **django(origin, "database"))
    clients = [connect(propylon, ip=f"192.0.2.{n}") for n in range(20)]
    answers = await asyncio.gather(*(exchanged(one, origin[1]["database good"]) for one in clients))
    assert sorted(answer.status_code for answer in answers) == [201, *[401] * 19]
    assert len(await propylon.runtime.store.live_sessions(MINA, propylon.runtime.clock.now())) == 1


async def test_an_exchanged_session_counts_as_proved_long_ago(
    bridged: Make, connect: Connect, clock: FakeClock, origin: tuple[Path, dict[str, str]]
) -> None:
    """When people signed in there is not known: whatever asks for a fresh proof asks for the password."""
    propylon = await bridged(**django(origin, "database"))
    answer = await exchanged(connect(propylon), origin[1]["database good"])
    session = await propylon.runtime.store.find_session(answer.json()["session"]["id"])
    assert session is not None
    assert session.auth_time == session.earlier_auth_time == clock.now() - 14 * DAY_S


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_no_other_site_exchanges_for_somebody(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]], site: str
) -> None:
    """Their cookie is sent by the browser itself, as ours is; and it is not used up."""
    propylon, cookie = await bridged(**django(origin, "database")), origin[1]["database good"]
    headers = {"cookie": f"sessionid={cookie}", "sec-fetch-site": site}
    refused(await connect(propylon).post(EXCHANGE, headers=headers), 403, "cross_site_refused")
    assert (await exchanged(connect(propylon), cookie)).status_code == 201


async def test_no_script_gets_a_refresh_token_for_it(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]]
) -> None:
    """The mode is cookie or hybrid, whatever is asked for."""
    propylon = await bridged(**django(origin, "database"))
    asked = await exchanged(connect(propylon), origin[1]["database good"], mode="bearer")
    refused(asked, 422, "fields_refused")
    hybrid = await exchanged(connect(propylon), origin[1]["database good"], mode="hybrid")
    assert hybrid.status_code == 201
    assert "refresh_token" not in hybrid.json()
    assert {name for name, (value, _) in set_cookies(hybrid).items() if value} == {"propylon-refresh"}


async def test_a_disabled_account_and_a_missing_cookie_are_told(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]]
) -> None:
    """And two cookies of the name are ambiguous: whoever tossed the second must not choose."""
    propylon, good = await bridged(**django(origin, "database")), origin[1]["database good"]
    await propylon.runtime.administration.disable("mina@example.com")
    refused(await exchanged(connect(propylon), good), 401, "user_disabled")
    refused(await connect(propylon).post(EXCHANGE), 401, "credential_missing")
    refused(await exchanged(connect(propylon), f"{good}; sessionid={good}"), 400, "credential_ambiguous")


async def test_without_a_bridge_there_is_nothing(in_memory: Propylon, connect: Connect) -> None:
    """Whatever is sent."""
    refused(await exchanged(connect(in_memory), "a" * 32), 404, "not_found")


async def test_guessing_is_slowed_down(bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]]) -> None:
    """Each try costs a look into the other system's database."""
    propylon = await bridged(**django(origin, "database"))
    client = connect(propylon)
    codes = [(await exchanged(client, f"{n:032}")).status_code for n in range(102)]
    assert codes[:100] == [401] * 100
    assert codes[-1] == 429


async def test_a_database_that_is_gone_is_a_503(
    bridged: Make, connect: Connect, origin: tuple[Path, dict[str, str]]
) -> None:
    """Nothing is said about the session, and its owner may come again."""
    gone = {**django(origin, "database"), "database": "sqlite:////nowhere/db.sqlite3"}
    propylon = await bridged(**gone)
    refused(await exchanged(connect(propylon), origin[1]["database good"]), 503, "store_unavailable")


async def starlette_cookie(secret: str, **content: object) -> str:
    """Return the cookie that a real ``SessionMiddleware`` sets."""

    async def sign_in(request: Request) -> Response:
        request.session.update(content)
        return Response()

    app = Starlette(routes=[Route("/", sign_in)], middleware=[Middleware(SessionMiddleware, secret_key=secret)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return str((await client.get("/")).cookies["session"])


STARLETTE = {"system": "starlette", "secrets": ["a secret", "an older one"], "user_key": "user"}
BY_ADDRESS = {"system": "starlette", "secrets": ["a secret"], "unsafe_email_key": "user"}


@pytest.mark.parametrize("secret", ["a secret", "an older one"])
@pytest.mark.parametrize("user", [ONLY_HERE, ONLY_HERE.replace("-", "").upper()])
async def test_a_cookie_of_starlette_is_exchanged_once(bridged: Make, connect: Connect, secret: str, user: str) -> None:
    """By the id that the import kept; spelled otherwise the signature opens no second session."""
    propylon, cookie = await bridged(**STARLETTE), await starlette_cookie(secret, user=user, basket=[1, 2])
    answer = await exchanged(connect(propylon), cookie, "session")
    assert answer.status_code == 201, answer.text
    assert SESSION_COOKIE in set_cookies(answer)
    for again in (cookie, cookie + "=", cookie + "=="):
        answer = await exchanged(connect(propylon), again, "session")
        assert answer.status_code == 401
        assert answer.json()["code"] in {"session_revoked", "credential_malformed"}


async def test_a_cookie_of_starlette_that_is_forged_or_says_nobody_is_refused(
    bridged: Make, connect: Connect, clock: FakeClock
) -> None:
    """Another secret, no signature, another salt's, no user, a user that is no text, too old."""
    propylon = await bridged(**STARLETTE)
    good = await starlette_cookie("a secret", user=ONLY_HERE)
    payload, _, signature = good.rpartition(".")
    hostile = [
        await starlette_cookie("another secret", user=ONLY_HERE),
        payload,
        f"{payload}.",
        # The first character: two bits of the last one mean nothing, and whoever reads base64 leniently skips them.
        f"{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "x" + good,
        TimestampSigner("a secret", salt="another").sign(payload.rpartition(".")[0]).decode(),
        TimestampSigner("a secret").sign("bm8ganNvbg==").decode(),
        TimestampSigner("a secret").sign("WzFd").decode(),
        TimestampSigner("a secret").sign("*").decode(),
        await starlette_cookie("a secret", someone=ONLY_HERE),
        await starlette_cookie("a secret", user=1),
        await starlette_cookie("a secret", user=[ONLY_HERE]),
        await starlette_cookie("a secret", user="only-here@example.com"),
        await starlette_cookie("a secret", user="\0"),
        await starlette_cookie("a secret", user=MINA),
        "",
        "." * 5_000,
    ]
    for cookie in hostile:
        refused(await exchanged(connect(propylon), cookie, "session"), 401, "credential_malformed")
    clock.advance(14 * DAY_S + 60)
    refused(await exchanged(connect(propylon), good, "session"), 401, "credential_malformed")


async def test_an_address_in_a_cookie_of_starlette_counts_only_where_somebody_said_so(
    bridged: Make, connect: Connect
) -> None:
    """Whoever can put an address into that app's sessions is its owner here; an id of the same name is nobody then."""
    propylon = await bridged(**BY_ADDRESS)
    for nobody in ("nobody@example.com", ONLY_HERE, "", "\0", 1, None):
        cookie = await starlette_cookie("a secret", user=nobody)
        refused(await exchanged(connect(propylon), cookie, "session"), 401, "credential_malformed")
    cookie = await starlette_cookie("a secret", user="Only-Here@example.com")
    assert (await exchanged(connect(propylon), cookie, "session")).status_code == 201


@pytest.mark.parametrize("said", [STARLETTE, BY_ADDRESS], ids=["id", "address"])
async def test_a_new_password_ends_the_sessions_of_a_starlette(
    bridged: Make, connect: Connect, said: dict[str, object]
) -> None:
    """Its cookies hold nothing of a password, so nothing else could."""
    propylon = await bridged(**said)
    await propylon.runtime.accounts.set_password("only-here@example.com", "correct horse battery")
    user = ONLY_HERE if said is STARLETTE else "only-here@example.com"
    cookie = await starlette_cookie("a secret", user=user)
    refused(await exchanged(connect(propylon), cookie, "session"), 401, "session_revoked")


@pytest.mark.parametrize("text", ["", ":", "::", "a:b", "a:b:c", "\u00e9:b:c", ".eJw:1:x", "x" * 300_000])
def test_what_django_did_not_sign_is_nothing(text: str) -> None:
    """Whatever it is, it is read no further."""
    assert foreign_session.django_signed(text, [SECRET], foreign_session.DJANGO_COOKIE_SALT) is None


def test_a_signature_of_django_is_of_one_secret_one_purpose_and_one_text(origin: tuple[Path, dict[str, str]]) -> None:
    """Whoever knows what a session says, and even its hash of the password, still cannot write one."""
    cookie, salt = origin[1]["cookie good"], foreign_session.DJANGO_COOKIE_SALT
    assert foreign_session.django_signed(cookie, [SECRET], salt) is not None
    payload, stamp, signature = cookie.rsplit(":", 2)
    other = origin[1]["cookie second"].rsplit(":", 2)
    for forged in (
        f"{payload}:{stamp}:",
        f"{payload}:{stamp}:{signature[:-1]}",
        f"{payload}:{stamp}:{signature}=",
        f"{payload}:{stamp}:{other[2]}",
        f"{other[0]}:{stamp}:{signature}",
        f"{payload}:zzzzzz:{signature}",
    ):
        assert foreign_session.django_signed(forged, [SECRET], salt) is None
    assert foreign_session.django_signed(cookie, [OLD_SECRET], salt) is None
    assert foreign_session.django_signed(cookie, [SECRET], foreign_session.DJANGO_DATABASE_SALT) is None


WRONG_FILES: dict[str, tuple[str, str]] = {
    "no toml": ("=", "TOML"),
    "nothing": ("", "TOML"),
    "another system": ('system = "rails"\nsecrets = ["hunter2"]', "TOML"),
    "misspelt": ('system = "django"\nsecrets = ["hunter2"]\nsecret = "hunter2"', "TOML"),
    "no secrets": ('system = "starlette"\nsecrets = []', "secrets"),
    "an empty secret": ('system = "starlette"\nsecrets = ["hunter2", ""]', "secrets"),
    "no database": ('system = "django"\nsecrets = ["hunter2"]', "database"),
    "nobody named": ('system = "starlette"\nsecrets = ["hunter2"]', "user_key"),
    "named twice": (
        'system = "starlette"\nsecrets = ["hunter2"]\nuser_key = "id"\nunsafe_email_key = "email"',
        "user_key",
    ),
    "an address for Django": (
        'system = "django"\nsecrets = ["hunter2"]\ndatabase = "sqlite:///hunter2"\nunsafe_email_key = "email"',
        "user_key",
    ),
    "no age": ('system = "starlette"\nsecrets = ["hunter2"]\nuser_key = "id"\nmax_age_s = 0', "max_age_s"),
    "longer than remembered": (
        f'system = "starlette"\nsecrets = ["hunter2"]\nuser_key = "id"\nmax_age_s = {MAX_AGE_S + 1}',
        "max_age_s",
    ),
}


@pytest.mark.parametrize(("content", "why"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_file_stops_the_start_and_shows_no_secret(tmp_path: Path, content: str, why: str) -> None:
    """One sentence that says what is missing."""
    (tmp_path / "bridge.toml").write_text(content)
    with pytest.raises(SetupError) as refusal:
        load(str(tmp_path / "bridge.toml"))
    assert why in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    with pytest.raises(SetupError):
        load(str(tmp_path / "missing.toml"))


def test_a_bridge_shows_no_secret(tmp_path: Path) -> None:
    """Nor the address of the database, which may hold a password."""
    bridge = load(bridge_file(tmp_path, system="django", secrets=["hunter2"], database="postgresql://u:hunter2@h/d"))
    assert "hunter2" not in repr(bridge)
