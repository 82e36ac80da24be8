"""Where tokens are kept: by whom they can be read, what survives, and several programs with one place."""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest
from tests.pyclient.stage import ISSUER, RENEW, SIGN_IN, WHO, Stage, ask, eventually, refusal, secret_of

from propylon import SetupError, Unavailable
from propylon.client import FilePlace, KeyringPlace, MemoryPlace, Place, places

LIFE_S = 300


class InMemory(keyring.backend.KeyringBackend):
    """A keyring that asks nobody; with ``fault`` one that stays locked, with ``refusal`` one that is full."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.fault: Exception | None = None
        self.refusal: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        """Return an entry."""
        if self.fault is not None:
            raise self.fault
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep an entry."""
        if (refusal := self.fault or self.refusal) is not None:
            raise refusal
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        """Delete an entry."""
        if (service, username) not in self.kept:
            raise keyring.errors.PasswordDeleteError("there is none")
        del self.kept[service, username]


@pytest.fixture
def ring() -> Iterator[InMemory]:
    """The keyring of this process."""
    before = keyring.get_keyring()
    ring = InMemory()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


@pytest.fixture(params=["memory", "file", "keyring", "keyring with a file to lock"])
def place(request: pytest.FixtureRequest, tmp_path: Path, ring: InMemory) -> Place:
    """Every kind of place."""
    made: dict[str, Callable[[], Place]] = {
        "memory": MemoryPlace,
        "file": lambda: FilePlace(tmp_path / "app" / "tokens"),
        "keyring": lambda: KeyringPlace("app", "mina"),
        "keyring with a file to lock": lambda: KeyringPlace("app", "mina", lock_file=tmp_path / "app" / "lock"),
    }
    return made[str(request.param)]()


def test_a_place_keeps_one_text(place: Place) -> None:
    """The last one; removing twice is removing."""
    assert place.load() is None
    place.save("one")
    place.save("two €")
    assert place.load() == "two €"
    place.remove()
    place.remove()
    assert place.load() is None


def test_a_lock_has_one_holder(place: Place) -> None:
    """Whoever comes second waits."""
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with place.lock():
            order.append("second")

    with ThreadPoolExecutor(1) as threads:
        with place.lock():
            other = threads.submit(second)
            waiting.wait()
            for _ in range(20):
                assert not other.done()
            order.append("first")
        other.result()
    assert order == ["first", "second"]


def test_the_next_run_goes_on_with_what_is_kept(stage: Stage, place: Place) -> None:
    """Without a password and without a request, while the access token is fresh; with one renewal later."""
    session = ask(stage, stage.auth(place=place)).json()["session"]["id"]
    assert ask(stage, stage.auth(place=place, password=None)).json()["session"]["id"] == session
    stage.advance(LIFE_S)
    assert ask(stage, stage.auth(place=place, password=None)).json()["session"]["id"] == session
    assert stage.network.sent == [SIGN_IN, WHO, WHO, RENEW, WHO]


def test_programs_that_share_a_place_renew_once_and_end_no_session(stage: Stage, place: Place) -> None:
    """Each takes over what another has renewed. Going on with its own would be the reuse of a refresh token."""
    programs = [stage.auth(place=place) for _ in range(3)]
    sessions = {ask(stage, program).json()["session"]["id"] for program in programs}
    for turn in range(1, 7):
        stage.advance(LIFE_S)
        for program in programs[turn % 3 :] + programs[: turn % 3]:
            sessions.add(ask(stage, program).json()["session"]["id"])
        assert stage.network.count(RENEW) == turn
    assert (len(sessions), stage.network.count(SIGN_IN)) == (1, 1)


def test_programs_that_renew_in_the_same_moment_do_so_one_after_the_other(stage: Stage, tmp_path: Path) -> None:
    """The second waits for the lock, reads again, and has nothing left to do."""
    programs = [stage.auth(place=FilePlace(tmp_path / "tokens")) for _ in range(4)]
    for program in programs:
        ask(stage, program)
    stage.advance(LIFE_S)
    stage.network.held[RENEW] = threading.Event()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, stage, program) for program in programs]
        eventually(lambda: stage.network.count(RENEW) > 0)
        stage.network.held[RENEW].set()
        assert [answer.result().status_code for answer in asked] == [200] * 4
    assert stage.network.count(RENEW) == 1


def test_signing_out_in_one_program_signs_out_the_others(stage: Stage, place: Place) -> None:
    """At the latest when they would renew."""
    one, other = stage.auth(place=place), stage.auth(place=place, password=None)
    ask(stage, one)
    ask(stage, other)
    one.sign_out()
    stage.advance(LIFE_S)
    assert refusal(stage, other).code == "credential_missing"
    assert stage.network.count(RENEW) == 0


def test_a_place_that_cannot_be_written_ends_no_session(
    stage: Stage, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk: it goes on in memory, says so, and does not go back to the old token that is still kept."""
    auth = stage.auth(place=place)
    session = ask(stage, auth).json()["session"]["id"]

    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, "save", full)
        for _ in range(3):
            stage.advance(LIFE_S)
            assert ask(stage, auth).json()["session"]["id"] == session
    assert "could not be kept" in caplog.text
    shown = [body for kind, body in zip(stage.network.sent, stage.network.bodies, strict=True) if kind == RENEW]
    assert len(set(shown)) == len(shown) == 3
    stage.advance(LIFE_S)
    assert ask(stage, auth).json()["session"]["id"] == session
    assert ask(stage, stage.auth(place=place, password=None)).json()["session"]["id"] == session
    assert stage.network.count(SIGN_IN) == 1


@pytest.mark.parametrize("verb", ["load", "lock"])
def test_a_place_that_cannot_be_read_or_locked_signs_nobody_in(
    stage: Stage, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a session in it; it is there again when the disk is."""
    place = MemoryPlace()
    ask(stage, stage.auth(place=place))

    def blocked() -> None:
        raise OSError(5, "Input/output error")

    auth = stage.auth(place=place)
    with monkeypatch.context() as patch:
        patch.setattr(place, verb, blocked)
        error = refusal(stage, auth)
    assert type(error) is Unavailable
    assert "Input/output error" in str(error.facts["reason"])
    assert ask(stage, auth).status_code == 200
    assert stage.network.count(SIGN_IN) == 1


def test_tokens_that_are_over_and_cannot_be_removed_are_not_used(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The issuer is asked about them once."""
    place = MemoryPlace()
    ask(stage, stage.auth(place=place))
    stage.end_everything()
    auth = stage.auth(place=place, password=None)

    def blocked() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(place, "remove", blocked)
    assert [refusal(stage, auth).code for _ in range(3)] == ["session_revoked", *["credential_missing"] * 2]
    assert stage.network.count(RENEW) == 1
    assert "could not be removed" in caplog.text


@pytest.mark.parametrize("text", ["", "{}", "export PATH=/bin", "[" * 60_000, "x" * 70_000, "\x00"])
def test_what_a_client_has_not_kept_is_left_alone(stage: Stage, tmp_path: Path, text: str) -> None:
    """Somebody has named the wrong file."""
    path = tmp_path / "profile"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SetupError, match="left alone"):
        ask(stage, stage.auth(place=FilePlace(path)))
    assert path.read_text() == text
    assert stage.network.sent == []


def test_a_text_beyond_the_bound_is_not_read(stage: Stage) -> None:
    """Whatever it begins with."""
    place = MemoryPlace()
    ask(stage, stage.auth(place=place))
    place.save((place.load() or "") + " " * 70_000)
    with pytest.raises(SetupError, match="left alone"):
        ask(stage, stage.auth(place=place))


def test_tokens_of_another_issuer_are_sent_to_nobody(stage: Stage) -> None:
    """The refresh token of one service is not shown to the next."""
    place = MemoryPlace()
    ask(stage, stage.auth(place=place))
    kept = place.load()
    assert kept is not None
    place.save(kept.replace(ISSUER, "https://id.example"))
    stage.network.forget()
    with pytest.raises(SetupError, match=r"https://id\.example"):
        ask(stage, stage.auth(place=place))
    assert stage.network.sent == []


def test_tokens_from_the_future_are_renewed(stage: Stage) -> None:
    """Kept before somebody set the clock back: nobody knows how old they are."""
    place = MemoryPlace()
    ask(stage, stage.auth(place=place))
    stage.client_clock.set_wall_clock(stage.client_clock.now() - 86_400)
    assert ask(stage, stage.auth(place=place, password=None)).status_code == 200
    assert stage.network.sent == [SIGN_IN, WHO, RENEW, WHO]


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask; the directory that is made for it too, and nothing else lies around."""
    before = os.umask(0)
    try:
        FilePlace(tmp_path / "app" / "tokens").save("text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "app" / "tokens").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "app").stat().st_mode) == 0o700
    assert [file.name for file in (tmp_path / "app").iterdir()] == ["tokens"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_file_that_others_may_use_is_refused(stage: Stage, tmp_path: Path, mode: int) -> None:
    """Whoever has read it is signed in; making it private now would hide that."""
    place = FilePlace(tmp_path / "tokens")
    ask(stage, stage.auth(place=place))
    (tmp_path / "tokens").chmod(mode)
    stage.network.forget()
    with pytest.raises(SetupError, match="Others than its owner"):
        ask(stage, stage.auth(place=place))
    assert stage.network.sent == []
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == mode


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """A pipe would hold up the program for ever."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory"):
        with pytest.raises(SetupError, match="not a file"):
            FilePlace(tmp_path / name).load()


def test_a_crash_in_the_middle_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old or new, never half, and no copy of the tokens beside it."""
    place = FilePlace(tmp_path / "tokens")
    place.save("before")

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        place.save("after")
    assert place.load() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["tokens"]


def test_a_lock_that_nobody_lets_go_of_is_not_waited_for_for_ever(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that hangs holds up the others for a bounded time, and they say why."""
    monkeypatch.setattr(places, "LOCK_WITHIN_S", 0.05)
    place = FilePlace(tmp_path / "tokens")
    with place.lock():
        error = refusal(stage, stage.auth(place=FilePlace(tmp_path / "tokens")))
    assert type(error) is Unavailable
    assert "does not let go" in str(error.facts["reason"])


def test_a_keyring_that_stays_locked_signs_nobody_in(stage: Stage, ring: InMemory) -> None:
    """And what its backend says is told without what it was given."""
    auth = stage.auth(place=KeyringPlace("app", "mina"))
    ring.fault = keyring.errors.KeyringLocked("the user said no")
    assert "the user said no" in str(refusal(stage, auth).facts["reason"])
    assert stage.network.sent == []
    ring.fault = None
    stage.advance(1)
    assert ask(stage, auth).status_code == 200


def test_a_keyring_that_refuses_to_store_shows_no_secret(
    stage: Stage, ring: InMemory, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on in memory."""
    caplog.set_level(logging.DEBUG)
    place = KeyringPlace("app", "mina")
    auth = stage.auth(place=place)
    ask(stage, auth)
    ring.refusal = keyring.errors.PasswordSetError("too long")
    stage.advance(LIFE_S)
    assert ask(stage, auth).status_code == 200
    assert "PasswordSetError: too long" in caplog.text
    assert secret_of(place) not in caplog.text


def stranger(secret: str) -> Exception:
    """Return what comes up from beneath a backend: none of keyring's errors, the secret in its text."""
    return RuntimeError(f"secret-tool store {secret}")


def caused(error: Exception, secret: str) -> Exception:
    """Return an error of keyring as backends raise them: because of another one, which shows the secret."""
    error.__cause__ = stranger(secret)
    return error


@pytest.mark.parametrize("verb", ["load", "save", "remove"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (caused(stranger("rt.secret"), "rt.secret"), r"^RuntimeError$"),
        (caused(keyring.errors.KeyringLocked("no"), "rt.secret"), r"^KeyringLocked: no$"),
    ],
    ids=["of the system beneath", "of keyring"],
)
def test_every_error_of_a_backend_is_an_error_of_the_place(
    ring: InMemory, error: Exception, told: str, verb: str
) -> None:
    """Neither its text nor the chain behind it shows what was to be stored."""
    place = KeyringPlace("app", "mina")
    ring.fault = error
    with pytest.raises(OSError, match=told) as refused:
        {"load": place.load, "save": lambda: place.save("a text"), "remove": place.remove}[verb]()
    assert "rt.secret" not in "".join(traceback.format_exception(refused.value, chain=True))
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_a_keyring_whose_system_fails_to_store_is_gone_on_without(
    stage: Stage, ring: InMemory, caplog: pytest.LogCaptureFixture
) -> None:
    """One sign-in, in memory, and a warning that shows no secret."""
    ring.refusal = stranger("rt.secret")
    auth = stage.auth(place=KeyringPlace("app", "mina"))
    assert [ask(stage, auth).status_code for _ in range(3)] == [200] * 3
    assert stage.network.count(SIGN_IN) == 1
    assert "RuntimeError" in caplog.text
    assert "rt.secret" not in caplog.text


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for where it is used, and not before."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SetupError, match=r"propylon\[keyring\]"):
        KeyringPlace("app", "mina")
