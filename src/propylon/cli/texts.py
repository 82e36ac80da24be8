"""What the command line says, in the language of the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath

from rich.cells import cell_len

from propylon import language
from propylon.cli.spelling import as_spelled
from propylon.errors import SetupError


def language_of(environ: Mapping[str, str]) -> str:
    """Return the language that the locale variables ask for (POSIX: ``LC_ALL``, ``LC_MESSAGES``, ``LANG``)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            # ko_KR.UTF-8, ko.UTF-8, ko: but not kok, which is Konkani.
            primary = value.partition(".")[0].partition("@")[0].partition("_")[0].partition("-")[0]
            return "ko" if primary.lower() == "ko" else "en"
    return language.DEFAULT


LANGUAGE = language_of(os.environ)


def text(key: str, /, **facts: object) -> str:
    """Return the sentence ``cli.<key>``; a fact (a name, a path, an argument) must not steer the terminal."""
    shown = {name: printable(fact) if isinstance(fact, str | PurePath) else fact for name, fact in facts.items()}
    return language.say(LANGUAGE, f"cli.{key}", **shown)


def printable(value: object) -> str:
    """Return a value as text with control characters spelled out."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in str(value))


def told(key: str, facts: Mapping[str, object]) -> str:
    """Return the sentence ``cli.<key>``, its facts in words.

    These are those that name a unit (``_s``, ``_at``, ``_on``, ``_bytes``), and reasons that are sentences themselves.
    """
    return text(key, **dict(_worded(name, value) for name, value in facts.items()))


def _worded(name: str, value: object) -> tuple[str, object]:
    if isinstance(value, SetupError):
        return name, as_spelled(value.said(LANGUAGE))
    stem, _, unit = name.rpartition("_")
    if isinstance(value, int) and stem and unit in _IN_WORDS:
        return stem, _IN_WORDS[unit](value)
    return name, value


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes // 2**20} MiB"


_IN_WORDS: Mapping[str, Callable[[int], str]] = {
    "s": lambda duration_s: language.span(LANGUAGE, duration_s),
    "at": lambda at: language.moment(LANGUAGE, at),
    "on": lambda at: language.date(LANGUAGE, at),
    "bytes": _size,
}


def has(key: str) -> bool:
    """Return whether there is a sentence with this full key."""
    return key in language.catalogue(LANGUAGE)


def padded(word: str, cells: int) -> str:
    """Return a word with spaces up to so many cells of a terminal."""
    return word + " " * (cells - cell_len(word))


def wrapped(paragraph: str, width: int) -> Iterator[str]:
    """Break a paragraph at its spaces; Korean syllables are two cells wide."""
    line = ""
    for word in paragraph.split(" "):
        longer = f"{line} {word}" if line else word
        if line and cell_len(longer) > width:
            yield line
            line = word
        else:
            line = longer
    yield line
