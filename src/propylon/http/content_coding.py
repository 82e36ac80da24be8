"""Whether an answer may be sent packed (RFC 9110 section 12.5.3).

Only what is the same for everybody is: where a secret is packed beside what a caller has chosen, the length of the
answer gives the secret away (BREACH).
"""

from __future__ import annotations

import re

_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def takes_gzip(accept_encoding: str | None) -> bool:
    """Tell whether a client takes gzip, and would not rather have the answer as it is.

    Without the header anything may be sent, and yet nothing is packed: programs that send none may not unpack.
    """
    weights = dict(map(_weighed, (accept_encoding or "").lower().split(",")))
    others = weights.get("*", 0.0)
    packed = weights.get("gzip", others)
    return packed > 0 and packed >= weights.get("identity", others)


def _weighed(member: str) -> tuple[str, float]:
    coding, separator, weight = (part.strip() for part in member.partition(";"))
    stated = _WEIGHT.fullmatch(weight)
    if stated is not None:
        return coding, float(stated[1])
    return coding, 0.0 if separator else 1.0  # what cannot be read is not wanted
