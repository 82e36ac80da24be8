"""A sentence in both languages, as records and reports carry it."""

from __future__ import annotations

from typing import Literal

import msgspec

Tongue = Literal["en", "ko"]


class Said(msgspec.Struct, frozen=True):
    """The same sentence in English and Korean."""

    en: str
    ko: str

    def filled(self, **facts: object) -> Said:
        """Return it with its places filled; a fact that is itself ``Said`` is filled in in each language."""
        return Said(self.en.format(**_told("en", facts)), self.ko.format(**_told("ko", facts)))

    def to(self, tongue: str) -> str:
        """Return it for a reader of ``tongue``; English for all that is not Korean."""
        return self.ko if tongue == "ko" else self.en


def _told(tongue: Tongue, facts: dict[str, object]) -> dict[str, object]:
    return {name: fact.to(tongue) if isinstance(fact, Said) else fact for name, fact in facts.items()}
