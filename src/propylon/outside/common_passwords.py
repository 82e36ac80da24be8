"""The shipped list of common passwords (its origin and licences: ``NOTICE``).

The list is the password lists of Django and of zxcvbn merged, in NFKC and case-folded, of 8 to 64 code
points, sorted, one a line. Shorter ones are refused for their length anyway.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files


@cache
def load() -> frozenset[str]:
    """Return the list; read at the first call and kept (about 2 MB)."""
    packed = files("propylon.outside").joinpath("data", "common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().splitlines())
