"""``propylon import``: every line is accounted for, nothing comes twice, and no hash is shown anywhere."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import ENDS_WITHIN_S, Ran, Terminal, environment
from tests.core.test_foreign_hash import REFUSED, VECTORS
from tests.http.driving import connected

from propylon import Propylon
from propylon.outside.foreign_ids import id_of_django_row
from propylon.outside.import_file import FIELDS, MAX_LINE_BYTES

HASHED = next(vector for vector in VECTORS if vector["made_by"] == "django PBKDF2PasswordHasher")
HASH, PASSWORD = HASHED["hash"], HASHED["password"]
HEADER = "email,password_hash,name,roles,disabled,created_at,id"


def said(ran: Ran) -> dict[str, Any]:
    """Return what a run printed with ``--json``; its status says whether anything was refused."""
    found: dict[str, Any] = json.loads(ran.out)
    assert ran.status == (1 if found["refused"] else 0), ran.err
    return found


@pytest.fixture
def taken(program: Run) -> Callable[..., dict[str, Any]]:
    """Import the text of a file; return what was said."""

    def take(content: str | bytes, *arguments: str, name: str = "users.csv") -> dict[str, Any]:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return said(program("import", name, "--json", *arguments))

    return take


Taken = Callable[..., dict[str, Any]]


def rows(query: str = "SELECT email FROM users ORDER BY email") -> list[Any]:
    """Return what stands in the store."""
    with closing(sqlite3.connect("propylon.db")) as db:
        return [row[0] if len(row) == 1 else row for row in db.execute(query)]


def reasons(found: dict[str, Any]) -> list[tuple[int, str]]:
    """Return the refused lines and why."""
    return [(refusal["line"], refusal["reason"]) for refusal in found["refused"]]


AS_CSV = f"""{HEADER}
mina@example.com,{HASH},Mina Kim,editor admin,false,2024-05-01T12:00:00Z,6f1c7f0e-3d0b-4b7c-9a53-0d9b6f2f3a11
 jun@example.com ,,,,yes,1714564800,
"""
AS_LINES = "\n".join(
    json.dumps(line)
    for line in (
        {
            "email": "mina@example.com",
            "password_hash": HASH,
            "name": "Mina Kim",
            "roles": ["editor", "admin"],
            "disabled": False,
            "created_at": "2024-05-01T21:00:00+09:00",
            "id": "6F1C7F0E3D0B4B7C9A530D9B6F2F3A11",
        },
        {"email": "jun@example.com", "disabled": True, "created_at": 1714564800},
    )
)
SPELLINGS = {
    "csv": AS_CSV,
    "csv with semicolons": AS_CSV.replace(",", ";"),
    "csv with tabs": AS_CSV.replace(",", "\t"),
    "csv of a spreadsheet": "\ufeff" + AS_CSV.replace("\n", "\r\n"),
    "csv with quotes": AS_CSV.replace("Mina Kim", '"Mina Kim"').replace("editor admin", '"editor,admin"'),
    "json lines": AS_LINES,
    "json lines with blank ones": "\n\n" + AS_LINES.replace("\n", "\r\n\r\n") + "\n\n",
}


@pytest.mark.parametrize("content", SPELLINGS.values(), ids=SPELLINGS)
def test_a_file_says_the_same_in_every_spelling(taken: Taken, program: Run, content: str) -> None:
    """Address, name, roles, id, time and state arrive; nothing is refused."""
    assert taken(content, name="users") == {"imported": 2, "skipped": 0, "refused": []}
    jun, mina = json.loads(program("user", "list", "--json").out)
    assert mina == {
        "id": "6f1c7f0e-3d0b-4b7c-9a53-0d9b6f2f3a11",
        "email": "mina@example.com",
        "name": "Mina Kim",
        "roles": ["editor", "admin"],
        "disabled": False,
        "created_at": "2024-05-01T12:00:00Z",
    }
    assert (jun["email"], jun["disabled"], jun["created_at"]) == ("jun@example.com", True, "2024-05-01T12:00:00Z")
    assert rows("SELECT password_hash FROM users ORDER BY email") == ["", HASH]


def test_who_was_imported_signs_in_with_the_password_they_had(taken: Taken, tmp_path: Path) -> None:
    """What is kept is what the sign-in compares with."""
    taken(AS_CSV)
    settings: dict[str, Any] = {"password_profile": "unsafe_cheapest", "key_file": str(tmp_path / "propylon.key")}

    async def statuses() -> list[int]:
        propylon = Propylon(store=f"sqlite:///{tmp_path / 'propylon.db'}", **settings)
        async with propylon, connected(propylon) as client:
            people = [("mina@example.com", PASSWORD), ("mina@example.com", "x"), ("jun@example.com", "")]
            tried = [{"email": email, "password": password} for email, password in people]
            return [(await client.post("/v1/sessions", json=one)).status_code for one in tried]

    assert asyncio.run(statuses()) == [201, 401, 401]


def test_every_line_is_accounted_for(taken: Taken) -> None:
    """Imported, skipped and refused add up, and each refused line has its number and reason."""
    content = b"\n".join(
        [
            b"email,password_hash,roles",
            b"a@example.com,,",
            b"no address,,",
            b"",
            b"A@EXAMPLE.com,,",
            b",,",
            b'"open@example.com,,',
            b"few@example.com",
            b"many@example.com,,,,",
            b"x" * (MAX_LINE_BYTES + 1) + b"@example.com,,",
            b"latin\xe9@example.com,,",
            b"role@example.com,,not~a~role",
            b"weak@example.com,5f4dcc3b5aa765d61d8327deb882cf99,",
            b"dear@example.com,pbkdf2_sha256$999999999$saltsalt$c2FsdHNhbHRzYWx0c2FsdA==,",
            b"nul\0@example.com,,",
            b"b@example.com,,",
        ]
    )
    found = taken(content)
    assert reasons(found) == [
        (3, "email_wrong"),
        (5, "email_twice"),
        (6, "email_missing"),
        (7, "line_csv"),
        (8, "line_columns"),
        (9, "line_columns"),
        (10, "line_too_long"),
        (11, "line_not_utf8"),
        (12, "roles_wrong"),
        (13, "hash_weak"),
        (14, "hash_too_dear"),
        (15, "email_wrong"),
    ]
    assert found["imported"] == 2
    assert "line 2" in found["refused"][1]["detail"]
    assert rows() == ["a@example.com", "b@example.com"]


WRONG_LINES = {
    "{": "line_json",
    "[]": "line_fields",
    '"a@example.com"': "line_fields",
    '{"email": "a@example.com"} {}': "line_json",
    '{"email": 7}': "line_fields",
    '{"email": "a@example.com", "password": "in clear"}': "line_fields",
    '{"email": "a@example.com", "roles": "admin"}': "line_fields",
    '{"email": "a@example.com", "disabled": "no"}': "line_fields",
    '{"email": "a@example.com", "created_at": 1e99}': "line_fields",
    '{"email": "a@example.com", "created_at": -1}': "created_at_wrong",
    '{"email": "a@example.com", "created_at": 1714564800000}': "created_at_wrong",
    '{"email": "a@example.com", "created_at": "yesterday"}': "created_at_wrong",
    '{"email": "a@example.com", "created_at": "' + "9" * 5_000 + '"}': "created_at_wrong",
    '{"email": "a@example.com", "id": "17"}': "id_wrong",
    '{"email": "a@example.com", "name": "a\\u0000b"}': "name_wrong",
    '{"email": "a@example.com", "name": "' + "x" * 101 + '"}': "name_wrong",
    '{"email": "a@example.com", "roles": [""]}': "roles_wrong",
    '{"email": "a@example.com", "password_hash": "no hash"}': "hash_unreadable",
    '{"email": "\\ud800@example.com"}': "line_json",
    "{}": "email_missing",
    "[" * 10_000: "line_fields",
    '{"a":' * 2_000: "line_fields",
}


def test_a_broken_line_of_json_spoils_only_itself(taken: Taken) -> None:
    """Whatever it is: the lines after it are read, and the answer says which it was."""
    good = json.dumps({"email": "good@example.com"})
    found = taken("\n".join([*WRONG_LINES, good]), name="users.jsonl")
    assert reasons(found) == list(enumerate(WRONG_LINES.values(), 1))
    assert (found["imported"], rows()) == (1, ["good@example.com"])


WRONG_HEADERS = {
    "": "holds no line",
    "\n\n": "holds no line",
    "mina@example.com,x\n": "mina@example.com",
    "email,pasword_hash\n": "pasword_hash",
    "email,password\n": "password",
    "email,email\n": "twice",
    "name,roles\n": "email",
    '"email\n': "quotes",
    "\xff\xfe": "columns",
    "x" * (MAX_LINE_BYTES + 1): "columns",
}


@pytest.mark.parametrize(("content", "why"), WRONG_HEADERS.items(), ids=range(len(WRONG_HEADERS)))
def test_a_file_without_a_header_that_is_known_is_refused_whole(program: Run, content: str, why: str) -> None:
    """A misspelt column would leave everybody without a password; the sentence says what was looked for."""
    Path("users.csv").write_bytes(content.encode("latin-1"))
    ran = program("import", "users.csv", "--json")
    assert (ran.status, ran.out) == (1, "")
    assert why in ran.err
    assert "holds no line" in why or ", ".join(FIELDS) in ran.err or "cannot be read" in ran.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "FILE"),
        (("users.csv", "--from", "django"), "FILE"),
        (("--from", "django"), "--database"),
        (("--database", "sqlite:///x.db"), "--from"),
        (("--from", "rails", "--database", "sqlite:///x.db"), "django, fastapi-users"),
        (("users.csv", "--report", "./users.csv"), "overwrite"),
    ],
)
def test_a_wrong_use_is_told_and_touches_nothing(program: Run, arguments: tuple[str, ...], why: str) -> None:
    """The status is that of a wrong use, and there is no store yet."""
    Path("users.csv").write_text(AS_CSV)
    ran = program("import", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert why in ran.err
    assert Path("users.csv").read_text() == AS_CSV
    assert not Path("propylon.db").exists()


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_cannot_be_read_is_named(program: Run, name: str) -> None:
    """One sentence, no traceback."""
    ran = program("import", name)
    assert (ran.status, ran.out) == (1, "")
    assert "cannot be read" in ran.err


def test_running_it_again_imports_nothing_twice_and_changes_nothing(taken: Taken) -> None:
    """What is here already is skipped, also when the file says something else about it now."""
    taken(AS_CSV)
    before = rows("SELECT * FROM users ORDER BY email")
    changed = AS_CSV.replace("Mina Kim", "Mallory").replace(HASH, "").replace("mina@", "MINA@")
    assert taken(changed) == {"imported": 0, "skipped": 2, "refused": []}
    assert rows("SELECT * FROM users ORDER BY email") == before


def test_an_id_that_is_taken_is_refused_and_not_taken_over(taken: Taken) -> None:
    """Two sources may number alike: the second account is neither lost unseen nor put over the first."""
    taken(AS_CSV)
    before = rows("SELECT * FROM users ORDER BY email")
    assert reasons(taken(AS_CSV.replace("mina@", "other@"))) == [(2, "id_taken")]
    assert rows("SELECT * FROM users ORDER BY email") == before


def test_a_refused_line_takes_the_address_from_nobody(taken: Taken) -> None:
    """The first line with an address is broken, the second is not: there is an account."""
    found = taken(f"email,password_hash\na@example.com,5f4dcc3b5aa765d61d8327deb882cf99\na@example.com,{HASH}\n")
    assert reasons(found) == [(2, "hash_weak")]
    assert rows("SELECT password_hash FROM users") == [HASH]


def test_a_dry_run_says_the_same_and_writes_nothing(taken: Taken, program: Run) -> None:
    """Not even an empty store; and where there is one, what is in it counts."""
    assert taken(AS_CSV, "--dry-run")["imported"] == 2
    assert not Path("propylon.db").exists()
    assert not Path("propylon.key").exists()
    taken(AS_CSV)
    more = AS_CSV.replace("6f1c", "0f1c") + "new@example.com,,,,,,\nbad,,,,,,\n"
    assert taken(more, "--dry-run") == {**taken(more, "--dry-run"), "imported": 1, "skipped": 2}
    assert len(rows()) == 2
    assert "Nothing was written" in program("import", "users.csv", "--dry-run").out


def test_nothing_that_is_said_or_written_holds_a_hash(program: Run) -> None:
    """Not the answer and not the report, also when a column is missing and the hash stands for the address."""
    secrets = [stored for hashes in REFUSED.values() for stored in hashes if len(stored) > 12 and "\n" not in stored]
    lines = [json.dumps({"email": f"u{n}@example.com", "password_hash": stored}) for n, stored in enumerate(secrets)]
    lines += [json.dumps({"email": stored}) for stored in secrets] + [json.dumps({stored: "x"}) for stored in secrets]
    Path("users.jsonl").write_text("\n".join(lines))
    for ran in (
        program("import", "users.jsonl", "--json", "--report", "refused.jsonl"),
        program("import", "users.jsonl", "--report", "refused.jsonl"),
    ):
        shown = ran.out + ran.err + Path("refused.jsonl").read_text()
        assert [stored for stored in secrets if stored in shown or stored[-12:] in shown] == []
    assert len(Path("refused.jsonl").read_text().splitlines()) == len(lines)


def test_the_report_holds_every_refused_line_and_a_person_sees_the_first(program: Run) -> None:
    """A screen is not filled; what is left out is counted, and the report has it."""
    Path("users.csv").write_text("email\n" + "bad\n" * 300 + "good@example.com\n")
    ran = program("import", "users.csv", "--report", "refused.jsonl")
    assert ran.status == 1
    assert "Line 11 is refused" in ran.err
    assert "Line 12 is refused" not in ran.err
    assert "290 more" in ran.err
    assert "Imported: 1." in ran.out
    assert "Without a password: 1." in ran.out
    written = [json.loads(line) for line in Path("refused.jsonl").read_text().splitlines()]
    assert [refusal["line"] for refusal in written] == list(range(2, 302))


def test_a_hostile_file_does_not_steer_the_terminal(program: Run) -> None:
    """A column with an escape in its name is shown with it spelled out."""
    Path("users.csv").write_text("email,\x1b[31mred\n")
    ran = program("import", "users.csv")
    assert ran.status == 1
    assert "\x1b" not in ran.out + ran.err


def test_a_person_sees_how_far_it_is(at_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    """A bar on the terminal, and the sum at the end."""
    (tmp_path / "users.csv").write_text("email\n" + "".join(f"u{n}@example.com\n" for n in range(600)))
    terminal = at_terminal("import", "users.csv")
    assert terminal.end() == 0
    assert "imported," in terminal.shown
    assert "Imported: 600." in terminal.shown


def counted(database: Path) -> int:
    """Return how many accounts there are."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute("SELECT count(*) FROM users").fetchone()[0])
        except sqlite3.OperationalError:  # the schema is not there yet
            return 0


def test_killed_in_the_middle_and_run_again_every_account_is_there_once(program: Run, tmp_path: Path) -> None:
    """A real process, fed slowly and killed; the second run skips what the first had done, and does the rest."""
    lines = ["email,name", *(f"u{n}@example.com,{n}" for n in range(900))]
    pipe, database = tmp_path / "pipe", tmp_path / "propylon.db"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "propylon", "import", "pipe"], cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
    )
    with pipe.open("w") as feed:
        feed.write("\n".join(lines[:600]))
        feed.flush()
        deadline = time.monotonic() + ENDS_WITHIN_S
        while not (done := counted(database)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(ENDS_WITHIN_S)
    done = counted(database)
    assert 0 < done < 900
    Path("users.csv").write_text("\n".join(lines))
    assert said(program("import", "users.csv", "--json")) == {"imported": 900 - done, "skipped": done, "refused": []}
    assert len(rows()) == len(set(rows())) == 900


FASTAPI_USERS = """
CREATE TABLE "user" (
    email VARCHAR(320) NOT NULL, hashed_password VARCHAR(1024) NOT NULL, is_active BOOLEAN NOT NULL,
    is_superuser BOOLEAN NOT NULL, is_verified BOOLEAN NOT NULL, id {uuid} NOT NULL, PRIMARY KEY (id)
)
"""
DJANGO = """
CREATE TABLE auth_user (
    id integer PRIMARY KEY, password varchar(128) NOT NULL, last_login {time}, is_superuser bool NOT NULL,
    username varchar(150) NOT NULL, first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL,
    email varchar(254) NOT NULL, is_staff bool NOT NULL, is_active bool NOT NULL, date_joined {time} NOT NULL
);
CREATE TABLE auth_group (id integer PRIMARY KEY, name varchar(150) NOT NULL);
CREATE TABLE auth_user_groups (id integer PRIMARY KEY, user_id integer NOT NULL, group_id integer NOT NULL);
"""
IDS = [str(uuid.UUID(int=n)) for n in range(1, 301)]


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The database of another system, committed as it is filled."""
    with closing(sqlite3.connect(tmp_path / "theirs.db", isolation_level=None)) as db:
        yield db


def from_system(program: Run, system: str, url: str = "sqlite:///theirs.db") -> dict[str, Any]:
    """Import the tables of a system."""
    return said(program("import", "--from", system, "--database", url, "--json"))


def test_fastapi_users_come_with_their_ids(program: Run, theirs: sqlite3.Connection) -> None:
    """Over several pages of the table, in SQLAlchemy's spelling of the URL, once."""
    theirs.execute(FASTAPI_USERS.format(uuid="CHAR(36)"))
    theirs.executemany(
        'INSERT INTO "user" VALUES (?, ?, ?, ?, 1, ?)',
        [(f"u{n}@example.com", HASH, n != 1, n == 2, one) for n, one in enumerate(IDS)],
    )
    theirs.execute('INSERT INTO "user" VALUES (?, ?, 1, 0, 1, ?)', (b"\xff", HASH, str(uuid.UUID(int=999))))
    found = from_system(program, "fastapi-users", "sqlite+aiosqlite:///theirs.db")
    assert (found["imported"], reasons(found)) == (300, [(301, "line_fields")])
    assert found["refused"][0]["id"] == str(uuid.UUID(int=999))
    assert rows("SELECT id FROM users ORDER BY id") == IDS
    assert rows("SELECT email FROM users WHERE disabled_at IS NOT NULL") == ["u1@example.com"]
    assert rows("SELECT email FROM users WHERE roles <> '[]'") == ["u2@example.com"]
    assert from_system(program, "fastapi-users")["skipped"] == 300
    theirs.execute('UPDATE "user" SET email = ? WHERE id = ?', ("moved@example.com", IDS[0]))
    assert reasons(from_system(program, "fastapi-users")) == [(1, "row_taken"), (301, "line_fields")]


def test_django_users_come_with_their_groups(program: Run, theirs: sqlite3.Connection) -> None:
    """A group is a role, as are staff and superuser; where there is no address the username may be one."""
    theirs.executescript(DJANGO.format(time="datetime"))
    people = [
        (1, HASH, 1, "root", "Mina", "Kim", "mina@example.com", 1, 1, "2024-05-01 12:00:00.123456"),
        (2, "!unusable", 0, "jun@example.com", "", "", "", 0, 0, "2024-05-01 12:00:00"),
        (3, HASH, 0, "nobody", "", "", "", 0, 1, "2024-05-01 12:00:00"),
        (4, "sha1$abc$0123", 0, "old", "", "", "old@example.com", 0, 1, "2024-05-01 12:00:00"),
        (5, HASH, 0, "wrong", "", "", "wrong@example.com", 0, 1, "2024-05-01 12:00:00"),
        (6, HASH, 0, "again", "", "", "Mina@example.com", 0, 1, "2024-05-01 12:00:00"),
    ]
    theirs.executemany("INSERT INTO auth_user VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?)", people)
    theirs.executemany("INSERT INTO auth_group VALUES (?, ?)", [(1, "editors"), (2, "with space")])
    theirs.executemany("INSERT INTO auth_user_groups VALUES (?, ?, ?)", [(1, 1, 1), (2, 5, 2)])
    found = from_system(program, "django")
    assert found["imported"] == 2
    assert [(refusal["id"], refusal["reason"]) for refusal in found["refused"]] == [
        ("3", "email_missing"),
        ("4", "hash_weak"),
        ("5", "roles_wrong"),
        ("6", "email_twice"),
    ]
    shown = {user["email"]: user for user in json.loads(program("user", "list", "--json").out)}
    mina, jun = shown["mina@example.com"], shown["jun@example.com"]
    assert (mina["name"], mina["roles"]) == ("Mina Kim", ["editors", "superuser", "staff"])
    assert (mina["created_at"], jun["disabled"]) == ("2024-05-01T12:00:00Z", True)
    assert rows("SELECT password_hash FROM users ORDER BY email") == ["", HASH]


PERSON = "INSERT INTO auth_user VALUES (?, ?, NULL, 0, ?, '', '', ?, 0, 1, '2024-05-01 12:00:00')"


def test_the_row_of_django_makes_the_id(program: Run, theirs: sqlite3.Connection) -> None:
    """For ever the same: another id would be somebody who loses the sessions and whatever apps file under it."""
    theirs.executescript(DJANGO.format(time="datetime"))
    numbers = (1, 2, 2**53 + 1)
    theirs.executemany(PERSON, [(n, HASH, f"u{n}", f"u{n}@example.com") for n in numbers])
    assert from_system(program, "django") == {"imported": 3, "skipped": 0, "refused": []}
    assert rows("SELECT id FROM users ORDER BY email") == [id_of_django_row(n) for n in numbers]
    assert id_of_django_row(1) == "67496e33-f8d2-532b-a51f-a038ae999383"


def test_another_django_of_the_same_numbers_is_refused_and_overwrites_nobody(
    program: Run, theirs: sqlite3.Connection
) -> None:
    """Nor does an account get a second one whose address was changed there; a dry run says the same."""
    theirs.executescript(DJANGO.format(time="datetime"))
    theirs.executemany(PERSON, [(n, HASH, f"u{n}", f"u{n}@example.com") for n in (1, 2, 3)])
    from_system(program, "django")
    before = rows("SELECT * FROM users ORDER BY email")
    theirs.execute("UPDATE auth_user SET email = 'somebody@example.org' WHERE id = 1")
    theirs.execute("UPDATE auth_user SET email = 'U3@example.com' WHERE id = 2")
    dry = program("import", "--from", "django", "--database", "sqlite:///theirs.db", "--json", "--dry-run")
    found = from_system(program, "django")
    assert [(refusal["id"], refusal["reason"]) for refusal in found["refused"]] == [
        ("1", "row_taken"),
        ("3", "email_twice"),
    ]
    assert (found["imported"], found["skipped"], said(dry)) == (0, 1, found)
    assert rows("SELECT * FROM users ORDER BY email") == before


WRONG_TABLES = {
    "": "auth_user",
    "CREATE TABLE auth_user (id, email)": "date_joined, first_name",
    DJANGO.format(time="datetime").replace("auth_group", "other_group"): "auth_group",
}


@pytest.mark.parametrize(("script", "why"), WRONG_TABLES.items(), ids=range(len(WRONG_TABLES)))
def test_tables_that_are_not_there_are_told_with_what_was_looked_for(
    program: Run, theirs: sqlite3.Connection, script: str, why: str
) -> None:
    """The sentence names table and columns, and what is missing."""
    theirs.executescript(script)
    ran = program("import", "--from", "django", "--database", "sqlite:///theirs.db", "--json")
    assert (ran.status, ran.out) == (1, "")
    assert why in ran.err


@pytest.mark.parametrize(
    "url",
    ["mysql://root:hunter2@127.0.0.1/x", "theirs.db", "sqlite:///missing.db", "sqlite:///users.csv",
     "postgresql://root:hunter2@127.0.0.1:1/x", "postgresql+asyncpg://root:hunter2@127.0.0.1:1/x"],
)  # fmt: skip
def test_a_database_that_cannot_be_read_is_one_sentence_without_its_password(program: Run, url: str) -> None:
    """No file comes to be where there was none."""
    Path("users.csv").write_text(AS_CSV)
    ran = program("import", "--from", "fastapi-users", "--database", url)
    assert (ran.status, ran.out) == (1, "")
    assert "--database" in ran.err
    assert "hunter2" not in ran.err
    assert not Path("missing.db").exists()


def test_tables_of_postgresql_go_into_postgresql(program: Run, postgres_url: str) -> None:
    """UUIDs and times have types of their own there; both systems' tables stand beside ours."""
    script = DJANGO.format(time="timestamptz") + FASTAPI_USERS.format(uuid="uuid") + ";"
    script += """
    INSERT INTO auth_user SELECT n, '$HASH', NULL, false, 'u' || n, '', '', 'u' || n || '@example.com', false, true,
        '2024-05-01T12:00:00Z' FROM generate_series(1, 200) AS n;
    INSERT INTO auth_group VALUES (1, 'editors');
    INSERT INTO auth_user_groups VALUES (1, 200, 1);
    INSERT INTO "user" VALUES ('mina@example.com', '$HASH', true, true, true, '$ID');
    """
    executed(postgres_url, script.replace("$HASH", HASH).replace("$ID", IDS[0]))
    argument = ("--store", postgres_url, "--json")
    for system, imported in (("django", 200), ("fastapi-users", 1)):
        there = ("import", "--from", system, "--database", postgres_url, *argument)
        assert said(program(*there)) == {"imported": imported, "skipped": 0, "refused": []}
        assert said(program(*there)) == {"imported": 0, "skipped": imported, "refused": []}
    shown = {user["email"]: user for user in json.loads(program("user", "list", *argument).out)}
    assert shown["u200@example.com"]["roles"] == ["editors"]
    assert shown["u200@example.com"]["created_at"] == "2024-05-01T12:00:00Z"
    assert (shown["mina@example.com"]["id"], shown["mina@example.com"]["roles"]) == (IDS[0], ["superuser"])


def executed(url: str, script: str) -> None:
    """Run a script on a PostgreSQL database."""

    async def run() -> None:
        db = await asyncpg.connect(url)
        await db.execute(script)
        await db.close()

    asyncio.run(run())
