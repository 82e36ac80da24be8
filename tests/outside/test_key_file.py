"""The key file: made once, by one process, and never touched again."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from propylon.errors import SetupError
from propylon.outside.key_file import load_or_create, permissions_loose

RACER = """
import sys
from pathlib import Path
from propylon.core.secret import fingerprint
from propylon.outside.key_file import load_or_create
print("ready", flush=True)
sys.stdin.readline()
ring = load_or_create(Path(sys.argv[1]), may_create=True)
print(ring.current.id, fingerprint(ring.current))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key file is to be."""
    return tmp_path / "propylon.key"


def test_the_first_start_makes_a_key_that_the_next_one_finds(path: Path) -> None:
    """One random key, for its owner's eyes alone, and nothing else left in the directory."""
    first = load_or_create(path, may_create=True)
    content = path.read_bytes()
    assert load_or_create(path, may_create=True) == load_or_create(path, may_create=False) == first
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not permissions_loose(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["propylon.key"]


def test_two_installations_have_two_keys(tmp_path: Path) -> None:
    """No key is shipped."""
    one, other = (load_or_create(tmp_path / name, may_create=True).current for name in "ab")
    assert one.value != other.value
    assert one.id != other.id


def test_processes_that_start_at_once_agree_on_one_key(path: Path) -> None:
    """Eight of them, held at the gate until all are ready; a loser reads the whole key of the winner."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 8
    assert len(set(answers)) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["propylon.key"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nothing\n",
        b"secret",
        b"k1 changeme",
        b"\xff\xfe\x00",
        b"k1 " + b"A" * 9000,
        b"k1 " + b"00" * 32,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_file_without_a_key_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    """Whatever is in it may be all that is left of a key: it is never overwritten, and never shown."""
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"propylon\.key") as refused:
        load_or_create(path, may_create=True)
    assert path.read_bytes() == content
    assert "changeme" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_file_that_may_not_be_made_is_refused(path: Path) -> None:
    """A second node with a key of its own would end every session there is."""
    with pytest.raises(SetupError, match=r"There is no key file .*propylon\.key.*PROPYLON_KEY_FILE"):
        load_or_create(path, may_create=False)
    assert not path.exists()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The sentence says what to make."""
    with pytest.raises(SetupError, match=r"make the directory .*absent first"):
        load_or_create(tmp_path / "absent" / "propylon.key", may_create=True)


def test_a_directory_and_a_pipe_are_no_key_files(path: Path) -> None:
    """Reading a pipe would hang the start."""
    path.mkdir()
    pipe = path / "pipe"
    os.mkfifo(pipe)
    for wrong in (path, pipe):
        with pytest.raises(SetupError, match="is not a file"):
            load_or_create(wrong, may_create=True)


def test_a_link_to_nowhere_is_not_followed(path: Path) -> None:
    """The volume that it points to may not be mounted yet: making another key there would be wrong."""
    path.symlink_to(path.parent / "volume" / "propylon.key")
    with pytest.raises(SetupError, match=r"propylon\.key"):
        load_or_create(path, may_create=True)
    assert path.is_symlink()
    assert not path.exists()


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    """What the system says is passed on."""
    with pytest.raises(SetupError, match="neither read nor made"):
        load_or_create(tmp_path / ("k" * 300), may_create=True)


@pytest.mark.parametrize(
    ("mode", "loose"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o620, True)]
)
def test_a_mode_is_loose_when_others_can_use_the_file(path: Path, mode: int, loose: bool) -> None:  # noqa: FBT001
    """``propylon doctor`` warns of it."""
    path.touch()
    path.chmod(mode)
    assert permissions_loose(path) is loose
