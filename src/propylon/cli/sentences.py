"""What ``propylon explain`` is made of: sections of sentences, not yet in any language."""

from __future__ import annotations

import msgspec


class Sentence(msgspec.Struct, frozen=True):
    """A sentence ``cli.explain.<key>`` and what it is filled with; a fact may be a sentence itself."""

    key: str
    facts: dict[str, object] = {}


class Section(msgspec.Struct, frozen=True):
    """Sentences under the heading ``cli.explain.title.<name>``."""

    name: str
    sentences: tuple[Sentence, ...]
