"""Accounts in a file: CSV with a header, or one JSON object a line.

One line of the file is one account, also in CSV: a line break inside quotes is refused rather than read over, so
that a lost quote spoils its own line and not all that follow.
"""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from propylon.core.import_record import Line, Record
from propylon.errors import SetupError, Unusable

#: h11's limit for a line of headers; the longest account is a tenth of it.
MAX_LINE_BYTES: Final = 16 * 1024
#: What SQLite commits together.
BATCH: Final = 128

FIELDS: Final = Record.__struct_fields__
_DELIMITERS = ",;\t"
_BOM = b"\xef\xbb\xbf"
_JSON = msgspec.json.Decoder(Record)
_JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
_BETWEEN_ROLES = re.compile(r"[\s,;|]+")
_FLAGS = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}


class FileSource:
    """Accounts in a file.

    Attributes:
        total: bytes of the file, and ``done`` how many of them were read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total = 0
        self.done = 0

    async def batches(self) -> AsyncIterator[Sequence[Line]]:
        """Yield the lines, a hundred or so at a time; blank ones are nothing.

        Raises:
            SetupError: the file cannot be read, or its first line says that it is none of ours.
        """
        try:
            with self._path.open("rb") as stream:
                self.total = self._path.stat().st_size
                lines = self._lines(stream)
                while batch := list(islice(lines, BATCH)):
                    yield batch
        except OSError as error:
            raise SetupError("import_unreadable", path=self._path, reason=error.strerror) from None

    def _lines(self, stream: BinaryIO) -> Iterator[Line]:
        record_of: Callable[[str], Record] | None
        record_of = _from_json if self._path.suffix.lower() in _JSON_SUFFIXES else None
        for number, text in self._texts(stream):
            if record_of is None and isinstance(text, str) and text.lstrip().startswith("{"):
                record_of = _from_json
            if record_of is None:
                record_of = _csv_reader(text)
                continue
            yield Line(number, _read(record_of, text))
        if record_of is None:
            raise SetupError("import_empty", path=self._path)

    def _texts(self, stream: BinaryIO) -> Iterator[tuple[int, str | Unusable]]:
        """Yield the lines that hold something, with their numbers."""
        number = 0
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            self.done += len(line)
            if len(line) > MAX_LINE_BYTES:
                self.done += _skip_line(stream, line)
                yield number, Unusable("line_too_long", limit=MAX_LINE_BYTES)
                continue
            try:
                text = line.removeprefix(_BOM if number == 1 else b"").decode().strip("\r\n")
            except UnicodeDecodeError:
                yield number, Unusable("line_not_utf8")
                continue
            if text.strip():
                yield number, text


def _skip_line(stream: BinaryIO, begun: bytes) -> int:
    """Read on to the end of a line without keeping it; return how many bytes that was."""
    skipped = 0
    while not begun.endswith(b"\n") and (begun := stream.readline(MAX_LINE_BYTES)):
        skipped += len(begun)
    return skipped


def _read(record_of: Callable[[str], Record], text: str | Unusable) -> Record | Unusable:
    if isinstance(text, Unusable):
        return text
    try:
        return record_of(text)
    except Unusable as reason:
        return reason


def _from_json(text: str) -> Record:
    try:
        return _JSON.decode(text)
    except msgspec.ValidationError:
        raise Unusable("line_fields", fields=", ".join(FIELDS)) from None  # the error quotes names out of the file
    except (msgspec.DecodeError, RecursionError):
        raise Unusable("line_json") from None


def _csv_reader(header: str | Unusable) -> Callable[[str], Record]:
    """Return what reads a line under this header."""
    delimiter = max(_DELIMITERS, key=header.count) if isinstance(header, str) else ","
    columns = _columns(header, delimiter)

    def record_of(text: str) -> Record:
        values = _csv_values(text, delimiter)
        if len(values) != len(columns):
            raise Unusable("line_columns", n=len(values), wanted=len(columns))
        return _from_text(dict(zip(columns, values, strict=True)))

    return record_of


def _columns(header: str | Unusable, delimiter: str) -> list[str]:
    """Return the names of the columns. An unknown one is refused: misspelt, nobody would have a password."""
    try:
        if isinstance(header, Unusable):
            raise header
        columns = [name.strip().lower() for name in _csv_values(header, delimiter)]
    except Unusable as reason:
        raise SetupError("import_first_line", why=reason) from None
    if unknown := [name for name in columns if name not in FIELDS or columns.count(name) > 1]:
        raise SetupError("import_column", name=unknown[0][:40], columns=", ".join(FIELDS))
    if "email" not in columns:
        raise SetupError("import_no_email", columns=", ".join(FIELDS))
    return columns


def _csv_values(text: str, delimiter: str) -> list[str]:
    try:
        (values,) = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        raise Unusable("line_csv") from None
    return values


def _from_text(said: dict[str, str]) -> Record:
    given = {name: value.strip() for name, value in said.items() if value.strip()}
    flag = _FLAGS.get(given.get("disabled", "no").lower())
    if flag is None:
        raise Unusable("disabled_wrong")
    return Record(
        email=given.get("email", ""),
        password_hash=given.get("password_hash"),
        name=given.get("name"),
        roles=tuple(_BETWEEN_ROLES.split(given["roles"])) if "roles" in given else None,
        disabled=flag,
        created_at=given.get("created_at"),
        id=given.get("id"),
    )
