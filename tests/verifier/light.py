"""What a service elsewhere runs: ``python -m`` with an issuer, an audience and a secret; verifies what it is sent.

A line in is ``token``; a line out is JSON: the code of the refusal, empty where there is none, and when. A line
``until TOKEN CODE`` is answered once the token is refused with that code.
"""

from __future__ import annotations

import json
import sys
import time

# As if only the light install were there.
SERVER = (
    "argon2", "asyncpg", "click", "email_validator", "granian", "httpx", "idna", "jinja2", "prometheus_client", "redis",
    "rich", "starlette", "ua_parser", "uvloop",
)  # fmt: skip


class Missing:
    """A finder in front of all others, which has lost the server's packages."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse to find them."""
        if name.partition(".")[0] in SERVER:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())

from propylon import PropylonError  # noqa: E402 - what comes before is the point
from propylon.verifier import Verifier  # noqa: E402


def code_of(verifier: Verifier, token: str) -> str:
    """Return why a token is refused, or nothing."""
    try:
        verifier.verify(token)
    except PropylonError as error:
        return error.code
    return ""


def main(issuer: str, audience: str, secret: str, max_silence_s: str, ahead_s: str) -> None:
    """Answer until standard input ends."""
    if ahead_s != "0":
        true_time = time.time
        time.time = lambda: true_time() + float(ahead_s)
    verifier = Verifier(issuer=issuer, audience=audience, secret=secret, feed_max_silence_s=int(max_silence_s))
    with verifier:
        print("started", flush=True)  # noqa: T201 - how it answers
        for line in sys.stdin:
            words = line.split()
            if words[0] == "until":
                while code_of(verifier, words[1]) != words[2]:
                    time.sleep(0.0005)
                words = words[1:2]
            print(json.dumps({"code": code_of(verifier, words[0]), "at": time.monotonic()}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
