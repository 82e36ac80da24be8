"""``propylon user``: accounts, and how a password gets in."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import PASSWORD, Terminal, run_program

from propylon import Propylon
from propylon.cli.users import MAX_PASSWORD_LINE_BYTES

AtTerminal = Callable[..., Terminal]
AddUser = Callable[..., dict[str, Any]]


def test_an_account_is_shown_as_the_contract_says(program: Run, add_user: AddUser) -> None:
    """``user list`` is an array of exactly these members, and ``add`` one of them."""
    added = add_user("Mina@Example.com", "--name", "박미나", "--role", "admin", "--role", "editor", "--role", "admin")
    assert added == {
        "id": added["id"],
        "email": "Mina@Example.com",
        "name": "박미나",
        "roles": ["admin", "editor"],
        "disabled": False,
        "created_at": added["created_at"],
    }
    assert json.loads(program("user", "list", "--json").out) == [added]


def test_with_json_nothing_else_is_on_standard_output(program: Run) -> None:
    """That a store was made is told on standard error: a program reads the rest."""
    ran = program("user", "list", "--json")
    assert (ran.status, json.loads(ran.out)) == (0, [])
    assert "new one was made" in ran.err


async def test_what_was_added_can_sign_in(tmp_path: Path) -> None:
    """The password is the first line of standard input, without its end, and nothing of it is lost."""
    password = "  비밀번호 with spaces  "
    ran = run_program(tmp_path, "user", "add", "mina@example.com", given=f"{password}\r\nsecond line\n")
    assert ran.status == 0
    assert password not in ran.out + ran.err
    async with Propylon(store=f"sqlite:///{tmp_path}/propylon.db", password_profile="unsafe_cheapest") as propylon:
        user = await propylon.runtime.store.find_user_by_email("mina@example.com")
        assert user is not None
        assert await propylon.runtime.hashing.verify(user.password_hash, password.encode())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"", "No password"),
        (b"\n", "No password"),
        (b"\xff\xfe12345678\n", "not UTF-8"),
        (b"qzxjvkw\n", "at least 8"),
        (b"password1\n", "Password"),
        (b"mina@example.com\n", "Password"),
        (b"x" * (MAX_PASSWORD_LINE_BYTES + 100), "Password"),
    ],
    ids=["nothing", "empty line", "not text", "short", "common", "the address", "a megabyte cut off"],
)
def test_a_password_that_is_none_makes_no_account(program: Run, given: bytes, why: str) -> None:
    """One sentence says why, and the password is not in it."""
    ran = program("user", "add", "mina@example.com", given=given)
    assert (ran.status, ran.out) == (1, "")
    assert why in ran.err
    assert not given.strip() or given.decode("latin1").strip() not in ran.err
    assert json.loads(program("user", "list", "--json").out) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--password", "hunter2secret"),
        ("--password=hunter2secret",),
        ("--pass", "hunter2secret"),
        ("--passwd=hunter2secret",),
        ("hunter2secret",),
        ("-p", "hunter2secret"),
        ("-phunter2secret",),
        ("--pw=hunter2secret",),
        ("--name", "Mina", "--role", "hunter2 secret"),
    ],
    ids=" ".join,
)
def test_a_password_as_an_argument_is_refused_and_not_repeated(program: Run, arguments: tuple[str, ...]) -> None:
    """A log of the terminal must not keep what should not have been typed there."""
    ran = program("user", "add", "mina@example.com", *arguments, given=PASSWORD.encode())
    assert ran.status in (1, 2)
    assert "hunter2" not in ran.out + ran.err
    assert json.loads(program("user", "list", "--json").out) == []


def test_why_a_password_is_no_argument_is_told(program: Run) -> None:
    """Whoever tries learns where it would have ended up, and what to do instead."""
    ran = program("user", "add", "mina@example.com", "--password", "hunter2secret")
    assert "list of processes" in ran.err
    assert "--password-stdin" in ran.err


def test_a_person_is_asked_twice_and_sees_nothing_of_it(at_terminal: AtTerminal) -> None:
    """At a real terminal the password is typed blind."""
    terminal = at_terminal("user", "add", "mina@example.com")
    terminal.wait_for("Password:")
    terminal.type(PASSWORD)
    terminal.wait_for("again:")
    terminal.type(PASSWORD)
    assert terminal.end() == 0
    assert "Made the account mina@example.com" in terminal.shown
    assert PASSWORD not in terminal.shown


def test_two_passwords_that_differ_make_no_account(at_terminal: AtTerminal, tmp_path: Path) -> None:
    """A slip of the hand is noticed before it locks somebody out."""
    terminal = at_terminal("user", "add", "mina@example.com")
    terminal.wait_for("Password:")
    terminal.type(PASSWORD)
    terminal.wait_for("again:")
    terminal.type("correct horse batter")
    assert terminal.end() == 1
    assert "differ" in terminal.shown
    assert run_program(tmp_path, "user", "list", "--json").out.split() == ["[]"]


def test_control_c_at_the_prompt_makes_no_account(at_terminal: AtTerminal, tmp_path: Path) -> None:
    """It stops with one sentence and the status of an interrupt, and the terminal shows no traceback."""
    terminal = at_terminal("user", "add", "mina@example.com")
    terminal.wait_for("Password:")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.shown
    assert not (tmp_path / "propylon.db").exists()


async def signs_in(password: str) -> bool:
    """Say whether Mina's account has this password."""
    async with Propylon(store="sqlite:///propylon.db", password_profile="unsafe_cheapest") as propylon:
        user = await propylon.runtime.store.find_user_by_email("mina@example.com")
        assert user is not None
        return await propylon.runtime.hashing.verify(user.password_hash, password.encode())


def test_a_password_that_an_operator_sets_replaces_every_other(program: Run, add_user: AddUser) -> None:
    """The rules are those of a sign-up; the old one is good for nothing, and nothing is shown of either."""
    account = add_user()
    new = "another horse battery"
    for refused in ("short", "password123", account["email"], "x" * 257):
        assert program("user", "password", account["email"], given=refused.encode()).status == 1
    assert asyncio.run(signs_in(PASSWORD))
    with closing(sqlite3.connect("propylon.db")) as db, db:
        db.execute("UPDATE users SET password_hash = ''")  # as one that was imported without
    assert json.loads(program("user", "password", account["email"], "--json", given=b"a third horse battery").out)
    ran = program("user", "password", "MINA@example.com", "--json", given=new.encode())
    assert json.loads(ran.out) == account
    assert not asyncio.run(signs_in(PASSWORD))
    assert asyncio.run(signs_in(new))
    assert new not in ran.out + ran.err
    assert program("user", "password", "nobody@example.com", given=new.encode()).status == 1


def test_disabling_ends_and_enabling_does_not_bring_back(program: Run, add_user: AddUser) -> None:
    """Both answer with the account as it now is, by any spelling of its address."""
    add_user()
    assert json.loads(program("user", "disable", "MINA@example.com", "--json").out)["disabled"] is True
    assert json.loads(program("user", "list", "--json").out)[0]["disabled"] is True
    assert json.loads(program("user", "enable", "mina@example.com", "--json").out)["disabled"] is False


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("user", "disable", "nobody@example.com"), "no account"),
        (("user", "enable", "nobody@example.com"), "no account"),
        (("user", "add", "mina@example.com"), "already"),
        (("user", "add", "no address"), "not a valid e-mail"),
        (("user", "add", "new@example.com", "--name", "a\x1b[31mb"), "not allowed"),
        (("user", "add", "new@example.com", "--role", "a b"), "--role"),
        (("sessions", "list", "--user", "nobody@example.com"), "no account"),
        (("sessions", "end", "no-such-session"), "no live session"),
        (("sessions", "end", "--user", "nobody@example.com"), "no account"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_sentence_and_no_success(
    program: Run, add_user: AddUser, arguments: tuple[str, ...], why: str
) -> None:
    """The status is not 0, standard output stays empty, and the sentence says what to do."""
    add_user()
    ran = program(*arguments, given=PASSWORD.encode())
    assert (ran.status, ran.out) == (1, "")
    assert why in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("control", ["\x1b[2J", "\x07", "\x9b31m", "\u202e", "\r"])
def test_a_hostile_argument_does_not_steer_the_terminal(program: Run, control: str) -> None:
    """A name from elsewhere, pasted into a command, is shown with its controls spelled out."""
    for ran in (program("user", "disable", f"a{control}b@example.com"), program(f"bog{control}us")):
        assert ran.status != 0
        assert control not in ran.out + ran.err


def test_a_hostile_name_in_the_store_does_not_steer_the_terminal(program: Run, add_user: AddUser) -> None:
    """Whatever got into the store (an import, another program): neither table nor JSON passes it on raw."""
    hostile = "\x1b[31mevil\x9b0m\u202e"
    account = add_user()
    with closing(sqlite3.connect("propylon.db")) as db, db:
        db.execute("UPDATE users SET name = ? WHERE id = ?", (hostile, account["id"]))
    table, as_json = program("user", "list"), program("user", "list", "--json")
    for shown in (table.out, as_json.out):
        assert all(char.isprintable() or char == "\n" for char in shown)
    assert json.loads(as_json.out)[0]["name"] == hostile
