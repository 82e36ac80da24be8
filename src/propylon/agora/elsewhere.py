"""A service elsewhere, whole: it has no store and no server, and says of every line whose access token it is."""

from __future__ import annotations

import os
import sys

from propylon.errors import CredentialRefused, Unavailable
from propylon.verifier import Verifier


def main() -> None:
    """Verify until standard input ends."""
    issuer, audience, secret = (os.environ[name] for name in ("ISSUER", "AUDIENCE", "VERIFIER_SECRET"))
    with Verifier(issuer=issuer, audience=audience, secret=secret) as verifier:
        for line in sys.stdin:
            try:
                said = verifier.verify(line.strip()).user_id
            except (CredentialRefused, Unavailable) as refusal:
                said = refusal.code
            print(said, flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
