"""Everything that people read, in English and Korean, and the choice between the two.

The sentences live in ``propylon/locales/*.json``: one flat object a language, keys with dots, named
placeholders in braces. Both catalogues have the same keys and the same placeholders; a test holds them to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("en", "ko")
DEFAULT: Final = "en"

# Chromium and Firefox send under 100 characters; a header longer than this is no browser's wish.
MAX_ACCEPT_LANGUAGE_CHARS: Final = 512

# RFC 9110 sections 12.4.2 and 12.5.4; language ranges as in RFC 4647 section 2.1.
_ELEMENT: Final = re.compile(
    r"(?P<range>\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)"
    r"(?:[ \t]*;[ \t]*[qQ]=(?P<quality>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


def negotiate(accept_language: str | None, chosen: str | None = None) -> str:
    """Return the language to answer in: ``"en"`` or ``"ko"``.

    Args:
        accept_language: the ``Accept-Language`` header (RFC 9110 section 12.5.4), or None. A header that is
            malformed or longer than ``MAX_ACCEPT_LANGUAGE_CHARS`` counts as none.
        chosen: what the person picked before (the language cookie); wins when it is one of ``LANGUAGES``.
    """
    if chosen in LANGUAGES:
        return str(chosen)
    if not accept_language or len(accept_language) > MAX_ACCEPT_LANGUAGE_CHARS:
        return DEFAULT
    qualities = _qualities(accept_language)
    best = max(qualities, key=qualities.__getitem__)  # of equals the first: the order of the header
    return best if qualities[best] > 0 else DEFAULT


def _qualities(accept_language: str) -> dict[str, float]:
    """Return the weight of each of our languages, in the order the header names them."""
    found: dict[str, float] = {}
    others = 0.0
    for element in accept_language.split(","):
        if not element.strip(" \t"):
            continue  # RFC 9110 section 5.6.1.2: a recipient ignores empty list elements
        match = _ELEMENT.fullmatch(element.strip(" \t"))
        if match is None:
            return dict.fromkeys(LANGUAGES, 0.0)
        quality = float(match["quality"] or 1)
        primary = match["range"].partition("-")[0].lower()
        if primary == "*":
            others = quality
        elif primary in LANGUAGES:
            found[primary] = max(quality, found.get(primary, 0.0))
    return found | {language: others for language in LANGUAGES if language not in found}


def say(language: str, key: str, /, **facts: object) -> str:
    """Return the sentence of ``key``, its placeholders filled with ``facts``.

    Facts are inserted as plain text: braces in them mean nothing, and whoever writes HTML escapes the result.

    Raises:
        KeyError: no catalogue has the key, or a placeholder has no fact.
    """
    return template(language, key).format_map(facts)


def template(language: str, key: str) -> str:
    """Return the text of ``key`` with its placeholders unfilled; English where ``language`` has none.

    Raises:
        KeyError: no catalogue has the key.
    """
    text = catalogue(language).get(key) if language in LANGUAGES else None
    return text if text is not None else catalogue(DEFAULT)[key]


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return all texts of one of ``LANGUAGES``, read from the package once."""
    file = resources.files("propylon") / "locales" / f"{language}.json"
    texts: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return texts


def moment(language: str, at: int) -> str:
    """Return a time (epoch seconds) as people write it, in UTC, to the minute."""
    time = datetime.fromtimestamp(at, UTC)
    return say(language, "time.moment", date=date(language, at), clock=f"{time:%H:%M}")


def date(language: str, at: int) -> str:
    """Return the day of a time (epoch seconds) as people write it, in UTC."""
    time = datetime.fromtimestamp(at, UTC)
    month = say(language, f"time.month_{time.month}")
    return say(language, "time.date", year=time.year, month=month, day=time.day)


# Longest first; a month is 30 days here, as everybody counts "two months ago".
_STEPS_S: Final = (
    ("year", 365 * 86_400),
    ("month", 30 * 86_400),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
)


def ago(language: str, then: int, now: int) -> str:
    """Return how long before ``now`` something was (epoch seconds); the future counts as now."""
    return _distance(language, "time.ago", now - then)


def ahead(language: str, then: int, now: int) -> str:
    """Return how long after ``now`` something will be (epoch seconds); the past counts as now."""
    return _distance(language, "time.in", then - now)


def _distance(language: str, prefix: str, distance_s: int) -> str:
    for unit, unit_s in _STEPS_S:
        count = distance_s // unit_s
        if count >= 1:
            return say(language, f"{prefix}_{unit}{'' if count == 1 else 's'}", n=count)
    return say(language, f"{prefix}_now")


def span(language: str, duration_s: int) -> str:
    """Return a duration as people say it, exactly: ``7 days``, ``1 hour 30 minutes``."""
    said: list[str] = []
    for unit, unit_s in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, duration_s = divmod(duration_s, unit_s)
        if count or (unit == "second" and not said):
            said.append(say(language, f"time.span_{unit}{'' if count == 1 else 's'}", n=count))
    return " ".join(said)
