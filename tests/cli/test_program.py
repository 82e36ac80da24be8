"""The program as a whole: its commands, its errors, its languages, and what it prints for programs."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import PASSWORD, Ran, Terminal, environment, run_program
from tests.http.driving import Connect

from propylon import Propylon
from propylon.cli.program import FAILED, UNEXPECTED, USAGE, run

AddUser = Callable[..., dict[str, Any]]
HEAVY = ("starlette", "granian", "argon2", "cryptography", "jinja2", "sqlite3", "email_validator")


@pytest.mark.parametrize("arguments", [("--help",), ("user", "--help"), ("doctor", "--help"), ("explain", "--help")])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """It answers at once because no driver, server or template engine is imported for it."""
    code = f"import sys; from propylon.cli import main; main({list(arguments)}); print([*sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = {name.strip("[]' ") for name in done.stderr.split(",")}
    assert loaded.isdisjoint(HEAVY)
    assert "Usage:" in done.stdout


def test_python_m_propylon_is_the_program(tmp_path: Path) -> None:
    """So it runs where no script directory is on the path; without arguments it shows its commands."""
    ran = run_program(tmp_path)
    assert (ran.status, ran.err) == (0, "")
    assert all(f"  {command} " in ran.out for command in ("serve", "user", "doctor", "explain", "migrate"))
    assert run_program(tmp_path, "--version").out.startswith("propylon ")


def test_a_group_without_a_command_shows_its_commands(program: Run) -> None:
    """It is no success, since nothing was done, and no error that has to be explained."""
    ran = program("user")
    assert (ran.status, ran.out) == (USAGE, "")
    assert ran.err.startswith("Usage: propylon user")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("usr", "list"), "Did you mean user?"),
        (("user", "lsit"), "Did you mean list?"),
        (("serve", "--prot", "80"), "Did you mean --port?"),
        (("user", "add"), "EMAIL is missing"),
        (("user", "list", "extra"), "an argument too many"),
        (("user", "add", "--name"), "--name"),
        (("serve", "--port", "70000"), "from 1 to 65535"),
        (("serve", "--workers", "0"), "from 1 to 256"),
        (("serve", "--workers", "two"), "from 1 to 256"),
        (("mode", "set", "cookies"), "cookie, bearer, hybrid"),
        (("sessions", "list", "--limit", "0"), "from 1 to 10000"),
        (("sessions", "end"), "--user"),
        (("sessions", "end", "an-id", "--user", "mina@example.com"), "either"),
        (("sessions", "end", "an-id", "--everyone", "--yes"), "--everyone"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_says_what_to_change(program: Run, arguments: tuple[str, ...], why: str) -> None:
    """Status 2, nothing on standard output, and a pointer to the help."""
    ran = program(*arguments)
    assert (ran.status, ran.out) == (USAGE, "")
    assert why in ran.err
    assert "--help" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [("serve", "--port", "s3cret"), ("mode", "set", "s3cret"), ("user", "add", "a@example.com", "s3cret")],
    ids=" ".join,
)
def test_a_wrong_value_is_not_repeated(program: Run, arguments: tuple[str, ...]) -> None:
    """It could be a password in the wrong place."""
    ran = program(*arguments)
    assert ran.status == USAGE
    assert "s3cret" not in ran.err


WRONG_SETTINGS = {
    "PROPYLON_MODE": "cookies",
    "PROPYLON_PUBLIC_URL": "http://shop.example.com",
    "PROPYLON_IDLE_TTL_S": "7 days",
    "PROPYLON_SESSION_LIMIT": "many",
    "PROPYLON_ORIGINS": "*",
    "PROPYLON_TRUSTED_PROXIES": "the proxy",
    "PROPYLON_STORE": "postgres://db",
    "PROPYLON_KEY": "k1 0000",
    "PROPYLON_KEY_FILE": "/nowhere/propylon.key",
    "PROPYLON_CONFIG": "/nowhere/propylon.toml",
    "PROPYLON_PASSWORD_PROFILE": "md5",
    "PROPYLON_SIGN_UP": "yes",
}


@pytest.mark.parametrize("name", WRONG_SETTINGS)
@pytest.mark.parametrize("command", [("user", "list"), ("serve",)], ids=" ".join)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    program: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], name: str
) -> None:
    """Neither a traceback nor a half-started server."""
    monkeypatch.setenv(name, WRONG_SETTINGS[name])
    ran = program(*command)
    assert (ran.status, ran.out) == (FAILED, "")
    sentences = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(sentences) == 1
    assert len(ran.err.splitlines()) <= 2  # where a database was made before its key could not be, that is told too


READING = [
    ("serve",), ("user", "list"), ("sessions", "list"), ("keys", "list"), ("mode", "show"), ("explain",), ("migrate",),
    ("verifiers", "list"), ("doctor",),
]  # fmt: skip


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_misspelt_variable_stops_every_command_that_reads_settings(
    program: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """What it was to set is not set; the nearest name is told."""
    monkeypatch.setenv("PROPYLON_MODEE", "bearer")
    ran = program(*command)
    assert ran.status == FAILED
    assert "Did you mean PROPYLON_MODE?" in " ".join((ran.out + ran.err).split())
    assert not Path("propylon.db").exists()


@pytest.mark.parametrize("command", [command for command in READING if command not in (("serve",), ("doctor",))])
def test_a_variable_that_nothing_reads_is_told_of_by_every_command(
    program: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Once, and beside the answer: it may be of other software, so it stops nothing."""
    monkeypatch.setenv("PROPYLON_WHATEVER", "x")
    ran = program(*command, "--json")
    assert ran.status == 0
    assert ran.err.count("nothing reads PROPYLON_WHATEVER") == 1
    json.loads(ran.out)


@pytest.mark.parametrize("store", ["sqlite:////proc/propylon.db", "sqlite:////nowhere/propylon.db", "sqlite:////"])
def test_a_store_that_cannot_be_made_is_named(program: Run, store: str) -> None:
    """A directory that is read-only, missing, or no file at all."""
    ran = program("user", "list", "--store", store)
    assert (ran.status, ran.out) == (FAILED, "")
    assert ran.err.startswith("Error: ")
    assert ran.err.count("\n") == 1


def test_a_file_that_is_no_database_is_left_as_it_was(program: Run) -> None:
    """Somebody may have named the wrong file; it is not ours to change."""
    Path("letters.txt").write_text("not a database, but a long enough text to be taken for one" * 20)
    before = Path("letters.txt").read_bytes()
    for command in ("migrate", "doctor", "explain"):
        program(command, "--store", "sqlite:///letters.txt")
    ran = program("user", "list", "--store", "sqlite:///letters.txt")
    assert ran.status == FAILED
    assert "letters.txt" in ran.err
    assert Path("letters.txt").read_bytes() == before


@pytest.mark.parametrize(
    "command", [("user", "list"), ("sessions", "list"), ("keys", "list"), ("mode", "show"), ("migrate",)], ids=" ".join
)
def test_a_store_in_memory_is_refused(program: Run, command: tuple[str, ...]) -> None:
    """It lives in the server alone; an empty list would be a lie."""
    ran = program(*command, "--store", "memory://")
    assert (ran.status, ran.out) == (FAILED, "")
    assert "memory://" in ran.err


def test_nobody_types_a_password_for_a_store_in_memory(program: Run) -> None:
    """The refusal comes before the question."""
    ran = program("user", "add", "mina@example.com", "--store", "memory://")
    assert ran.status == FAILED
    assert "memory://" in ran.err


def test_the_unexpected_is_one_sentence_too(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback may show values; it is for who asks for it."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr("propylon.cli.users.with_store", broken)
    ran = program("user", "list")
    assert (ran.status, ran.out) == (UNEXPECTED, "")
    assert "ZeroDivisionError" in ran.err
    assert "a secret detail" not in ran.err
    monkeypatch.setenv("PROPYLON_LOG_LEVEL", "debug")
    assert "Traceback" in program("user", "list").err


def test_a_reader_who_has_seen_enough_is_no_error_message(tmp_path: Path) -> None:
    """``propylon --help-all | head -1``: the rest is thrown away in silence."""
    command = [sys.executable, "-m", "propylon", "--help-all"]
    code = f"import subprocess; p = subprocess.Popen({command}, stdout=subprocess.PIPE); p.stdout.close(); p.wait()"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """What could not be printed was not said: no success."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "propylon", "--help"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "korean"),
    [
        ({"LC_ALL": "ko_KR.UTF-8"}, True),
        ({"LC_ALL": "", "LC_MESSAGES": "ko_KR.UTF-8", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "", "LANG": "ko"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "ko_KR.UTF-8"}, False),
        ({"LC_ALL": "kok_IN"}, False),
        ({"LC_ALL": ""}, False),
    ],
    ids=str,
)
def test_the_terminal_says_which_language(tmp_path: Path, variables: dict[str, str], korean: bool) -> None:  # noqa: FBT001
    """POSIX: LC_ALL, then LC_MESSAGES, then LANG; help, errors and answers follow it."""
    shown = [
        run_program(tmp_path, "--help", **variables).out,
        run_program(tmp_path, "bogus", **variables).err,
        run_program(tmp_path, "user", "disable", "nobody@example.com", **variables).err,
        run_program(tmp_path, "user", "list", **variables).out,
    ]
    hangul = [any("가" <= char <= "힣" for char in text) for text in shown]
    assert hangul == [korean] * 4


def test_korean_columns_are_aligned(tmp_path: Path) -> None:
    """A syllable takes two cells of a terminal."""
    korean = {"LC_ALL": "ko_KR.UTF-8"}
    for email, name in (("a@example.com", "김하나"), ("longer@example.com", "Lee")):
        run_program(tmp_path, "user", "add", email, "--name", name, given=PASSWORD, **korean)
    lines = run_program(tmp_path, "user", "list", **korean).out.splitlines()
    starts = {_cells(line[: line.index(mark)]) for line, mark in zip(lines, ("이름", "김하나", "Lee"), strict=True)}
    assert len(starts) == 1


def _cells(text: str) -> int:
    return sum(2 if "가" <= char <= "힣" else 1 for char in text)


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_want_it(
    at_terminal: Callable[..., Terminal],
    variables: dict[str, str],
    coloured: bool,  # noqa: FBT001
) -> None:
    """https://no-color.org; the words alone say the same."""
    terminal = at_terminal("doctor", TERM="xterm", **variables)
    terminal.end()
    assert ("\x1b[" in terminal.shown) is coloured
    assert "FAIL" in terminal.shown


def printed(ran: Ran) -> Any:
    """Return what a command that succeeded has printed."""
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


async def test_sessions_are_listed_as_over_http_and_whose_they_are(tmp_path: Path, connect: Connect) -> None:
    """``sessions list`` is what ``GET /v1/sessions`` answers, with ``user``, newest first."""
    async with Propylon(store=f"sqlite:///{tmp_path}/propylon.db", password_profile="unsafe_cheapest") as propylon:
        client = connect(propylon)
        account = {"email": "mina@example.com", "password": PASSWORD}
        await client.post("/v1/users", json=account)
        for mode in ("cookie", "bearer"):
            await client.post("/v1/sessions", json={**account, "mode": mode})
        listed = (await client.get("/v1/sessions")).json()["sessions"]
        user = (await client.get("/v1/session")).json()["user"]
        shown = printed(run_program(tmp_path, "sessions", "list", "--json"))
        expected = [{**session, "current": False} for session in listed]
        owner = {"id": user["id"], "email": "mina@example.com"}
        by_id = {session["id"]: session for session in shown}
        assert [by_id[session["id"]] for session in expected] == [{**session, "user": owner} for session in expected]
        assert [session["mode"] for session in shown] == ["bearer", "cookie"]
        await _ended_at_once(tmp_path, client, shown[1]["id"])


@pytest.mark.parametrize("session_id", ["-J" + "x" * 19 + "A", "--" + "x" * 19 + "Q", "x" * 21 + "A"])
def test_a_session_id_is_taken_for_one_whatever_it_begins_with(program: Run, session_id: str) -> None:
    """It is random: one in 64 looks like an option."""
    ran = program("sessions", "end", session_id, "--json")
    assert ran.status == FAILED
    assert f"no live session {session_id}" in ran.err


@pytest.mark.parametrize("wrong", ["-J", "--usr", "--" + "x" * 19 + "B"])
def test_what_is_no_session_id_is_still_a_wrong_option(program: Run, wrong: str) -> None:
    """A slip in an option is not looked up as a session."""
    ran = program("sessions", "end", wrong)
    assert ran.status == USAGE
    assert "no option" in ran.err


async def _ended_at_once(directory: Path, client: httpx.AsyncClient, session_id: str) -> None:
    """End a session from the command line; the running service refuses it at its next request."""
    assert (await client.get("/v1/session")).status_code == 200
    assert printed(run_program(directory, "sessions", "end", session_id, "--json")) == {"ended": 1}
    refused = await client.get("/v1/session")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_revoked")


def test_the_mode_is_shown_as_the_contract_says(program: Run) -> None:
    """``{mode, previous, moved, left, errors}``, before and after a change."""
    expected = {"mode": "cookie", "previous": None, "moved": 0, "left": 0, "errors": 0}
    assert json.loads(program("mode", "show", "--json").out) == expected
    changed = {**expected, "mode": "bearer", "previous": "cookie"}
    assert json.loads(program("mode", "set", "bearer", "--json").out) == changed
    assert json.loads(program("mode", "show", "--json").out) == changed


def test_rotating_leaves_one_key_that_signs(program: Run) -> None:
    """The old one is retired, not gone; no private part is shown."""
    (first,) = json.loads(program("keys", "list", "--json").out)
    rotated = json.loads(program("keys", "rotate", "--json").out)
    keys = json.loads(program("keys", "list", "--json").out)
    assert [key["signing"] for key in keys] == [False, True]
    assert (keys[0]["kid"], keys[1]) == (first["kid"], rotated)
    assert set(rotated) == {"kid", "alg", "created_at", "retired_at", "signing"}


def test_migrate_says_what_it_applied_and_then_that_nothing_is_missing(program: Run) -> None:
    """A store that was not there is made, and that is said."""
    first, second = program("migrate", "--json"), program("migrate", "--json")
    assert json.loads(first.out)["applied"][0] == {"version": 1, "name": "initial"}
    assert "new one was made" in first.err
    assert (json.loads(second.out), second.err) == ({"applied": []}, "")
    assert "Nothing was missing" in program("migrate").out
    assert "0001 initial" in program("migrate", "--store", "sqlite:///other.db").out


def test_migrate_makes_no_key(program: Run) -> None:
    """The key is a matter of the start; whoever migrates may be somebody else on another machine."""
    program("migrate")
    assert sorted(path.name for path in Path().iterdir()) == ["propylon.db"]


def test_migrate_refuses_a_store_of_a_newer_propylon(program: Run) -> None:
    """It is left as it is."""
    program("migrate")
    with closing(sqlite3.connect("propylon.db")) as db, db:
        db.execute("INSERT INTO migrations VALUES (99, 'future', 'x', 0)")
    ran = program("migrate")
    assert (ran.status, ran.out) == (FAILED, "")
    assert "schema 99" in ran.err


def test_run_takes_its_arguments_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the installed script calls it."""
    monkeypatch.setattr(sys, "argv", ["propylon", "bogus"])
    assert run(None) == USAGE
